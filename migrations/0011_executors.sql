-- Which executor trains a run, the name under which the executor knows the attempt that is running
-- ('' while none is), the number of that attempt's last stored report, and whether it came as far as
-- training: an end of the daemon before that is not the run's doing.
ALTER TABLE run ADD COLUMN executor TEXT NOT NULL DEFAULT 'local';
ALTER TABLE run ADD COLUMN handle TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN reports INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN began INTEGER NOT NULL DEFAULT 0 CHECK (began IN (0, 1));
