-- Runs, their histories, their checkpoints and what happened to them.
-- Times are milliseconds since 1970-01-01T00:00:00Z. States and kinds are stored by name.

CREATE TABLE run (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    name              TEXT    NOT NULL,
    priority          INTEGER NOT NULL,
    labels_json       TEXT    NOT NULL,
    config_json       TEXT    NOT NULL,
    preset            TEXT    NOT NULL,
    dataset           TEXT    NOT NULL,
    depth             INTEGER NOT NULL,
    epochs            INTEGER NOT NULL,
    m                 INTEGER NOT NULL,
    cutout_size       INTEGER NOT NULL,
    seed              INTEGER NOT NULL,              -- the 64 bits of an unsigned number
    state             TEXT    NOT NULL CHECK (state IN ('queued', 'held', 'running', 'paused',
                                                        'succeeded', 'failed', 'canceled')),
    reason            TEXT    NOT NULL DEFAULT '',
    attempt           INTEGER NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    cancel_requested  INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    variant           TEXT    NOT NULL DEFAULT '',   -- kernels of all its epochs
    dataset_sha256    TEXT    NOT NULL DEFAULT '',   -- the images it trains on
    epochs_done       INTEGER NOT NULL DEFAULT 0,
    best_epoch        INTEGER,
    best_wrong        INTEGER,
    last_wrong        INTEGER,
    val_total         INTEGER,
    diverged          INTEGER NOT NULL DEFAULT 0 CHECK (diverged IN (0, 1)),
    images_per_second REAL,
    created_ms        INTEGER NOT NULL,
    started_ms        INTEGER,
    finished_ms       INTEGER,
    updated_ms        INTEGER NOT NULL,
    revision          INTEGER NOT NULL DEFAULT 1
) STRICT;

-- Who is next: highest priority, then order of arrival.
CREATE INDEX run_next ON run (state, priority DESC, id);

CREATE TABLE epoch (
    run_id            INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    epoch             INTEGER NOT NULL CHECK (epoch >= 1),
    train_loss        REAL,                          -- NULL: not a finite number
    train_accuracy    REAL,
    val_loss          REAL,
    val_accuracy      REAL,
    val_wrong         INTEGER NOT NULL,
    val_total         INTEGER NOT NULL,
    lr                REAL    NOT NULL,
    seconds           REAL,
    images_per_second REAL,
    at_ms             INTEGER NOT NULL,
    PRIMARY KEY (run_id, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id      INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    kind        TEXT    NOT NULL CHECK (kind IN ('last', 'best')),
    path        TEXT    NOT NULL,                    -- below the run's directory
    sha256      TEXT    NOT NULL CHECK (length(sha256) = 64),
    n_bytes     INTEGER NOT NULL,
    epochs_done INTEGER NOT NULL,
    step        INTEGER NOT NULL,
    at_ms       INTEGER NOT NULL,
    UNIQUE (run_id, kind, path)
) STRICT;

CREATE TABLE event (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id          INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    type            TEXT    NOT NULL CHECK (type IN ('state', 'epoch', 'checkpoint')),
    at_ms           INTEGER NOT NULL,
    state           TEXT,
    attempt         INTEGER,
    reason          TEXT,
    epoch           INTEGER,
    step            INTEGER,
    checkpoint_kind TEXT
) STRICT;

CREATE INDEX event_of_run ON event (run_id, id);

-- An epoch that is repeated after a crash is told once.
CREATE UNIQUE INDEX event_once_an_epoch ON event (run_id, epoch) WHERE type = 'epoch';

CREATE TABLE setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO setting (name, value) VALUES ('instance', lower(hex(randomblob(16))));
