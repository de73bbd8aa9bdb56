use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::backoff::Backoff;
use crate::v1::{
    AcknowledgeCancelRequest, CompleteRequest, Progress, Run, RunStatus, SetStatusRequest,
};
use crate::{Kind, RunClient, RunError, Worker};

const OUTAGE: Duration = Duration::from_secs(60);
/// The longest error that the server takes, in bytes.
const LONGEST_ERROR: usize = 16 << 10;

/// A worker's reports of one run. They are idempotent, and repeated while there is no server and the lease lasts.
pub(crate) struct Reports<'a> {
    pub(crate) client: &'a RunClient,
    pub(crate) worker: &'a Worker,
    pub(crate) run_id: &'a str,
}

impl Reports<'_> {
    pub(crate) async fn start(&self) -> Result<Run, RunError> {
        let mut request = SetStatusRequest {
            run_id: self.run_id.into(),
            worker_id: self.worker.id.clone(),
            lease_ttl: self.worker.lease.and_then(|lease| lease.try_into().ok()),
            ..SetStatusRequest::default()
        };
        request.set_status(RunStatus::Running);
        self.repeated(request, |client: RunClient, request| async move {
            Ok(client.set_status(request).await?.run.unwrap_or_default())
        })
        .await
    }

    /// The end as the work saw it; a cancel that came with the report is acknowledged.
    pub(crate) async fn complete(
        &self,
        outcome: Result<Option<Progress>, String>,
    ) -> Result<Run, RunError> {
        let (status, progress, error) = match outcome {
            Ok(progress) => (RunStatus::Success, progress, None),
            Err(text) => (RunStatus::Error, None, Some(cut(text))),
        };
        let worker_id = self.worker.id.clone();
        let mut request = CompleteRequest {
            run_id: self.run_id.into(),
            progress,
            error,
            worker_id,
            ..CompleteRequest::default()
        };
        request.set_status(status);
        let progress = request.progress.clone();
        let send = |client: RunClient, request| async move {
            Ok(client.complete(request).await?.run.unwrap_or_default())
        };
        let answer = self.repeated(request, send).await;
        match answer {
            Err(refused)
                if refused.metadata().get("from").is_some_and(|from| from == "INTERRUPTED") =>
            {
                self.acknowledge(progress).await
            }
            answer => answer,
        }
    }

    /// That the work of a cancelled run has stopped.
    pub(crate) async fn acknowledge(&self, progress: Option<Progress>) -> Result<Run, RunError> {
        let worker_id = self.worker.id.clone();
        let request = AcknowledgeCancelRequest { run_id: self.run_id.into(), worker_id, progress };
        self.repeated(request, |client: RunClient, request| async move {
            Ok(client.acknowledge_cancel(request).await?.run.unwrap_or_default())
        })
        .await
    }

    async fn repeated<Q: Clone, F>(&self, request: Q, send: impl Fn(RunClient, Q) -> F) -> F::Output
    where
        F: Future<Output = Result<Run, RunError>>,
    {
        let patience = self.worker.lease.unwrap_or(OUTAGE);
        let began = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            match send(self.client.clone(), request.clone()).await {
                Err(failure)
                    if failure.kind() == Kind::Unavailable && began.elapsed() < patience =>
                {
                    sleep(backoff.pause(&failure)).await;
                }
                answer => return answer,
            }
        }
    }
}

/// What the server takes as a run's error: a report must not fail for the length of a text.
fn cut(mut text: String) -> String {
    let end = (0..=LONGEST_ERROR.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or_default());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_letters() {
        assert_eq!(cut("kaputt".into()), "kaputt");
        assert_eq!(cut(format!("x{}", "ü".repeat(10_000))).len(), LONGEST_ERROR - 1);
    }
}
