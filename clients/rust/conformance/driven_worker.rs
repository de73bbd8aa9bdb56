//! A worker whose handlers wait for the commands of the suite.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runsvc_client::v1::{Run, RunStatus};
use runsvc_client::{
    ExecuteError, Execution, Failure, Outcome, RunClient, RunError, Worker, WorkerHandle,
    WorkerOptions, WorkerState,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::execution_task::call_error;
use crate::{read, write};

type Ending = Result<Outcome, Failure>;
type End = Result<Run, ExecuteError>;

pub struct DrivenWorker {
    handle: WorkerHandle,
    stopped: Option<JoinHandle<Result<(), RunError>>>,
    /// The runs for which the handler was called.
    called: mpsc::UnboundedReceiver<Run>,
    calls: Arc<Mutex<HashMap<String, Call>>>,
}

/// A call of the handler.
struct Call {
    /// Ends the handler.
    ending: Option<oneshot::Sender<Ending>>,
    /// Receives the end of the run.
    ended: Option<oneshot::Sender<End>>,
    end: Option<oneshot::Receiver<End>>,
}

impl DrivenWorker {
    pub fn start(client: &RunClient, command: &Value) -> Self {
        let calls = Arc::<Mutex<HashMap<String, Call>>>::default();
        let (call, called) = mpsc::unbounded_channel();
        let worker = Worker::new(client.clone(), options(command, calls.clone()), {
            let calls = calls.clone();
            move |execution: Execution| {
                let (ending, finish) = oneshot::channel::<Ending>();
                let (ended, end) = oneshot::channel();
                let run = execution.run().clone();
                let entry = Call { ending: Some(ending), ended: Some(ended), end: Some(end) };
                calls.lock().unwrap().insert(run.run_id.clone(), entry);
                let _ = call.send(run);
                async move {
                    tokio::select! {
                        ending = finish => ending.expect("the suite ends the handler"),
                        () = execution.stopped() => Ok(Outcome::default()),
                    }
                }
            }
        });
        let handle = worker.handle();
        let stopped = Some(tokio::spawn(worker.run()));
        Self { handle, stopped, called, calls }
    }

    /// Waits for a call of the handler.
    pub async fn next(&mut self) -> Value {
        let run = self.called.recv().await.expect("the worker calls its handler");
        let attempt = run.attempt;
        let mut answer = write::only(run);
        answer["attempt"] = attempt.into();
        answer
    }

    /// Ends the handler of a run. Returns the run as reported.
    pub async fn finish(&self, command: &Value) -> Result<Value, RunError> {
        let ending = match read::optional(command, "error") {
            Some(text) if command["retryable"] == true => Err(Failure::retryable(text)),
            Some(text) => Err(text.into()),
            None => Ok(read::outcome(command)),
        };
        let (sender, end) = {
            let mut calls = self.calls.lock().unwrap();
            let call = calls.get_mut(&read::text(command, "run_id")).expect("a call for this run");
            (call.ending.take(), call.end.take())
        };
        let _ = sender.expect("the handler has not ended").send(ending);
        let end = end.expect("the first command that waits").await.expect("the end of the run");
        end.map(write::only).map_err(call_error)
    }

    /// Waits until the handler of a run was stopped and its end was reported.
    pub async fn stopped(&self, command: &Value) -> Result<Value, RunError> {
        let end = {
            let mut calls = self.calls.lock().unwrap();
            calls.get_mut(&read::text(command, "run_id")).and_then(|call| call.end.take())
        };
        match end.expect("the first command that waits").await.expect("the end of the run") {
            Ok(run) => {
                let is_cancelled = run.status() == RunStatus::Interrupted;
                let mut answer = write::only(run);
                answer["why"] = if is_cancelled { "cancelled" } else { "released" }.into();
                Ok(answer)
            }
            Err(ExecuteError::Lost) => Ok(json!({"why": "lost"})),
            Err(error) => Err(call_error(error)),
        }
    }

    /// Stops the worker, and waits for it.
    pub async fn stop(&mut self) -> Result<Value, RunError> {
        self.handle.stop();
        self.stopped.take().expect("a worker that runs").await.expect("no panic")?;
        Ok(json!({}))
    }

    pub fn health(&self) -> Value {
        let health = self.handle.health();
        let state = match health.state {
            WorkerState::Starting => "starting",
            WorkerState::Working => "working",
            WorkerState::Disconnected(_) => "disconnected",
            WorkerState::Draining => "draining",
            WorkerState::Stopped => "stopped",
            other => panic!("{other:?}"),
        };
        json!({"state": state, "running": health.running})
    }
}

fn options(command: &Value, calls: Arc<Mutex<HashMap<String, Call>>>) -> WorkerOptions {
    let mut options = WorkerOptions::default();
    let assistants = command["assistants"].as_array().into_iter().flatten();
    options.assistants = assistants.filter_map(Value::as_str).map(str::to_owned).collect();
    if let Some(worker_id) = read::optional(command, "worker_id") {
        options.worker_id = worker_id;
    }
    if let Some(concurrency) = command["concurrency"].as_u64() {
        options.concurrency = concurrency as usize;
    }
    if let Some(lease) = command["lease_ttl_ms"].as_u64() {
        options.lease = Duration::from_millis(lease);
    }
    if let Some(grace) = command["grace_ms"].as_u64() {
        options.grace = Duration::from_millis(grace);
    }
    options.on_end = Some(Arc::new(move |run, end| {
        let mut calls = calls.lock().unwrap();
        if let Some(ended) = calls.get_mut(&run.run_id).and_then(|call| call.ended.take()) {
            let _ = ended.send(end.clone());
        }
    }));
    options
}
