-- Wrong ones of the test images seen together with their mirror images, and by the average of the weights, of how many.
-- NULL, or a total of 0: the run did not ask for it.
ALTER TABLE epoch ADD COLUMN tta_wrong INTEGER;
ALTER TABLE epoch ADD COLUMN tta_total INTEGER;
ALTER TABLE epoch ADD COLUMN ema_wrong INTEGER;
ALTER TABLE epoch ADD COLUMN ema_total INTEGER;
