use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::backoff::Backoff;
use crate::execution::{StopReason, stop_handler};
use crate::health::{Health, WorkerHealth, WorkerState};
use crate::panics;
use crate::perform::Started;
use crate::reports::Reports;
use crate::shutdown::Shutdown;
use crate::v1::{ClaimRequest, Run};
use crate::worker_ids::new_worker_id;
use crate::{
    ExecuteError, ExecuteOptions, Execution, Failure, Outcome, RunClient, RunError, lengths,
};

/// The largest number of runs that one claim asks for.
const MAX_CLAIM: usize = 32;
/// How long a stopped handler may take before its run is given back without it.
const STOPPING: Duration = Duration::from_secs(5);

/// Receives the end of each run.
pub type OnEnd = Arc<dyn Fn(&Run, &Result<Run, ExecuteError>) + Send + Sync>;

/// Configures a [`Worker`].
#[derive(Clone)]
pub struct WorkerOptions {
    /// The assistants whose runs the worker performs, at most 16. Empty: runs of every assistant.
    pub assistants: Vec<String>,
    /// The highest number of runs at a time. Default: 1.
    pub concurrency: usize,
    /// The id of the worker, which becomes the holder of its runs. Default: a new id from the host name, the process id
    /// and a random number.
    pub worker_id: String,
    /// The lease of each run, from 1 second to 1 hour. Default: 30 seconds.
    pub lease: Duration,
    /// Stops a handler when the lease of its run may be over: see [`ExecuteOptions::fence`]. Default: false.
    pub fence: bool,
    /// How long one claim waits for a run, at most 60 seconds. Default: 20 seconds.
    pub wait: Duration,
    /// How long the runs in progress may take after [`WorkerHandle::stop`]. Then they are given back. Default: 30
    /// seconds.
    pub grace: Duration,
    /// Is called with each run and its end, for example to log it. Default: none.
    pub on_end: Option<OnEnd>,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            assistants: Vec::new(),
            concurrency: 1,
            worker_id: new_worker_id(),
            lease: Duration::from_secs(30),
            fence: false,
            wait: Duration::from_secs(20),
            grace: Duration::from_secs(30),
            on_end: None,
        }
    }
}

/// Claims runs and performs them with a handler, until it is stopped.
///
/// A worker claims no more runs than it has free slots. It performs each as [`RunClient::execute`] does, and survives
/// outages of the server. After [`WorkerHandle::stop`] it claims no more and lets the runs in progress finish within
/// the grace period; then it stops their handlers and gives the runs back.
pub struct Worker<H> {
    job: Arc<Job<H>>,
    handle: WorkerHandle,
}

/// What every run of a worker needs.
struct Job<H> {
    client: RunClient,
    options: WorkerOptions,
    execution: ExecuteOptions,
    handler: H,
}

/// Stops a worker, and shows its health. Clones belong to the same worker.
#[derive(Clone)]
pub struct WorkerHandle {
    shutdown: Shutdown,
    health: Arc<Health>,
    grace: Duration,
}

impl WorkerHandle {
    /// Stops the worker: it claims no more runs, and lets those in progress finish within its grace period.
    pub fn stop(&self) {
        self.stop_within(self.grace);
    }

    /// Stops the worker with another grace period. A later call can shorten the period, but not extend it.
    pub fn stop_within(&self, grace: Duration) {
        self.shutdown.begin(grace);
    }

    /// Returns the state of the worker.
    pub fn health(&self) -> WorkerHealth {
        self.health.now()
    }
}

