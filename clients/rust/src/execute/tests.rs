use super::*;
use crate::Code;
use crate::testing::{OneRun, client_of, refusal};
use crate::v1::{Lease, Progress, RunStatus};

#[test]
fn the_lease_defaults_to_the_one_of_the_creation() {
    let ttl = Duration::from_secs(9).try_into().ok();
    let run = Run { lease: Some(Lease { ttl, ..Default::default() }), ..Default::default() };
    let without_lease = ExecuteOptions::default();
    assert_eq!(without_lease.lease_of(&run), Some(Duration::from_secs(9)));
    assert_eq!(without_lease.lease_of(&Run::default()), None);
    let with_lease =
        ExecuteOptions { lease: Some(Duration::from_secs(3)), ..ExecuteOptions::default() };
    assert_eq!(with_lease.lease_of(&run), Some(Duration::from_secs(3)));
}

fn no_worker() -> ExecuteOptions {
    ExecuteOptions { worker_id: None, ..ExecuteOptions::default() }
}

/// An error whose `Display` panics.
struct Unprintable;

impl fmt::Display for Unprintable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no text")
    }
}

#[tokio::test]
async fn every_execution_has_a_worker_id_of_its_own() {
    let server = OneRun::default();
    let client = server.client().await;
    for _ in 0..2 {
        let handler = async |_| Ok::<_, String>(None);
        client.execute("r", ExecuteOptions::default(), handler).await.unwrap();
    }
    let reports = server.reports();
    let starts: Vec<_> = reports.iter().filter(|report| report.starts_with("start ")).collect();
    assert!(starts[0].contains(&format!("-{}-", std::process::id())), "{starts:?}");
    assert_ne!(starts[0], starts[1]);
}

#[tokio::test]
async fn an_error_without_a_text_ends_the_run() {
    let server = OneRun::default();
    let handler = async |_| Err::<(), _>(Unprintable);
    let run = server.client().await.execute("r", no_worker(), handler).await.unwrap();
    assert_eq!(run.status(), RunStatus::Error);
    let reports = server.reports();
    let end = reports.last().unwrap();
    assert!(end.starts_with("complete RUN_STATUS_ERROR") && end.contains("no text"), "{end}");
}

#[tokio::test]
async fn a_panic_of_the_handler_ends_the_run_and_is_resumed() {
    let server = OneRun::default();
    let client = server.client().await;
    let handler = async |_| -> Result<Option<Progress>, String> { panic!("broken") };
    let execution = tokio::spawn(async move { client.execute("r", no_worker(), handler).await });
    let panic = execution.await.unwrap_err().into_panic();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"broken"));
    let end = "complete RUN_STATUS_ERROR The handler panicked: broken";
    assert_eq!(server.reports().last().unwrap(), end);
}

#[tokio::test]
async fn usage_that_the_server_rejects_does_not_prevent_the_report_of_the_end() {
    let server = OneRun::default();
    let usage = Progress { total_tokens: Some(-1), ..Progress::default() };
    let handler = async |_| Ok::<_, String>(Some(usage));
    let error = server.client().await.execute("r", no_worker(), handler).await.unwrap_err();
    let ExecuteError::Call(error) = error else { panic!("{error}") };
    assert_eq!(error.kind(), crate::Kind::InvalidArgument);
    assert_eq!(server.reports()[2], "complete RUN_STATUS_SUCCESS ");
}

#[tokio::test]
async fn the_handler_receives_the_kwargs_of_the_run() {
    let server = OneRun::default();
    let handler = async |execution: Execution| {
        let kwargs = execution.run().kwargs.clone().ok_or("no kwargs")?;
        let input = kwargs.fields.keys().next().cloned();
        Ok::<_, &str>(Some(Progress { last_ai_message: input, ..Progress::default() }))
    };
    let run = server.client().await.execute("r", no_worker(), handler).await.unwrap();
    assert_eq!(run.status(), RunStatus::Success);
    assert!(run.kwargs.is_some());
    assert_eq!(server.reports(), ["start ", "get", "complete RUN_STATUS_SUCCESS "]);
}

