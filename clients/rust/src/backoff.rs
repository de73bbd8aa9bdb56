use std::time::Duration;

use crate::RunError;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// Pauses between attempts: 50 ms, doubling to 2 s, each shortened by up to half, so that clients part.
#[derive(Debug)]
pub(crate) struct Backoff {
    longest: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { longest: FIRST }
    }

    /// The pause before the next attempt; what the server asked for comes on top.
    pub(crate) fn pause(&mut self, error: &RunError) -> Duration {
        let pause = self.longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.longest = LONGEST.min(2 * self.longest);
        pause + error.retry_after().unwrap_or_default()
    }
}
