use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use prost::Message;
use tokio::time::timeout;
use tonic::Code;

use super::*;
use crate::testing::{Answer, Call, Reply, Server, refusal};
use crate::v1::*;

fn run_of(number: u32) -> Run {
    Run {
        run_id: format!("r{number}"),
        status: RunStatus::Running.into(),
        attempt: 3,
        revision: 1,
        ..Run::default()
    }
}

fn claimed<const N: usize>(numbers: [u32; N]) -> Answer {
    Some(Ok(ClaimResponse { runs: numbers.map(run_of).to_vec() }.encode_to_vec()))
}

fn refused(code: Code) -> Answer {
    Some(Err(refusal(code)))
}

/// Starts a server that gives these answers to claims, and then none. It accepts every report.
async fn serve<const N: usize>(claims: [Answer; N]) -> Server {
    let claims = Mutex::new(VecDeque::from(claims));
    Server::start(move |call| match call.method.as_str() {
        "Claim" => {
            let answer = claims.lock().unwrap().pop_front().flatten();
            let claim = ClaimRequest::decode(call.message.as_slice()).unwrap();
            let waits = claim.wait != Some(prost_types::Duration::default());
            if waits { answer } else { answer.or(claimed([])) }.into()
        }
        "StreamStatus" => Reply { messages: Vec::new(), end: None },
        // Every response to a report has its run in field 1.
        _ => Some(Ok(HeartbeatResponse { run: Some(run_of(1)) }.encode_to_vec())).into(),
    })
    .await
}

fn options(concurrency: usize) -> WorkerOptions {
    WorkerOptions {
        assistants: vec!["echo".into()],
        worker_id: "w".into(),
        concurrency,
        ..WorkerOptions::default()
    }
}

fn of_method(server: &Server, method: &str) -> Vec<Call> {
    server.calls().into_iter().filter(|call| call.method == method).collect()
}

fn claims_of(server: &Server) -> Vec<ClaimRequest> {
    let calls = of_method(server, "Claim");
    calls.iter().map(|call| ClaimRequest::decode(call.message.as_slice()).unwrap()).collect()
}

async fn until(mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), waiting).await.expect("the condition becomes true");
}

