//! Converts messages and errors to answers for the suite.

use std::collections::HashMap;
use std::time::Duration;

use prost_types::value::Kind as Shape;
use runsvc_client::v1::*;
use runsvc_client::{Kind, RunError};
use serde_json::{Map, Value, json};

/// 2^53: larger integers do not fit into a double without loss.
const EXACT_LIMIT: u64 = 1 << 53;

/// An object that leaves out unset fields.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(mut self, name: &str, value: Option<Value>) -> Self {
        if let Some(value) = value {
            self.0.insert(name.into(), value);
        }
        self
    }

    fn text(self, name: &str, text: &str) -> Self {
        self.put(name, (!text.is_empty()).then(|| text.into()))
    }

    fn enumerated(self, name: &str, number: i32, value: Option<&str>, prefix: &str) -> Self {
        let written =
            value.map_or(number.into(), |value| value[prefix.len()..].to_lowercase().into());
        self.put(name, (number != 0).then_some(written))
    }

    fn count(self, name: &str, count: Option<i64>) -> Self {
        self.put(name, count.map(|count| integer(count, count.unsigned_abs())))
    }

    fn duration(self, name: &str, duration: Option<prost_types::Duration>) -> Self {
        let millis = |duration| Duration::try_from(duration).map(|time| time.as_millis() as u64);
        self.put(name, duration.and_then(|duration| millis(duration).ok()).map(Value::from))
    }

    fn object(self, name: &str, fields: Option<Fields>) -> Self {
        self.put(name, fields.filter(|fields| !fields.0.is_empty()).map(|fields| fields.0.into()))
    }
}

fn integer(number: impl Into<Value> + ToString, size: u64) -> Value {
    if size < EXACT_LIMIT { number.into() } else { number.to_string().into() }
}

macro_rules! enumerated {
    ($fields:expr, $name:literal, $type:ident, $number:expr, $prefix:literal) => {
        $fields.enumerated(
            $name,
            $number,
            $type::try_from($number).ok().map(|value| value.as_str_name()),
            $prefix,
        )
    };
}

pub fn optional(run: Option<Run>) -> Value {
    run.map(run_fields).unwrap_or_default().0.into()
}

pub fn runs(runs: Vec<Run>) -> Value {
    runs.into_iter().map(|run| Value::from(run_fields(run).0)).collect()
}

pub fn only(run: Run) -> Value {
    json!({"run": run_fields(run).0})
}

pub fn cancelled(response: CancelResponse) -> Value {
    let fields = Fields::default().object("run", response.run.map(run_fields));
    enumerated!(fields, "outcome", CancelOutcome, response.outcome, "CANCEL_OUTCOME_").0.into()
}

pub fn event(event: StreamStatusResponse) -> Value {
    let fields = Fields::default()
        .put("revision", (event.revision != 0).then(|| integer(event.revision, event.revision)))
        .object("run", event.run.map(run_fields))
        .put("more", event.more.then_some(true.into()))
        .text("store_id", &event.store_id);
    let fields = enumerated!(fields, "event", StatusEvent, event.event, "STATUS_EVENT_");
    enumerated!(fields, "previous_status", RunStatus, event.previous_status, "RUN_STATUS_").0.into()
}

pub fn error(error: &RunError) -> Value {
    let kind = match error.kind() {
        Kind::NotFound => "not_found",
        Kind::ThreadBusy => "thread_busy",
        Kind::FailedPrecondition => "failed_precondition",
        Kind::InvalidArgument => "invalid_argument",
        Kind::Unavailable => "unavailable",
        _ => "",
    };
    let fields: Vec<_> =
        error.violations().iter().map(|violation| violation.field.clone()).collect();
    Fields::default()
        .text("code", &code(error))
        .text("reason", error.reason())
        .put("metadata", (!error.metadata().is_empty()).then(|| json!(error.metadata())))
        .put("violations", (!fields.is_empty()).then(|| fields.into()))
        .text("kind", kind)
        .put("retry_after_ms", error.retry_after().map(|wait| (wait.as_millis() as u64).into()))
        .0
        .into()
}

/// The name of the code in capitals: NOT_FOUND for `NotFound`.
fn code(error: &RunError) -> String {
    let mut code = String::new();
    for letter in format!("{:?}", error.code()).chars() {
        if letter.is_uppercase() && !code.is_empty() {
            code.push('_');
        }
        code.push(letter.to_ascii_uppercase());
    }
    code
}

