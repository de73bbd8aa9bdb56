use std::collections::HashMap;

use prost::Message;
use prost_types::Struct;
use prost_types::value::Kind as Shape;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::v1::{ModelUsage, Progress};
use crate::{Failure, Kind, RunError, truncated};

/// The largest usage and result that fit into a report of the end, in bytes: the server accepts messages of 4 MiB.
const MAX_BYTES: usize = (4 << 20) - (32 << 10);
/// The deepest result that is sent. The server accepts fewer levels; a deeper message cannot be decoded.
const MAX_LEVELS: usize = 30;

/// What a handler returns: the parts of the report of the end. A handler without a result returns its final usage
/// alone, as `Progress`, `Option<Progress>` or `()`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The final usage, on top of the progress that was reported before.
    pub progress: Option<Progress>,
    /// What the run produced, at most 1 MiB and 16 levels deep. Reported with SUCCESS only.
    pub result: Option<Struct>,
    /// Why the run stopped, in a word of the executor's own such as `token_capped`, of at most 128 characters. None:
    /// the one of [`Execution::set_stop_reason`](crate::Execution::set_stop_reason).
    pub stop_reason: Option<String>,
}

impl From<Option<Progress>> for Outcome {
    fn from(progress: Option<Progress>) -> Self {
        Self { progress, ..Self::default() }
    }
}

impl From<Progress> for Outcome {
    fn from(progress: Progress) -> Self {
        Some(progress).into()
    }
}

impl From<Struct> for Outcome {
    fn from(result: Struct) -> Self {
        Self { result: Some(result), ..Self::default() }
    }
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::default()
    }
}

/// The end of a handler, as it is reported.
#[derive(Clone, Debug, Default)]
pub(crate) struct End {
    pub(crate) outcome: Outcome,
    /// None: the run is SUCCESS.
    pub(crate) failure: Option<Failure>,
}

impl End {
    /// Removes the parts without which the end can be reported, if the server has rejected the report. Returns false if
    /// there are none.
    pub(crate) fn drop_rejected(&mut self, rejection: &RunError) -> bool {
        let is_droppable = self.outcome != Outcome::default();
        if is_droppable && rejection.kind() == Kind::InvalidArgument {
            self.outcome = Outcome::default();
            return true;
        }
        false
    }

    /// Returns the rejection of the parts that are too large or too deep for a message.
    pub(crate) fn unsendable(&self) -> Option<RunError> {
        let Outcome { progress, result, .. } = &self.outcome;
        let usage = progress.as_ref().map_or(0, Message::encoded_len);
        if usage > MAX_BYTES {
            return Some(rejection(
                "progress",
                format!("has {usage} bytes, more than {MAX_BYTES}"),
            ));
        }
        let result = result.as_ref()?;
        // The encoding is recursive: a result that is too deep is not measured.
        if is_deeper(result, MAX_LEVELS) {
            return Some(rejection("result", format!("has more than {MAX_LEVELS} levels")));
        }
        let bytes = usage + result.encoded_len();
        (bytes > MAX_BYTES)
            .then(|| rejection("result", format!("has {bytes} bytes, more than {MAX_BYTES}")))
    }
}

fn is_deeper(structure: &Struct, levels: usize) -> bool {
    levels == 0 || structure.fields.values().any(|value| is_deeper_value(value, levels - 1))
}

fn is_deeper_value(value: &prost_types::Value, levels: usize) -> bool {
    match &value.kind {
        Some(Shape::StructValue(inner)) => is_deeper(inner, levels),
        Some(Shape::ListValue(list)) => {
            levels == 0 || list.values.iter().any(|value| is_deeper_value(value, levels - 1))
        }
        _ => false,
    }
}

/// An error as the server sends it.
fn rejection(field: &str, description: String) -> RunError {
    let message = format!("{field} {description}");
    let details = ErrorDetails::with_bad_request_violation(field, description);
    Status::with_error_details(Code::InvalidArgument, message, details).into()
}

/// Merges progress as the server does: by field, and by model the fields of each. Previews are truncated, so that they
/// always fit into a message: the server keeps less of them.
pub(crate) fn merged(progress: &Progress, more: Option<&Progress>) -> Progress {
    let mut total = merged_fields(progress, more);
    let models = more.map(|more| &more.by_model);
    total.by_model = merged_models(&progress.by_model, models);
    for preview in [&mut total.last_ai_message, &mut total.first_human_message] {
        *preview = preview.take().map(truncated);
    }
    total
}

fn merged_models(
    models: &HashMap<String, ModelUsage>,
    more: Option<&HashMap<String, ModelUsage>>,
) -> HashMap<String, ModelUsage> {
    let mut total = models.clone();
    for (name, usage) in more.into_iter().flatten() {
        let known = total.entry(name.clone()).or_default();
        *known = merged_fields(known, Some(usage));
    }
    total
}

fn merged_fields<M: Message + Default>(message: &M, more: Option<&M>) -> M {
    let mut bytes = message.encode_to_vec();
    bytes.extend(more.map(Message::encode_to_vec).unwrap_or_default());
    M::decode(bytes.as_slice()).expect("concatenated messages decode to their merge")
}

#[cfg(test)]
mod tests;
