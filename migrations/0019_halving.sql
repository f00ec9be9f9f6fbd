-- Sweeps by halving: at epochs first_epochs, first_epochs * eta, .. the runs that are still in it pause; the best of them go on.
CREATE TABLE halving (
    sweep_id     INTEGER PRIMARY KEY REFERENCES sweep (id) ON DELETE CASCADE,
    first_epochs INTEGER NOT NULL CHECK (first_epochs > 0),
    eta          INTEGER NOT NULL CHECK (eta > 1),
    metric       TEXT    NOT NULL CHECK (metric IN ('val_error', 'val_loss'))
) STRICT;
-- A rung that has ended, and its ranking as it is shown.
CREATE TABLE rung (
    sweep_id     INTEGER NOT NULL REFERENCES halving (sweep_id) ON DELETE CASCADE,
    rung         INTEGER NOT NULL CHECK (rung >= 0),
    epochs       INTEGER NOT NULL CHECK (epochs > 0),
    ranking_json TEXT    NOT NULL,
    at_ms        INTEGER NOT NULL,
    PRIMARY KEY (sweep_id, rung)
) STRICT;
-- The rung a run is in and the epoch at which it pauses (NULL: none), what it is ranked with ('': by itself), and whether it
-- stays paused because others were better.
ALTER TABLE run ADD COLUMN rung INTEGER;
ALTER TABLE run ADD COLUMN pause_at INTEGER;
ALTER TABLE run ADD COLUMN setting TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN ranked_out INTEGER NOT NULL DEFAULT 0 CHECK (ranked_out IN (0, 1));
