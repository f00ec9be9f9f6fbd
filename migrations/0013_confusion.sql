-- Which classes the validation of a run's best epoch took for which, kept with its best checkpoint. classes: ten names
-- with line ends between; counts: ten times ten numbers with commas between, row by row, a row a true class.
CREATE TABLE confusion (
    run_id  INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
    epoch   INTEGER NOT NULL CHECK (epoch > 0),
    classes TEXT    NOT NULL,
    counts  TEXT    NOT NULL
) STRICT;
