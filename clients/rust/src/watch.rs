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
use crate::v1::stream_status_request::Target;
use crate::v1::{Run, RunStatus, StatusEvent, StreamStatusRequest, StreamStatusResponse};

/// A stream that stood for longer had a connection, also if nothing happened on it: making one takes less.
const CONNECTED: Duration = Duration::from_secs(10);

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
    /// When the stream began.
    opened: Instant,
    /// The run is as it will be for ever; and nothing that was asked for can follow.
    ends: bool,
    over: bool,
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
            opened: Instant::now(),
            ends: false,
            over: false,
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
                Err(status) => {
                    if !self.recover(status.into())? {
                        return Ok(None);
                    }
                }
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
                    self.opened = Instant::now();
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
        if matches!(self.request.target, Some(Target::RunId(_))) {
            self.ends = match &event.run {
                Some(run) => event.event() == StatusEvent::Deleted || self.is_last(run),
                None => self.ends,
            };
            self.over = self.ends && event.event() != StatusEvent::Snapshot;
        }
    }

    fn is_last(&self, run: &Run) -> bool {
        match run.status() {
            RunStatus::Success | RunStatus::Error | RunStatus::Timeout => true,
            RunStatus::Interrupted => {
                let cancellation = run.cancellation.as_ref();
                !self.request.until_acknowledged
                    || cancellation
                        .is_some_and(|cancellation| cancellation.acknowledged_at.is_some())
            }
            _ => false,
        }
    }

    /// Makes connecting again due, or ends the watch for a failure that this does not mend. False: there is nothing left
    /// to watch.
    fn recover(&mut self, failure: RunError) -> Result<bool, RunError> {
        if self.over && self.failing_since.is_some() && is_passing(&failure) {
            // The server was asked once more for the end that it had no time to tell.
            self.state = State::Ended;
            return Ok(false);
        }
        let now = Instant::now();
        let since = self.failing_since.filter(|_| now - self.opened <= CONNECTED).unwrap_or(now);
        self.failing_since = Some(since);
        let failing_for = now - since;
        let patience = self.outage.saturating_sub(failing_for);
        if patience.is_zero() || !is_passing(&failure) {
            self.state = State::Ended;
            return Err(failure);
        } else {
            self.state = State::Due(now + self.backoff.pause(&failure).min(patience));
        }
        Ok(true)
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
