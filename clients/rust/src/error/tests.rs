use tonic_types::{ErrorDetails, StatusExt};

use super::*;

/// An error as a server of this domain sends it.
fn server_error(code: Code, reason: &str, domain: &str) -> RunError {
    let metadata = HashMap::from([("run_id".to_owned(), "r".to_owned())]);
    let mut details = ErrorDetails::with_error_info(reason, domain, metadata);
    details.set_retry_info(Some(Duration::from_millis(1500)));
    details.add_bad_request_violation("spec", "is invalid");
    Status::with_error_details(code, "the message", details).into()
}

#[test]
fn an_error_has_the_details_that_the_server_sent() {
    let error = server_error(Code::OutOfRange, "SOME_NEWER_REASON", "runsvc");
    assert_eq!(error.to_string(), "OutOfRange SOME_NEWER_REASON: the message");
    assert_eq!(error.metadata()["run_id"], "r");
    assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
    let violation = Violation { field: "spec".into(), description: "is invalid".into() };
    assert_eq!(error.violations(), [violation]);
    assert_eq!(error.kind(), Kind::Other);
}

#[test]
fn the_reason_of_another_domain_is_ignored() {
    let error = server_error(Code::Aborted, "THREAD_BUSY", "elsewhere");
    assert_eq!((error.reason(), error.kind()), ("", Kind::Other));
}

#[test]
fn the_kind_follows_from_the_reason_or_the_code() {
    assert_eq!(server_error(Code::Aborted, "THREAD_BUSY", "runsvc").kind(), Kind::ThreadBusy);
    let kinds = [
        (Code::NotFound, Kind::NotFound),
        (Code::FailedPrecondition, Kind::FailedPrecondition),
        (Code::InvalidArgument, Kind::InvalidArgument),
        (Code::Unavailable, Kind::Unavailable),
        (Code::Aborted, Kind::Other),
    ];
    for (code, kind) in kinds {
        assert_eq!(RunError::from(Status::new(code, "")).kind(), kind);
    }
}

#[test]
fn an_error_with_unreadable_details_keeps_its_code() {
    let error: RunError =
        Status::with_details(Code::NotFound, "the message", vec![0xff; 3].into()).into();
    assert_eq!(
        (error.kind(), error.reason(), error.message()),
        (Kind::NotFound, "", "the message")
    );
}

#[test]
fn a_lost_connection_is_unavailable_and_a_passed_deadline_is_not_a_cancel() {
    let lost = Status::from_error("connection reset".into());
    assert_eq!(RunError::from(lost).code(), Code::Unavailable);
    let late = Status::from_error(Box::new(TimeoutExpired(())));
    assert_eq!(RunError::from(late).code(), Code::DeadlineExceeded);
    let cancelled = Status::cancelled("The server is stopping");
    assert_eq!(RunError::from(cancelled).code(), Code::Unavailable);
    assert_eq!(RunError::from(Status::unknown("OUTCOME_UNKNOWN")).code(), Code::Unknown);
}
