-- Links that let whoever has one read a sweep and its runs without a token, until they expire or are withdrawn.
-- sha256: of the secret, which is stored nowhere.
CREATE TABLE link (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    sweep_id   INTEGER NOT NULL REFERENCES sweep (id) ON DELETE CASCADE,
    sha256     TEXT    NOT NULL UNIQUE,
    owner      TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX link_of_sweep ON link (sweep_id, id);
