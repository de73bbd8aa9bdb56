use std::time::Duration;

use tokio::sync::watch::{Receiver, Sender};
use tokio::time::{Instant, sleep, sleep_until};

use crate::backoff::Backoff;
use crate::execution::{StopReason, stop_handler};
use crate::reports::attempt_of;
use crate::v1::{HeartbeatRequest, Run, StatusEvent, StreamStatusRequest};
use crate::{ExecuteOptions, RunClient, RunError};

/// Watches the run and renews its lease while the handler runs. Never returns.
///
/// `began`: the time before the start was reported, from which the lease counts.
///
/// Only an answer about the run stops the handler. Without a server the handler keeps running, because an outage does
/// not count towards the lease.
pub(crate) async fn supervise(
    client: &RunClient,
    options: &ExecuteOptions,
    run: &Run,
    stop: &Sender<Option<StopReason>>,
    began: Instant,
) {
    let renewed = Sender::new(began);
    tokio::join!(
        watch_run(client, run, stop),
        send_heartbeats(client, options, run, stop, &renewed),
        enforce_fence(options, run, stop, renewed.subscribe()),
    );
    std::future::pending().await
}

async fn watch_run(client: &RunClient, run: &Run, stop: &Sender<Option<StopReason>>) {
    let mut request = StreamStatusRequest::from(run.run_id.clone());
    request.after_revision = Some(run.revision);
    let mut backoff = Backoff::new();
    while let Err(error) = watch_until_end(client, request.clone(), run, stop).await {
        if error.is_refusal() {
            return stop_handler(stop, Some(StopReason::Lost));
        }
        sleep(backoff.pause(&error)).await;
        // Any other error, such as a compacted revision, is repaired by a new watch with a snapshot.
        request.after_revision = None;
    }
}

async fn watch_until_end(
    client: &RunClient,
    request: StreamStatusRequest,
    started: &Run,
    stop: &Sender<Option<StopReason>>,
) -> Result<(), RunError> {
    let mut watch = client.watch(request).outage(Duration::MAX);
    while let Some(event) = watch.next().await? {
        if event.event() == StatusEvent::Deleted {
            stop_handler(stop, Some(StopReason::Lost));
        } else {
            stop_handler(stop, event.run.as_ref().and_then(|run| StopReason::of(run, started)));
        }
    }
    Ok(())
}

/// Sends a heartbeat every third of the lease, during an outage too, and after a failed one earlier.
async fn send_heartbeats(
    client: &RunClient,
    options: &ExecuteOptions,
    run: &Run,
    stop: &Sender<Option<StopReason>>,
    renewed: &Sender<Instant>,
) {
    let (Some(lease), Some(worker_id)) = (options.lease_of(run), &options.worker_id) else {
        return;
    };
    let interval = lease / 3;
    let client = client.with_timeout(interval.min(client.timeout()));
    let request = HeartbeatRequest {
        run_id: run.run_id.clone(),
        worker_id: worker_id.clone(),
        attempt: attempt_of(run),
    };
    let (mut pause, mut backoff) = (interval, Backoff::new());
    loop {
        sleep(pause).await;
        let sent = Instant::now();
        match client.heartbeat(request.clone()).await {
            Ok(present) => {
                renewed.send_replace(sent);
                stop_handler(stop, StopReason::of(&present, run));
                (pause, backoff) = (interval, Backoff::new());
            }
            Err(error) if error.is_refusal() => {
                return stop_handler(stop, Some(StopReason::Lost));
            }
            Err(error) => pause = backoff.pause(&error).min(interval),
        }
    }
}

/// Stops the handler when the lease, counted from the last confirmed renewal, may be over.
async fn enforce_fence(
    options: &ExecuteOptions,
    run: &Run,
    stop: &Sender<Option<StopReason>>,
    mut renewed: Receiver<Instant>,
) {
    let Some(lease) = options.lease_of(run).filter(|_| options.fence) else { return };
    loop {
        let end = *renewed.borrow_and_update() + lease;
        tokio::select! {
            () = sleep_until(end) => return stop_handler(stop, Some(StopReason::Fenced)),
            Ok(()) = renewed.changed() => {}
        }
    }
}
