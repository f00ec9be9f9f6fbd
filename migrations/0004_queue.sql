-- How often in a row the daemon ended while the run was running, without an epoch or a checkpoint
-- in between.
ALTER TABLE run ADD COLUMN interruptions INTEGER NOT NULL DEFAULT 0;

-- Old answers go.
CREATE INDEX idempotency_by_age ON idempotency (at_ms);
