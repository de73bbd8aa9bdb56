-- Times are microseconds since 1970 in UTC; statuses, reasons and the like are the numbers of runsvc.v1.

-- One row: where the store stands. Every transaction that changes anything updates it.
CREATE TABLE clock (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  store_id TEXT NOT NULL,
  revision INTEGER NOT NULL CHECK (revision >= 0),
  time INTEGER NOT NULL,
  -- Tells after a failed commit whether it happened.
  commits INTEGER NOT NULL CHECK (commits >= 0)
) STRICT;

-- Columns for what is searched; `body` is the whole encoded run but its kwargs.
CREATE TABLE runs (
  run_id TEXT NOT NULL PRIMARY KEY,
  owner TEXT NOT NULL,
  thread_id TEXT NOT NULL,
  assistant_id TEXT,
  status INTEGER NOT NULL CHECK (status BETWEEN 1 AND 6),
  revision INTEGER NOT NULL CHECK (revision > 0),
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  -- Present exactly when the run is over.
  ended_at INTEGER CHECK ((ended_at IS NOT NULL) = (status NOT IN (1, 2))),
  lease_expires_at INTEGER,
  -- When the run's next timeout strikes.
  timeout_at INTEGER,
  superseded_by TEXT,
  request_method TEXT,
  request_id TEXT,
  spec_hash BLOB,
  progress_sequence INTEGER CHECK (progress_sequence >= 0),
  body BLOB NOT NULL,
  kwargs BLOB NOT NULL,
  CHECK ((request_id IS NULL) = (request_method IS NULL) AND (request_id IS NULL) = (spec_hash IS NULL))
) STRICT;

CREATE UNIQUE INDEX runs_by_request ON runs (owner, request_method, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX runs_by_thread ON runs (owner, thread_id, created_at, run_id);
CREATE INDEX runs_active_by_thread ON runs (owner, thread_id, created_at, run_id) WHERE status IN (1, 2);
CREATE INDEX runs_active_by_age ON runs (created_at) WHERE status IN (1, 2);
CREATE INDEX runs_by_superseder ON runs (superseded_by, revision) WHERE superseded_by IS NOT NULL;
CREATE INDEX runs_by_lease ON runs (lease_expires_at) WHERE lease_expires_at IS NOT NULL;
CREATE INDEX runs_by_timeout ON runs (timeout_at) WHERE timeout_at IS NOT NULL;

-- One row a revision: the run as of that change, or that it was removed.
CREATE TABLE log (
  revision INTEGER NOT NULL PRIMARY KEY,
  -- Last revision of the call that made the change.
  call_end INTEGER NOT NULL CHECK (call_end >= revision),
  run_id TEXT NOT NULL,
  owner TEXT NOT NULL,
  thread_id TEXT NOT NULL,
  assistant_id TEXT,
  status INTEGER NOT NULL CHECK (status BETWEEN 1 AND 6),
  previous_status INTEGER CHECK (previous_status BETWEEN 1 AND 6),
  deleted INTEGER NOT NULL CHECK (deleted IN (0, 1)),
  -- Without kwargs; absent once the run was removed.
  body BLOB
) STRICT;

-- Each ends in the revision, as every index of a table ends in its key.
CREATE INDEX log_by_run ON log (run_id);
CREATE INDEX log_by_thread ON log (owner, thread_id);
CREATE INDEX log_by_assistant ON log (owner, assistant_id) WHERE assistant_id IS NOT NULL;

-- Streams that count as a run's client, each for as long as it is renewed.
CREATE TABLE attachments (
  attachment_id TEXT NOT NULL PRIMARY KEY,
  run_id TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX attachments_by_run ON attachments (run_id);
CREATE INDEX attachments_by_expiry ON attachments (expires_at);
