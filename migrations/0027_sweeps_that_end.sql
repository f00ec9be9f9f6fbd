-- A sweep ends with the last of its runs that is open. One by halving keeps runs paused for good that were ranked out: they have
-- ended. A run that is open and deleted ends its sweep as well, unless the sweep itself is deleted, whose row goes first.
DROP TRIGGER notify_sweep_ended;

-- What is told of a sweep that has ended, and whether it has.
CREATE VIEW sweep_end AS SELECT sweep.id AS sweep_id,
    NOT EXISTS (SELECT 1 FROM run WHERE run.sweep_id = sweep.id AND run.state NOT IN ('succeeded', 'failed', 'canceled')
        AND NOT (run.state = 'paused' AND run.ranked_out)) AS ended,
    printf('{"sweep":"%d","name":"%s","owner":"%s","runs":%d,"succeeded":%d,"failed":%d,"canceled":%d,"ranked_out":%d,'
        || '"best_error":%s}', sweep.id, replace(replace(sweep.name, '\', '\\'), '"', '\"'), sweep.owner,
        (SELECT count(*) FROM run WHERE run.sweep_id = sweep.id),
        (SELECT count(*) FROM run WHERE run.sweep_id = sweep.id AND run.state = 'succeeded'),
        (SELECT count(*) FROM run WHERE run.sweep_id = sweep.id AND run.state = 'failed'),
        (SELECT count(*) FROM run WHERE run.sweep_id = sweep.id AND run.state = 'canceled'),
        (SELECT count(*) FROM run WHERE run.sweep_id = sweep.id AND run.state = 'paused' AND run.ranked_out),
        coalesce((SELECT min(run.best_error) FROM run WHERE run.sweep_id = sweep.id), 'null')) AS facts
    FROM sweep;

CREATE TRIGGER notify_sweep_ended AFTER UPDATE OF state, ranked_out ON run
    WHEN NEW.sweep_id IS NOT NULL
        AND (NEW.state IN ('succeeded', 'failed', 'canceled') OR (NEW.state = 'paused' AND NEW.ranked_out))
        AND NOT (OLD.state IN ('succeeded', 'failed', 'canceled') OR (OLD.state = 'paused' AND OLD.ranked_out))
        AND EXISTS (SELECT 1 FROM webhook) BEGIN
    INSERT INTO delivery (webhook_id, event, facts, created_ms, next_ms)
        SELECT webhook.id, 'sweep_ended', sweep_end.facts, NEW.updated_ms, NEW.updated_ms
        FROM sweep_end JOIN webhook WHERE sweep_end.sweep_id = NEW.sweep_id AND sweep_end.ended
            AND (instr(webhook.events, ',sweep_ended,') > 0 OR instr(NEW.notify, ',' || webhook.name || ',') > 0);
END;

-- It happens when it is asked for.
CREATE TRIGGER notify_sweep_ended_by_deletion AFTER DELETE ON run
    WHEN OLD.sweep_id IS NOT NULL
        AND NOT (OLD.state IN ('succeeded', 'failed', 'canceled') OR (OLD.state = 'paused' AND OLD.ranked_out))
        AND EXISTS (SELECT 1 FROM webhook) BEGIN
    INSERT INTO delivery (webhook_id, event, facts, created_ms, next_ms)
        SELECT webhook.id, 'sweep_ended', sweep_end.facts, now.at_ms, now.at_ms
        FROM sweep_end JOIN webhook
            JOIN (SELECT coalesce((SELECT at_ms FROM actor), OLD.updated_ms) AS at_ms) AS now
        WHERE sweep_end.sweep_id = OLD.sweep_id AND sweep_end.ended
            AND (instr(webhook.events, ',sweep_ended,') > 0 OR instr(OLD.notify, ',' || webhook.name || ',') > 0);
END;
