-- Owners, sweeps, dependencies, forks, requests to running runs, sortable results, stored answers.

-- Runs that were submitted together.
CREATE TABLE sweep (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    owner      TEXT    NOT NULL DEFAULT '',
    spec_json  TEXT    NOT NULL,                     -- {"base":..., "grid":...} as it was given
    created_ms INTEGER NOT NULL
) STRICT;

ALTER TABLE run ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN sweep_id INTEGER REFERENCES sweep (id) ON DELETE SET NULL;

-- Where it came from; the number stays when that run is deleted.
ALTER TABLE run ADD COLUMN forked_from INTEGER;
ALTER TABLE run ADD COLUMN forked_epoch INTEGER;

-- What was asked of it while it is running and not carried out yet.
ALTER TABLE run ADD COLUMN request TEXT NOT NULL DEFAULT ''
    CHECK (request IN ('', 'cancel', 'kill', 'pause'));
UPDATE run SET request = 'cancel' WHERE cancel_requested = 1;
ALTER TABLE run DROP COLUMN cancel_requested;

-- Copied from the config for filters.
ALTER TABLE run ADD COLUMN copies TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN optimizer TEXT NOT NULL DEFAULT '';
UPDATE run SET copies = coalesce(json_extract(config_json, '$.copies'), ''),
               optimizer = coalesce(json_extract(config_json, '$.optimizer'), '');

-- Known from the first attempt on: they turn epochs into steps and images.
ALTER TABLE run ADD COLUMN steps_per_epoch INTEGER;
ALTER TABLE run ADD COLUMN images_per_epoch INTEGER;

-- Derived from the epochs, for sorting.
ALTER TABLE run ADD COLUMN best_error REAL;
ALTER TABLE run ADD COLUMN last_error REAL;
ALTER TABLE run ADD COLUMN mean_last_5 REAL;
ALTER TABLE run ADD COLUMN train_seconds REAL NOT NULL DEFAULT 0;
UPDATE run SET best_error = CAST(best_wrong AS REAL) / val_total,
               last_error = CAST(last_wrong AS REAL) / val_total,
               mean_last_5 = (SELECT avg(CAST(val_wrong AS REAL) / e.val_total) FROM epoch e
                              WHERE e.run_id = run.id AND e.epoch > run.epochs_done - 5),
               train_seconds = (SELECT total(seconds) FROM epoch e WHERE e.run_id = run.id)
    WHERE val_total > 0;

CREATE INDEX run_of_sweep ON run (sweep_id, id) WHERE sweep_id IS NOT NULL;

-- labels_json, opened for filters.
CREATE TABLE run_label (
    run_id INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    key    TEXT    NOT NULL,
    value  TEXT    NOT NULL,
    PRIMARY KEY (run_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_by_label ON run_label (key, value, run_id);
INSERT INTO run_label (run_id, key, value)
    SELECT run.id, label.key, label.value FROM run, json_each(run.labels_json) AS label;

-- A run starts after these have succeeded.
CREATE TABLE run_after (
    run_id   INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    after_id INTEGER NOT NULL REFERENCES run (id) ON DELETE RESTRICT,
    PRIMARY KEY (run_id, after_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_before ON run_after (after_id, run_id);

-- What was answered to a POST with an Idempotency-Key, stored with what the POST did.
CREATE TABLE idempotency (
    owner        TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    route        TEXT    NOT NULL,
    body_sha256  TEXT    NOT NULL CHECK (length(body_sha256) = 64),
    http_status  INTEGER NOT NULL,
    location     TEXT    NOT NULL,
    body         TEXT    NOT NULL,
    at_ms        INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
