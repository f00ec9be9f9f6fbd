-- Who is told when something has happened, and what is still to be told: `delivery` is the outbox. Triggers write into it in
-- the commit of what happened, so that nothing is told that was not stored, and whatever was stored is told.
CREATE TABLE webhook (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    url        TEXT    NOT NULL,
    events     TEXT    NOT NULL,                     -- of whatever: ",run_ended,disk_low,"; beside what runs and sweeps name it for
    target     REAL,                                 -- of target_reached: a validation error
    template   TEXT    NOT NULL CHECK (template IN ('json', 'slack', 'mattermost', 'ntfy')),
    secret     TEXT    NOT NULL,                     -- what deliveries are signed with
    owner      TEXT    NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE delivery (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id  INTEGER NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    event       TEXT    NOT NULL,
    facts       TEXT    NOT NULL,                    -- a JSON object
    created_ms  INTEGER NOT NULL,
    state       TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts    INTEGER NOT NULL DEFAULT 0,
    next_ms     INTEGER NOT NULL,                    -- the next try, or when it came to its end
    http_status INTEGER,                             -- of the last answer
    error       TEXT    NOT NULL DEFAULT ''          -- why the last try failed
) STRICT;
CREATE INDEX delivery_due ON delivery (next_ms) WHERE state = 'pending';
CREATE INDEX delivery_of_webhook ON delivery (webhook_id, id);
CREATE INDEX delivery_over ON delivery (next_ms) WHERE state <> 'pending';

-- Names of webhooks, ",lab,", that are told of this one; of a run of a sweep they are told when the sweep ends.
ALTER TABLE run ADD COLUMN notify TEXT NOT NULL DEFAULT '';

-- The texts are put together as in 0019: SQLite trusts no function for JSON in a schema.
CREATE TRIGGER notify_run_ended AFTER UPDATE OF state ON run
    WHEN NEW.state IN ('succeeded', 'failed', 'canceled') AND OLD.state <> NEW.state BEGIN
    INSERT INTO delivery (webhook_id, event, facts, created_ms, next_ms)
        SELECT id, 'run_ended', printf('{"run":"%d","name":"%s","owner":"%s","sweep":%s,"state":"%s","reason":"%s",'
            || '"epochs":%d,"epochs_done":%d,"best_epoch":%s,"best_error":%s}', NEW.id, replace(replace(NEW.name, '\', '\\'), '"', '\"'), NEW.owner,
            iif(NEW.sweep_id, '"' || NEW.sweep_id || '"', 'null'), NEW.state, replace(replace(NEW.reason, '\', '\\'), '"', '\"'), NEW.epochs,
            NEW.epochs_done, coalesce(NEW.best_epoch, 'null'), coalesce(NEW.best_error, 'null')),
            NEW.updated_ms, NEW.updated_ms
        FROM webhook WHERE instr(events, ',run_ended,') > 0
            OR (NEW.sweep_id IS NULL AND instr(NEW.notify, ',' || webhook.name || ',') > 0);
END;

CREATE TRIGGER notify_sweep_ended AFTER UPDATE OF state ON run
    WHEN NEW.state IN ('succeeded', 'failed', 'canceled') AND OLD.state <> NEW.state AND NEW.sweep_id IS NOT NULL
        AND EXISTS (SELECT 1 FROM webhook)
        AND NOT EXISTS (SELECT 1 FROM run AS r WHERE r.sweep_id = NEW.sweep_id
            AND r.state NOT IN ('succeeded', 'failed', 'canceled')) BEGIN
    INSERT INTO delivery (webhook_id, event, facts, created_ms, next_ms)
        SELECT webhook.id, 'sweep_ended', printf('{"sweep":"%d","name":"%s","owner":"%s","runs":%d,"succeeded":%d,'
            || '"failed":%d,"canceled":%d,"best_error":%s}', sweep.id, replace(replace(sweep.name, '\', '\\'), '"', '\"'), sweep.owner,
            (SELECT count(*) FROM run AS r WHERE r.sweep_id = sweep.id),
            (SELECT count(*) FROM run AS r WHERE r.sweep_id = sweep.id AND r.state = 'succeeded'),
            (SELECT count(*) FROM run AS r WHERE r.sweep_id = sweep.id AND r.state = 'failed'),
            (SELECT count(*) FROM run AS r WHERE r.sweep_id = sweep.id AND r.state = 'canceled'),
            coalesce((SELECT min(r.best_error) FROM run AS r WHERE r.sweep_id = sweep.id), 'null')),
            NEW.updated_ms, NEW.updated_ms
        FROM webhook JOIN sweep ON sweep.id = NEW.sweep_id
        WHERE instr(webhook.events, ',sweep_ended,') > 0 OR instr(NEW.notify, ',' || webhook.name || ',') > 0;
END;

-- Once a run: when its best error comes to the target, not when it is inherited by a fork.
CREATE TRIGGER notify_target_reached AFTER UPDATE OF best_error ON run
    WHEN NEW.best_error IS NOT NULL AND NEW.state = 'running' BEGIN
    INSERT INTO delivery (webhook_id, event, facts, created_ms, next_ms)
        SELECT id, 'target_reached', printf('{"run":"%d","name":"%s","owner":"%s","sweep":%s,"target":%s,"best_epoch":%s,'
            || '"best_error":%s}', NEW.id, replace(replace(NEW.name, '\', '\\'), '"', '\"'), NEW.owner,
            iif(NEW.sweep_id, '"' || NEW.sweep_id || '"', 'null'), target, coalesce(NEW.best_epoch, 'null'),
            NEW.best_error), NEW.updated_ms, NEW.updated_ms
        FROM webhook WHERE NEW.best_error <= target AND (OLD.best_error IS NULL OR OLD.best_error > target)
            AND (instr(events, ',target_reached,') > 0 OR instr(NEW.notify, ',' || webhook.name || ',') > 0);
END;

CREATE TRIGGER audit_webhook_new AFTER INSERT ON webhook BEGIN
    INSERT INTO audit (at_ms, owner, peer, request_id, request, subject, subject_id, before, after)
        SELECT at_ms, owner, peer, request_id, request, 'webhook', NEW.id, NULL,
            printf('{"name":"%s","events":"%s","template":"%s"}', NEW.name, NEW.events, NEW.template) FROM actor;
END;
CREATE TRIGGER audit_webhook_deleted AFTER DELETE ON webhook BEGIN
    INSERT INTO audit (at_ms, owner, peer, request_id, request, subject, subject_id, before, after)
        SELECT at_ms, owner, peer, request_id, request, 'webhook', OLD.id,
            printf('{"name":"%s","events":"%s","template":"%s"}', OLD.name, OLD.events, OLD.template), NULL FROM actor;
END;
