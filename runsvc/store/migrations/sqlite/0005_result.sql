-- Added at the end of the row, beside kwargs: reads that leave both out do not reach it.

-- What the run produced, encoded. Set with the end of the run; NULL if it has no result.
ALTER TABLE runs ADD COLUMN result BLOB CHECK (result IS NULL OR status = 3);
