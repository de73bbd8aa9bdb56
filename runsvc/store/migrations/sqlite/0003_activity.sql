-- Leases and progress move to a narrow table, so that a heartbeat does not rewrite a run with all its metadata.
-- The migration supplies two functions: run_body(body) and run_activity(body) split an encoded run. They leave a body
-- that cannot be parsed as it is, with an empty activity.

-- Columns for searching; `body` is the encoded run without kwargs, lease, progress and updated_at.
CREATE TABLE runs_without_activity (
  run_id TEXT NOT NULL PRIMARY KEY,
  owner TEXT NOT NULL,
  thread_id TEXT NOT NULL,
  assistant_id TEXT,
  status INTEGER NOT NULL CHECK (status BETWEEN 1 AND 6),
  revision INTEGER NOT NULL CHECK (revision > 0),
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  -- Present exactly when the status is terminal.
  ended_at INTEGER CHECK ((ended_at IS NOT NULL) = (status NOT IN (1, 2))),
  -- End of the timeout that applies to the present status; active runs only.
  timeout_at INTEGER,
  superseded_by TEXT,
  request_method TEXT,
  request_id TEXT,
  spec_hash BLOB,
  body BLOB NOT NULL,
  kwargs BLOB NOT NULL,
  CHECK ((request_id IS NULL) = (request_method IS NULL) AND (request_id IS NULL) = (spec_hash IS NULL))
) STRICT;

INSERT INTO runs_without_activity
SELECT
  run_id, owner, thread_id, assistant_id, status, revision, created_at, started_at, ended_at, timeout_at,
  superseded_by, request_method, request_id, spec_hash, run_body(body), kwargs
FROM runs;

-- One row for each run: what changes without a new revision.
CREATE TABLE activity (
  run_id TEXT NOT NULL PRIMARY KEY REFERENCES runs (run_id) ON DELETE CASCADE,
  -- Set for active runs with a lease only, like lease_ttl.
  lease_expires_at INTEGER,
  lease_ttl INTEGER CHECK ((lease_ttl IS NULL) = (lease_expires_at IS NULL)),
  progress_sequence INTEGER CHECK (progress_sequence >= 0),
  -- The encoded run's lease, progress and updated_at. Appended to the body in `runs`, it completes the encoded run.
  body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO activity
SELECT run_id, lease_expires_at, lease_ttl, progress_sequence, run_activity(body) FROM runs ORDER BY run_id;

-- Foreign keys are not enforced during a migration, so attachments stay. The indexes go with the table.
DROP TABLE runs;
ALTER TABLE runs_without_activity RENAME TO runs;

CREATE UNIQUE INDEX runs_by_request ON runs (owner, request_method, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX runs_by_thread ON runs (owner, thread_id, created_at, run_id);
CREATE INDEX runs_active_by_thread ON runs (owner, thread_id, created_at, run_id) WHERE status IN (1, 2);
CREATE INDEX runs_active_by_age ON runs (created_at) WHERE status IN (1, 2);
CREATE INDEX runs_by_superseder ON runs (superseded_by, revision) WHERE superseded_by IS NOT NULL;
CREATE INDEX runs_by_timeout ON runs (timeout_at) WHERE timeout_at IS NOT NULL;
CREATE INDEX activity_by_lease ON activity (lease_expires_at, lease_ttl) WHERE lease_expires_at IS NOT NULL;
