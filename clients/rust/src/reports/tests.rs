use std::cell::Cell;

use prost::Message;
use tonic::{Code, Status};

use super::*;
use crate::testing::{client_of, refusal};

/// Sends a report of the end that fails the first `failures` times. Returns the answer, the number of attempts and the
/// time they took.
async fn send_report(
    code: Code,
    failures: u32,
    lease: Option<Duration>,
) -> (Result<Run, Code>, u32, Duration) {
    let client = RunClient::connect().unwrap();
    let options = ExecuteOptions { worker_id: None, lease, fence: false };
    let run = Run::default();
    let reports = Reports::of_the_end(&client, &options, &run);
    let (attempts, began) = (Cell::new(0), Instant::now());
    let send = |()| {
        attempts.set(attempts.get() + 1);
        let succeeds = attempts.get() > failures;
        async move { if succeeds { Ok(Run::default()) } else { Err(Status::new(code, "").into()) } }
    };
    let answer = reports.retry((), send).await;
    (answer.map_err(|error| error.code()), attempts.get(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_report_is_retried_after_transient_errors_only() {
    use Code::{DeadlineExceeded, FailedPrecondition, Internal, InvalidArgument, NotFound};
    use Code::{ResourceExhausted, Unauthenticated, Unavailable, Unknown};
    let transient = [Unavailable, DeadlineExceeded, ResourceExhausted, Unknown, Internal];
    for code in transient.into_iter().chain([Unauthenticated]) {
        let (answer, attempts, _) = send_report(code, 9, None).await;
        assert_eq!((answer, attempts), (Ok(Run::default()), 10));
    }
    for code in [NotFound, FailedPrecondition, InvalidArgument] {
        let (answer, attempts, _) = send_report(code, 9, None).await;
        assert_eq!((answer, attempts), (Err(code), 1));
    }
}

#[tokio::test]
async fn a_start_that_is_refused_for_its_token_is_not_retried() {
    let client = client_of(|_, _| Some(Err(refusal(Code::Unauthenticated)))).await;
    let options = ExecuteOptions::default();
    let error = start(&client, &options, "r").await.unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_retried_for_the_lease_and_at_least_a_minute() {
    for (lease, longest) in [(None, 60), (Some(9), 60), (Some(600), 600)] {
        let lease = lease.map(Duration::from_secs);
        let (answer, _, elapsed) = send_report(Code::Unavailable, u32::MAX, lease).await;
        assert_eq!(answer, Err(Code::Unavailable));
        let longest = Duration::from_secs(longest);
        assert!(longest - Duration::from_secs(2) <= elapsed && elapsed < longest);
    }
}

#[tokio::test]
async fn a_lease_is_always_sent() {
    let lengths = [Duration::ZERO, Duration::from_nanos(1_500_000_001), Duration::MAX];
    for (lease, sent) in lengths.into_iter().zip([(0, 0), (1, 500_000_001), (315_576_000_000, 0)]) {
        let client = client_of(move |_, message| {
            let ttl = SetStatusRequest::decode(message).unwrap().lease_ttl.unwrap();
            assert_eq!((ttl.seconds, ttl.nanos), sent);
            Some(Err(refusal(Code::InvalidArgument)))
        })
        .await;
        let options = ExecuteOptions { lease: Some(lease), ..ExecuteOptions::default() };
        let error = start(&client, &options, "r").await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
    }
}

#[test]
fn an_error_text_is_truncated_between_characters() {
    assert_eq!(truncated("broken".into()), "broken");
    assert_eq!(truncated(format!("x{}", "ü".repeat(40_000))).len(), MAX_ERROR_BYTES - 1);
}
