use std::cell::Cell;

use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt};

use super::*;
use crate::credential::{Credential, TokenFunction};

fn anonymous() -> Bearer {
    Bearer::new(Credential::None)
}

/// Calls a server that fails the first `failures` attempts. Returns the answer and the number of attempts.
async fn answer_after(
    failures: u32,
    repeatable: bool,
    failure: fn() -> Status,
) -> (Result<u32, Code>, u32) {
    let attempts = Cell::new(0);
    let send = |_request: Request<()>| {
        attempts.set(attempts.get() + 1);
        let number = attempts.get();
        async move { if number > failures { Ok(Response::new(number)) } else { Err(failure()) } }
    };
    let answer = call(Duration::from_secs(10), repeatable, &anonymous(), (), send).await;
    (answer.map_err(|error| error.code()), attempts.get())
}

fn overloaded(delay: Option<u64>) -> Status {
    let mut details = ErrorDetails::with_error_info("OVERLOADED", "runsvc", []);
    details.set_retry_info(delay.map(Duration::from_secs));
    Status::with_error_details(Code::ResourceExhausted, "", details)
}

fn unavailable() -> Status {
    Status::unavailable("unavailable")
}

#[tokio::test(start_paused = true)]
async fn a_repeatable_call_is_sent_up_to_four_times() {
    assert_eq!(answer_after(3, true, unavailable).await, (Ok(4), 4));
    assert_eq!(answer_after(4, true, unavailable).await, (Err(Code::Unavailable), 4));
}

#[tokio::test(start_paused = true)]
async fn any_other_call_is_sent_once() {
    assert_eq!(answer_after(1, false, unavailable).await, (Err(Code::Unavailable), 1));
    assert_eq!(answer_after(1, true, || Status::internal("")).await, (Err(Code::Internal), 1));
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_the_caller_did_not_ask_for_is_retried() {
    assert_eq!(answer_after(1, true, || Status::cancelled("")).await, (Ok(2), 2));
    let answer = answer_after(1, false, || Status::cancelled("")).await;
    assert_eq!(answer, (Err(Code::Unavailable), 1));
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_server_is_called_again_after_its_delay() {
    let start = Instant::now();
    assert_eq!(answer_after(1, true, || overloaded(Some(3))).await, (Ok(2), 2));
    assert!(start.elapsed() >= Duration::from_secs(3));
    let refused = (Err(Code::ResourceExhausted), 1);
    assert_eq!(answer_after(1, false, || overloaded(Some(3))).await, refused);
    assert_eq!(answer_after(1, true, || overloaded(None)).await, refused);
}

#[tokio::test(start_paused = true)]
async fn pauses_double_and_are_jittered() {
    let start = Instant::now();
    answer_after(4, true, unavailable).await.0.unwrap_err();
    let shortest = Duration::from_millis((50 + 100 + 200) / 2);
    assert!((shortest..=2 * shortest + Duration::from_millis(3)).contains(&start.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn the_timeout_ends_a_call_without_an_answer() {
    let start = Instant::now();
    let never_answers = |request: Request<()>| {
        assert_eq!(request.metadata().get("grpc-timeout").unwrap(), "2000000u");
        std::future::pending::<Result<Response<()>, Status>>()
    };
    let error =
        call(Duration::from_secs(2), true, &anonymous(), (), never_answers).await.unwrap_err();
    assert_eq!((error.code(), start.elapsed()), (Code::DeadlineExceeded, Duration::from_secs(2)));
    assert!(error.from_transport());
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_exceeds_the_timeout_is_not_started() {
    let start = Instant::now();
    let fails = |_request: Request<()>| async { Err::<Response<()>, _>(unavailable()) };
    call(Duration::from_millis(20), true, &anonymous(), (), fails).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_longest_delay_of_a_server_does_not_overflow() {
    let delay = || {
        let details = ErrorDetails::with_retry_info(Some(Duration::MAX));
        Status::with_error_details(Code::Unavailable, "", details)
    };
    let (answer, attempts) = answer_after(1, true, delay).await;
    assert_eq!((answer, attempts), (Err(Code::Unavailable), 1));
}

#[tokio::test(start_paused = true)]
async fn the_longest_duration_is_accepted_as_a_timeout() {
    let answers = |_request: Request<()>| async { Ok(Response::new(())) };
    call(Duration::MAX, false, &anonymous(), (), answers).await.unwrap();
}

/// Calls a server that refuses the first `refusals` tokens. Returns the code and the tokens that it received.
async fn tokens_sent(credential: Credential, refusals: usize) -> (Result<(), Code>, Vec<String>) {
    let tokens = std::cell::RefCell::new(Vec::new());
    let send = |request: Request<()>| {
        let token = request.metadata().get("authorization").map(|value| value.to_str().unwrap());
        tokens.borrow_mut().push(token.unwrap_or_default().to_owned());
        let refused = tokens.borrow().len() <= refusals;
        async move { if refused { Err(Status::unauthenticated("")) } else { Ok(Response::new(())) } }
    };
    let bearer = Bearer::new(credential);
    let answer = call(Duration::from_secs(10), false, &bearer, (), send).await;
    (answer.map_err(|error| error.code()), tokens.into_inner())
}

#[tokio::test]
async fn a_call_whose_token_is_refused_is_repeated_once_with_another() {
    let numbered = || {
        let number = std::sync::atomic::AtomicU32::new(0);
        let next = move || number.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
        Credential::Function(TokenFunction::new(next))
    };
    let two = vec!["Bearer 0".to_owned(), "Bearer 1".to_owned()];
    assert_eq!(tokens_sent(numbered(), 1).await, (Ok(()), two.clone()));
    assert_eq!(tokens_sent(numbered(), 2).await, (Err(Code::Unauthenticated), two));
    let one = vec!["Bearer t".to_owned()];
    let same = Credential::Function(TokenFunction::new(|| "t".to_owned()));
    for credential in [Credential::Fixed("t".into()), same] {
        let sent = tokens_sent(credential, 1).await;
        assert_eq!(sent, (Err(Code::Unauthenticated), one.clone()));
    }
}
