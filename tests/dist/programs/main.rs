//! Create a run, execute it with a lease, and print how it ended.

use std::{error::Error, time::Duration};

use runsvc_client::{
    RunClient,
    v1::{CompleteRequest, HeartbeatRequest, RunSpec, RunStatus, SetStatusRequest},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = RunClient::connect()?;
    let worker_id = "rust-executor".to_owned();
    let spec = RunSpec { thread_id: "rust".into(), ..Default::default() };
    let run_id = client.create(spec).await?.run.unwrap_or_default().run_id;

    let start = SetStatusRequest {
        run_id: run_id.clone(),
        status: RunStatus::Running.into(),
        worker_id: Some(worker_id.clone()),
        lease_ttl: Some(Duration::from_secs(30).try_into()?),
        ..Default::default()
    };
    client.set_status(start).await?;
    client
        .heartbeat(HeartbeatRequest {
            run_id: run_id.clone(),
            worker_id: worker_id.clone(),
            ..Default::default()
        })
        .await?;
    let end = CompleteRequest {
        run_id: run_id.clone(),
        status: RunStatus::Success.into(),
        worker_id: Some(worker_id),
        ..Default::default()
    };
    client.complete(end).await?;

    let run = client.get(run_id).await?;
    println!("{} {}", run.run_id, run.status().as_str_name().trim_start_matches("RUN_STATUS_"));
    Ok(())
}
