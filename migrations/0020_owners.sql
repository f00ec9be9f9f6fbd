-- How much each owner has in the queue and running, kept by triggers, so that nobody has to count; and how much each has
-- used lately: log2 of its core-seconds, halved every half_life, plus the time in half-lives. That number stays true while
-- time goes by. NULL: nothing, or half_life is off.
CREATE TABLE owner (
    name    TEXT    NOT NULL PRIMARY KEY,            -- '': whatever came without a token
    queued  INTEGER NOT NULL DEFAULT 0,
    held    INTEGER NOT NULL DEFAULT 0,
    running INTEGER NOT NULL DEFAULT 0,
    recent  REAL
) STRICT, WITHOUT ROWID;
INSERT INTO owner (name, queued, held, running)
    SELECT owner, sum(state = 'queued'), sum(state = 'held'), sum(state = 'running') FROM run GROUP BY owner;

-- How many queued runs each owner has at each priority; no row: none.
CREATE TABLE waiting (
    priority INTEGER NOT NULL,
    owner    TEXT    NOT NULL,
    n        INTEGER NOT NULL,
    PRIMARY KEY (priority, owner)
) STRICT, WITHOUT ROWID;
INSERT INTO waiting (priority, owner, n)
    SELECT priority, owner, count(*) FROM run WHERE state = 'queued' GROUP BY priority, owner;

CREATE TRIGGER owner_of_new AFTER INSERT ON run BEGIN
    INSERT INTO owner (name) VALUES (NEW.owner) ON CONFLICT DO NOTHING;
    UPDATE owner SET queued = queued + (NEW.state = 'queued'), held = held + (NEW.state = 'held'),
        running = running + (NEW.state = 'running') WHERE name = NEW.owner;
END;
CREATE TRIGGER owner_of_moved AFTER UPDATE OF state ON run WHEN NEW.state <> OLD.state BEGIN
    UPDATE owner SET queued = queued + (NEW.state = 'queued') - (OLD.state = 'queued'),
        held = held + (NEW.state = 'held') - (OLD.state = 'held'),
        running = running + (NEW.state = 'running') - (OLD.state = 'running') WHERE name = NEW.owner;
END;
CREATE TRIGGER owner_of_deleted AFTER DELETE ON run BEGIN
    UPDATE owner SET queued = queued - (OLD.state = 'queued'), held = held - (OLD.state = 'held'),
        running = running - (OLD.state = 'running') WHERE name = OLD.owner;
END;

CREATE TRIGGER waiting_is_new AFTER INSERT ON run WHEN NEW.state = 'queued' BEGIN
    INSERT INTO waiting (priority, owner, n) VALUES (NEW.priority, NEW.owner, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER waiting_begins AFTER UPDATE OF state, priority ON run
    WHEN NEW.state = 'queued' AND (OLD.state <> 'queued' OR OLD.priority <> NEW.priority) BEGIN
    INSERT INTO waiting (priority, owner, n) VALUES (NEW.priority, NEW.owner, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER waiting_ends AFTER UPDATE OF state, priority ON run
    WHEN OLD.state = 'queued' AND (NEW.state <> 'queued' OR OLD.priority <> NEW.priority) BEGIN
    UPDATE waiting SET n = n - 1 WHERE priority = OLD.priority AND owner = OLD.owner;
    DELETE FROM waiting WHERE priority = OLD.priority AND owner = OLD.owner AND n = 0;
END;
CREATE TRIGGER waiting_is_deleted AFTER DELETE ON run WHEN OLD.state = 'queued' BEGIN
    UPDATE waiting SET n = n - 1 WHERE priority = OLD.priority AND owner = OLD.owner;
    DELETE FROM waiting WHERE priority = OLD.priority AND owner = OLD.owner AND n = 0;
END;

-- What each owner used in each hour since 1970.
CREATE TABLE usage (
    owner        TEXT    NOT NULL,
    hour         INTEGER NOT NULL,
    core_seconds REAL    NOT NULL,
    PRIMARY KEY (owner, hour)
) STRICT, WITHOUT ROWID;

-- Of a running run: how many cores it has, and the time up to which its owner was charged for them.
ALTER TABLE run ADD COLUMN cores INTEGER NOT NULL DEFAULT 1;
ALTER TABLE run ADD COLUMN charged_ms INTEGER;

-- It does not start earlier.
ALTER TABLE run ADD COLUMN not_before_ms INTEGER;

-- Each owner's runs of a priority, in order of arrival. (state stands in it so that the table need not be looked at.)
CREATE INDEX run_waiting ON run (priority, owner, id, executor, dataset, not_before_ms, state) WHERE state = 'queued';
CREATE INDEX run_not_before ON run (not_before_ms) WHERE state = 'queued' AND not_before_ms IS NOT NULL;
