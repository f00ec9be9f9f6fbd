-- Whose bits a run has (core/nn/arithmetic.h). '': it has not begun, or began before this was noted.
ALTER TABLE run ADD COLUMN arithmetic TEXT NOT NULL DEFAULT '';
