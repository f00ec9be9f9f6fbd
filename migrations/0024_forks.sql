-- The forks of a run, as GET /runs?forked_from= lists them.
CREATE INDEX run_of_fork ON run (forked_from, id) WHERE forked_from IS NOT NULL;
