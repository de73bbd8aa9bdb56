-- Times are microseconds since 1970 in UTC; statuses, reasons and the like are the numbers of runsvc.v1. Text is compared
-- by its bytes, as Python compares it. There are no foreign keys: one transaction at a time writes, and keeps the tables
-- consistent without a check for each row.

-- One row, which is locked by every transaction that writes, and never updated: each update would leave a dead version
-- that every later transaction reads while an old snapshot is open.
CREATE TABLE clock (
  id smallint PRIMARY KEY CHECK (id = 1),
  store_id text NOT NULL
);

-- One row for each transaction; the newest is the state of the clock. Old rows are removed.
CREATE TABLE commits (
  number bigint PRIMARY KEY,
  revision bigint NOT NULL CHECK (revision >= 0),
  time bigint NOT NULL,
  -- Log entries up to this revision were removed.
  forgotten bigint NOT NULL,
  -- The server that committed: it finds its own commits after it lost the connection.
  server uuid NOT NULL
);

-- Columns for searching; `body` is the encoded run without kwargs, result, lease, progress and updated_at.
CREATE TABLE runs (
  run_id text COLLATE "C" PRIMARY KEY,
  owner text COLLATE "C" NOT NULL,
  thread_id text COLLATE "C" NOT NULL,
  assistant_id text COLLATE "C",
  status smallint NOT NULL CHECK (status BETWEEN 1 AND 7),
  revision bigint NOT NULL CHECK (revision > 0),
  created_at bigint NOT NULL,
  started_at bigint,
  -- Present exactly when the status is terminal.
  ended_at bigint CHECK ((ended_at IS NOT NULL) = (status NOT IN (1, 2, 7))),
  -- End of the timeout that applies to the present status.
  timeout_at bigint,
  superseded_by text COLLATE "C",
  request_method text COLLATE "C",
  request_id text COLLATE "C",
  spec_hash bytea,
  priority smallint NOT NULL,
  -- The kinds of gates of the run, besides time and key: 1 the order of the thread, 2 the stop of earlier executors.
  gates smallint,
  concurrency_key text COLLATE "C",
  -- The place among the runs that Claim hands out; set while any worker may claim the run.
  turn bigint,
  -- The holder of a PENDING run, the only worker that may claim it.
  claimant text COLLATE "C",
  -- The request_id of the Claim that handed the run out.
  claim_id text COLLATE "C",
  -- not_before, while the run waits for it.
  wakes_at bigint,
  -- The time of the cancel, while the executor may still be at work.
  stopping_since bigint,
  body bytea NOT NULL,
  kwargs bytea NOT NULL,
  -- What the run produced, encoded. Set with the end of the run; NULL if it has no result.
  result bytea CHECK (result IS NULL OR status = 3),
  CHECK ((request_id IS NULL) = (request_method IS NULL) AND (request_id IS NULL) = (spec_hash IS NULL))
);

