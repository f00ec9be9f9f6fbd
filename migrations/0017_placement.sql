-- Where an executor that places runs elsewhere has put the latest attempt: name of the job, node, and what it says of
-- them. '' what is not known.
ALTER TABLE run ADD COLUMN job TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN node TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN job_state TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN job_reason TEXT NOT NULL DEFAULT '';
