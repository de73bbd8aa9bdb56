//! Starts a run on a thread, chat-1 or the one named, and watches it until it has ended.

use std::env;
use std::error::Error;

use runsvc_client::v1::{CreateOrRejectRequest, Run, RunSpec};
use runsvc_client::{Kind, RunClient, RunError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let runs = RunClient::connect()?;
    let thread = env::args().nth(1).unwrap_or("chat-1".into());
    let run = start(&runs, &thread).await?;
    println!("Cancel it to end this, in runsvc's folder: .venv/bin/runsvc cancel {}", run.run_id);
    let mut watch = runs.watch(run.run_id);
    while let Some(event) = watch.next().await? {
        let status = event.run.as_ref().map(Run::status);
        println!("{} {status:?}", event.event().as_str_name());
    }
    Ok(())
}

async fn start(runs: &RunClient, thread: &str) -> Result<Run, RunError> {
    let spec = RunSpec { thread_id: thread.into(), ..RunSpec::default() };
    // With a request_id the client may try again: it is one run, however often it is asked for.
    let request_id = format!("{:x}", fastrand::u128(..));
    match runs.create_or_reject(CreateOrRejectRequest { request_id, spec: Some(spec) }).await {
        Ok(response) => Ok(response.run.unwrap_or_default()),
        Err(busy) if busy.kind() == Kind::ThreadBusy => {
            println!("{thread} is busy; here is the run in the way");
            runs.get(&busy.metadata()["run_id"]).await
        }
        Err(failure) => Err(failure),
    }
}
