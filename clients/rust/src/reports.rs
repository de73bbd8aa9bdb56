use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::backoff::Backoff;
use crate::execution::Stop;
use crate::v1::{
    AcknowledgeCancelRequest, CompleteRequest, Progress, Run, RunStatus, SetStatusRequest,
    UpdateProgressRequest,
};
use crate::{RunClient, RunError, WorkError, Worker};

/// How long reports of the end are repeated at least.
const OUTAGE: Duration = Duration::from_secs(60);
/// The longest error that the server takes, in bytes.
const LONGEST_ERROR: usize = 16 << 10;

/// A worker's reports of one run. They are idempotent, and repeated while trouble passes and patience lasts.
pub(crate) struct Reports<'a> {
    pub(crate) client: &'a RunClient,
    pub(crate) worker: &'a Worker,
    pub(crate) run_id: &'a str,
    pub(crate) patience: Duration,
}

impl<'a> Reports<'a> {
    /// Of this client. The start is repeated for as long as a call may take.
    pub(crate) fn new(client: &'a RunClient, worker: &'a Worker, run_id: &'a str) -> Self {
        Self { client, worker, run_id, patience: client.timeout() }
    }

    /// The same of the end, which is worth more: for as long as the lease, but at least a minute.
    pub(crate) fn patient(self, run: &Run) -> Self {
        Self { patience: OUTAGE.max(self.worker.lease_of(run).unwrap_or_default()), ..self }
    }

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

    /// The end, in the way that what stopped the work asks for.
    pub(crate) async fn finish(
        &self,
        why: Option<Stop>,
        usage: Option<Progress>,
        error: Option<String>,
    ) -> Result<Run, WorkError> {
        let answer = match why {
            Some(Stop::Lost) => Err(WorkError::Lost),
            Some(Stop::Cancelled) => Ok(self.acknowledge(usage.clone()).await),
            None => Ok(self.complete(usage.clone(), error).await),
        };
        match answer {
            Ok(Ok(run)) => Ok(run),
            Ok(Err(failure)) if !failure.is_losing() => Err(failure.into()),
            _ => {
                self.leave(usage).await;
                Err(WorkError::Lost)
            }
        }
    }

    /// Says once what a lost run cost. Whose it is now, its usage is too: that this is refused is no news.
    async fn leave(&self, usage: Option<Progress>) {
        if usage.is_some() {
            let request = UpdateProgressRequest {
                run_id: self.run_id.into(),
                progress: usage,
                r#final: true,
                worker_id: self.worker.id.clone(),
                ..UpdateProgressRequest::default()
            };
            let _ = self.client.update_progress(request).await;
        }
    }

    /// The end as the work saw it; a cancel that came with the report is acknowledged.
    async fn complete(
        &self,
        progress: Option<Progress>,
        error: Option<String>,
    ) -> Result<Run, RunError> {
        let status = if error.is_none() { RunStatus::Success } else { RunStatus::Error };
        let mut request = CompleteRequest {
            run_id: self.run_id.into(),
            progress: progress.clone(),
            error: error.map(cut),
            worker_id: self.worker.id.clone(),
            ..CompleteRequest::default()
        };
        request.set_status(status);
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
    async fn acknowledge(&self, progress: Option<Progress>) -> Result<Run, RunError> {
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
        let began = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            match send(self.client.clone(), request.clone()).await {
                Err(failure) if failure.is_passing() => {
                    let pause = backoff.pause(&failure);
                    if began.elapsed() + pause >= self.patience {
                        return Err(failure);
                    }
                    sleep(pause).await;
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
    use std::cell::Cell;

    use tonic::{Code, Status};

    use super::*;

    /// What becomes of a report that fails with this code that often, how often it was sent and for how long.
    async fn sent(
        code: Code,
        failures: u32,
        lease: Option<Duration>,
    ) -> (Result<Run, Code>, u32, Duration) {
        let client = RunClient::connect().unwrap();
        let worker = Worker { id: None, lease };
        let reports = Reports::new(&client, &worker, "r").patient(&Run::default());
        let (sent, began) = (Cell::new(0), Instant::now());
        let send = |_client, ()| {
            sent.set(sent.get() + 1);
            let is_taken = sent.get() > failures;
            async move { if is_taken { Ok(Run::default()) } else { Err(Status::new(code, "").into()) } }
        };
        let answer = reports.repeated((), send).await;
        (answer.map_err(|failure| failure.code()), sent.get(), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_is_repeated_until_it_is_answered() {
        use Code::{DeadlineExceeded, FailedPrecondition, Internal, InvalidArgument, NotFound};
        use Code::{ResourceExhausted, Unauthenticated, Unavailable, Unknown};
        for code in [Unavailable, DeadlineExceeded, ResourceExhausted, Unknown, Internal] {
            let (answer, times, _) = sent(code, 9, None).await;
            assert_eq!((answer, times), (Ok(Run::default()), 10));
        }
        for code in [NotFound, FailedPrecondition, InvalidArgument, Unauthenticated] {
            let (answer, times, _) = sent(code, 9, None).await;
            assert_eq!((answer, times), (Err(code), 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn patience_is_the_lease_and_at_least_a_minute() {
        for (lease, longest) in [(None, 60), (Some(9), 60), (Some(600), 600)] {
            let lease = lease.map(Duration::from_secs);
            let (answer, _, lasted) = sent(Code::Unavailable, u32::MAX, lease).await;
            assert_eq!(answer, Err(Code::Unavailable));
            let longest = Duration::from_secs(longest);
            assert!(longest - Duration::from_secs(2) <= lasted && lasted < longest);
        }
    }

    #[test]
    fn a_text_is_cut_between_letters() {
        assert_eq!(cut("kaputt".into()), "kaputt");
        assert_eq!(cut(format!("x{}", "ü".repeat(10_000))).len(), LONGEST_ERROR - 1);
    }
}
