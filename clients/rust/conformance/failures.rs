//! Executions at the same time, whose handlers end in every way that the language has.

use std::fmt;
use std::panic::panic_any;
use std::time::Duration;

use runsvc_client::v1::Progress;
use runsvc_client::{ExecuteOptions, Execution, RunClient};
use serde_json::{Value, json};

/// An error whose text is written by a function, which may fail.
struct Failure(fn(&mut fmt::Formatter<'_>) -> fmt::Result);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0(f)
    }
}

type End = fn() -> Result<Option<Progress>, Failure>;

const ENDS: [End; 14] = [
    || Ok(None),
    || Ok(Some(Progress { total_tokens: Some(1), ..Default::default() })),
    || Ok(Some(Progress { total_tokens: Some(-1), ..Default::default() })),
    || Ok(Some(Progress { last_ai_message: Some("long".repeat(2_000_000)), ..Default::default() })),
    || Err(Failure(|f| f.write_str("the work failed"))),
    || Err(Failure(|_| Ok(()))),
    || Err(Failure(|_| Err(fmt::Error))),
    || Err(Failure(|_| panic!("no text"))),
    || Err(Failure(|f| f.write_str(&"long".repeat(100_000)))),
    || Err(Failure(|f| f.write_str("\0"))),
    || panic!("the work failed"),
    || panic!("{}", "long".repeat(100_000)),
    || panic_any(42),
    || panic_any(Failure(|_| panic!("no text"))),
];

/// Executes the runs of a command. Returns once all executions have returned.
pub async fn execute_all(client: &RunClient, command: &Value) -> Value {
    let milliseconds =
        |name: &str| Duration::from_millis(command[name].as_u64().expect("milliseconds"));
    let (lease, work) = (milliseconds("lease_ttl_ms"), milliseconds("work_ms"));
    let first = command["first"].as_u64().expect("a number") as usize;
    let run_ids = command["run_ids"].as_array().expect("a list");
    let executions: Vec<_> = run_ids
        .iter()
        .enumerate()
        .map(|(number, run_id)| {
            let client = client.clone();
            let run_id = run_id.as_str().expect("an id").to_owned();
            let end = ENDS[(first + number) % ENDS.len()];
            let options = ExecuteOptions { lease: Some(lease), ..Default::default() };
            let handler = async move |execution: Execution| {
                tokio::select! {
                    () = tokio::time::sleep(work) => {}
                    () = execution.stopped() => {}
                }
                end()
            };
            tokio::spawn(async move { client.execute(run_id, options, handler).await })
        })
        .collect();
    for execution in executions {
        // It may have failed or panicked. The suite reads the run from the server.
        let _ = execution.await;
    }
    json!({})
}