fn run_fields(run: Run) -> Fields {
    let fields = Fields::default()
        .text("run_id", &run.run_id)
        .text("thread_id", &run.thread_id)
        .put("revision", (run.revision != 0).then(|| integer(run.revision, run.revision)))
        .text("assistant_id", run.assistant_id())
        .text("worker_id", run.worker_id())
        .text("model_name", run.model_name())
        .text("error", run.error())
        .text("superseded_by", run.superseded_by())
        .text("stop_reason", run.stop_reason())
        .text("owner", &run.owner)
        .object("progress", run.progress.as_ref().map(progress))
        .object("cancellation", run.cancellation.as_ref().map(cancellation));
    let fields = enumerated!(fields, "status", RunStatus, run.status, "RUN_STATUS_");
    let fields =
        enumerated!(fields, "status_reason", StatusReason, run.status_reason, "STATUS_REASON_");
    let fields =
        enumerated!(fields, "on_disconnect", DisconnectMode, run.on_disconnect, "DISCONNECT_MODE_");
    enumerated!(
        fields,
        "multitask_strategy",
        MultitaskStrategy,
        run.multitask_strategy,
        "MULTITASK_STRATEGY_"
    )
    .text("concurrency_key", run.concurrency_key())
    .duration("queue_timeout_ms", run.queue_timeout)
    .object("queue", run.queue.as_ref().map(queue))
    .duration("lease_ttl_ms", run.lease.and_then(|lease| lease.ttl))
    .duration("start_timeout_ms", run.start_timeout)
    .duration("timeout_ms", run.timeout)
    .object("metadata", run.metadata.map(structure))
    .object("kwargs", run.kwargs.map(structure))
    .object("result", run.result.map(structure))
}

fn queue(queue: &Queue) -> Fields {
    let position = (queue.position != 0).then_some(queue.position);
    let fields = Fields::default()
        .count("position", position)
        .text("blocked_by_run_id", queue.blocked_by_run_id());
    enumerated!(fields, "gate", QueueGate, queue.gate, "QUEUE_GATE_")
}

fn progress(progress: &Progress) -> Fields {
    Fields::default()
        .count("total_input_tokens", progress.total_input_tokens)
        .count("total_output_tokens", progress.total_output_tokens)
        .count("total_tokens", progress.total_tokens)
        .count("llm_call_count", progress.llm_call_count)
        .count("lead_agent_tokens", progress.lead_agent_tokens)
        .count("subagent_tokens", progress.subagent_tokens)
        .count("middleware_tokens", progress.middleware_tokens)
        .count("message_count", progress.message_count)
        .text("last_ai_message", progress.last_ai_message())
        .text("first_human_message", progress.first_human_message())
        .put("final", progress.r#final.map(Value::from))
        .object("by_model", (!progress.by_model.is_empty()).then(|| by_model(&progress.by_model)))
}

fn by_model(models: &HashMap<String, ModelUsage>) -> Fields {
    let usage = |usage: &ModelUsage| {
        let fields = Fields::default()
            .count("input_tokens", usage.input_tokens)
            .count("output_tokens", usage.output_tokens)
            .count("cache_read_tokens", usage.cache_read_tokens)
            .count("reasoning_tokens", usage.reasoning_tokens)
            .count("calls", usage.calls);
        Value::from(fields.0)
    };
    Fields(models.iter().map(|(name, figures)| (name.clone(), usage(figures))).collect())
}

fn cancellation(cancellation: &Cancellation) -> Fields {
    let fields = Fields::default()
        .text("note", cancellation.note())
        .put("acknowledged", cancellation.acknowledged_at.map(|_| true.into()));
    enumerated!(fields, "action", CancelAction, cancellation.action, "CANCEL_ACTION_")
}

fn structure(structure: prost_types::Struct) -> Fields {
    Fields(structure.fields.into_iter().map(|(name, value)| (name, plain(value))).collect())
}

fn plain(value: prost_types::Value) -> Value {
    match value.kind {
        Some(Shape::StructValue(value)) => structure(value).0.into(),
        Some(Shape::ListValue(list)) => list.values.into_iter().map(plain).collect(),
        Some(Shape::StringValue(text)) => text.into(),
        Some(Shape::NumberValue(number)) => number.into(),
        Some(Shape::BoolValue(value)) => value.into(),
        Some(Shape::NullValue(_)) | None => Value::Null,
    }
}
