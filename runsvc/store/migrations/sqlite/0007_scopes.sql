-- Watches of every owner's runs, and of one owner's among many: an index for each. A run of another owner is not found
-- by its id without reading its entries.

-- Each ends in the revision, as every index of a table ends in its key.
DROP INDEX log_by_run;
CREATE INDEX log_by_run ON log (run_id, owner);
DROP INDEX log_by_assistant;
CREATE INDEX log_by_assistant ON log (assistant_id) WHERE assistant_id IS NOT NULL;
CREATE INDEX log_by_owner ON log (owner);
