//! Creates a run of the assistant "echo" on the thread chat-1 and watches it until it ends. Ctrl-C cancels the run.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::pin::pin;

use runsvc_client::prost_types::Struct;
use runsvc_client::v1::{CreateOrRejectRequest, Run, RunSpec, StreamStatusRequest};
use runsvc_client::{Kind, RunClient, RunError};
use tokio::signal;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = RunClient::connect()?;
    let words: Vec<_> = env::args().skip(1).collect();
    match create(&client, words.join(" ")).await {
        Ok(run) => watch(&client, run.run_id).await,
        Err(error) if error.kind() == Kind::ThreadBusy => {
            println!("chat-1 is busy with run {}", error.metadata()["run_id"]);
            Ok(())
        }
        Err(error) if error.kind() == Kind::Unavailable => {
            Err("No runsvc server answers; start one with `make run`".into())
        }
        Err(error) => Err(error.into()),
    }
}

async fn create(client: &RunClient, input: String) -> Result<Run, RunError> {
    let kwargs = Struct { fields: BTreeMap::from([("input".into(), input.into())]) };
    let spec = RunSpec {
        thread_id: "chat-1".into(),
        assistant_id: Some("echo".into()),
        kwargs: Some(kwargs),
        ..RunSpec::default()
    };
    // With a request id the client can retry the creation: repeated requests return the same run.
    let request_id = format!("{:x}", fastrand::u128(..));
    let request = CreateOrRejectRequest { request_id, spec: Some(spec) };
    Ok(client.create_or_reject(request).await?.run.unwrap_or_default())
}

async fn watch(client: &RunClient, run_id: String) -> Result<(), Box<dyn Error>> {
    let request = StreamStatusRequest { include_progress: true, ..run_id.clone().into() };
    let mut watch = client.watch(request);
    let mut interrupt = pin!(signal::ctrl_c());
    let mut is_cancelled = false;
    loop {
        tokio::select! {
            _ = &mut interrupt, if !is_cancelled => {
                is_cancelled = true;
                client.cancel(&run_id).await?;
            }
            event = watch.next() => {
                let Some(event) = event? else { return Ok(()) };
                if let Some(run) = &event.run {
                    let progress = run.progress.clone().unwrap_or_default();
                    let (event, status) = (event.event().as_str_name(), run.status().as_str_name());
                    println!("{event} {status} {}", progress.last_ai_message());
                }
            }
        }
    }
}