#[tokio::test]
async fn a_run_whose_kwargs_cannot_be_read_ends_as_error() {
    let server = OneRun::default();
    let answers = server.clone();
    let client = client_of(move |method, message| match method {
        "Get" => Some(Err(refusal(Code::DataLoss))),
        _ => answers.answer(method, message),
    });
    let handler = async |_| -> Result<Option<Progress>, String> { unreachable!("not called") };
    let error = client.await.execute("r", no_worker(), handler).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Call(error) if error.code() == Code::DataLoss));
    assert!(server.reports()[1].starts_with("complete RUN_STATUS_ERROR The kwargs of the run"));
}

/// Executes a run whose heartbeats are refused, with a handler that runs until it is stopped or for half a second.
async fn execute_without_renewals(fence: bool) -> (Result<Run, ExecuteError>, Vec<String>) {
    let server = OneRun::default();
    let answers = server.clone();
    let client = client_of(move |method, message| match method {
        "Heartbeat" => Some(Err(refusal(Code::Unavailable))),
        _ => answers.answer(method, message),
    });
    let lease = Some(Duration::from_millis(200));
    let options = ExecuteOptions { lease, fence, ..ExecuteOptions::default() };
    let handler = async |execution: Execution| {
        let _ = tokio::time::timeout(Duration::from_millis(500), execution.stopped()).await;
        Ok::<_, String>(None)
    };
    (client.await.execute("r", options, handler).await, server.reports())
}

#[tokio::test]
async fn the_fence_stops_the_handler_when_no_renewal_is_confirmed() {
    let (result, reports) = execute_without_renewals(true).await;
    assert!(matches!(result, Err(ExecuteError::Fenced(_))));
    assert!(
        reports[2].starts_with("complete RUN_STATUS_ERROR The executor stopped"),
        "{reports:?}"
    );
}

#[tokio::test]
async fn without_the_fence_the_handler_keeps_running() {
    assert_eq!(execute_without_renewals(false).await.0.unwrap().status(), RunStatus::Success);
}

#[tokio::test]
async fn a_confirmed_heartbeat_moves_the_fence() {
    let server = OneRun::default();
    let lease = Some(Duration::from_millis(900));
    let options = ExecuteOptions { lease, fence: true, ..ExecuteOptions::default() };
    let handler = async |_| {
        tokio::time::sleep(Duration::from_millis(1_800)).await;
        Ok::<_, String>(None)
    };
    let run = server.client().await.execute("r", options, handler).await.unwrap();
    assert_eq!(run.status(), RunStatus::Success);
}

#[tokio::test]
async fn the_outcome_of_the_handler_is_reported() {
    let server = OneRun::default();
    let answers = server.clone();
    let ends = Arc::<std::sync::Mutex<Vec<crate::v1::CompleteRequest>>>::default();
    let seen = ends.clone();
    let client = client_of(move |method, message| {
        if method == "Complete" {
            let request = prost::Message::decode(message).unwrap();
            seen.lock().unwrap().push(request);
        }
        answers.answer(method, message)
    })
    .await;
    let result = prost_types::Struct { fields: [("answer".into(), 42.into())].into() };
    let outcome = Outcome { result: Some(result.clone()), ..Outcome::default() };
    let handler = async |execution: Execution| {
        execution.set_stop_reason("token_capped");
        Ok::<_, String>(outcome)
    };
    client.execute("r", no_worker(), handler).await.unwrap();
    let failing = async |execution: Execution| {
        execution.set_stop_reason("no_credit");
        Err::<(), _>("broken")
    };
    client.execute("r", no_worker(), failing).await.unwrap();
    let ends = ends.lock().unwrap();
    assert_eq!((ends[0].result.as_ref(), ends[0].stop_reason()), (Some(&result), "token_capped"));
    assert_eq!((ends[1].error(), ends[1].stop_reason()), ("broken", "no_credit"));
}

#[tokio::test]
async fn a_run_ends_without_a_result_that_cannot_be_sent() {
    let server = OneRun::default();
    let text = "x".repeat(5 << 20);
    let result = prost_types::Struct { fields: [("answer".into(), text.into())].into() };
    let handler = async |_| Ok::<_, String>(result);
    let error = server.client().await.execute("r", no_worker(), handler).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Call(error) if error.violations()[0].field == "result"));
    assert_eq!(server.reports()[2], "complete RUN_STATUS_SUCCESS ");
}
