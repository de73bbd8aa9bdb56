//! The stop of a worker.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The longest grace period. It can be added to any `Instant`.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Whether a worker is to stop, and when its grace period is over.
#[derive(Clone)]
pub(crate) struct Shutdown(Arc<watch::Sender<Option<Instant>>>);

impl Shutdown {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// Begins, or shortens the grace period.
    pub(crate) fn begin(&self, grace: Duration) {
        let end = Instant::now() + grace.min(LONGEST);
        self.0.send_modify(|known| *known = Some(known.map_or(end, |known| known.min(end))));
    }

    /// Waits for the begin.
    pub(crate) async fn begun(&self) {
        if self.0.subscribe().wait_for(Option::is_some).await.is_err() {
            pending().await
        }
    }

    /// Waits until the grace period is over.
    pub(crate) async fn grace_is_over(&self) {
        let mut end = self.0.subscribe();
        loop {
            let known = *end.borrow_and_update();
            let over = async {
                match known {
                    Some(time) => sleep_until(time).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = over => return,
                changed = end.changed() => if changed.is_err() { pending().await },
            }
        }
    }
}
