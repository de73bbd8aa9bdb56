use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::backoff::Backoff;
use crate::execution::StopReason;
use crate::lengths;
use crate::outcome::End;
use crate::v1::{
    AcknowledgeCancelRequest, CompleteRequest, Progress, Run, RunStatus, SetStatusRequest,
    UpdateProgressRequest,
};
use crate::{ExecuteError, ExecuteOptions, RunClient, RunError};

/// The shortest time for which a report of the end is retried.
const MIN_RETRY_TIME: Duration = Duration::from_secs(60);
/// The error text of a run whose handler the fence has stopped.
const FENCED: &str = "The executor stopped: no heartbeat was confirmed for the length of the lease";
/// The longest error text that is sent, in bytes. The server keeps 16 KiB of it and marks the cut.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// The reports of an executor on one run. They are idempotent, and retried after transient errors.
pub(crate) struct Reports<'a> {
    pub(crate) client: &'a RunClient,
    pub(crate) options: &'a ExecuteOptions,
    pub(crate) run_id: &'a str,
    pub(crate) retry_time: Duration,
    pub(crate) has_started: bool,
}

impl<'a> Reports<'a> {
    /// Reports that are retried for the timeout of one call.
    pub(crate) fn new(client: &'a RunClient, options: &'a ExecuteOptions, run_id: &'a str) -> Self {
        Self { client, options, run_id, retry_time: client.timeout(), has_started: false }
    }

    /// The same reports, retried for the length of the lease and for at least a minute: losing the end of a run costs
    /// more than losing its start.
    pub(crate) fn of_the_end(self, run: &Run) -> Self {
        let lease = self.options.lease_of(run).unwrap_or_default();
        Self { retry_time: MIN_RETRY_TIME.max(lease), has_started: true, ..self }
    }

    /// Reports RUNNING.
    pub(crate) async fn start(&self) -> Result<Run, RunError> {
        let mut request = SetStatusRequest {
            run_id: self.run_id.into(),
            worker_id: self.options.worker_id.clone(),
            lease_ttl: self.options.lease.map(lengths::to_message),
            ..SetStatusRequest::default()
        };
        request.set_status(RunStatus::Running);
        self.retry(request, |client: RunClient, request| async move {
            Ok(client.set_status(request).await?.run.unwrap_or_default())
        })
        .await
    }

    /// Returns the run with its kwargs, which the response to the start omits.
    pub(crate) async fn with_kwargs(&self, run: Run) -> Result<Run, RunError> {
        let read = |client: RunClient, run_id: String| async move { client.get(run_id).await };
        let kwargs = self.retry(self.run_id.to_owned(), read).await?.kwargs;
        Ok(Run { kwargs, ..run })
    }

    /// Reports the end of a run whose kwargs cannot be read, so that its handler is not called.
    pub(crate) async fn finish_unread(
        &self,
        reason: Option<StopReason>,
        error: RunError,
    ) -> Result<Run, ExecuteError> {
        let reason = if error.is_refusal() { Some(StopReason::Lost) } else { reason };
        let text = format!("The kwargs of the run could not be read: {error}");
        let end = End { error: Some(text), ..End::default() };
        let run = self.finish(reason, end).await?;
        if reason.is_some() { Ok(run) } else { Err(error.into()) }
    }

    /// Reports the end, after a handler that was stopped for this reason or not at all.
    pub(crate) async fn finish(
        &self,
        reason: Option<StopReason>,
        end: End,
    ) -> Result<Run, ExecuteError> {
        let usage = end.outcome.progress.clone();
        let answer = match reason {
            Some(StopReason::Lost) => Err(ExecuteError::Lost),
            Some(StopReason::Fenced) => {
                Ok(self.complete(End { error: Some(FENCED.into()), ..end }).await)
            }
            Some(StopReason::Cancelled) => Ok(self.acknowledge(end).await),
            None => Ok(self.complete(end).await),
        };
        match answer {
            Ok(Ok(run))
                if reason == Some(StopReason::Fenced) && run.status() == RunStatus::Error =>
            {
                Err(ExecuteError::Fenced(Box::new(run)))
            }
            Ok(Ok(run)) => Ok(run),
            Ok(Err(error)) if !error.is_refusal() => Err(error.into()),
            _ => {
                self.report_lost_usage(usage).await;
                Err(ExecuteError::Lost)
            }
        }
    }

