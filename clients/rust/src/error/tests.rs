use tonic_types::{ErrorDetails, StatusExt};

use super::*;

fn told(code: Code, reason: &str, domain: &str) -> RunError {
    let metadata = HashMap::from([("run_id".to_owned(), "r".to_owned())]);
    let mut details = ErrorDetails::with_error_info(reason, domain, metadata);
    details.set_retry_info(Some(Duration::from_millis(1500)));
    details.add_bad_request_violation("spec", "is bad");
    Status::with_error_details(code, "told", details).into()
}

#[test]
fn a_failure_has_what_the_server_told() {
    let error = told(Code::OutOfRange, "SOME_NEWER_REASON", "runsvc");
    assert_eq!(error.to_string(), "OutOfRange SOME_NEWER_REASON: told");
    assert_eq!(error.metadata()["run_id"], "r");
    assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
    let violation = Violation { field: "spec".into(), description: "is bad".into() };
    assert_eq!(error.violations(), [violation]);
    assert_eq!(error.kind(), Kind::Other);
}

#[test]
fn another_domains_reason_is_not_ours() {
    let error = told(Code::Aborted, "THREAD_BUSY", "elsewhere");
    assert_eq!((error.reason(), error.kind()), ("", Kind::Other));
}

#[test]
fn kinds_are_by_reason_or_code() {
    assert_eq!(told(Code::Aborted, "THREAD_BUSY", "runsvc").kind(), Kind::ThreadBusy);
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
fn details_that_do_not_parse_leave_the_code() {
    let error: RunError = Status::with_details(Code::NotFound, "told", vec![0xff; 3].into()).into();
    assert_eq!((error.kind(), error.reason(), error.message()), (Kind::NotFound, "", "told"));
}

#[test]
fn a_lost_connection_is_unavailable_and_a_time_that_is_over_is_no_cancel() {
    let lost = Status::from_error("connection reset".into());
    assert_eq!(RunError::from(lost).code(), Code::Unavailable);
    let late = Status::from_error(Box::new(TimeoutExpired(())));
    assert_eq!(RunError::from(late).code(), Code::DeadlineExceeded);
    assert_eq!(RunError::from(Status::unknown("OUTCOME_UNKNOWN")).code(), Code::Unknown);
}
