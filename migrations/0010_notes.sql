-- What people write about a run or a sweep: one text in Markdown, gone with its run or sweep.
CREATE TABLE note (
    id         INTEGER PRIMARY KEY,
    run_id     INTEGER UNIQUE REFERENCES run (id) ON DELETE CASCADE,
    sweep_id   INTEGER UNIQUE REFERENCES sweep (id) ON DELETE CASCADE,
    text       TEXT    NOT NULL,
    updated_ms INTEGER NOT NULL,
    CHECK ((run_id IS NULL) <> (sweep_id IS NULL))
) STRICT;
