//! Converts commands of the suite to requests.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use prost_types::value::Kind as Shape;
use runsvc_client::Outcome;
use runsvc_client::v1::stream_status_request::Target;
use runsvc_client::v1::*;
use serde_json::Value;

pub fn text(json: &Value, name: &str) -> String {
    optional(json, name).unwrap_or_default()
}

pub fn optional(json: &Value, name: &str) -> Option<String> {
    json[name].as_str().map(str::to_owned)
}

/// An integer, from a JSON number or a string of digits.
fn integer<T: FromStr>(json: &Value, name: &str) -> Option<T> {
    match &json[name] {
        Value::Null => None,
        Value::String(digits) => digits.parse().ok(),
        number => number.to_string().parse().ok(),
    }
}

fn flag(json: &Value, name: &str) -> bool {
    json[name].as_bool().unwrap_or_default()
}

fn duration(json: &Value, name: &str) -> Option<prost_types::Duration> {
    Duration::from_millis(json[name].as_u64()?).try_into().ok()
}

/// The number of an enum value, from its lower-case name without the prefix or from the number itself.
macro_rules! enumerated {
    ($json:expr, $type:ident, $prefix:literal) => {
        match $json {
            Value::String(name) => {
                $type::from_str_name(&format!(concat!($prefix, "{}"), name.to_uppercase()))
                    .expect("the name of an enum value")
                    .into()
            }
            number => number.as_i64().unwrap_or_default() as i32,
        }
    };
}

fn spec(json: &Value) -> Option<RunSpec> {
    json["spec"].is_object().then(|| {
        let json = &json["spec"];
        RunSpec {
            thread_id: text(json, "thread_id"),
            assistant_id: optional(json, "assistant_id"),
            on_disconnect: enumerated!(&json["on_disconnect"], DisconnectMode, "DISCONNECT_MODE_"),
            metadata: structure(&json["metadata"]),
            kwargs: structure(&json["kwargs"]),
            multitask_strategy: enumerated!(
                &json["multitask_strategy"],
                MultitaskStrategy,
                "MULTITASK_STRATEGY_"
            ),
            model_name: optional(json, "model_name"),
            worker_id: optional(json, "worker_id"),
            lease_ttl: duration(json, "lease_ttl_ms"),
            start_timeout: duration(json, "start_timeout_ms"),
            timeout: duration(json, "timeout_ms"),
            handover: enumerated!(&json["handover"], Handover, "HANDOVER_"),
            concurrency_key: optional(json, "concurrency_key"),
            queue_timeout: duration(json, "queue_timeout_ms"),
            priority: integer(json, "priority").unwrap_or_default(),
            retry: retry(&json["retry"]),
            not_before: None,
        }
    })
}

fn retry(json: &Value) -> Option<Retry> {
    json.is_object().then(|| Retry {
        max_attempts: integer(json, "max_attempts").unwrap_or_default(),
        backoff: duration(json, "backoff_ms"),
        ..Retry::default()
    })
}

pub fn create(json: &Value) -> CreateRequest {
    CreateRequest { request_id: text(json, "request_id"), spec: spec(json) }
}

pub fn create_or_reject(json: &Value) -> CreateOrRejectRequest {
    CreateOrRejectRequest { request_id: text(json, "request_id"), spec: spec(json) }
}

fn status(json: &Value) -> i32 {
    enumerated!(json, RunStatus, "RUN_STATUS_")
}

pub fn list(json: &Value) -> ListByThreadRequest {
    ListByThreadRequest {
        thread_id: text(json, "thread_id"),
        page_size: integer(json, "page_size").unwrap_or_default(),
        page_token: String::new(),
        statuses: json["statuses"].as_array().into_iter().flatten().map(status).collect(),
    }
}

pub fn set_status(json: &Value) -> SetStatusRequest {
    SetStatusRequest {
        run_id: text(json, "run_id"),
        status: status(&json["status"]),
        error: optional(json, "error"),
        worker_id: optional(json, "worker_id"),
        lease_ttl: duration(json, "lease_ttl_ms"),
        result: structure(&json["result"]),
        stop_reason: optional(json, "stop_reason"),
        attempt: integer(json, "attempt"),
        retryable: flag(json, "retryable"),
    }
}

pub fn complete(json: &Value) -> CompleteRequest {
    CompleteRequest {
        run_id: text(json, "run_id"),
        status: status(&json["status"]),
        error: optional(json, "error"),
        progress: progress(json),
        worker_id: optional(json, "worker_id"),
        result: structure(&json["result"]),
        stop_reason: optional(json, "stop_reason"),
        attempt: integer(json, "attempt"),
        retryable: flag(json, "retryable"),
    }
}