impl<H, F, O, E> Worker<H>
where
    H: Fn(Execution) -> F + Send + Sync + 'static,
    F: Future<Output = Result<O, E>> + Send + 'static,
    O: Into<Outcome> + Send,
    E: Into<Failure> + Send,
{
    /// Creates a worker, which begins with [`Worker::run`].
    pub fn new(client: RunClient, options: WorkerOptions, handler: H) -> Self {
        let execution = ExecuteOptions {
            worker_id: Some(options.worker_id.clone()),
            lease: Some(options.lease),
            fence: options.fence,
        };
        let (health, grace) = (Arc::new(Health::new()), options.grace);
        let handle = WorkerHandle { shutdown: Shutdown::new(), health, grace };
        Self { job: Arc::new(Job { client, options, execution, handler }), handle }
    }

    /// Returns a handle to stop the worker and to read its health.
    pub fn handle(&self) -> WorkerHandle {
        self.handle.clone()
    }

    /// Claims and performs runs until the worker is stopped. Must be called inside a tokio runtime.
    ///
    /// If the returned future is dropped, the handlers are dropped too, and the leases end their runs.
    ///
    /// # Errors
    ///
    /// The server refused a claim for a reason that does not pass, for example a missing role or an invalid option. The
    /// runs in progress are finished first, within the grace period.
    pub async fn run(self) -> Result<(), RunError> {
        let mut runs = JoinSet::new();
        let result = self.claim_until_stopped(&mut runs).await;
        self.handle.stop();
        self.handle.health.set(WorkerState::Draining);
        // Each run ends on its own: it is finished, or given back after the grace period.
        while runs.join_next().await.is_some() {}
        self.handle.health.set(WorkerState::Stopped);
        result
    }

    async fn claim_until_stopped(&self, runs: &mut JoinSet<()>) -> Result<(), RunError> {
        let WorkerHandle { shutdown, health, .. } = &self.handle;
        let concurrency = self.job.options.concurrency.clamp(1, Semaphore::MAX_PERMITS);
        let slots = Arc::new(Semaphore::new(concurrency));
        let (mut backoff, mut unanswered) = (Backoff::new(), None);
        let mut is_connected = false;
        loop {
            while runs.try_join_next().is_some() {}
            let first = tokio::select! {
                biased;
                () = shutdown.begun() => break,
                slot = slots.clone().acquire_owned() => slot.expect("the slots are never closed"),
            };
            let mut free = vec![first];
            free.extend(std::iter::from_fn(|| slots.clone().try_acquire_owned().ok()));
            let request = unanswered.get_or_insert_with(|| self.job.claim_of(free.len()));
            if !is_connected {
                // An answer at once shows that there is a server.
                request.wait = Some(lengths::to_message(Duration::ZERO));
            }
            free.truncate(usize::try_from(request.max_runs).unwrap_or(1));
            let sent = Instant::now();
            let claimed = tokio::select! {
                biased;
                () = shutdown.begun() => break,
                claimed = self.job.client.claim(request.clone()) => claimed,
            };
            match claimed {
                Ok(response) => {
                    health.claimed();
                    is_connected = true;
                    (backoff, unanswered) = (Backoff::new(), None);
                    for (run, slot) in response.runs.into_iter().zip(free) {
                        self.begin(runs, run, sent, slot);
                    }
                }
                Err(error) if error.is_transient() || error.is_unauthenticated() => {
                    health.failed();
                    is_connected = false;
                    drop(free);
                    tokio::select! {
                        () = shutdown.begun() => break,
                        () = sleep(backoff.pause(&error)) => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
        health.set(WorkerState::Draining);
        self.give_back_unanswered(unanswered).await;
        Ok(())
    }

    fn begin(&self, runs: &mut JoinSet<()>, run: Run, began: Instant, slot: OwnedSemaphorePermit) {
        let (job, shutdown) = (self.job.clone(), self.handle.shutdown.clone());
        let running = self.handle.health.begin_run();
        runs.spawn(async move {
            let _until_the_end = (slot, running);
            job.perform(run, began, &shutdown).await;
        });
    }

    /// Gives back the runs of a claim whose answer did not arrive before the stop. The same request returns them.
    async fn give_back_unanswered(&self, request: Option<ClaimRequest>) {
        let Some(request) = request else { return };
        let job = &self.job;
        let request = ClaimRequest { wait: Some(lengths::to_message(Duration::ZERO)), ..request };
        let Ok(response) = job.client.claim(request).await else { return };
        for run in response.runs {
            let _ = Reports::of_the_end(&job.client, &job.execution, &run).release(None).await;
        }
    }
}

impl<H> Job<H> {
    /// Returns a claim of this many runs at most.
    fn claim_of(&self, runs: usize) -> ClaimRequest {
        let WorkerOptions { assistants, worker_id, lease, fence, wait, .. } = &self.options;
        // The lease of a run counts from the request at the earliest.
        let wait = if *fence { (*lease / 3).min(*wait) } else { *wait };
        ClaimRequest {
            worker_id: worker_id.clone(),
            assistant_ids: assistants.clone(),
            any_assistant: assistants.is_empty(),
            max_runs: i32::try_from(runs.min(MAX_CLAIM)).unwrap_or(1),
            lease_ttl: Some(lengths::to_message(*lease)),
            wait: Some(lengths::to_message(wait)),
            request_id: format!("{worker_id}-{:016x}", fastrand::u64(..)),
        }
    }
}

impl<H, F, O, E> Job<H>
where
    H: Fn(Execution) -> F,
    F: Future<Output = Result<O, E>>,
    O: Into<Outcome>,
    E: Into<Failure>,
{
    /// Performs a run that was claimed. After the grace period the handler is stopped, and the run is given back.
    async fn perform(&self, run: Run, began: Instant, shutdown: &Shutdown) {
        let stop = Arc::new(watch::Sender::new(None));
        let (client, options) = (&self.client, &self.execution);
        let started = Started { client, options, run: &run, began, stop: stop.clone() };
        // A panic of the handler has been reported. It does not stop the worker.
        let performed = async {
            let end = panics::catch(started.perform(true, &self.handler)).await;
            end.unwrap_or_else(|panic| Err(ExecuteError::Panicked(panics::panic_text(&*panic))))
        };
        let abandoned = async {
            shutdown.grace_is_over().await;
            stop_handler(&stop, Some(StopReason::Released));
            sleep(STOPPING).await;
        };
        let end = tokio::select! {
            end = performed => end,
            () = abandoned => {
                let reports = Reports::of_the_end(client, options, &run);
                reports.release(None).await.map_err(ExecuteError::Call)
            }
        };
        if let Some(on_end) = &self.options.on_end {
            on_end(&run, &end);
        }
    }
}

impl<H> fmt::Debug for Worker<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("health", &self.handle.health()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
