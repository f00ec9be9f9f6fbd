-- Who did what. While a request changes something, in its own transaction, `actor` has one row that says who asks; triggers
-- write a line of `audit` for each thing that is changed meanwhile. What the daemon does by itself has no actor.
-- (SQLite trusts no function for JSON in a schema: the texts are put together, names escaped; they have no control characters.)
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms      INTEGER NOT NULL,
    owner      TEXT    NOT NULL,
    peer       TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    request    TEXT    NOT NULL,                     -- "POST /api/v1/runs"
    subject    TEXT    NOT NULL,                     -- "run", "sweep", ...
    subject_id TEXT    NOT NULL,
    before     TEXT,                                 -- JSON objects; NULL: it was not there, or is no more
    after      TEXT
) STRICT;
CREATE INDEX audit_by_age ON audit (at_ms);

CREATE TABLE actor (
    at_ms      INTEGER NOT NULL,
    owner      TEXT    NOT NULL,
    peer       TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    request    TEXT    NOT NULL
) STRICT;

-- The runs of a sweep begin with it: its line tells of them.
CREATE TRIGGER audit_run_new AFTER INSERT ON run WHEN NEW.sweep_id IS NULL BEGIN
    INSERT INTO audit (at_ms, owner, peer, request_id, request, subject, subject_id, before, after)
        SELECT at_ms, owner, peer, request_id, request, 'run', NEW.id, NULL,
            printf('{"state":"%s","name":"%s","priority":%d,"labels":%s,"forked_from":%s}', NEW.state,
                replace(replace(NEW.name, '\', '\\'), '"', '\"'), NEW.priority, NEW.labels_json,
                iif(NEW.forked_from, '"' || NEW.forked_from || '"', 'null')) FROM actor;
END;
CREATE TRIGGER audit_run_changed AFTER UPDATE OF state, request, name, priority, labels_json, not_before_ms ON run
    WHEN OLD.state <> NEW.state OR OLD.request <> NEW.request OR OLD.name <> NEW.name OR OLD.priority <> NEW.priority
        OR OLD.labels_json <> NEW.labels_json OR OLD.not_before_ms IS NOT NEW.not_before_ms BEGIN
    INSERT INTO audit (at_ms, owner, peer, request_id, request, subject, subject_id, before, after)
        SELECT at_ms, owner, peer, request_id, request, 'run', NEW.id,
            printf('{"state":"%s","request":"%s","name":"%s","priority":%d,"labels":%s,"not_before_ms":%s}', OLD.state,
                OLD.request, replace(replace(OLD.name, '\', '\\'), '"', '\"'), OLD.priority, OLD.labels_json,
                coalesce(OLD.not_before_ms, 'null')),
            printf('{"state":"%s","request":"%s","name":"%s","priority":%d,"labels":%s,"not_before_ms":%s}', NEW.state,
                NEW.request, replace(replace(NEW.name, '\', '\\'), '"', '\"'), NEW.priority, NEW.labels_json,
                coalesce(NEW.not_before_ms, 'null')) FROM actor;
END;
CREATE TRIGGER audit_run_deleted AFTER DELETE ON run BEGIN
    INSERT INTO audit (at_ms, owner, peer, request_id, request, subject, subject_id, before, after)
        SELECT at_ms, owner, peer, request_id, request, 'run', OLD.id,
            printf('{"state":"%s","name":"%s","priority":%d,"owner":"%s","labels":%s,"epochs_done":%d}', OLD.state,
                replace(replace(OLD.name, '\', '\\'), '"', '\"'), OLD.priority, OLD.owner, OLD.labels_json, OLD.epochs_done), NULL FROM actor;
END;

CREATE TRIGGER audit_sweep_new AFTER INSERT ON sweep BEGIN
    INSERT INTO audit (at_ms, owner, peer, request_id, request, subject, subject_id, before, after)
        SELECT at_ms, owner, peer, request_id, request, 'sweep', NEW.id, NULL, printf('{"name":"%s"}', replace(replace(NEW.name, '\', '\\'), '"', '\"')) FROM actor;
END;
CREATE TRIGGER audit_sweep_deleted AFTER DELETE ON sweep BEGIN
    INSERT INTO audit (at_ms, owner, peer, request_id, request, subject, subject_id, before, after)
        SELECT at_ms, owner, peer, request_id, request, 'sweep', OLD.id,
            printf('{"name":"%s","owner":"%s"}', replace(replace(OLD.name, '\', '\\'), '"', '\"'), OLD.owner), NULL FROM actor;
END;

-- Of a note its size.
CREATE TRIGGER audit_note_new AFTER INSERT ON note BEGIN
    INSERT INTO audit (at_ms, owner, peer, request_id, request, subject, subject_id, before, after)
        SELECT at_ms, owner, peer, request_id, request, 'note of ' || iif(NEW.run_id, 'run', 'sweep'),
            coalesce(NEW.run_id, NEW.sweep_id), NULL, printf('{"characters":%d}', length(NEW.text)) FROM actor;
END;
CREATE TRIGGER audit_note_changed AFTER UPDATE ON note BEGIN
    INSERT INTO audit (at_ms, owner, peer, request_id, request, subject, subject_id, before, after)
        SELECT at_ms, owner, peer, request_id, request, 'note of ' || iif(NEW.run_id, 'run', 'sweep'),
            coalesce(NEW.run_id, NEW.sweep_id), printf('{"characters":%d}', length(OLD.text)),
            printf('{"characters":%d}', length(NEW.text)) FROM actor;
END;
CREATE TRIGGER audit_note_deleted AFTER DELETE ON note BEGIN
    INSERT INTO audit (at_ms, owner, peer, request_id, request, subject, subject_id, before, after)
        SELECT at_ms, owner, peer, request_id, request, 'note of ' || iif(OLD.run_id, 'run', 'sweep'),
            coalesce(OLD.run_id, OLD.sweep_id), printf('{"characters":%d}', length(OLD.text)), NULL FROM actor;
END;

CREATE TRIGGER audit_link_new AFTER INSERT ON link BEGIN
    INSERT INTO audit (at_ms, owner, peer, request_id, request, subject, subject_id, before, after)
        SELECT at_ms, owner, peer, request_id, request, 'link', NEW.id, NULL,
            printf('{"sweep":"%d","expires_ms":%d}', NEW.sweep_id, NEW.expires_ms) FROM actor;
END;
CREATE TRIGGER audit_link_deleted AFTER DELETE ON link BEGIN
    INSERT INTO audit (at_ms, owner, peer, request_id, request, subject, subject_id, before, after)
        SELECT at_ms, owner, peer, request_id, request, 'link', OLD.id,
            printf('{"sweep":"%d","expires_ms":%d}', OLD.sweep_id, OLD.expires_ms), NULL FROM actor;
END;

-- What the API sets: workers, draining.
CREATE TRIGGER audit_setting_new AFTER INSERT ON setting BEGIN
    INSERT INTO audit (at_ms, owner, peer, request_id, request, subject, subject_id, before, after)
        SELECT at_ms, owner, peer, request_id, request, 'setting', NEW.name, NULL, printf('{"value":"%s"}', replace(replace(NEW.value, '\', '\\'), '"', '\"')) FROM actor;
END;
CREATE TRIGGER audit_setting_changed AFTER UPDATE ON setting WHEN OLD.value <> NEW.value BEGIN
    INSERT INTO audit (at_ms, owner, peer, request_id, request, subject, subject_id, before, after)
        SELECT at_ms, owner, peer, request_id, request, 'setting', NEW.name, printf('{"value":"%s"}', replace(replace(OLD.value, '\', '\\'), '"', '\"')),
            printf('{"value":"%s"}', replace(replace(NEW.value, '\', '\\'), '"', '\"')) FROM actor;
END;
