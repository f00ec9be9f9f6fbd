-- Whose runs: "mine" are few among those of many years. daemon/store/run_query_sql.c says how it is used.
CREATE INDEX run_of_owner ON run (owner, id);
