use std::collections::BTreeMap;

use prost_types::Value;

use super::*;
use crate::testing::refusal;

fn usage_of(model: &str, usage: ModelUsage) -> Progress {
    Progress { by_model: HashMap::from([(model.into(), usage)]), ..Progress::default() }
}

#[test]
fn usage_is_merged_by_model_and_field() {
    let calls = |calls| ModelUsage { calls: Some(calls), ..ModelUsage::default() };
    let first = usage_of("a", ModelUsage { input_tokens: Some(5), ..calls(1) });
    let total = merged(&first, Some(&usage_of("a", calls(2))));
    let total = merged(&total, Some(&usage_of("b", ModelUsage::default())));
    let total = merged(&total, Some(&Progress { total_tokens: Some(1), ..Progress::default() }));
    assert_eq!(total.total_tokens, Some(1));
    assert_eq!(total.by_model["a"], ModelUsage { input_tokens: Some(5), ..calls(2) });
    assert_eq!(total.by_model["b"], ModelUsage::default());
}

fn whole() -> End {
    let outcome = Outcome {
        progress: Some(Progress { total_tokens: Some(-1), ..Progress::default() }),
        result: Some(Struct::default()),
        stop_reason: Some("x".into()),
    };
    End { outcome, failure: None }
}

#[test]
fn an_end_that_is_rejected_is_reported_without_its_contents() {
    let mut end = whole();
    assert!(!end.drop_rejected(&refusal(Code::NotFound).into()));
    assert!(end.drop_rejected(&refusal(Code::InvalidArgument).into()));
    assert_eq!((&end.outcome, &end.failure), (&Outcome::default(), &None));
    assert!(!end.drop_rejected(&refusal(Code::InvalidArgument).into()));
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(Value::from("x"), |inner, _| BTreeMap::from([("a".to_owned(), inner)]).into())
}

fn unsendable_part(outcome: Outcome) -> Option<String> {
    let rejection = End { outcome, failure: None }.unsendable()?;
    assert_eq!(rejection.kind(), Kind::InvalidArgument);
    Some(rejection.violations()[0].field.clone())
}

#[test]
fn what_no_message_can_hold_is_not_sent() {
    let result = |value: Value| Struct { fields: BTreeMap::from([("a".into(), value)]) };
    assert_eq!(unsendable_part(result(nested(20)).into()), None);
    assert_eq!(unsendable_part(result(nested(500)).into()), Some("result".into()));
    assert_eq!(
        unsendable_part(result(Value::from("x".repeat(5 << 20))).into()),
        Some("result".into())
    );
    let models = (0..200_000).map(|number| (format!("{number:32}"), ModelUsage::default()));
    let progress = Progress { by_model: models.collect(), ..Progress::default() };
    assert_eq!(unsendable_part(progress.into()), Some("progress".into()));
}
