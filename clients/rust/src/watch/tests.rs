use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures_util::stream::iter;
use tonic_types::{ErrorDetails, StatusExt};

use super::*;
use crate::v1::Cancellation;
use crate::watch_source::Opening;

type Event = Result<StreamStatusResponse, Status>;

impl<F: Fn(StreamStatusRequest) -> Opening + Send + Sync> Source for F {
    fn open(&self, request: StreamStatusRequest) -> Opening {
        self(request)
    }
}

/// A server that sends one list of events on each connection. The last list is repeated.
#[derive(Clone, Default)]
struct Script {
    streams: Arc<Mutex<VecDeque<Vec<Event>>>>,
    requests: Arc<Mutex<Vec<StreamStatusRequest>>>,
}

impl Script {
    fn of<const N: usize>(streams: [Vec<Event>; N]) -> Self {
        Self { streams: Arc::new(Mutex::new(streams.into())), ..Self::default() }
    }

    fn watch(&self, request: StreamStatusRequest) -> Watch {
        let script = self.clone();
        let open = move |request| {
            script.requests.lock().unwrap().push(request);
            let mut streams = script.streams.lock().unwrap();
            let events =
                if streams.len() > 1 { streams.pop_front() } else { streams.front().cloned() };
            Box::pin(async move { Ok(iter(events.unwrap_or_default()).boxed()) }) as _
        };
        Watch::new(request, Duration::from_secs(60), Box::new(open))
    }

