use std::time::Duration;

use tokio::sync::watch::Sender;
use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::execution::Stop;
use crate::v1::{HeartbeatRequest, Run, StatusEvent, StreamStatusRequest};
use crate::{Kind, RunClient, Worker};

/// What goes on beside the work: it hears of the run's end, and keeps its lease. It does not end by itself.
pub(crate) async fn supervise(
    client: &RunClient,
    worker: &Worker,
    run: &Run,
    tell: &Sender<Option<Stop>>,
) {
    tokio::join!(listen(client, run, tell), beat(client, worker, run, tell));
    std::future::pending().await
}

fn stop(tell: &Sender<Option<Stop>>, why: Option<Stop>) {
    tell.send_if_modified(|told| {
        let is_news = told.is_none() && why.is_some();
        *told = told.or(why);
        is_news
    });
}

async fn listen(client: &RunClient, run: &Run, tell: &Sender<Option<Stop>>) {
    let mut request = StreamStatusRequest::from(run.run_id.clone());
    request.after_revision = Some(run.revision);
    loop {
        // Without a server the work goes on: that is for the lease to judge.
        let mut watch = client.watch(request.clone()).outage(Duration::MAX);
        let failure = loop {
            match watch.next().await {
                Ok(Some(event)) if event.event() == StatusEvent::Deleted => {
                    stop(tell, Some(Stop::Lost))
                }
                Ok(Some(event)) => stop(tell, event.run.as_ref().and_then(Stop::of)),
                Ok(None) => return,
                Err(failure) => break failure,
            }
        };
        if failure.code() != Code::OutOfRange || request.after_revision.is_none() {
            return stop(tell, Some(Stop::Lost));
        }
        // The log does not reach back that far any more: the run's present state tells as well.
        request.after_revision = None;
    }
}

/// Sends heartbeats, and stops the work when the lease has run out without an answer.
async fn beat(client: &RunClient, worker: &Worker, run: &Run, tell: &Sender<Option<Stop>>) {
    let (Some(lease), Some(worker_id)) = (worker.lease, &worker.id) else {
        return;
    };
    let client = client.with_timeout(lease / 3);
    let request = HeartbeatRequest { run_id: run.run_id.clone(), worker_id: worker_id.clone() };
    let mut renewed = Instant::now();
    loop {
        sleep(lease / 3).await;
        let sent = Instant::now();
        match client.heartbeat(request.clone()).await {
            Ok(run) => {
                renewed = sent;
                stop(tell, Stop::of(&run));
            }
            Err(failure) => {
                let is_refused =
                    matches!(failure.kind(), Kind::NotFound | Kind::FailedPrecondition);
                if is_refused || renewed.elapsed() > lease {
                    stop(tell, Some(Stop::Lost));
                }
            }
        }
    }
}