    /// Reports the usage of a lost run, once. The server refuses it if the run has another holder; the result is
    /// ignored.
    async fn report_lost_usage(&self, usage: Option<Progress>) {
        if usage.is_some() {
            let request = UpdateProgressRequest {
                run_id: self.run_id.into(),
                progress: usage,
                r#final: true,
                worker_id: self.options.worker_id.clone(),
                ..UpdateProgressRequest::default()
            };
            let _ = self.client.update_progress(request).await;
        }
    }

    /// Reports SUCCESS or ERROR. If the run was cancelled in the meantime, acknowledges the cancel instead. If the server
    /// rejects the contents of the report, reports the end without them.
    async fn complete(&self, mut end: End) -> Result<Run, RunError> {
        let handler_failed = end.error.is_some();
        let mut rejection = end.unsendable().filter(|rejection| end.drop_rejected(rejection));
        loop {
            match self.send_end(&end).await {
                Ok(run) => return rejection.filter(|_| !handler_failed).map_or(Ok(run), Err),
                Err(refusal) if is_of_cancelled_run(&refusal) => {
                    return self.acknowledge(end).await;
                }
                Err(refusal) if end.drop_rejected(&refusal) => {
                    rejection = rejection.or(Some(refusal))
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn send_end(&self, end: &End) -> Result<Run, RunError> {
        let End { outcome, error } = end.clone();
        let status = if error.is_none() { RunStatus::Success } else { RunStatus::Error };
        let mut request = CompleteRequest {
            run_id: self.run_id.into(),
            progress: outcome.progress,
            result: outcome.result.filter(|_| error.is_none()),
            stop_reason: outcome.stop_reason,
            error: error.map(truncated),
            worker_id: self.options.worker_id.clone(),
            ..CompleteRequest::default()
        };
        request.set_status(status);
        self.retry(request, |client: RunClient, request| async move {
            Ok(client.complete(request).await?.run.unwrap_or_default())
        })
        .await
    }

    /// Reports that the handler of a cancelled run has stopped. If the server rejects the contents of the
    /// report, reports it without them.
    async fn acknowledge(&self, mut end: End) -> Result<Run, RunError> {
        end.outcome.result = None;
        let mut rejection = end.unsendable().filter(|rejection| end.drop_rejected(rejection));
        loop {
            match self.send_acknowledgement(&end).await {
                Ok(run) => return rejection.map_or(Ok(run), Err),
                Err(refusal) if end.drop_rejected(&refusal) => {
                    rejection = rejection.or(Some(refusal))
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn send_acknowledgement(&self, end: &End) -> Result<Run, RunError> {
        let request = AcknowledgeCancelRequest {
            run_id: self.run_id.into(),
            worker_id: self.options.worker_id.clone(),
            progress: end.outcome.progress.clone(),
            stop_reason: end.outcome.stop_reason.clone(),
        };
        self.retry(request, |client: RunClient, request| async move {
            Ok(client.acknowledge_cancel(request).await?.run.unwrap_or_default())
        })
        .await
    }

    async fn retry<Q: Clone, F>(&self, request: Q, send: impl Fn(RunClient, Q) -> F) -> F::Output
    where
        F: Future<Output = Result<Run, RunError>>,
    {
        let began = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            match send(self.client.clone(), request.clone()).await {
                Err(error) if self.may_succeed_later(&error) => {
                    let pause = backoff.pause(&error);
                    if began.elapsed() + pause >= self.retry_time {
                        return Err(error);
                    }
                    sleep(pause).await;
                }
                answer => return answer,
            }
        }
    }

    /// An expired token may be replaced while a run is in progress. At the start, the caller receives the error at once.
    fn may_succeed_later(&self, error: &RunError) -> bool {
        error.is_transient() || self.has_started && error.is_unauthenticated()
    }
}

fn is_of_cancelled_run(refusal: &RunError) -> bool {
    refusal.metadata().get("from").is_some_and(|from| from == "INTERRUPTED")
}

/// Truncates a text to the length of an error text that is sent, between two characters.
pub(crate) fn truncated(mut text: String) -> String {
    let end = (0..=MAX_ERROR_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or_default());
    text
}

#[cfg(test)]
mod tests;
