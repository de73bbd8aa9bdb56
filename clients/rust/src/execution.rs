use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use crate::v1::{Progress, Run, RunStatus, UpdateProgressRequest};
use crate::{RunClient, RunError};

/// Who executes a run, and how often it promises to say that it is alive.
#[derive(Clone, Debug, Default)]
pub struct Worker {
    /// Makes the worker the run's holder. None: anyone may report.
    pub id: Option<String>,
    /// Ends the run, as ERROR, when the worker was not heard of for so long. None: never. Needs an id.
    pub lease: Option<Duration>,
}

/// A run at work, as the function that executes it sees it.
#[derive(Clone, Debug)]
pub struct Execution {
    pub(crate) client: RunClient,
    pub(crate) worker: Worker,
    pub(crate) run: Run,
    pub(crate) told: watch::Receiver<Option<Stop>>,
    pub(crate) sequence: Arc<Mutex<u64>>,
}

/// Why the work is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Cancelled,
    Lost,
}

impl Execution {
    /// The run as it was started.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Whether others have ended the run, so that the work is to stop.
    pub fn is_stopped(&self) -> bool {
        self.told.borrow().is_some()
    }

    /// Waits until others have ended the run: then the work is to return. It is what the work selects with.
    pub async fn stopped(&self) {
        // Fails when the work has ended: nobody can tell it any more.
        let _ = self.told.clone().wait_for(Option::is_some).await;
    }

    /// Reports usage, in the order of the calls. False when it was not applied, for the run is over.
    pub async fn report(&self, progress: Progress) -> Result<bool, RunError> {
        let mut sequence = self.sequence.lock().await;
        *sequence += 1;
        let request = UpdateProgressRequest {
            run_id: self.run.run_id.clone(),
            progress: Some(progress),
            sequence: Some(*sequence),
            worker_id: self.worker.id.clone(),
            ..UpdateProgressRequest::default()
        };
        Ok(self.client.update_progress(request).await?.applied)
    }
}

impl Stop {
    /// What a run's state means for its work.
    pub(crate) fn of(run: &Run) -> Option<Self> {
        match run.status() {
            RunStatus::Pending | RunStatus::Running => None,
            RunStatus::Interrupted => Some(Self::Cancelled),
            _ => Some(Self::Lost),
        }
    }
}

/// Why the execution of a run could not be reported.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WorkError {
    /// The run has ended by other hands, was removed, or is another worker's now.
    Lost,
    /// The start or the report failed.
    Call(RunError),
}

impl From<RunError> for WorkError {
    fn from(error: RunError) -> Self {
        Self::Call(error)
    }
}

impl fmt::Display for WorkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("The run is no longer this worker's"),
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WorkError {}
