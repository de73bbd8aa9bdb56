//! The driver for the conformance suite. clients/conformance/README.md describes its commands.

mod driven_worker;
mod execution_task;
mod failures;
mod read;
mod write;

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::time::Duration;
use std::{env, fs};

use driven_worker::DrivenWorker;
use execution_task::ExecutionTask;
use runsvc_client::{RunClient, RunError, Watch};
use serde_json::{Value, json};

struct Driver {
    client: RunClient,
    watches: HashMap<i64, Watch>,
    executions: HashMap<i64, ExecutionTask>,
    workers: HashMap<i64, DrivenWorker>,
}

/// Reads commands on this thread, while the other threads of the runtime serve the connection.
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The client connects to one address.
    let is_unsupported = env::var("RUNSVC_TARGET").is_ok_and(|target| target.contains(','));
    let mut client = match is_unsupported {
        true => RunClient::builder().target(None).build()?,
        false => RunClient::connect()?,
    };
    if let Ok(owner) = env::var("RUNSVC_TEST_OWNER") {
        client = client.for_owner(&owner);
    }
    let mut driver = Driver {
        client,
        watches: HashMap::new(),
        executions: HashMap::new(),
        workers: HashMap::new(),
    };
    for line in stdin().lock().lines() {
        let command: Value = serde_json::from_str(&line?)?;
        if command["cmd"] == "quit" {
            drop(driver);
            return print(&json!({"ok": {}}));
        }
        if is_unsupported {
            print(&json!({"unsupported": true}))?;
            continue;
        }
        print(&driver.answer(&command).await)?;
    }
    Ok(())
}

fn print(answer: &Value) -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    writeln!(out, "{answer}")?;
    Ok(out.flush()?)
}

impl Driver {
    async fn answer(&mut self, command: &Value) -> Value {
        let result = match command["cmd"].as_str().unwrap_or_default() {
            "hello" => Ok(json!({"language": "rust"})),
            "watch" => {
                self.watches.insert(number(command, "w"), watch(&self.client, command));
                Ok(json!({}))
            }
            "next" => self.next(number(command, "w")).await,
            "unwatch" => {
                self.watches.remove(&number(command, "w"));
                Ok(json!({}))
            }
            "watch_and_leave" => self.watch_and_leave(command).await,
            "work" => self.start_execution(command).await,
            "report" => {
                let progress = read::progress(command).unwrap_or_default();
                let applied = self.execution(command).execution.report(progress).await;
                applied.map(|applied| json!({"applied": applied}))
            }
            "executing" => Ok(json!({"executing": self.execution(command).is_executing()})),
            "finish" => self.take_execution(command).finish(command).await,
            "stopped" => self.take_execution(command).stopped(command).await,
            "execute_all" => Ok(failures::execute_all(&self.client, command).await),
            "worker" => {
                let worker = DrivenWorker::start(&self.client, command);
                self.workers.insert(number(command, "k"), worker);
                Ok(json!({}))
            }
            "worker_next" => Ok(self.worker(command).next().await),
            "worker_finish" => self.worker(command).finish(command).await,
            "worker_stopped" => self.worker(command).stopped(command).await,
            "worker_stop" => self.worker(command).stop().await,
            "worker_health" => Ok(self.worker(command).health()),
            "resources" => Ok(resources()),
            name => {
                let Some(result) = self.call(name, command).await else {
                    return json!({"unsupported": true});
                };
                result
            }
        };
        match result {
            Ok(ok) => json!({"ok": ok}),
            Err(failure) => json!({"error": write::error(&failure)}),
        }
    }

