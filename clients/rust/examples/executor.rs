//! An executor of the assistant "echo": takes its PENDING runs and repeats their input word by word.
//!
//! After Ctrl-C it takes no more runs, finishes the runs in progress, reports them and exits.

use std::collections::HashSet;
use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use runsvc_client::prost_types::value::Kind;
use runsvc_client::v1::stream_status_request::Target;
use runsvc_client::v1::{AllRuns, Progress, Run, RunStatus, StreamStatusRequest};
use runsvc_client::{ExecuteOptions, Execution, RunClient, RunError};
use tokio::signal;
use tokio::task::JoinSet;
use tokio::time::sleep;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = RunClient::connect()?;
    println!("Waiting for runs; stop with Ctrl-C");

    let mut in_progress = JoinSet::new();
    let taken = take_runs(&client, &mut in_progress).await;
    println!("Finishing the runs in progress: {}", in_progress.len());
    while in_progress.join_next().await.is_some() {}
    taken
}

/// Starts a task for each PENDING run, until Ctrl-C or until the watch fails.
async fn take_runs(
    client: &RunClient,
    in_progress: &mut JoinSet<String>,
) -> Result<(), Box<dyn Error>> {
    let target = Target::All(AllRuns { assistant_id: Some("echo".into()) });
    let mut watch =
        client.watch(StreamStatusRequest { target: Some(target), ..Default::default() });
    let mut run_ids = HashSet::new();
    let mut interrupt = pin!(signal::ctrl_c());
    loop {
        tokio::select! {
            interrupted = &mut interrupt => return Ok(interrupted?),
            Some(Ok(run_id)) = in_progress.join_next() => {
                run_ids.remove(&run_id);
            }
            event = watch.next() => {
                let Some(event) = event? else { return Ok(()) };
                let run = event.run.unwrap_or_default();
                // A run in progress can still appear as PENDING in an older event.
                if run.status() == RunStatus::Pending && run_ids.insert(run.run_id.clone()) {
                    in_progress.spawn(execute(client.clone(), run.run_id));
                }
            }
        }
    }
}

/// Executes a run with a lease of 10 seconds. Returns its id.
async fn execute(client: RunClient, run_id: String) -> String {
    let options =
        ExecuteOptions { lease: Some(Duration::from_secs(10)), ..ExecuteOptions::default() };
    match client.execute(&run_id, options, echo).await {
        Ok(run) => println!("{run_id} {}", run.status().as_str_name()),
        // For example, another executor started the run first.
        Err(error) => println!("{run_id} {error}"),
    }
    run_id
}

/// The handler: reports one word more every half second, until the run is stopped.
async fn echo(execution: Execution) -> Result<Option<Progress>, RunError> {
    let input = input_of(execution.run());
    let words: Vec<_> = input.split_whitespace().collect();
    for (tokens, last) in (1..).zip(0..words.len()) {
        tokio::select! {
            () = execution.stopped() => return Ok(None),
            () = sleep(Duration::from_millis(500)) => {}
        }
        let progress = Progress {
            total_tokens: Some(tokens),
            last_ai_message: Some(words[..=last].join(" ")),
            ..Progress::default()
        };
        execution.report(progress).await?;
    }
    Ok(None)
}

fn input_of(run: &Run) -> &str {
    let input = run.kwargs.as_ref().and_then(|kwargs| kwargs.fields.get("input"));
    match input.and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => text,
        _ => "",
    }
}
