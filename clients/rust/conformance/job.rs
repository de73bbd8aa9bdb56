//! A run that is executed by a task of its own, whose function waits for the suite.

use std::time::Duration;

use runsvc_client::v1::{Progress, Run};
use runsvc_client::{Execution, RunClient, RunError, WorkError, Worker};
use serde_json::{Value, json};
use tokio::sync::oneshot::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::{read, write};

type Outcome = Result<Option<Progress>, String>;

pub struct Job {
    pub execution: Execution,
    ending: Sender<Outcome>,
    told: Receiver<()>,
    usage: Sender<Option<Progress>>,
    reported: JoinHandle<Result<Run, WorkError>>,
}

impl Job {
    pub async fn started(client: &RunClient, command: &Value) -> Result<Self, RunError> {
        let lease = command["lease_ttl_ms"].as_u64().map(Duration::from_millis);
        let worker = Worker { id: read::optional(command, "worker_id"), lease };
        let run_id = read::text(command, "run_id");
        let (begin, begun) = channel();
        let (ending, end) = channel::<Outcome>();
        let (tell, told) = channel();
        let (usage, last) = channel();
        let work = async move |execution: Execution| {
            let _ = begin.send(execution.clone());
            tokio::select! {
                outcome = end => outcome.expect("the suite ends it"),
                () = execution.stopped() => {
                    let _ = tell.send(());
                    Ok(last.await.expect("the suite tells it"))
                }
            }
        };
        let client = client.clone();
        let reported = tokio::spawn(async move { client.work(run_id, worker, work).await });
        match begun.await {
            Ok(execution) => Ok(Self { execution, ending, told, usage, reported }),
            Err(_) => Err(failure(reported.await.expect("no panic").expect_err("not begun"))),
        }
    }

    pub fn is_executing(&self) -> bool {
        !self.execution.is_stopped() && !self.reported.is_finished()
    }

    /// The function returns, or fails with the text; the run is as after the report.
    pub async fn finished(self, command: &Value) -> Result<Value, RunError> {
        let outcome = match read::optional(command, "error") {
            Some(text) => Err(text),
            None => Ok(read::progress(command)),
        };
        let _ = self.ending.send(outcome);
        self.reported.await.expect("no panic").map(write::only).map_err(failure)
    }

    /// Why the function was told to stop, and the run as acknowledged.
    pub async fn stopped(self, command: &Value) -> Result<Value, RunError> {
        let _ = self.told.await;
        let _ = self.usage.send(read::progress(command));
        match self.reported.await.expect("no panic") {
            Ok(run) => {
                let mut told = write::only(run);
                told["why"] = "cancelled".into();
                Ok(told)
            }
            Err(WorkError::Lost) => Ok(json!({"why": "lost"})),
            Err(error) => Err(failure(error)),
        }
    }
}

fn failure(error: WorkError) -> RunError {
    match error {
        WorkError::Call(error) => error,
        other => panic!("{other}"),
    }
}
