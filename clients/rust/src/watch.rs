use std::time::Duration;

use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::stream::try_unfold;
use tokio::time::{Instant, sleep_until};
use tonic::{Code, Status};

use crate::RunError;
use crate::backoff::Backoff;
use crate::v1::stream_status_request::Target;
use crate::v1::{Run, RunStatus, StatusEvent, StreamStatusRequest, StreamStatusResponse};
use crate::watch_source::{Events, Source};

/// A stream that was open for longer than this had a connection, even if no message arrived: connecting takes less
/// time.
const CONNECTED: Duration = Duration::from_secs(10);

/// The events of a watch: each change once, in order, across lost connections and restarts of the server.
///
/// A watch of one run ends after the run's terminal change; other watches do not end by themselves. A watch has no
/// deadline. Dropping it ends the stream on the server at once. It buffers no events.
pub struct Watch {
    source: Box<dyn Source>,
    /// The request that continues after the last event.
    request: StreamStatusRequest,
    outage: Duration,
    backoff: Backoff,
    state: State,
    /// When the server became unreachable. None after a message.
    failing_since: Option<Instant>,
    /// When the stream was opened.
    opened: Instant,
    /// The run no longer changes.
    run_is_final: bool,
    /// No event can follow.
    is_complete: bool,
    /// The token was fetched anew since the last event, because the server refused the one before.
    has_renewed_token: bool,
}

enum State {
    /// Waiting to connect at this time.
    Waiting(Instant),
    Open(Events),
    Ended,
}

impl Watch {
    pub(crate) fn new(
        request: StreamStatusRequest,
        outage: Duration,
        source: Box<dyn Source>,
    ) -> Self {
        Self {
            source,
            request,
            outage,
            backoff: Backoff::new(),
            state: State::Waiting(Instant::now()),
            failing_since: None,
            opened: Instant::now(),
            run_is_final: false,
            is_complete: false,
            has_renewed_token: false,
        }
    }

    /// Sets the time for which the watch tries to reach a server. After that it fails with the last error. Default: 60
    /// seconds.
    #[must_use]
    pub fn outage(mut self, outage: Duration) -> Self {
        self.outage = outage;
        self
    }

    /// Waits for the next event. Returns None when the watch has ended. Heartbeats are not returned. If the future is
    /// dropped, no event is lost.
    ///
    /// # Errors
    ///
    /// The server refused the watch, or could not be reached for the time set by [`Watch::outage`]. The watch has ended
    /// then.
    pub async fn next(&mut self) -> Result<Option<StreamStatusResponse>, RunError> {
        loop {
            match self.receive().await {
                Ok(Some(event)) => {
                    self.advance(&event);
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

    /// Converts the watch into a stream of events.
    pub fn into_stream(self) -> impl Stream<Item = Result<StreamStatusResponse, RunError>> + Send {
        try_unfold(self, async |mut watch| Ok(watch.next().await?.map(|event| (event, watch))))
    }

    /// Returns the position of the watch, to be used as `after_revision` of a later watch. None until the snapshot is
    /// complete.
    pub fn revision(&self) -> Option<u64> {
        self.request.after_revision
    }

    /// Returns the id of the store that the revision belongs to. Empty until it is known.
    pub fn store_id(&self) -> &str {
        &self.request.store_id
    }

    async fn receive(&mut self) -> Result<Option<StreamStatusResponse>, Status> {
        loop {
            match &mut self.state {
                State::Waiting(time) => {
                    sleep_until(*time).await;
                    self.opened = Instant::now();
                    self.state = State::Open(self.source.open(self.request.clone()).await?);
                }
                State::Open(events) => return events.next().await.transpose(),
                State::Ended => return Ok(None),
            }
        }
    }

    fn advance(&mut self, event: &StreamStatusResponse) {
        self.failing_since = None;
        self.has_renewed_token = false;
        self.backoff = Backoff::new();
        if event.revision != 0 || event.event() == StatusEvent::SnapshotEnd {
            self.request.after_revision = Some(event.revision);
        }
        if !event.store_id.is_empty() {
            self.request.store_id.clone_from(&event.store_id);
        }
        if matches!(self.request.target, Some(Target::RunId(_))) {
            self.run_is_final = match &event.run {
                Some(run) => event.event() == StatusEvent::Deleted || self.is_last(run),
                None => self.run_is_final,
            };
            self.is_complete = self.run_is_final && event.event() != StatusEvent::Snapshot;
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

    /// Schedules the next connection. Returns false if the watch is complete.
    ///
    /// Fails, and ends the watch, if reconnecting does not help or the server was unreachable for too long.
    fn recover(&mut self, error: RunError) -> Result<bool, RunError> {
        if self.is_complete && self.failing_since.is_some() && is_lost_connection(&error) {
            // One more stream after the terminal change gave the server the chance to end the watch.
            self.state = State::Ended;
            return Ok(false);
        }
        let now = Instant::now();
        if error.code() == Code::Unauthenticated && self.renew_token() {
            self.state = State::Waiting(now);
            return Ok(true);
        }
        let since = self.failing_since.filter(|_| now - self.opened <= CONNECTED).unwrap_or(now);
        self.failing_since = Some(since);
        let failing_for = now - since;
        let remaining = self.outage.saturating_sub(failing_for);
        if remaining.is_zero() || !is_lost_connection(&error) {
            self.state = State::Ended;
            return Err(error);
        } else {
            self.state = State::Waiting(now + self.backoff.pause(&error).min(remaining));
        }
        Ok(true)
    }

    /// Returns true if the token was refused for the first time since the last event, and can be replaced.
    fn renew_token(&mut self) -> bool {
        let renewed = !self.has_renewed_token && self.source.has_new_token();
        self.has_renewed_token |= renewed;
        renewed
    }
}

/// True if the watch can resume: the server is unavailable or overloaded, or the connection was lost, which some
/// transports report as INTERNAL.
fn is_lost_connection(error: &RunError) -> bool {
    error.is_unavailable() || (error.code() == Code::Internal && error.from_transport())
}

#[cfg(test)]
mod tests;