CREATE UNIQUE INDEX runs_by_request ON runs (owner, request_method, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX runs_by_thread ON runs (owner, thread_id, created_at, run_id);
-- Active and queued runs.
CREATE INDEX runs_live_by_thread ON runs (owner, thread_id, created_at, run_id) WHERE status IN (1, 2, 7);
CREATE INDEX runs_active_by_age ON runs (created_at) WHERE status IN (1, 2);
CREATE INDEX runs_queued_by_age ON runs (created_at) WHERE status = 7;
CREATE INDEX runs_by_superseder ON runs (superseded_by, revision) WHERE superseded_by IS NOT NULL;
CREATE INDEX runs_by_timeout ON runs (timeout_at) WHERE timeout_at IS NOT NULL;
-- The order of claims.
CREATE INDEX runs_by_turn ON runs (assistant_id, priority DESC, turn, created_at, owner) WHERE turn IS NOT NULL;
CREATE INDEX runs_by_claimant ON runs (claimant) WHERE claimant IS NOT NULL;
CREATE INDEX runs_by_claim ON runs (claim_id) WHERE claim_id IS NOT NULL;
CREATE INDEX runs_by_wake ON runs (wakes_at, run_id) WHERE wakes_at IS NOT NULL;
CREATE INDEX runs_stopping ON runs (owner, thread_id, stopping_since) WHERE stopping_since IS NOT NULL;
CREATE INDEX runs_by_stop ON runs (stopping_since) WHERE stopping_since IS NOT NULL;
CREATE INDEX runs_active_by_key ON runs (owner, concurrency_key)
WHERE concurrency_key IS NOT NULL AND status IN (1, 2);
CREATE INDEX runs_queued_by_key ON runs (owner, concurrency_key, created_at)
WHERE concurrency_key IS NOT NULL AND status = 7;

-- One row for each run: what changes without a new revision. Without further indexes, and with room in every page, so
-- that a heartbeat changes no index.
CREATE TABLE activity (
  run_id text COLLATE "C" PRIMARY KEY,
  -- Set for active and stopping runs with a lease only, like lease_ttl.
  lease_expires_at bigint,
  lease_ttl bigint CHECK ((lease_ttl IS NULL) = (lease_expires_at IS NULL)),
  progress_sequence bigint CHECK (progress_sequence >= 0),
  -- The encoded run's lease, progress and updated_at. Appended to the body in `runs`, it completes the encoded run.
  body bytea NOT NULL
) WITH (fillfactor = 60);

-- One row for each revision: the run as of that change, or that it was removed.
CREATE TABLE log (
  revision bigint PRIMARY KEY,
  -- Last revision of the call that made the change.
  call_end bigint NOT NULL CHECK (call_end >= revision),
  run_id text COLLATE "C" NOT NULL,
  owner text COLLATE "C" NOT NULL,
  thread_id text COLLATE "C" NOT NULL,
  assistant_id text COLLATE "C",
  status smallint NOT NULL CHECK (status BETWEEN 1 AND 7),
  previous_status smallint CHECK (previous_status BETWEEN 1 AND 7),
  deleted smallint NOT NULL CHECK (deleted IN (0, 1)),
  -- Without kwargs; absent once the run was removed.
  body bytea,
  -- The time of the commit. It never falls from one revision to the next.
  time bigint NOT NULL
);

CREATE INDEX log_by_run ON log (run_id, owner, revision);
CREATE INDEX log_by_thread ON log (owner, thread_id, revision);
CREATE INDEX log_by_assistant ON log (assistant_id, revision) WHERE assistant_id IS NOT NULL;
CREATE INDEX log_by_owner ON log (owner, revision);

-- Streams that count as a run's client, each for as long as it is renewed.
CREATE TABLE attachments (
  attachment_id text COLLATE "C" PRIMARY KEY,
  run_id text COLLATE "C" NOT NULL,
  -- The server that holds the stream; empty once none does.
  server text COLLATE "C" NOT NULL,
  expires_at bigint NOT NULL
);

CREATE INDEX attachments_by_run ON attachments (run_id);
CREATE INDEX attachments_by_server ON attachments (server);
CREATE INDEX attachments_by_expiry ON attachments (expires_at);

-- How many runs with the same concurrency_key may be active, for all keys with a prefix.
CREATE TABLE concurrency_limits (
  prefix text COLLATE "C" PRIMARY KEY,
  width bigint NOT NULL CHECK (width >= 0)
);

-- The servers that are alive: each renews its row, and the others remove the row of one that does not.
CREATE TABLE servers (
  server text COLLATE "C" PRIMARY KEY,
  -- By the time of the store.
  seen_at bigint NOT NULL
);

-- Which run had new progress or metadata without an entry in the log, in commit order. Old numbers are removed.
CREATE TABLE progressed (
  number bigint PRIMARY KEY,
  run_id text COLLATE "C" NOT NULL
);
