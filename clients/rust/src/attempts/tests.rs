use std::cell::Cell;

use tonic::Code;

use super::*;

/// Answers after that many failures, and tells how often it was asked.
async fn answered(
    repeatable: bool,
    failures: u32,
    failure: fn() -> Status,
) -> (Result<u32, Code>, u32) {
    let asked = Cell::new(0);
    let send = |_request: Request<()>| {
        asked.set(asked.get() + 1);
        let number = asked.get();
        async move { if number > failures { Ok(Response::new(number)) } else { Err(failure()) } }
    };
    let answer = call(Duration::from_secs(10), repeatable, (), send).await;
    (answer.map_err(|failure| failure.code()), asked.get())
}

fn gone() -> Status {
    Status::unavailable("gone")
}

#[tokio::test(start_paused = true)]
async fn what_may_be_sent_twice_is_sent_up_to_four_times() {
    assert_eq!(answered(true, 3, gone).await, (Ok(4), 4));
    assert_eq!(answered(true, 4, gone).await, (Err(Code::Unavailable), 4));
}

#[tokio::test(start_paused = true)]
async fn all_else_is_sent_once() {
    assert_eq!(answered(false, 1, gone).await, (Err(Code::Unavailable), 1));
    assert_eq!(answered(true, 1, || Status::internal("")).await, (Err(Code::Internal), 1));
}

#[tokio::test(start_paused = true)]
async fn pauses_double_and_are_jittered() {
    let start = Instant::now();
    answered(true, 4, gone).await.0.unwrap_err();
    let shortest = Duration::from_millis((50 + 100 + 200) / 2);
    assert!((shortest..=2 * shortest + Duration::from_millis(3)).contains(&start.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn the_timeout_ends_a_call_that_is_not_answered() {
    let start = Instant::now();
    let silent = |request: Request<()>| {
        assert_eq!(request.metadata().get("grpc-timeout").unwrap(), "2000000u");
        std::future::pending::<Result<Response<()>, Status>>()
    };
    let failure = call(Duration::from_secs(2), true, (), silent).await.unwrap_err();
    assert_eq!((failure.code(), start.elapsed()), (Code::DeadlineExceeded, Duration::from_secs(2)));
    assert!(failure.from_transport());
}

#[tokio::test(start_paused = true)]
async fn no_pause_outlasts_the_timeout() {
    let start = Instant::now();
    let fails = |_request: Request<()>| async { Err::<Response<()>, _>(gone()) };
    call(Duration::from_millis(20), true, (), fails).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_may_be_longer_than_a_clock_counts() {
    let answers = |_request: Request<()>| async { Ok(Response::new(())) };
    call(Duration::MAX, false, (), answers).await.unwrap();
}
