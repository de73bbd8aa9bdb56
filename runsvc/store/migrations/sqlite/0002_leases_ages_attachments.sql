-- What is searched besides since 0.1.0: leases by their length, changes by their age, attachments by the server that holds them.

-- Of active runs only, as lease_expires_at and timeout_at are: what is over is not looked for.
ALTER TABLE runs ADD COLUMN lease_ttl INTEGER CHECK ((lease_ttl IS NULL) = (lease_expires_at IS NULL));

DROP INDEX runs_by_lease;
CREATE INDEX runs_by_lease ON runs (lease_expires_at, lease_ttl) WHERE lease_expires_at IS NOT NULL;

-- Made anew, because a column that is added to a table needs a default, which would hide that a time was left out.
ALTER TABLE log RENAME TO log_without_time;

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
  body BLOB,
  -- When it was committed. Never falls from one revision to the next.
  time INTEGER NOT NULL
) STRICT;

-- Nobody wrote down when they were committed; no later than the store's last change, so that none goes too early.
INSERT INTO log
SELECT
  revision, call_end, run_id, owner, thread_id, assistant_id, status, previous_status, deleted, body,
  (SELECT time FROM clock)
FROM log_without_time;

-- With its indexes.
DROP TABLE log_without_time;

-- Each ends in the revision, as every index of a table ends in its key.
CREATE INDEX log_by_run ON log (run_id);
CREATE INDEX log_by_thread ON log (owner, thread_id);
CREATE INDEX log_by_assistant ON log (owner, assistant_id) WHERE assistant_id IS NOT NULL;

-- 0.1.0 had the table, but no call that attaches.
DROP TABLE attachments;

-- Streams that count as a run's client, each for as long as it is renewed.
CREATE TABLE attachments (
  attachment_id TEXT NOT NULL PRIMARY KEY,
  run_id TEXT NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
  -- The server that holds the stream; empty once none does.
  server TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX attachments_by_run ON attachments (run_id);
CREATE INDEX attachments_by_server ON attachments (server);
CREATE INDEX attachments_by_expiry ON attachments (expires_at);
