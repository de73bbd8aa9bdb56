use std::time::Duration;

use super::*;

#[test]
fn progress_is_merged_field_by_field() {
    let first =
        Progress { total_input_tokens: Some(3), total_tokens: Some(3), ..Default::default() };
    let second = Progress { total_tokens: Some(0), ..Default::default() };
    let total =
        Progress { total_input_tokens: Some(3), total_tokens: Some(0), ..Default::default() };
    assert_eq!(merged(&first, Some(&second)), total);
}

#[tokio::test]
async fn the_sequence_of_a_later_process_is_higher() {
    let client = RunClient::connect().unwrap();
    let stop = Arc::new(watch::Sender::new(None));
    let mut last = 0;
    for _process in 0..2 {
        let execution = Execution::new(client.clone(), None, Run::default(), &stop);
        let sequence = execution.reported().sequence;
        assert!(sequence > last);
        last = sequence;
    }
}

#[test]
fn an_unknown_status_is_not_a_reason_to_stop() {
    assert_eq!(StopReason::of(&Run { status: 42, ..Default::default() }, &Run::default()), None);
    let timed_out = Run { status: RunStatus::Timeout.into(), ..Default::default() };
    assert_eq!(StopReason::of(&timed_out, &Run::default()), Some(StopReason::Lost));
}

#[tokio::test(start_paused = true)]
async fn a_report_that_is_not_polled_does_not_delay_the_final_usage() {
    let client = RunClient::connect().unwrap();
    let stop = Arc::new(watch::Sender::new(None));
    let execution = Execution::new(client, None, Run::default(), &stop);
    let progress = Progress { total_tokens: Some(3), ..Progress::default() };
    let mut report = Box::pin(execution.report(progress.clone()));
    tokio::time::timeout(Duration::ZERO, &mut report).await.unwrap_err();
    assert_eq!(execution.complete(Outcome::default()).progress, Some(progress));
}

#[test]
fn previews_always_fit_into_a_message() {
    let progress = Progress { last_ai_message: Some("ü".repeat(5 << 20)), ..Progress::default() };
    assert_eq!(merged(&progress, None).last_ai_message.unwrap().len(), 64 << 10);
}
