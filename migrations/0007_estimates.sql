-- What the time of an epoch depends on, copied from the config: a look at the queue need not parse it.
ALTER TABLE run ADD COLUMN batch_size INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN train_images INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN drop_last INTEGER NOT NULL DEFAULT 0 CHECK (drop_last IN (0, 1));
UPDATE run SET batch_size = coalesce(json_extract(config_json, '$.batch_size'), 0),
               train_images = coalesce(json_extract(config_json, '$.train_images'), 0),
               drop_last = coalesce(json_extract(config_json, '$.drop_last'), 0);

-- The newest runs of a kind that were measured.
CREATE INDEX run_measured ON run (depth, m, batch_size, id)
    WHERE epochs_done > 0 AND train_seconds > 0 AND images_per_epoch > 0;
