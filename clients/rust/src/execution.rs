use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use prost::Message;
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
    client: RunClient,
    worker: Worker,
    run: Run,
    told: watch::Receiver<Option<Stop>>,
    /// Gone when the run's end is reported.
    tell: Weak<watch::Sender<Option<Stop>>>,
    reported: Arc<Mutex<Reported>>,
}

/// What was reported so far.
#[derive(Debug)]
struct Reported {
    sequence: u64,
    progress: Progress,
}

/// Why the work is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Cancelled,
    Lost,
}

impl Execution {
    pub(crate) fn new(
        client: RunClient,
        worker: Worker,
        run: Run,
        tell: &Arc<watch::Sender<Option<Stop>>>,
    ) -> Self {
        // Above those of whoever executed the run before, under the same name.
        let age = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let sequence = u64::try_from(age.as_nanos()).unwrap_or_default();
        let reported = Arc::new(Mutex::new(Reported { sequence, progress: Progress::default() }));
        Self { client, worker, run, told: tell.subscribe(), tell: Arc::downgrade(tell), reported }
    }

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

    /// Reports usage, in the order of the calls: the fields that are set replace what was reported of them before. False
    /// when it was not applied, for the run is over, or there is no server now: the next report, at the latest that of
    /// the end, makes up for it then.
    pub async fn report(&self, progress: Progress) -> Result<bool, RunError> {
        let mut reported = self.reported.lock().await;
        let total = merged(&reported.progress, Some(&progress));
        // Before the call: the usage is what it is, also when this future is dropped.
        let before = std::mem::replace(&mut reported.progress, total.clone());
        reported.sequence += 1;
        let request = UpdateProgressRequest {
            run_id: self.run.run_id.clone(),
            progress: Some(total),
            sequence: Some(reported.sequence),
            worker_id: self.worker.id.clone(),
            ..UpdateProgressRequest::default()
        };
        match self.client.update_progress(request).await {
            Ok(answer) => {
                self.learn(answer.run.as_ref().and_then(Stop::of));
                Ok(answer.applied)
            }
            Err(failure) if failure.is_losing() => {
                self.learn(Some(Stop::Lost));
                Ok(false)
            }
            Err(failure) if failure.is_passing() => Ok(false),
            Err(failure) => {
                reported.progress = before;
                Err(failure)
            }
        }
    }

    fn learn(&self, why: Option<Stop>) {
        if let Some(tell) = self.tell.upgrade() {
            stop(&tell, why);
        }
    }

    /// The final usage; None when there is nothing to tell.
    pub(crate) async fn usage(&self, last: Option<&Progress>) -> Option<Progress> {
        let reported = self.reported.lock().await;
        Some(merged(&reported.progress, last)).filter(|usage| *usage != Progress::default())
    }
}

fn merged(progress: &Progress, more: Option<&Progress>) -> Progress {
    let mut bytes = progress.encode_to_vec();
    bytes.extend(more.map(Message::encode_to_vec).unwrap_or_default());
    Progress::decode(bytes.as_slice()).expect("messages end to end are their merge")
}

/// Tells the work to stop, unless it was told.
pub(crate) fn stop(tell: &watch::Sender<Option<Stop>>, why: Option<Stop>) {
    tell.send_if_modified(|told| {
        let is_news = told.is_none() && why.is_some();
        *told = told.or(why);
        is_news
    });
}

impl Worker {
    /// What it promises, or the run's creator promised for it.
    pub(crate) fn lease_of(&self, run: &Run) -> Option<Duration> {
        let promised = run.lease.as_ref().and_then(|lease| lease.ttl);
        self.lease.or_else(|| promised.and_then(|ttl| ttl.try_into().ok()))
    }
}

impl Stop {
    /// What a run's state means for its work.
    pub(crate) fn of(run: &Run) -> Option<Self> {
        match run.status() {
            RunStatus::Interrupted => Some(Self::Cancelled),
            RunStatus::Success | RunStatus::Error | RunStatus::Timeout => Some(Self::Lost),
            // One that a newer server has is not taken for an end.
            _ => None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::Lease;

    #[test]
    fn progress_is_made_up_for_by_the_next() {
        let first =
            Progress { total_input_tokens: Some(3), total_tokens: Some(3), ..Default::default() };
        let second = Progress { total_tokens: Some(0), ..Default::default() };
        let total =
            Progress { total_input_tokens: Some(3), total_tokens: Some(0), ..Default::default() };
        assert_eq!(merged(&first, Some(&second)), total);
    }

    #[tokio::test]
    async fn another_processes_sequence_follows_the_first_ones() {
        let client = RunClient::connect().unwrap();
        let tell = Arc::new(watch::Sender::new(None));
        let mut last = 0;
        for _process in 0..2 {
            let execution =
                Execution::new(client.clone(), Worker::default(), Run::default(), &tell);
            let sequence = execution.reported.lock().await.sequence;
            assert!(sequence > last);
            last = sequence;
        }
    }

    #[test]
    fn a_lease_that_was_promised_at_creation_is_kept() {
        let ttl = Duration::from_secs(9).try_into().ok();
        let run = Run { lease: Some(Lease { ttl, ..Default::default() }), ..Default::default() };
        let unleased = Worker::default();
        assert_eq!(unleased.lease_of(&run), Some(Duration::from_secs(9)));
        assert_eq!(unleased.lease_of(&Run::default()), None);
        let leased = Worker { lease: Some(Duration::from_secs(3)), ..Worker::default() };
        assert_eq!(leased.lease_of(&run), Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_status_of_a_newer_server_is_no_end() {
        assert_eq!(Stop::of(&Run { status: 42, ..Default::default() }), None);
        let timed_out = Run { status: RunStatus::Timeout.into(), ..Default::default() };
        assert_eq!(Stop::of(&timed_out), Some(Stop::Lost));
    }
}
