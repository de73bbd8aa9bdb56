-- Queued runs, claims and retries. Both tables are made anew, because a check of a column cannot be changed.

CREATE TABLE runs_without_queue (
  run_id TEXT NOT NULL PRIMARY KEY,
  owner TEXT NOT NULL,
  thread_id TEXT NOT NULL,
  assistant_id TEXT,
  status INTEGER NOT NULL CHECK (status BETWEEN 1 AND 7),
  revision INTEGER NOT NULL CHECK (revision > 0),
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  -- Present exactly when the status is terminal. (SQLite makes a temporary table for an IN with three values or more,
  -- at each change of a row, so no condition here has one.)
  ended_at INTEGER CHECK ((ended_at IS NULL) = (status IN (1, 2) OR status = 7)),
  -- End of the timeout that applies to the present status.
  timeout_at INTEGER,
  superseded_by TEXT,
  request_method TEXT,
  request_id TEXT,
  spec_hash BLOB,
  priority INTEGER NOT NULL DEFAULT 3,
  -- The kinds of gates of the run, besides time and key: 1 the order of the thread, 2 the stop of earlier executors.
  gates INTEGER,
  concurrency_key TEXT,
  -- The place among the runs that Claim hands out; set while any worker may claim the run.
  turn INTEGER,
  -- The holder of a PENDING run, the only worker that may claim it.
  claimant TEXT,
  -- The request_id of the Claim that handed the run out.
  claim_id TEXT,
  -- not_before, while the run waits for it.
  wakes_at INTEGER,
  -- The time of the cancel, while the executor may still be at work.
  stopping_since INTEGER,
  body BLOB NOT NULL,
  kwargs BLOB NOT NULL,
  -- What the run produced, encoded. Set with the end of the run; NULL if it has no result.
  result BLOB CHECK (result IS NULL OR status = 3),
  CHECK ((request_id IS NULL) = (request_method IS NULL) AND (request_id IS NULL) = (spec_hash IS NULL))
) STRICT;

-- A PENDING run that a worker holds gets a turn too. Claim reads the holder before it hands a run out.
INSERT INTO runs_without_queue (
  run_id, owner, thread_id, assistant_id, status, revision, created_at, started_at, ended_at, timeout_at,
  superseded_by, request_method, request_id, spec_hash, turn, body, kwargs, result
)
SELECT
  run_id, owner, thread_id, assistant_id, status, revision, created_at, started_at, ended_at, timeout_at,
  superseded_by, request_method, request_id, spec_hash, iif(status = 1, 0, NULL), body, kwargs, result
FROM runs;

-- Foreign keys are not enforced during a migration, so activities and attachments stay. The indexes go with the table.
DROP TABLE runs;
ALTER TABLE runs_without_queue RENAME TO runs;

CREATE UNIQUE INDEX runs_by_request ON runs (owner, request_method, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX runs_by_thread ON runs (owner, thread_id, created_at, run_id);
-- Active and queued runs.
CREATE INDEX runs_live_by_thread ON runs (owner, thread_id, created_at, run_id)
WHERE (status IN (1, 2) OR status = 7);
CREATE INDEX runs_active_by_age ON runs (created_at) WHERE status IN (1, 2);
CREATE INDEX runs_queued_by_age ON runs (created_at) WHERE status = 7;
CREATE INDEX runs_by_superseder ON runs (superseded_by, revision) WHERE superseded_by IS NOT NULL;
CREATE INDEX runs_by_timeout ON runs (timeout_at) WHERE timeout_at IS NOT NULL;
-- The order of claims. It holds all that a claim reads of the candidates, whose rows lie on a page each.
CREATE INDEX runs_by_turn ON runs (assistant_id, priority DESC, turn, created_at, owner, run_id)
WHERE turn IS NOT NULL;
CREATE INDEX runs_by_claimant ON runs (claimant) WHERE claimant IS NOT NULL;
CREATE INDEX runs_by_claim ON runs (claim_id) WHERE claim_id IS NOT NULL;
CREATE INDEX runs_by_wake ON runs (wakes_at, run_id) WHERE wakes_at IS NOT NULL;
CREATE INDEX runs_stopping ON runs (owner, thread_id, stopping_since) WHERE stopping_since IS NOT NULL;
CREATE INDEX runs_by_stop ON runs (stopping_since) WHERE stopping_since IS NOT NULL;
CREATE INDEX runs_active_by_key ON runs (owner, concurrency_key)
WHERE concurrency_key IS NOT NULL AND status IN (1, 2);
CREATE INDEX runs_queued_by_key ON runs (owner, concurrency_key, created_at)
WHERE concurrency_key IS NOT NULL AND status = 7;

CREATE TABLE log_without_queue (
  revision INTEGER NOT NULL PRIMARY KEY,
  -- Last revision of the call that made the change.
  call_end INTEGER NOT NULL CHECK (call_end >= revision),
  run_id TEXT NOT NULL,
  owner TEXT NOT NULL,
  thread_id TEXT NOT NULL,
  assistant_id TEXT,
  status INTEGER NOT NULL CHECK (status BETWEEN 1 AND 7),
  previous_status INTEGER CHECK (previous_status BETWEEN 1 AND 7),
  deleted INTEGER NOT NULL CHECK (deleted IN (0, 1)),
  -- Without kwargs; absent once the run was removed.
  body BLOB,
  -- The time of the commit. It never falls from one revision to the next.
  time INTEGER NOT NULL
) STRICT;

INSERT INTO log_without_queue
SELECT
  revision, call_end, run_id, owner, thread_id, assistant_id, status, previous_status, deleted, body, time
FROM log;

DROP TABLE log;
ALTER TABLE log_without_queue RENAME TO log;

-- Each ends in the revision, as every index of a table ends in its key.
CREATE INDEX log_by_run ON log (run_id);
CREATE INDEX log_by_thread ON log (owner, thread_id);
CREATE INDEX log_by_assistant ON log (owner, assistant_id) WHERE assistant_id IS NOT NULL;

-- How many runs with the same concurrency_key may be active, for all keys with a prefix.
CREATE TABLE concurrency_limits (
  prefix TEXT NOT NULL PRIMARY KEY,
  width INTEGER NOT NULL CHECK (width >= 0)
) STRICT, WITHOUT ROWID;