#[tokio::test]
async fn a_worker_claims_no_more_than_it_has_slots_and_performs_each_run() {
    let server = serve([claimed([1, 2]), claimed([3])]).await;
    let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let worker = Worker::new(server.client(), options(3), move |execution: Execution| {
        let (finish, finished) = tokio::sync::oneshot::channel::<Result<(), Failure>>();
        begin.send((execution.run().run_id.clone(), finish)).unwrap();
        async move { finished.await.unwrap() }
    });
    let handle = worker.handle();
    assert_eq!(handle.health().state, WorkerState::Starting);
    let running = tokio::spawn(worker.run());
    let mut handlers = Vec::new();
    for _ in 0..3 {
        handlers.push(begun.recv().await.unwrap());
    }
    assert_eq!(handle.health().running, 3);
    assert_eq!(handle.health().state, WorkerState::Working);
    let claims = claims_of(&server);
    assert_eq!(claims.iter().map(|claim| claim.max_runs).collect::<Vec<_>>(), [3, 1]);
    assert_ne!(claims[0].request_id, claims[1].request_id);
    assert_eq!(
        (claims[0].worker_id.as_str(), &claims[0].assistant_ids[..]),
        ("w", &["echo".into()][..])
    );
    for (run_id, finish) in handlers {
        let failure = Failure::retryable("no credit");
        finish.send(if run_id == "r2" { Err(failure) } else { Ok(()) }).unwrap();
    }
    until(|| of_method(&server, "Complete").len() == 3 && claims_of(&server).len() == 3).await;
    for call in of_method(&server, "Complete") {
        let end = CompleteRequest::decode(call.message.as_slice()).unwrap();
        assert_eq!((end.attempt, end.worker_id()), (Some(3), "w"));
        assert_eq!(
            (end.retryable, end.error()),
            if end.run_id == "r2" { (true, "no credit") } else { (false, "") }
        );
    }
    assert!(of_method(&server, "SetStatus").is_empty() && of_method(&server, "Get").is_empty());
    handle.stop();
    running.await.unwrap().unwrap();
    assert_eq!((handle.health().state, handle.health().running), (WorkerState::Stopped, 0));
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_sent_again() {
    let server =
        serve([refused(Code::Internal), refused(Code::Unauthenticated), claimed([1])]).await;
    let ends = Arc::<Mutex<Vec<String>>>::default();
    let seen = ends.clone();
    let on_end: OnEnd = Arc::new(move |run, end| {
        seen.lock().unwrap().push(format!("{} {}", run.run_id, end.as_ref().unwrap_err()));
    });
    let worker_options = WorkerOptions { on_end: Some(on_end), ..options(1) };
    let worker = Worker::new(server.client(), worker_options, async |_| -> Result<(), String> {
        panic!("broken")
    });
    let handle = worker.handle();
    let running = tokio::spawn(worker.run());
    until(|| claims_of(&server).len() == 4).await;
    let ids: Vec<_> = claims_of(&server).into_iter().map(|claim| claim.request_id).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
    assert_eq!(*ends.lock().unwrap(), ["r1 The handler panicked: broken"]);
    handle.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_worker_shows_since_when_the_server_does_not_answer() {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = is_down.clone();
    let server = Server::start(move |_| {
        if down.load(Ordering::Relaxed) { refused(Code::Internal) } else { claimed([]) }.into()
    })
    .await;
    let worker = Worker::new(server.client(), options(1), async |_| Ok::<_, String>(()));
    let handle = worker.handle();
    let running = tokio::spawn(worker.run());
    until(|| handle.health().state != WorkerState::Starting).await;
    let disconnected = handle.health();
    assert!(matches!(disconnected.state, WorkerState::Disconnected(_)));
    assert_eq!(disconnected.last_claim_at, None);
    until(|| claims_of(&server).len() >= 4).await;
    assert_eq!(handle.health(), disconnected);
    is_down.store(false, Ordering::Relaxed);
    until(|| handle.health().state == WorkerState::Working).await;
    assert!(handle.health().last_claim_at.is_some());
    handle.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_worker_ends_when_its_claims_are_refused() {
    let server = serve([refused(Code::PermissionDenied)]).await;
    let worker = Worker::new(server.client(), options(1), async |_| Ok::<_, String>(()));
    let error = worker.run().await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}

/// Runs a worker with one claimed run, and stops it while the handler runs. Returns the methods of its reports.
async fn stop_with_handler<F>(
    handler: impl Fn(Execution) -> F + Send + Sync + 'static,
    grace: Duration,
) -> Vec<String>
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let server = serve([claimed([1])]).await;
    let worker = Worker::new(server.client(), options(1), handler);
    let handle = worker.handle();
    let running = tokio::spawn(worker.run());
    until(|| handle.health().running == 1).await;
    handle.stop_within(grace);
    until(|| handle.health().state != WorkerState::Working).await;
    running.await.unwrap().unwrap();
    assert_eq!(claims_of(&server).len(), 1);
    for call in of_method(&server, "Release") {
        let release = ReleaseRequest::decode(call.message.as_slice()).unwrap();
        assert_eq!((release.attempt, release.worker_id.as_str()), (Some(3), "w"));
    }
    let methods = server.calls().into_iter().map(|call| call.method);
    methods.filter(|method| ["Complete", "Release"].contains(&method.as_str())).collect()
}

#[tokio::test]
async fn runs_in_progress_finish_within_the_grace_period() {
    let handler = async |_| {
        sleep(Duration::from_millis(100)).await;
        Ok(())
    };
    assert_eq!(stop_with_handler(handler, Duration::from_secs(20)).await, ["Complete"]);
}

#[tokio::test]
async fn runs_are_given_back_after_the_grace_period() {
    let handler = async |execution: Execution| {
        execution.stopped().await;
        Ok(())
    };
    assert_eq!(stop_with_handler(handler, Duration::ZERO).await, ["Release"]);
}

#[tokio::test(start_paused = true)]
async fn a_later_stop_can_only_shorten_the_grace_period() {
    let shutdown = Shutdown::new();
    shutdown.begin(Duration::from_secs(30));
    let began = Instant::now();
    shutdown.begin(Duration::from_secs(3));
    shutdown.begin(Duration::from_secs(60));
    shutdown.grace_is_over().await;
    assert_eq!(began.elapsed(), Duration::from_secs(3));
}

#[tokio::test]
async fn a_claim_without_an_answer_is_given_back_at_the_stop() {
    // The second claim gets no answer; the third one has the runs of the second.
    let server = serve([claimed([]), None, claimed([1])]).await;
    let worker = Worker::new(server.client(), options(1), async |_| Ok::<_, String>(()));
    let handle = worker.handle();
    let running = tokio::spawn(worker.run());
    until(|| claims_of(&server).len() == 2).await;
    handle.stop();
    running.await.unwrap().unwrap();
    let claims = claims_of(&server);
    assert_eq!(claims[1].request_id, claims[2].request_id);
    let waits = claims.iter().map(|claim| claim.wait.unwrap().seconds);
    assert_eq!(waits.collect::<Vec<_>>(), [0, 20, 0]);
    assert_eq!(of_method(&server, "Release").len(), 1);
}