pub fn update_progress(json: &Value) -> UpdateProgressRequest {
    UpdateProgressRequest {
        run_id: text(json, "run_id"),
        progress: progress(json),
        sequence: integer(json, "sequence"),
        r#final: flag(json, "final"),
        worker_id: optional(json, "worker_id"),
        attempt: integer(json, "attempt"),
    }
}

pub fn update_model_name(json: &Value) -> UpdateModelNameRequest {
    UpdateModelNameRequest {
        run_id: text(json, "run_id"),
        model_name: optional(json, "model_name"),
    }
}

pub fn update_metadata(json: &Value) -> UpdateMetadataRequest {
    let keys = json["remove"].as_array().into_iter().flatten();
    UpdateMetadataRequest {
        run_id: text(json, "run_id"),
        set: structure(&json["set"]),
        remove: keys.filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

pub fn heartbeat(json: &Value) -> HeartbeatRequest {
    HeartbeatRequest {
        run_id: text(json, "run_id"),
        worker_id: text(json, "worker_id"),
        attempt: integer(json, "attempt"),
    }
}

pub fn cancel(json: &Value) -> CancelRequest {
    CancelRequest {
        run_id: text(json, "run_id"),
        action: enumerated!(&json["action"], CancelAction, "CANCEL_ACTION_"),
        note: optional(json, "note"),
    }
}

pub fn acknowledge_cancel(json: &Value) -> AcknowledgeCancelRequest {
    AcknowledgeCancelRequest {
        run_id: text(json, "run_id"),
        worker_id: optional(json, "worker_id"),
        progress: progress(json),
        stop_reason: optional(json, "stop_reason"),
        attempt: integer(json, "attempt"),
    }
}

pub fn watch(json: &Value) -> StreamStatusRequest {
    StreamStatusRequest {
        target: target(json),
        after_revision: integer(json, "after_revision"),
        store_id: text(json, "store_id"),
        include_progress: flag(json, "include_progress"),
        heartbeat_interval: duration(json, "heartbeat_interval_ms"),
        attach: flag(json, "attach"),
        until_acknowledged: flag(json, "until_acknowledged"),
    }
}

fn target(json: &Value) -> Option<Target> {
    let all = || {
        let all = json["all"].as_object()?;
        let assistant_id = all.get("assistant_id").and_then(Value::as_str).map(str::to_owned);
        Some(Target::All(AllRuns { assistant_id }))
    };
    let run = optional(json, "run_id").map(Target::RunId);
    run.or_else(|| optional(json, "thread_id").map(Target::ThreadId)).or_else(all)
}

pub fn progress(json: &Value) -> Option<Progress> {
    json["progress"].is_object().then(|| {
        let json = &json["progress"];
        Progress {
            total_input_tokens: integer(json, "total_input_tokens"),
            total_output_tokens: integer(json, "total_output_tokens"),
            total_tokens: integer(json, "total_tokens"),
            llm_call_count: integer(json, "llm_call_count"),
            lead_agent_tokens: integer(json, "lead_agent_tokens"),
            subagent_tokens: integer(json, "subagent_tokens"),
            middleware_tokens: integer(json, "middleware_tokens"),
            message_count: integer(json, "message_count"),
            last_ai_message: optional(json, "last_ai_message"),
            first_human_message: optional(json, "first_human_message"),
            r#final: json["final"].as_bool(),
            by_model: by_model(&json["by_model"]),
        }
    })
}

fn by_model(json: &Value) -> HashMap<String, ModelUsage> {
    let models = json.as_object().into_iter().flatten();
    models
        .map(|(name, json)| {
            let usage = ModelUsage {
                input_tokens: integer(json, "input_tokens"),
                output_tokens: integer(json, "output_tokens"),
                cache_read_tokens: integer(json, "cache_read_tokens"),
                reasoning_tokens: integer(json, "reasoning_tokens"),
                calls: integer(json, "calls"),
            };
            (name.clone(), usage)
        })
        .collect()
}

pub fn outcome(json: &Value) -> Outcome {
    Outcome {
        progress: progress(json),
        result: structure(&json["result"]),
        stop_reason: optional(json, "stop_reason"),
    }
}

fn structure(json: &Value) -> Option<prost_types::Struct> {
    let fields = json.as_object()?;
    let fields = fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
    Some(prost_types::Struct { fields })
}

fn plain(json: &Value) -> prost_types::Value {
    let kind = match json {
        Value::Null => Shape::NullValue(0),
        Value::Bool(value) => Shape::BoolValue(*value),
        Value::Number(number) => Shape::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Shape::StringValue(text.clone()),
        Value::Array(values) => {
            Shape::ListValue(prost_types::ListValue { values: values.iter().map(plain).collect() })
        }
        Value::Object(_) => Shape::StructValue(structure(json).unwrap_or_default()),
    };
    prost_types::Value { kind: Some(kind) }
}
