use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures_util::stream::iter;

use super::*;
use crate::v1::Cancellation;

type Event = Result<StreamStatusResponse, Status>;

/// A server that plays one list of events for each connection, the last one again and again.
#[derive(Clone, Default)]
struct Script {
    streams: Arc<Mutex<VecDeque<Vec<Event>>>>,
    asked: Arc<Mutex<Vec<StreamStatusRequest>>>,
}

impl Script {
    fn of<const N: usize>(streams: [Vec<Event>; N]) -> Self {
        Self { streams: Arc::new(Mutex::new(streams.into())), ..Self::default() }
    }

    fn watch(&self, request: StreamStatusRequest) -> Watch {
        let script = self.clone();
        let open = move |request| {
            script.asked.lock().unwrap().push(request);
            let mut streams = script.streams.lock().unwrap();
            let events =
                if streams.len() > 1 { streams.pop_front() } else { streams.front().cloned() };
            Box::pin(async move { Ok(iter(events.unwrap_or_default()).boxed()) }) as _
        };
        Watch::new(request, Duration::from_secs(60), Box::new(open))
    }

    fn asked(&self) -> Vec<(Option<u64>, String)> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|request| (request.after_revision, request.store_id.clone())).collect()
    }
}

fn run() -> StreamStatusRequest {
    "r".into()
}

fn event(event: StatusEvent, revision: u64, store: &str) -> StreamStatusResponse {
    let mut response =
        StreamStatusResponse { revision, store_id: store.into(), ..Default::default() };
    response.set_event(event);
    response
}

fn snapshot() -> StreamStatusResponse {
    event(StatusEvent::Snapshot, 0, "")
}

fn snapshot_end(revision: u64) -> StreamStatusResponse {
    event(StatusEvent::SnapshotEnd, revision, "s")
}

fn changed(revision: u64) -> StreamStatusResponse {
    event(StatusEvent::Changed, revision, "")
}

fn gone() -> Event {
    Err(Status::unavailable("gone"))
}

