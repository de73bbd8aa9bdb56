use std::time::Duration;

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use futures_util::stream::try_unfold;
use tokio::time::{Instant, sleep_until};
use tonic::{Code, Status};

use crate::RunError;
use crate::backoff::Backoff;
use crate::v1::{StatusEvent, StreamStatusRequest, StreamStatusResponse};

type Events = BoxStream<'static, Result<StreamStatusResponse, Status>>;
type Opening = BoxFuture<'static, Result<Events, Status>>;

/// The events of a watch: each change once, in order, also across lost connections and restarts of the server.
///
/// It ends when the server ends it: of one run, after its terminal change. Dropping it leaves it, and frees the server's
/// stream at once. It holds no more than the event that it hands out.
pub struct Watch {
    open: Box<dyn Fn(StreamStatusRequest) -> Opening + Send + Sync>,
    /// What goes on from the last event that was handed out.
    request: StreamStatusRequest,
    outage: Duration,
    backoff: Backoff,
    state: State,
    /// When the watch began to fail; None when something came since.
    failing_since: Option<Instant>,
}

enum State {
    /// Connecting is due.
    Due(Instant),
    Open(Events),
    Ended,
}

impl Watch {
    pub(crate) fn new(
        request: StreamStatusRequest,
        outage: Duration,
        open: Box<dyn Fn(StreamStatusRequest) -> Opening + Send + Sync>,
    ) -> Self {
        Self {
            open,
            request,
            outage,
            backoff: Backoff::new(),
            state: State::Due(Instant::now()),
            failing_since: None,
        }
    }

    /// Goes on for that long without a server, instead of a minute.
    #[must_use]
    pub fn outage(mut self, outage: Duration) -> Self {
        self.outage = outage;
        self
    }

    /// Waits for the next event; None when the watch has ended. An error that connecting again cannot mend, or that
    /// outlasts the outage, ends it. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Option<StreamStatusResponse>, RunError> {
        loop {
            match self.received().await {
                Ok(Some(event)) => {
                    self.move_to(&event);
                    if event.event() != StatusEvent::Heartbeat {
                        return Ok(Some(event));
                    }
                }
                Ok(None) => {
                    self.state = State::Ended;
                    return Ok(None);
                }
                Err(status) => self.recover(status.into())?,
            }
        }
    }

    /// The same events as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<StreamStatusResponse, RunError>> + Send {
        try_unfold(self, async |mut watch| Ok(watch.next().await?.map(|event| (event, watch))))
    }

    /// Where another watch would go on from, as its after_revision; None until the snapshot is complete.
    pub fn revision(&self) -> Option<u64> {
        self.request.after_revision
    }

    /// The store that the revision belongs to; empty until it is known.
    pub fn store_id(&self) -> &str {
        &self.request.store_id
    }

    async fn received(&mut self) -> Result<Option<StreamStatusResponse>, Status> {
        loop {
            match &mut self.state {
                State::Due(time) => {
                    sleep_until(*time).await;
                    self.state = State::Open((self.open)(self.request.clone()).await?);
                }
                State::Open(events) => return events.next().await.transpose(),
                State::Ended => return Ok(None),
            }
        }
    }

    fn move_to(&mut self, event: &StreamStatusResponse) {
        self.failing_since = None;
        self.backoff = Backoff::new();
        if event.revision != 0 || event.event() == StatusEvent::SnapshotEnd {
            self.request.after_revision = Some(event.revision);
        }
        if !event.store_id.is_empty() {
            self.request.store_id.clone_from(&event.store_id);
        }
    }

    /// Makes connecting again due, or ends the watch for a failure that this does not mend.
    fn recover(&mut self, failure: RunError) -> Result<(), RunError> {
        let now = Instant::now();
        let failing_for = now - *self.failing_since.get_or_insert(now);
        let patience = self.outage.saturating_sub(failing_for);
        if patience.is_zero() || !is_passing(&failure) {
            self.state = State::Ended;
            return Err(failure);
        } else {
            self.state = State::Due(now + self.backoff.pause(&failure).min(patience));
        }
        Ok(())
    }
}

/// Some transports make INTERNAL or CANCELLED of a connection that was lost.
fn is_passing(failure: &RunError) -> bool {
    match failure.code() {
        Code::Unavailable => true,
        Code::Internal | Code::Cancelled => failure.from_transport(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
