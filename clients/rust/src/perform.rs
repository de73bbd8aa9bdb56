//! The work of a run that is started: its handler, its supervision, and the report of the end.

use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::execution::StopReason;
use crate::outcome::End;
use crate::panics;
use crate::reports::Reports;
use crate::supervision::supervise;
use crate::v1::Run;
use crate::{ExecuteError, ExecuteOptions, Execution, Failure, Outcome, RunClient};

/// A run that this executor has started.
pub(crate) struct Started<'a> {
    pub(crate) client: &'a RunClient,
    pub(crate) options: &'a ExecuteOptions,
    pub(crate) run: &'a Run,
    /// A time before the start was reported, from which the lease counts.
    pub(crate) began: Instant,
    /// Stops the handler.
    pub(crate) stop: Arc<watch::Sender<Option<StopReason>>>,
}

impl Started<'_> {
    /// Calls the handler, and reports the end.
    ///
    /// `has_kwargs`: the run has its kwargs, so that they need not be read.
    pub(crate) async fn perform<F, O, E>(
        self,
        has_kwargs: bool,
        handler: impl FnOnce(Execution) -> F,
    ) -> Result<Run, ExecuteError>
    where
        F: Future<Output = Result<O, E>>,
        O: Into<Outcome>,
        E: Into<Failure>,
    {
        let Self { client, options, run, began, stop } = self;
        let reports = Reports::of_the_end(client, options, run);
        tokio::select! {
            run = handle(&reports, has_kwargs, &stop, handler) => run,
            () = supervise(client, options, run, &stop, began) => unreachable!("supervision never ends"),
        }
    }
}

async fn handle<F, O, E>(
    reports: &Reports<'_>,
    has_kwargs: bool,
    stop: &Arc<watch::Sender<Option<StopReason>>>,
    handler: impl FnOnce(Execution) -> F,
) -> Result<Run, ExecuteError>
where
    F: Future<Output = Result<O, E>>,
    O: Into<Outcome>,
    E: Into<Failure>,
{
    let run = match if has_kwargs { Ok(reports.run.clone()) } else { reports.with_kwargs().await } {
        Ok(run) => run,
        Err(error) => {
            let reason = *stop.borrow();
            return reports.finish_unread(reason, error).await;
        }
    };
    let kwargs = run.kwargs.clone();
    let worker_id = reports.options.worker_id.clone();
    let execution = Execution::new(reports.client.clone(), worker_id, run, stop);
    let ended = panics::catch(async { handler(execution.clone()).await }).await;
    let reason = *stop.borrow();
    let (outcome, failure, panic) = match ended {
        Ok(Ok(outcome)) => (outcome.into(), None, None),
        Ok(Err(error)) => (Outcome::default(), Some(error.into()), None),
        Err(panic) => {
            let failure = Failure { text: panics::panic_text(&*panic), is_retryable: false };
            (Outcome::default(), Some(failure), Some(panic))
        }
    };
    let end = End { outcome: execution.complete(outcome), failure };
    let answer = reports.finish(reason, end).await;
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
    answer.map(|run| Run { kwargs, ..run })
}