async fn all(watch: &mut Watch) -> Result<Vec<StreamStatusResponse>, RunError> {
    let mut events = Vec::new();
    while let Some(event) = watch.next().await? {
        events.push(event);
    }
    Ok(events)
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_from_its_position_when_the_connection_is_lost() {
    let heartbeat = event(StatusEvent::Heartbeat, 9, "s");
    let script = Script::of([
        vec![gone()],
        vec![Ok(snapshot()), Ok(snapshot_end(7)), gone()],
        vec![Ok(changed(8)), Err(Status::internal("cut"))],
        vec![Ok(heartbeat), Err(Status::cancelled("cut"))],
        vec![Ok(changed(10))],
    ]);
    let mut watch = script.watch(run());
    let events = all(&mut watch).await.unwrap();
    assert_eq!(events, [snapshot(), snapshot_end(7), changed(8), changed(10)]);
    let positions = [(None, ""), (None, ""), (Some(7), "s"), (Some(8), "s"), (Some(9), "s")];
    assert_eq!(script.asked(), positions.map(|(revision, store)| (revision, store.to_owned())));
    assert_eq!((watch.revision(), watch.store_id()), (Some(10), "s"));
    let asked = script.asked.lock().unwrap();
    assert!(asked.iter().all(|request| request.target == Some(Target::RunId("r".into()))));
}

#[tokio::test(start_paused = true)]
async fn a_cut_inside_a_snapshot_starts_over() {
    let script =
        Script::of([vec![Ok(snapshot()), gone()], vec![Ok(snapshot()), Ok(snapshot_end(0))]]);
    let events = all(&mut script.watch(run())).await.unwrap();
    assert_eq!(events, [snapshot(), snapshot(), snapshot_end(0)]);
    assert_eq!(script.asked()[1].0, None);
}

#[tokio::test(start_paused = true)]
async fn an_empty_stores_snapshot_is_a_position() {
    let script = Script::of([vec![Ok(snapshot_end(0)), gone()], vec![]]);
    all(&mut script.watch(run())).await.unwrap();
    assert_eq!(script.asked()[1].0, Some(0));
}

#[tokio::test]
async fn what_the_server_meant_is_its_readers_to_know() {
    let mut meant = Status::internal("The server failed");
    meant.metadata_mut().insert("x-request-id", "q".parse().unwrap());
    let script = Script::of([vec![Err(meant)]]);
    let mut watch = script.watch(run());
    assert_eq!(watch.next().await.unwrap_err().code(), Code::Internal);
    assert!(watch.next().await.unwrap().is_none());
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_when_the_outage_lasts() {
    let script = Script::of([vec![Ok(changed(1)), gone()], vec![gone()]]);
    let mut watch = script.watch(run()).outage(Duration::from_secs(10));
    let start = Instant::now();
    assert!(watch.next().await.unwrap().is_some());
    assert_eq!(watch.next().await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    assert!(script.asked().len() > 5);
}

#[tokio::test(start_paused = true)]
async fn an_event_ends_an_outage() {
    let script =
        Script::of([1, 2, 3, 4, 5, 6, 7, 8].map(|number| vec![Ok(changed(number)), gone()]));
    script.streams.lock().unwrap().push_back(vec![]);
    let mut watch = script.watch(run()).outage(Duration::from_millis(60));
    assert_eq!(all(&mut watch).await.unwrap().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_stood_ends_an_outage() {
    let cuts = Arc::new(Mutex::new(0));
    let open = move |_| {
        let cuts = cuts.clone();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(11)).await;
            *cuts.lock().unwrap() += 1;
            let event = if *cuts.lock().unwrap() > 3 { Ok(changed(10)) } else { gone() };
            Ok(iter([event]).boxed())
        }) as _
    };
    let mut watch = Watch::new(run(), Duration::from_secs(10), Box::new(open));
    assert_eq!(watch.next().await.unwrap(), Some(changed(10)));
}

fn ended(revision: u64, status: RunStatus) -> StreamStatusResponse {
    let run = Run { status: status.into(), ..Run::default() };
    StreamStatusResponse { run: Some(run), ..changed(revision) }
}

#[tokio::test(start_paused = true)]
async fn behind_the_runs_end_the_server_is_asked_once_more() {
    let last = ended(8, RunStatus::Success);
    let script = Script::of([vec![Ok(last.clone()), gone()], vec![gone()]]);
    assert_eq!(all(&mut script.watch(run())).await.unwrap(), [last]);
    assert_eq!(script.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn behind_a_cancel_its_acknowledgement_is_awaited() {
    let cancelled = ended(8, RunStatus::Interrupted);
    let mut acknowledged = ended(9, RunStatus::Interrupted);
    let told = Cancellation { acknowledged_at: Some(Default::default()), ..Default::default() };
    acknowledged.run.as_mut().unwrap().cancellation = Some(told);
    let script = Script::of([
        vec![Ok(cancelled.clone()), gone()],
        vec![gone()],
        vec![Ok(acknowledged.clone()), gone()],
        vec![gone()],
    ]);
    let request = StreamStatusRequest { until_acknowledged: true, ..run() };
    assert_eq!(all(&mut script.watch(request)).await.unwrap(), [cancelled, acknowledged]);
    assert_eq!(script.asked().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_with_a_future_that_is_dropped() {
    let script = Script::of([vec![gone()], vec![Ok(changed(1)), Ok(changed(2))]]);
    let mut watch = script.watch(run());
    tokio::time::timeout(Duration::from_millis(1), watch.next()).await.unwrap_err();
    assert_eq!(all(&mut watch).await.unwrap(), [changed(1), changed(2)]);
}

#[tokio::test]
async fn it_is_a_stream_too() {
    let script = Script::of([vec![Ok(changed(1)), Ok(changed(2))]]);
    let events: Vec<_> = script.watch(run()).into_stream().map(Result::unwrap).collect().await;
    assert_eq!(events, [changed(1), changed(2)]);
}
