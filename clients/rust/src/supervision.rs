use std::time::Duration;

use tokio::sync::watch::Sender;
use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::execution::{Stop, stop};
use crate::v1::{HeartbeatRequest, Run, StatusEvent, StreamStatusRequest};
use crate::{RunClient, RunError, Worker};

/// What goes on beside the work: it hears of the run's end, and keeps its lease. It does not end by itself.
///
/// Only an answer that tells of the run stops the work. Without a server it goes on: such a time counts for no lease.
pub(crate) async fn supervise(
    client: &RunClient,
    worker: &Worker,
    run: &Run,
    tell: &Sender<Option<Stop>>,
) {
    tokio::join!(listen(client, run, tell), beat(client, worker, run, tell));
    std::future::pending().await
}

async fn listen(client: &RunClient, run: &Run, tell: &Sender<Option<Stop>>) {
    let mut request = StreamStatusRequest::from(run.run_id.clone());
    request.after_revision = Some(run.revision);
    let mut backoff = Backoff::new();
    while let Err(failure) = follow(client, request.clone(), tell).await {
        if failure.is_losing() {
            return stop(tell, Some(Stop::Lost));
        }
        sleep(backoff.pause(&failure)).await;
        // Whatever else ends a watch, a new one begins with the run's present state.
        request.after_revision = None;
    }
}

async fn follow(
    client: &RunClient,
    request: StreamStatusRequest,
    tell: &Sender<Option<Stop>>,
) -> Result<(), RunError> {
    let mut watch = client.watch(request).outage(Duration::MAX);
    while let Some(event) = watch.next().await? {
        if event.event() == StatusEvent::Deleted {
            stop(tell, Some(Stop::Lost));
        } else {
            stop(tell, event.run.as_ref().and_then(Stop::of));
        }
    }
    Ok(())
}

/// Sends heartbeats, also while nobody answers.
async fn beat(client: &RunClient, worker: &Worker, run: &Run, tell: &Sender<Option<Stop>>) {
    let (Some(lease), Some(worker_id)) = (worker.lease_of(run), &worker.id) else {
        return;
    };
    let interval = lease / 3;
    let client = client.with_timeout(interval.min(client.timeout()));
    let request = HeartbeatRequest { run_id: run.run_id.clone(), worker_id: worker_id.clone() };
    loop {
        sleep(interval).await;
        match client.heartbeat(request.clone()).await {
            Ok(run) => stop(tell, Stop::of(&run)),
            Err(failure) if failure.is_losing() => return stop(tell, Some(Stop::Lost)),
            Err(_) => {}
        }
    }
}
