use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::backoff::Backoff;
use crate::execution::StopReason;
use crate::lengths;
use crate::outcome::End;
use crate::v1::{
    AcknowledgeCancelRequest, CompleteRequest, Progress, ReleaseRequest, Run, RunStatus,
    SetStatusRequest, UpdateProgressRequest,
};
use crate::{ExecuteError, ExecuteOptions, RunClient, RunError};

/// The shortest time for which a report of the end is retried.
const MIN_RETRY_TIME: Duration = Duration::from_secs(60);
/// The error text of a run whose handler the fence has stopped.
const FENCED: &str = "The executor stopped: no heartbeat was confirmed for the length of the lease";
/// The longest error text that is sent, in bytes. The server keeps 16 KiB of it and marks the cut.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// The reports of an executor on a run that it has started. They are idempotent, and retried after transient errors for
/// the length of the lease and for at least a minute: losing the end of a run costs more than losing its start.
pub(crate) struct Reports<'a> {
    pub(crate) client: &'a RunClient,
    pub(crate) options: &'a ExecuteOptions,
    /// As of the start.
    pub(crate) run: &'a Run,
    retry_time: Duration,
}

/// Reports RUNNING, and retries it for the timeout of one call.
pub(crate) async fn start(
    client: &RunClient,
    options: &ExecuteOptions,
    run_id: &str,
) -> Result<Run, RunError> {
    let mut request = SetStatusRequest {
        run_id: run_id.into(),
        worker_id: options.worker_id.clone(),
        lease_ttl: options.lease.map(lengths::to_message),
        ..SetStatusRequest::default()
    };
    request.set_status(RunStatus::Running);
    let send = |request| async { Ok(client.set_status(request).await?.run.unwrap_or_default()) };
    // At the start, the caller learns at once that its token was refused.
    retry(client.timeout(), RunError::is_transient, request, send).await
}

impl<'a> Reports<'a> {
    pub(crate) fn of_the_end(
        client: &'a RunClient,
        options: &'a ExecuteOptions,
        run: &'a Run,
    ) -> Self {
        let lease = options.lease_of(run).unwrap_or_default();
        Self { client, options, run, retry_time: MIN_RETRY_TIME.max(lease) }
    }

    /// Returns the run with its kwargs, which the response to the start omits.
    pub(crate) async fn with_kwargs(&self) -> Result<Run, RunError> {
        let run_id = self.run.run_id.clone();
        let kwargs = self.retry(run_id, |run_id| self.client.get(run_id)).await?.kwargs;
        Ok(Run { kwargs, ..self.run.clone() })
    }

    /// Reports the end of a run whose kwargs cannot be read, so that its handler is not called.
    pub(crate) async fn finish_unread(
        &self,
        reason: Option<StopReason>,
        error: RunError,
    ) -> Result<Run, ExecuteError> {
        let reason = if error.is_refusal() { Some(StopReason::Lost) } else { reason };
        let text = format!("The kwargs of the run could not be read: {error}");
        let end = End { failure: Some(text.into()), ..End::default() };
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
                Ok(self.complete(End { failure: Some(FENCED.into()), ..end }).await)
            }
            Some(StopReason::Released) => Ok(self.give_back(end).await),
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
                self.report_usage(usage, true).await;
                Err(ExecuteError::Lost)
            }
        }
    }

    /// Reports usage once. The result is ignored: a server refuses the usage of a run that has another holder.
    async fn report_usage(&self, usage: Option<Progress>, r#final: bool) {
        if usage.is_some() {
            let request = UpdateProgressRequest {
                run_id: self.run.run_id.clone(),
                progress: usage,
                r#final,
                worker_id: self.options.worker_id.clone(),
                attempt: attempt_of(self.run),
                ..UpdateProgressRequest::default()
            };
            let _ = self.client.update_progress(request).await;
        }
    }

    /// Reports SUCCESS or ERROR. If the run was cancelled in the meantime, acknowledges the cancel instead. If the
    /// server rejects the contents of the report, reports the end without them.
    async fn complete(&self, mut end: End) -> Result<Run, RunError> {
        let handler_failed = end.failure.is_some();
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
        let End { outcome, failure } = end.clone();
        let status = if failure.is_none() { RunStatus::Success } else { RunStatus::Error };
        let mut request = CompleteRequest {
            run_id: self.run.run_id.clone(),
            progress: outcome.progress,
            result: outcome.result.filter(|_| failure.is_none()),
            stop_reason: outcome.stop_reason,
            retryable: failure.as_ref().is_some_and(|failure| failure.is_retryable),
            error: failure.map(|failure| truncated(failure.text)),
            worker_id: self.options.worker_id.clone(),
            attempt: attempt_of(self.run),
            ..CompleteRequest::default()
        };
        request.set_status(status);
        let send =
            |request| async { Ok(self.client.complete(request).await?.run.unwrap_or_default()) };
        self.retry(request, send).await
    }

    /// Gives the run back. If it was cancelled in the meantime, acknowledges the cancel instead.
    async fn give_back(&self, end: End) -> Result<Run, RunError> {
        match self.release(end.outcome.progress.clone()).await {
            Err(refusal) if is_of_cancelled_run(&refusal) => self.acknowledge(end).await,
            answer => answer,
        }
    }

    /// Gives the run back, after a report of the usage so far. Retried for the timeout of one call: a worker that shuts
    /// down does not wait long, and the lease gives the run back too.
    pub(crate) async fn release(&self, usage: Option<Progress>) -> Result<Run, RunError> {
        self.report_usage(usage, false).await;
        let request = ReleaseRequest {
            run_id: self.run.run_id.clone(),
            worker_id: self.options.worker_id.clone().unwrap_or_default(),
            attempt: attempt_of(self.run),
        };
        let send = |request| self.client.release(request);
        retry(self.client.timeout(), RunError::is_transient, request, send).await
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
            run_id: self.run.run_id.clone(),
            worker_id: self.options.worker_id.clone(),
            progress: end.outcome.progress.clone(),
            stop_reason: end.outcome.stop_reason.clone(),
            attempt: attempt_of(self.run),
        };
        let send = |request| async {
            Ok(self.client.acknowledge_cancel(request).await?.run.unwrap_or_default())
        };
        self.retry(request, send).await
    }

    /// An expired token may be replaced while a run is in progress.
    async fn retry<Q: Clone, F>(&self, request: Q, send: impl Fn(Q) -> F) -> F::Output
    where
        F: Future<Output = Result<Run, RunError>>,
    {
        let is_outage = |error: &RunError| error.is_transient() || error.is_unauthenticated();
        retry(self.retry_time, is_outage, request, send).await
    }
}

async fn retry<Q: Clone, F>(
    time: Duration,
    is_temporary: impl Fn(&RunError) -> bool,
    request: Q,
    send: impl Fn(Q) -> F,
) -> F::Output
where
    F: Future<Output = Result<Run, RunError>>,
{
    let began = Instant::now();
    let mut backoff = Backoff::new();
    loop {
        match send(request.clone()).await {
            Err(error) if is_temporary(&error) => {
                let pause = backoff.pause(&error);
                if began.elapsed() + pause >= time {
                    return Err(error);
                }
                sleep(pause).await;
            }
            answer => return answer,
        }
    }
}

/// Returns the attempt that reports name. None: the server counts none.
pub(crate) fn attempt_of(run: &Run) -> Option<i32> {
    Some(run.attempt).filter(|attempt| *attempt > 0)
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
