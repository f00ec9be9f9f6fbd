-- Which executor trains a run, the name under which the executor knows the attempt that is running
-- ('' while none is), and the number of that attempt's last stored report.
ALTER TABLE run ADD COLUMN executor TEXT NOT NULL DEFAULT 'local';
ALTER TABLE run ADD COLUMN handle TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN reports INTEGER NOT NULL DEFAULT 0;
