//! A run that a background task executes. Its handler waits for the commands of the suite.

use std::fmt;
use std::time::Duration;

use runsvc_client::v1::Run;
use runsvc_client::{ExecuteError, ExecuteOptions, Execution, Outcome, RunClient, RunError};
use serde_json::{Value, json};
use tokio::sync::oneshot::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::{read, write};

type Ending = Result<Outcome, Failure>;

/// The failure of a handler.
enum Failure {
    Text(String),
    /// An error whose text cannot be read.
    NoText,
    /// A panic of the handler.
    Panic,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::NoText | Self::Panic => panic!("this error has no text"),
        }
    }
}

pub struct ExecutionTask {
    pub execution: Execution,
    /// Ends the handler.
    ending: Sender<Ending>,
    /// Resolves when the handler is stopped.
    stopped: Receiver<()>,
    /// Ends a stopped handler.
    final_outcome: Sender<Outcome>,
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
        let (ending, finish) = channel::<Ending>();
        let (stop, stopped) = channel();
        let (final_outcome, last) = channel();
        let handler = async move |execution: Execution| {
            let _ = start.send(execution.clone());
            tokio::select! {
                ending = finish => match ending.expect("the suite ends the handler") {
                    Err(Failure::Panic) => panic!("the handler panicked"),
                    ending => ending,
                },
                () = execution.stopped() => {
                    let _ = stop.send(());
                    Ok(last.await.expect("the suite sends the final usage"))
                }
            }
        };
        let client = client.clone();
        let result = tokio::spawn(async move { client.execute(run_id, options, handler).await });
        match started.await {
            Ok(execution) => Ok(Self { execution, ending, stopped, final_outcome, result }),
            Err(_) => Err(call_error(result.await.expect("no panic").expect_err("not started"))),
        }
    }

    pub fn is_executing(&self) -> bool {
        !self.execution.is_stopped() && !self.result.is_finished()
    }

    /// Ends the handler, with the error of the command if there is one. Returns the run as reported.
    pub async fn finish(self, command: &Value) -> Result<Value, RunError> {
        let outcome = read::outcome(command);
        let throws = read::optional(command, "throws");
        let panics = throws.as_deref() == Some("panic");
        let failure = match throws {
            Some(_) if panics => Some(Failure::Panic),
            Some(_) => Some(Failure::NoText),
            None => read::optional(command, "error").map(Failure::Text),
        };
        if let Some(reason) = &outcome.stop_reason {
            self.execution.set_stop_reason(reason);
        }
        let _ = self.ending.send(failure.map_or(Ok(outcome), Err));
        if panics {
            self.result.await.expect_err("a panic");
            return Ok(json!({}));
        }
        let mut run = self.result.await.expect("no panic").map_err(call_error)?;
        if !command["throws"].is_null() {
            // The text names the type, which differs by language.
            run.error = None;
        }
        Ok(write::only(run))
    }

    /// Waits until the handler is stopped. Returns the reason, and the run as acknowledged.
    pub async fn stopped(self, command: &Value) -> Result<Value, RunError> {
        let _ = self.stopped.await;
        let _ = self.final_outcome.send(read::outcome(command));
        match self.result.await.expect("no panic") {
            Ok(run) => {
                let mut answer = write::only(run);
                answer["why"] = "cancelled".into();
                Ok(answer)
            }
            Err(ExecuteError::Fenced(run)) => {
                let mut answer = write::only(Run { error: None, ..*run });
                answer["why"] = "fenced".into();
                Ok(answer)
            }
            Err(ExecuteError::Lost) => Ok(json!({"why": "lost"})),
            Err(error) => Err(call_error(error)),
        }
    }
}

pub fn call_error(error: ExecuteError) -> RunError {
    match error {
        ExecuteError::Call(error) => error,
        other => panic!("{other}"),
    }
}