    /// The position that each request asked for.
    fn positions(&self) -> Vec<(Option<u64>, String)> {
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|request| (request.after_revision, request.store_id.clone())).collect()
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

fn unavailable() -> Event {
    Err(Status::unavailable("unavailable"))
}

async fn all(watch: &mut Watch) -> Result<Vec<StreamStatusResponse>, RunError> {
    let mut events = Vec::new();
    while let Some(event) = watch.next().await? {
        events.push(event);
    }
    Ok(events)
}

#[tokio::test(start_paused = true)]
async fn a_watch_resumes_from_its_position_after_a_lost_connection() {
    let heartbeat = event(StatusEvent::Heartbeat, 9, "s");
    let script = Script::of([
        vec![unavailable()],
        vec![Ok(snapshot()), Ok(snapshot_end(7)), unavailable()],
        vec![Ok(changed(8)), Err(Status::internal("cut"))],
        vec![Ok(heartbeat), Err(Status::cancelled("cut"))],
        vec![Ok(changed(10))],
    ]);
    let mut watch = script.watch(run());
    let events = all(&mut watch).await.unwrap();
    assert_eq!(events, [snapshot(), snapshot_end(7), changed(8), changed(10)]);
    let positions = [(None, ""), (None, ""), (Some(7), "s"), (Some(8), "s"), (Some(9), "s")];
    assert_eq!(script.positions(), positions.map(|(revision, store)| (revision, store.to_owned())));
    assert_eq!((watch.revision(), watch.store_id()), (Some(10), "s"));
    let requests = script.requests.lock().unwrap();
    assert!(requests.iter().all(|request| request.target == Some(Target::RunId("r".into()))));
}

#[tokio::test(start_paused = true)]
async fn a_watch_resumes_after_the_delay_of_an_overloaded_server() {
    let mut details = ErrorDetails::with_error_info("OVERLOADED", "runsvc", []);
    details.set_retry_info(Some(Duration::from_secs(3)));
    let mut overloaded = Status::with_error_details(Code::ResourceExhausted, "", details);
    overloaded.metadata_mut().insert("x-request-id", "q".parse().unwrap());
    let mut stopping = Status::cancelled("The server is stopping");
    stopping.metadata_mut().insert("x-request-id", "q".parse().unwrap());
    let script = Script::of([vec![Err(overloaded)], vec![Err(stopping)], vec![Ok(changed(1))]]);
    let start = Instant::now();
    assert_eq!(script.watch(run()).next().await.unwrap(), Some(changed(1)));
    assert!(start.elapsed() >= Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_snapshot_is_sent_again() {
    let script = Script::of([
        vec![Ok(snapshot()), unavailable()],
        vec![Ok(snapshot()), Ok(snapshot_end(0))],
    ]);
    let events = all(&mut script.watch(run())).await.unwrap();
    assert_eq!(events, [snapshot(), snapshot(), snapshot_end(0)]);
    assert_eq!(script.positions()[1].0, None);
}

#[tokio::test(start_paused = true)]
async fn the_snapshot_of_an_empty_store_is_a_position() {
    let script = Script::of([vec![Ok(snapshot_end(0)), unavailable()], vec![]]);
    all(&mut script.watch(run())).await.unwrap();
    assert_eq!(script.positions()[1].0, Some(0));
}

#[tokio::test]
async fn an_error_of_the_server_is_returned() {
    let mut error = Status::internal("The server failed");
    error.metadata_mut().insert("x-request-id", "q".parse().unwrap());
    let script = Script::of([vec![Err(error)]]);
    let mut watch = script.watch(run());
    assert_eq!(watch.next().await.unwrap_err().code(), Code::Internal);
    assert!(watch.next().await.unwrap().is_none());
    assert_eq!(script.positions().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_watch_fails_after_the_outage_that_was_set() {
    let script = Script::of([vec![Ok(changed(1)), unavailable()], vec![unavailable()]]);
    let mut watch = script.watch(run()).outage(Duration::from_secs(10));
    let start = Instant::now();
    assert!(watch.next().await.unwrap().is_some());
    assert_eq!(watch.next().await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    assert!(script.positions().len() > 5);
}

#[tokio::test(start_paused = true)]
async fn a_watch_has_no_outage_or_an_endless_one() {
    let script = Script::of([vec![unavailable()], vec![unavailable()], vec![Ok(changed(1))]]);
    let mut watch = script.watch(run()).outage(Duration::MAX);
    assert_eq!(watch.next().await.unwrap(), Some(changed(1)));
    let script = Script::of([vec![unavailable()], vec![Ok(changed(1))]]);
    let mut watch = script.watch(run()).outage(Duration::ZERO);
    assert_eq!(watch.next().await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn an_event_ends_an_outage() {
    let script =
        Script::of([1, 2, 3, 4, 5, 6, 7, 8].map(|number| vec![Ok(changed(number)), unavailable()]));
    script.streams.lock().unwrap().push_back(vec![]);
    let mut watch = script.watch(run()).outage(Duration::from_millis(60));
    assert_eq!(all(&mut watch).await.unwrap().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_long_connection_ends_an_outage() {
    let cuts = Arc::new(Mutex::new(0));
    let open = move |_| {
        let cuts = cuts.clone();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(11)).await;
            *cuts.lock().unwrap() += 1;
            let event = if *cuts.lock().unwrap() > 3 { Ok(changed(10)) } else { unavailable() };
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
async fn after_the_end_of_the_run_one_more_stream_is_opened() {
    let last = ended(8, RunStatus::Success);
    let script = Script::of([vec![Ok(last.clone()), unavailable()], vec![unavailable()]]);
    assert_eq!(all(&mut script.watch(run())).await.unwrap(), [last]);
    assert_eq!(script.positions().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_watch_can_wait_for_the_acknowledgement_of_a_cancel() {
    let cancelled = ended(8, RunStatus::Interrupted);
    let mut acknowledged = ended(9, RunStatus::Interrupted);
    let cancellation =
        Cancellation { acknowledged_at: Some(Default::default()), ..Default::default() };
    acknowledged.run.as_mut().unwrap().cancellation = Some(cancellation);
    let script = Script::of([
        vec![Ok(cancelled.clone()), unavailable()],
        vec![unavailable()],
        vec![Ok(acknowledged.clone()), unavailable()],
        vec![unavailable()],
    ]);
    let request = StreamStatusRequest { until_acknowledged: true, ..run() };
    assert_eq!(all(&mut script.watch(request)).await.unwrap(), [cancelled, acknowledged]);
    assert_eq!(script.positions().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_loses_no_event() {
    let script = Script::of([vec![unavailable()], vec![Ok(changed(1)), Ok(changed(2))]]);
    let mut watch = script.watch(run());
    tokio::time::timeout(Duration::from_millis(1), watch.next()).await.unwrap_err();
    assert_eq!(all(&mut watch).await.unwrap(), [changed(1), changed(2)]);
}

#[tokio::test]
async fn a_watch_converts_into_a_stream() {
    let script = Script::of([vec![Ok(changed(1)), Ok(changed(2))]]);
    let events: Vec<_> = script.watch(run()).into_stream().map(Result::unwrap).collect().await;
    assert_eq!(events, [changed(1), changed(2)]);
}
