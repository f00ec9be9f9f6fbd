-- The orders in which lists of runs are mostly asked for, each with the columns that lists filter by:
-- such a list walks until its page is full. Other orders walk run_facts as a whole, which takes tens
-- of milliseconds for 100,000 runs. daemon/store/run_query_sql.c says how they are used. A run that is
-- submitted goes into two of them; those of results wait for its first epoch or its end.
CREATE INDEX run_by_name ON run (name, id, state, m, cutout_size, seed, depth, sweep_id, dataset, preset,
    optimizer, copies, owner);
CREATE INDEX run_by_update ON run (updated_ms, id, state, m, cutout_size, seed, depth, sweep_id, dataset,
    preset, optimizer, copies, owner, name);
CREATE INDEX run_by_end ON run (finished_ms, id, state, m, cutout_size, seed, depth, sweep_id, dataset,
    preset, optimizer, copies, owner, name) WHERE finished_ms IS NOT NULL;
CREATE INDEX run_by_best ON run (best_error, id, state, m, cutout_size, seed, depth, sweep_id, dataset,
    preset, optimizer, copies, owner, name) WHERE best_error IS NOT NULL;
CREATE INDEX run_by_last ON run (last_error, id, state, m, cutout_size, seed, depth, sweep_id, dataset,
    preset, optimizer, copies, owner, name) WHERE last_error IS NOT NULL;
CREATE INDEX run_by_mean ON run (mean_last_5, id, state, m, cutout_size, seed, depth, sweep_id, dataset,
    preset, optimizer, copies, owner, name) WHERE mean_last_5 IS NOT NULL;
