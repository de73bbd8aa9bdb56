//! A worker of the assistant "echo": claims its runs, four at a time, and returns their input as the result.
//!
//! After Ctrl-C or SIGTERM it claims no more runs, and lets those in progress finish for 30 seconds. After a second one it
//! gives them back.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use runsvc_client::prost_types::Struct;
use runsvc_client::{Execution, Failure, Outcome, RunClient, Worker, WorkerOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = WorkerOptions {
        assistants: vec!["echo".into()],
        concurrency: 4,
        on_end: Some(Arc::new(|run, end| match end {
            Ok(run) => println!("{} {}", run.run_id, run.status().as_str_name()),
            Err(error) => println!("{} {error}", run.run_id),
        })),
        ..WorkerOptions::default()
    };
    let worker = Worker::new(RunClient::connect()?, options, echo);
    let handle = worker.handle();
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        for grace in [Duration::from_secs(30), Duration::ZERO] {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
            }
            println!("Finishing the runs in progress: {}", handle.health().running);
            handle.stop_within(grace);
        }
    });
    println!("Waiting for runs; stop with Ctrl-C");
    Ok(worker.run().await?)
}

/// The handler. Another attempt at a run without input cannot succeed; one at a run that was stopped can.
async fn echo(execution: Execution) -> Result<Outcome, Failure> {
    let kwargs = execution.run().kwargs.clone().unwrap_or_default();
    let input = kwargs.fields.get("input").cloned().ok_or("the run has no input")?;
    tokio::select! {
        () = sleep(Duration::from_secs(1)) => {}
        () = execution.stopped() => return Err(Failure::retryable("the run was stopped")),
    }
    Ok(Struct { fields: [("output".into(), input)].into() }.into())
}
