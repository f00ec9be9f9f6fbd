-- How many images and steps an epoch had. A fork may change m, batch and images in the middle of a history, so they
-- belong to the epoch. NULL means the run's own numbers, so that no epoch that a run trained itself needs to be
-- written; 0 in an inherited one that nobody knows them any more.
ALTER TABLE epoch ADD COLUMN images INTEGER;
ALTER TABLE epoch ADD COLUMN steps INTEGER;

-- How many of a run's epochs it inherited, and what they took: they tell nothing about the run's own speed.
ALTER TABLE run ADD COLUMN inherited_epochs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN inherited_seconds REAL NOT NULL DEFAULT 0;

-- The epochs that forks inherited get the numbers of the run that trained them, along chains of forks. A fork that
-- started anew has trained all of its epochs itself: later than it was made. A run that was deleted breaks the chain.
UPDATE epoch SET (images, steps) = (
    WITH RECURSIVE origin (run_id, distance) AS (
        SELECT epoch.run_id, 0
        UNION ALL
        SELECT run.forked_from, distance + 1 FROM origin JOIN run ON run.id = origin.run_id
            WHERE epoch.epoch <= run.forked_epoch AND epoch.at_ms <= run.created_ms)
    SELECT coalesce(run.images_per_epoch, 0), coalesce(run.steps_per_epoch, 0)
        FROM origin LEFT JOIN run ON run.id = origin.run_id ORDER BY distance DESC LIMIT 1)
    WHERE (run_id, epoch) IN (
        SELECT fork.id, inherited.epoch FROM run AS fork CROSS JOIN epoch AS inherited
            ON inherited.run_id = fork.id AND inherited.epoch <= fork.forked_epoch AND inherited.at_ms <= fork.created_ms
            WHERE fork.forked_epoch > 0);
UPDATE run SET (inherited_epochs, inherited_seconds) = (
    SELECT count(*), total(seconds) FROM epoch WHERE run_id = run.id AND images IS NOT NULL) WHERE forked_epoch > 0;

-- config_json holds the config alone from now on: name, priority and labels are columns. Taking them out of 100,000
-- rows takes three seconds, so the daemon does it while it runs, from this id downwards (upkeep_rewrite_configs).
INSERT INTO setting (name, value) SELECT 'config_rewrite_upto', CAST(coalesce(max(id), 0) AS TEXT) FROM run;
