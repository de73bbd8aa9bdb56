use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::perform::Started;
use crate::reports;
use crate::v1::Run;
use crate::worker_ids::new_worker_id;
use crate::{Execution, Failure, Outcome, RunClient, RunError};

/// Configures an execution.
#[derive(Clone, Debug)]
pub struct ExecuteOptions {
    /// The id of the executor, which becomes the holder of the run: reports of other executors are refused.
    /// Default: a new id from the host name, the process id and a random number. None: the run has no holder, and any
    /// executor may report on it.
    pub worker_id: Option<String>,
    /// The lease, from 1 second to 1 hour. The server ends the run as ERROR when it receives no heartbeat for this
    /// long. Needs a worker id. None: the lease that the run was created with; without one, the run of an executor that
    /// dies stays RUNNING.
    pub lease: Option<Duration>,
    /// Stops the handler, as a cancel does, when the lease may be over: no heartbeat was confirmed for the length of
    /// the lease, by this machine's monotonic clock. The run is then reported as ERROR. For work that must not continue
    /// while another executor may have started. Needs a lease. Default: false.
    pub fence: bool,
}

impl Default for ExecuteOptions {
    fn default() -> Self {
        Self { worker_id: Some(new_worker_id()), lease: None, fence: false }
    }
}

impl ExecuteOptions {
    /// Returns the lease of this execution of the run.
    pub(crate) fn lease_of(&self, run: &Run) -> Option<Duration> {
        let created_with = run.lease.as_ref().and_then(|lease| lease.ttl);
        self.lease.or_else(|| created_with.and_then(|ttl| ttl.try_into().ok()))
    }
}

/// The reason why an execution did not end with a report.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExecuteError {
    /// The run was ended by others without a cancel, was removed, or has another holder.
    Lost,
    /// The fence stopped the handler, and the run was reported as ERROR: the run as of this report.
    Fenced(Box<Run>),
    /// The report of the start or of the end failed.
    Call(RunError),
    /// The handler of a [`Worker`](crate::Worker) panicked, and the run was reported as ERROR: the text of the panic.
    Panicked(String),
}

impl From<RunError> for ExecuteError {
    fn from(error: RunError) -> Self {
        Self::Call(error)
    }
}

impl fmt::Display for ExecuteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("The run has ended, was removed, or has another holder"),
            Self::Fenced(_) => f.write_str("The fence stopped the handler of the run"),
            Self::Call(error) => error.fmt(f),
            Self::Panicked(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ExecuteError {}

impl RunClient {
    /// Executes a run: starts it, reads its kwargs, calls the handler, sends heartbeats while the handler runs, and
    /// reports the end.
    ///
    /// The result of the handler decides the status. `Ok` makes the run SUCCESS, with an [`Outcome`], or with the final
    /// usage alone as `Option<Progress>`. `Err` makes the run ERROR, with the text of the error; after
    /// [`Failure::retryable`] it becomes PENDING again if attempts are left. Returns the run as reported. A panic of
    /// the handler makes the run ERROR too, and is resumed after the report.
    ///
    /// When others end the run, [`Execution::stopped`] resolves and the handler should return. A cancelled run is then
    /// acknowledged with the final usage, and returned as INTERRUPTED.
    ///
    /// While no server answers, the handler keeps running, and so do the attempts to send heartbeats: an outage of the
    /// server does not count towards the lease. The report of the end is retried for the length of the lease, and for
    /// at least 60 seconds.
    ///
    /// Heartbeats are sent while the handler awaits. Run long computations on another thread, for instance with
    /// `tokio::task::spawn_blocking`. If the returned future is dropped, nothing is reported and the lease ends the
    /// run.
    ///
    /// # Errors
    ///
    /// [`ExecuteError::Lost`] if the run was ended by others without a cancel, was removed, or has another holder;
    /// [`ExecuteError::Fenced`] if the fence stopped the handler. [`ExecuteError::Call`] if the start was refused, or a
    /// report failed for another reason. If the server rejected the outcome, for instance because a number is negative,
    /// the run has ended with its status, but without result, stop reason and final usage.
    pub async fn execute<F, O, E>(
        &self,
        run_id: impl Into<String>,
        options: ExecuteOptions,
        handler: impl FnOnce(Execution) -> F,
    ) -> Result<Run, ExecuteError>
    where
        F: Future<Output = Result<O, E>>,
        O: Into<Outcome>,
        E: Into<Failure>,
    {
        let began = Instant::now();
        let run = reports::start(self, &options, &run_id.into()).await?;
        let stop = Arc::new(watch::Sender::new(None));
        let started = Started { client: self, options: &options, run: &run, began, stop };
        started.perform(false, handler).await
    }
}

#[cfg(test)]
mod tests;