    /// Makes one call to the server. Returns None for an unknown command.
    async fn call(&self, name: &str, command: &Value) -> Option<Result<Value, RunError>> {
        let client = match command["timeout_ms"].as_u64() {
            Some(timeout) => self.client.with_timeout(Duration::from_millis(timeout)),
            None => self.client.clone(),
        };
        Some(match name {
            "create" => client.create(read::create(command)).await.map(|response| {
                json!({"run": write::optional(response.run), "replayed": response.replayed})
            }),
            "create_or_reject" => {
                client.create_or_reject(read::create_or_reject(command)).await.map(|response| {
                    let superseded = write::runs(response.superseded);
                    json!({
                        "run": write::optional(response.run),
                        "replayed": response.replayed,
                        "superseded": superseded,
                    })
                })
            }
            "get" => client.get(read::text(command, "run_id")).await.map(write::only),
            "list" => list(&client, command, usize::MAX).await,
            "list_first" => {
                list(&client, command, command["count"].as_u64().unwrap_or_default() as usize).await
            }
            "has_inflight" => {
                client.has_inflight(read::text(command, "thread_id")).await.map(|response| {
                    json!({"has_inflight": response.has_inflight, "run_ids": response.run_ids})
                })
            }
            "set_status" => client.set_status(read::set_status(command)).await.map(|response| {
                json!({"run": write::optional(response.run), "changed": response.changed})
            }),
            "complete" => client.complete(read::complete(command)).await.map(|response| {
                json!({"run": write::optional(response.run), "changed": response.changed})
            }),
            "update_progress" => {
                client.update_progress(read::update_progress(command)).await.map(|response| {
                    json!({"run": write::optional(response.run), "applied": response.applied})
                })
            }
            "update_model_name" => {
                client.update_model_name(read::update_model_name(command)).await.map(write::only)
            }
            "update_metadata" => {
                client.update_metadata(read::update_metadata(command)).await.map(|response| {
                    json!({"run": write::optional(response.run), "changed": response.changed})
                })
            }
            "heartbeat" => client.heartbeat(read::heartbeat(command)).await.map(write::only),
            "cancel" => client.cancel(read::cancel(command)).await.map(write::cancelled),
            "acknowledge_cancel" => {
                client.acknowledge_cancel(read::acknowledge_cancel(command)).await.map(|response| {
                    json!({"run": write::optional(response.run), "changed": response.changed})
                })
            }
            _ => return None,
        })
    }

    async fn next(&mut self, name: i64) -> Result<Value, RunError> {
        let watch = self.watches.get_mut(&name).expect("no such watch");
        let event = watch.next().await?;
        Ok(event.map_or(json!({"end": true}), write::event))
    }

    async fn start_execution(&mut self, command: &Value) -> Result<Value, RunError> {
        let task = ExecutionTask::start(&self.client, command).await?;
        let run = write::only(task.execution.run().clone());
        self.executions.insert(number(command, "k"), task);
        Ok(run)
    }

    fn execution(&self, command: &Value) -> &ExecutionTask {
        &self.executions[&number(command, "k")]
    }

    fn worker(&mut self, command: &Value) -> &mut DrivenWorker {
        self.workers.get_mut(&number(command, "k")).expect("a worker of this number")
    }

    fn take_execution(&mut self, command: &Value) -> ExecutionTask {
        self.executions.remove(&number(command, "k")).expect("an execution of this number")
    }

    async fn watch_and_leave(&self, command: &Value) -> Result<Value, RunError> {
        for _ in 0..number(command, "rounds") {
            watch(&self.client, command).next().await?;
        }
        Ok(json!({}))
    }
}

fn number(command: &Value, name: &str) -> i64 {
    command[name].as_i64().expect("a number")
}

fn watch(client: &RunClient, command: &Value) -> Watch {
    let watch = client.watch(read::watch(command));
    match command["outage_ms"].as_u64() {
        Some(outage) => watch.outage(Duration::from_millis(outage)),
        None => watch,
    }
}

async fn list(client: &RunClient, command: &Value, limit: usize) -> Result<Value, RunError> {
    let mut pages = client.list_by_thread(read::list(command));
    let mut runs = Vec::new();
    while runs.len() < limit {
        let Some(run) = pages.next().await? else {
            break;
        };
        runs.push(run);
    }
    Ok(json!({"runs": write::runs(runs)}))
}

fn resources() -> Value {
    let count = |folder| fs::read_dir(folder).map(Iterator::count).unwrap_or_default();
    json!({
        "tasks": tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        "threads": count("/proc/self/task"),
        "handles": count("/proc/self/fd"),
    })
}
