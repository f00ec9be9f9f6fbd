-- What lists of runs filter and sort by, in one place: a list walks this index instead of the table,
-- whose rows are ten times as long. daemon/store/run_query.c says how.
CREATE INDEX run_facts ON run (id, state, priority, m, cutout_size, seed, depth, sweep_id, dataset, preset,
    optimizer, copies, owner, name, created_ms, updated_ms, finished_ms, best_epoch, best_error, last_error,
    mean_last_5, train_seconds);

-- The same of the few runs that are not over: "what is running" stays cheap when years of runs are kept.
CREATE INDEX run_facts_unfinished ON run (id, state, priority, m, cutout_size, seed, depth, sweep_id, dataset,
    preset, optimizer, copies, owner, name, created_ms, updated_ms, finished_ms, best_epoch, best_error,
    last_error, mean_last_5, train_seconds)
    WHERE state IN ('queued', 'held', 'running', 'paused');
