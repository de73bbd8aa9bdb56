use std::time::Duration;

use crate::RunError;

const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);
/// The longest delay of a server that is obeyed. It can be added to any `Instant`.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

/// The pauses between attempts: 50 ms, doubling up to 2 s. Each is shortened at random by up to half, so that clients
/// do not retry in step.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next: SHORTEST }
    }

    /// Returns the pause before the next attempt. The delay that the server asked for is added to it.
    pub(crate) fn pause(&mut self, error: &RunError) -> Duration {
        let pause = self.next.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.next = LONGEST.min(2 * self.next);
        pause + error.retry_after().unwrap_or_default().min(LONGEST_DELAY)
    }
}
