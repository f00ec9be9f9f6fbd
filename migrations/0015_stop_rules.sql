-- Which rule of `stop` has ended a run before its last epoch (NULL: none), written with the epoch at which it held; and its
-- limit of training seconds (NULL: none), by which its end is estimated.
ALTER TABLE run ADD COLUMN stopped_by TEXT CHECK (stopped_by IN ('val_error', 'patience', 'max_seconds'));
ALTER TABLE run ADD COLUMN max_seconds REAL;
