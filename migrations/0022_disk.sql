-- How many bytes of checkpoints each owner has, kept by triggers. A file that is both best and last counts once; what a
-- fork shares with its source counts for both, since either may be all that is left of it.
ALTER TABLE owner ADD COLUMN disk INTEGER NOT NULL DEFAULT 0;
UPDATE owner SET disk = (SELECT coalesce(sum(n_bytes), 0) FROM (SELECT DISTINCT c.run_id, c.path, c.n_bytes
    FROM checkpoint AS c JOIN run ON run.id = c.run_id WHERE run.owner = owner.name));

CREATE TRIGGER disk_new AFTER INSERT ON checkpoint WHEN NOT EXISTS (SELECT 1 FROM checkpoint AS c
    WHERE c.run_id = NEW.run_id AND c.path = NEW.path AND c.id <> NEW.id) BEGIN
    UPDATE owner SET disk = disk + NEW.n_bytes WHERE name = (SELECT owner FROM run WHERE id = NEW.run_id);
END;
CREATE TRIGGER disk_less AFTER DELETE ON checkpoint WHEN NOT EXISTS (SELECT 1 FROM checkpoint AS c
    WHERE c.run_id = OLD.run_id AND c.path = OLD.path) BEGIN
    UPDATE owner SET disk = disk - OLD.n_bytes WHERE name = (SELECT owner FROM run WHERE id = OLD.run_id);
END;
-- The rows of its checkpoints go after the run has, when nobody knows any more whose they were.
CREATE TRIGGER disk_of_deleted BEFORE DELETE ON run BEGIN
    UPDATE owner SET disk = disk - (SELECT coalesce(sum(n_bytes), 0) FROM (SELECT DISTINCT path, n_bytes FROM checkpoint
        WHERE run_id = OLD.id)) WHERE name = OLD.owner;
END;
