use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use tokio::sync::{self, watch};

use crate::outcome::merged;
use crate::reports::attempt_of;
use crate::v1::{Progress, Run, RunStatus, UpdateProgressRequest};
use crate::{Outcome, RunClient, RunError};

/// A run in progress, as its handler sees it. Clones share their state.
#[derive(Clone, Debug)]
pub struct Execution {
    client: RunClient,
    worker_id: Option<String>,
    run: Run,
    stopped: watch::Receiver<Option<StopReason>>,
    /// Gone once the end of the run is reported.
    stop: Weak<watch::Sender<Option<StopReason>>>,
    reported: Arc<Mutex<Reported>>,
    /// Held while a report is sent, so that reports arrive in order. The report of the end does not wait for it: a
    /// handler may have kept a report that is never polled again.
    sending: Arc<sync::Mutex<()>>,
}

/// The progress reported so far, the reason of the end, and the sequence number of the last report.
#[derive(Debug)]
struct Reported {
    sequence: u64,
    progress: Progress,
    stop_reason: Option<String>,
}

/// The reason why the handler should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    Cancelled,
    Lost,
    /// The lease may be over.
    Fenced,
    /// The worker shuts down, and gives the run back.
    Released,
}

impl Execution {
    pub(crate) fn new(
        client: RunClient,
        worker_id: Option<String>,
        run: Run,
        stop: &Arc<watch::Sender<Option<StopReason>>>,
    ) -> Self {
        // The time in nanoseconds is above every number that an earlier process with the same worker id has sent.
        let age = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let sequence = u64::try_from(age.as_nanos()).unwrap_or_default();
        let reported = Arc::new(Mutex::new(Reported {
            sequence,
            progress: Progress::default(),
            stop_reason: None,
        }));
        let (stopped, stop) = (stop.subscribe(), Arc::downgrade(stop));
        let sending = Arc::default();
        Self { client, worker_id, run, stopped, stop, reported, sending }
    }

    /// Returns the run as it was started, with its kwargs.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// True if others have ended the run, the fence has stopped it, or its worker shuts down. The handler should return
    /// then.
    pub fn is_stopped(&self) -> bool {
        self.stopped.borrow().is_some()
    }

    /// Waits until others have ended the run, the fence has stopped it, or its worker shuts down. The handler should
    /// return then. Meant for `tokio::select!`.
    pub async fn stopped(&self) {
        // Fails when the handler has returned: the run can no longer be stopped.
        let _ = self.stopped.clone().wait_for(Option::is_some).await;
    }

    /// Sets why the run stopped, in a word of the executor's own such as `token_capped`, of at most 128 characters. It
    /// is reported with any end.
    pub fn set_stop_reason(&self, reason: impl Into<String>) {
        self.reported().stop_reason = Some(reason.into());
    }

    /// Reports usage. The fields that are set replace the values reported before, for each model of `by_model` too;
    /// reports are sent in the order of the calls.
    ///
    /// Returns false if the report was not applied: the run has ended, or no server answered. After an outage the next
    /// report, at the latest that of the end, contains this progress too.
    ///
    /// # Errors
    ///
    /// The server rejected the progress, for instance as INVALID_REQUEST. Later reports do not contain it.
    pub async fn report(&self, progress: Progress) -> Result<bool, RunError> {
        let _sending = self.sending.lock().await;
        // Stored before the call, so that a dropped future does not lose the usage.
        let (before, request) = self.store(&progress);
        match self.client.update_progress(request).await {
            Ok(answer) => {
                self.stop_for(answer.run.as_ref().and_then(|run| StopReason::of(run, &self.run)));
                Ok(answer.applied)
            }
            Err(error) if error.is_refusal() => {
                self.stop_for(Some(StopReason::Lost));
                Ok(false)
            }
            Err(error) if error.is_transient() || error.is_unauthenticated() => Ok(false),
            Err(error) => {
                self.reported().progress = before;
                Err(error)
            }
        }
    }

    /// Adds the progress to the usage. Returns the usage before, and the request that reports the usage.
    fn store(&self, progress: &Progress) -> (Progress, UpdateProgressRequest) {
        let mut reported = self.reported();
        let total = merged(&reported.progress, Some(progress));
        let before = std::mem::replace(&mut reported.progress, total.clone());
        reported.sequence += 1;
        let request = UpdateProgressRequest {
            run_id: self.run.run_id.clone(),
            progress: Some(total),
            sequence: Some(reported.sequence),
            worker_id: self.worker_id.clone(),
            attempt: attempt_of(&self.run),
            ..UpdateProgressRequest::default()
        };
        (before, request)
    }

    fn reported(&self) -> MutexGuard<'_, Reported> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop_for(&self, reason: Option<StopReason>) {
        if let Some(stop) = self.stop.upgrade() {
            stop_handler(&stop, reason);
        }
    }

    /// Returns the outcome with all usage, and with the stop reason that was set. No usage is None.
    pub(crate) fn complete(&self, outcome: Outcome) -> Outcome {
        let reported = self.reported();
        let usage = merged(&reported.progress, outcome.progress.as_ref());
        Outcome {
            progress: Some(usage).filter(|usage| *usage != Progress::default()),
            stop_reason: outcome.stop_reason.or_else(|| reported.stop_reason.clone()),
            result: outcome.result,
        }
    }
}

/// Stops the handler if there is a reason. The first reason stays.
pub(crate) fn stop_handler(stop: &watch::Sender<Option<StopReason>>, reason: Option<StopReason>) {
    stop.send_if_modified(|current| {
        let is_first = current.is_none() && reason.is_some();
        *current = current.or(reason);
        is_first
    });
}

impl StopReason {
    /// Returns the reason to stop that the present state of the started run gives. None if the run is in progress.
    pub(crate) fn of(run: &Run, started: &Run) -> Option<Self> {
        match run.status() {
            _ if run.attempt > 0 && run.attempt != started.attempt => Some(Self::Lost),
            RunStatus::Interrupted => Some(Self::Cancelled),
            RunStatus::Success | RunStatus::Error | RunStatus::Timeout => Some(Self::Lost),
            // PENDING again, after an attempt whose lease was over.
            RunStatus::Pending if run.attempt > 0 => Some(Self::Lost),
            // A status that only a newer server knows counts as active.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
