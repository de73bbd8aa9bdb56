//! A run that a background task executes. Its handler waits for the commands of the suite.

use std::time::Duration;

use runsvc_client::v1::{Progress, Run};
use runsvc_client::{ExecuteError, ExecuteOptions, Execution, RunClient, RunError};
use serde_json::{Value, json};
use tokio::sync::oneshot::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::{read, write};

type Outcome = Result<Option<Progress>, String>;

pub struct ExecutionTask {
    pub execution: Execution,
    /// Ends the handler.
    outcome: Sender<Outcome>,
    /// Resolves when the handler is stopped.
    stopped: Receiver<()>,
    /// Ends a stopped handler.
    final_usage: Sender<Option<Progress>>,
    result: JoinHandle<Result<Run, ExecuteError>>,
}

impl ExecutionTask {
    /// Starts the run, and waits until its handler runs.
    pub async fn start(client: &RunClient, command: &Value) -> Result<Self, RunError> {
        let lease = command["lease_ttl_ms"].as_u64().map(Duration::from_millis);
        let worker_id = read::optional(command, "worker_id");
        let fence = command["fence"].as_bool().unwrap_or_default();
        let options = ExecuteOptions { worker_id, lease, fence };
        let run_id = read::text(command, "run_id");
        let (start, started) = channel();
        let (outcome, finish) = channel::<Outcome>();
        let (stop, stopped) = channel();
        let (final_usage, usage) = channel();
        let handler = async move |execution: Execution| {
            let _ = start.send(execution.clone());
            tokio::select! {
                outcome = finish => outcome.expect("the suite ends the handler"),
                () = execution.stopped() => {
                    let _ = stop.send(());
                    Ok(usage.await.expect("the suite sends the final usage"))
                }
            }
        };
        let client = client.clone();
        let result = tokio::spawn(async move { client.execute(run_id, options, handler).await });
        match started.await {
            Ok(execution) => Ok(Self { execution, outcome, stopped, final_usage, result }),
            Err(_) => Err(call_error(result.await.expect("no panic").expect_err("not started"))),
        }
    }

    pub fn is_executing(&self) -> bool {
        !self.execution.is_stopped() && !self.result.is_finished()
    }

    /// Ends the handler, with the error of the command if there is one. Returns the run as reported.
    pub async fn finish(self, command: &Value) -> Result<Value, RunError> {
        let outcome = match read::optional(command, "error") {
            Some(text) => Err(text),
            None => Ok(read::progress(command)),
        };
        let _ = self.outcome.send(outcome);
        self.result.await.expect("no panic").map(write::only).map_err(call_error)
    }

    /// Waits until the handler is stopped. Returns the reason, and the run as acknowledged.
    pub async fn stopped(self, command: &Value) -> Result<Value, RunError> {
        let _ = self.stopped.await;
        let _ = self.final_usage.send(read::progress(command));
        match self.result.await.expect("no panic") {
            Ok(run) => {
                let mut answer = write::only(run);
                answer["why"] = "cancelled".into();
                Ok(answer)
            }
            Err(ExecuteError::Lost) => Ok(json!({"why": "lost"})),
            Err(error) => Err(call_error(error)),
        }
    }
}

fn call_error(error: ExecuteError) -> RunError {
    match error {
        ExecuteError::Call(error) => error,
        other => panic!("{other}"),
    }
}
