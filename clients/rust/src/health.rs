//! The health of a worker.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// The health of a [`Worker`](crate::Worker).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerHealth {
    /// What the worker does.
    pub state: WorkerState,
    /// The number of its runs in progress.
    pub running: usize,
    /// When the server last answered a claim. None: not yet.
    pub last_claim_at: Option<SystemTime>,
}

/// What a [`Worker`](crate::Worker) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerState {
    /// The server has not answered a claim yet.
    Starting,
    /// The worker claims and performs runs.
    Working,
    /// Claims have failed since this time: the server cannot be reached, is overloaded, or refuses the token.
    Disconnected(SystemTime),
    /// The worker claims no more runs, and waits for those in progress.
    Draining,
    /// The worker has stopped.
    Stopped,
}

/// The state of a worker, and the time of its last claim.
pub(crate) struct Health {
    claims: Mutex<(WorkerState, Option<SystemTime>)>,
    running: AtomicUsize,
}

/// Counts a run in progress, until it is dropped.
pub(crate) struct RunInProgress(Arc<Health>);

impl Health {
    pub(crate) fn new() -> Self {
        Self { claims: Mutex::new((WorkerState::Starting, None)), running: AtomicUsize::new(0) }
    }

    pub(crate) fn now(&self) -> WorkerHealth {
        let (state, last_claim_at) = *self.claims();
        WorkerHealth { state, running: self.running.load(Ordering::Relaxed), last_claim_at }
    }

    pub(crate) fn begin_run(self: &Arc<Self>) -> RunInProgress {
        self.running.fetch_add(1, Ordering::Relaxed);
        RunInProgress(self.clone())
    }

    pub(crate) fn set(&self, state: WorkerState) {
        self.claims().0 = state;
    }

    pub(crate) fn claimed(&self) {
        *self.claims() = (WorkerState::Working, Some(SystemTime::now()));
    }

    pub(crate) fn failed(&self) {
        let mut claims = self.claims();
        if !matches!(claims.0, WorkerState::Disconnected(_)) {
            claims.0 = WorkerState::Disconnected(SystemTime::now());
        }
    }

    fn claims(&self) -> MutexGuard<'_, (WorkerState, Option<SystemTime>)> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RunInProgress {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}
