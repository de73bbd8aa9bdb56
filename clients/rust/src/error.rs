use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt;

const DOMAIN: &str = "runsvc";
/// The trailer that a runsvc server adds to every error.
const REQUEST_ID: &str = "x-request-id";

/// A failed call.
#[derive(Clone, Debug)]
pub struct RunError(Box<Details>);

#[derive(Clone, Debug)]
struct Details {
    code: Code,
    reason: String,
    message: String,
    metadata: HashMap<String, String>,
    violations: Vec<Violation>,
    retry_after: Option<Duration>,
    request_id: String,
}

/// The kind of a [`RunError`], for the errors that callers often handle. [`RunError::code`] and [`RunError::reason`]
/// distinguish all errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The run does not exist, or belongs to another owner.
    NotFound,
    /// The thread has an active run. The metadata holds its id as `run_id`.
    ThreadBusy,
    /// The state of the run does not allow the change: INVALID_TRANSITION (the run has ended) or NOT_HOLDER (another
    /// executor holds the run).
    FailedPrecondition,
    /// The request is invalid. The violations list every invalid field.
    InvalidArgument,
    /// The server cannot be reached, is stopping, or cannot use its store. With a reason, the change did not happen.
    /// Without a reason the connection was lost, and the change may have happened.
    Unavailable,
    /// Any other error.
    Other,
}

/// One invalid field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field in the request, such as `spec.thread_id`.
    pub field: String,
    /// The rule that the field violates, for people.
    pub description: String,
}

impl RunError {
    /// Returns the gRPC status code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> Kind {
        match self.0.code {
            _ if self.0.reason == "THREAD_BUSY" => Kind::ThreadBusy,
            Code::NotFound => Kind::NotFound,
            Code::FailedPrecondition => Kind::FailedPrecondition,
            Code::InvalidArgument => Kind::InvalidArgument,
            Code::Unavailable => Kind::Unavailable,
            _ => Kind::Other,
        }
    }

    /// True if the server refused the token: it may have expired, and another may come.
    pub(crate) fn is_unauthenticated(&self) -> bool {
        self.0.code == Code::Unauthenticated
    }

    /// True if the error does not concern the run itself, so that the same report may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(
            self.0.code,
            Code::Unavailable
                | Code::DeadlineExceeded
                | Code::ResourceExhausted
                | Code::Unknown
                | Code::Internal
        )
    }

    /// True if the server is unavailable, or overloaded with a delay after which it can be called again.
    pub(crate) fn is_unavailable(&self) -> bool {
        let is_overloaded = self.0.reason == "OVERLOADED" && self.0.retry_after.is_some();
        is_overloaded || self.kind() == Kind::Unavailable
    }

    /// True if the server refused a report because the run has ended, was removed, or has another holder.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.kind(), Kind::NotFound | Kind::FailedPrecondition)
    }

    /// Returns the name of a [`v1::ErrorReason`](crate::v1::ErrorReason) without its prefix, such as THREAD_BUSY. Empty
    /// if the server gave no reason or did not answer.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Returns the description of the error, for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the facts that belong to the reason, such as `run_id`.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.0.metadata
    }

    /// Returns the invalid fields of an INVALID_REQUEST.
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// Returns the delay after which the server suggests a retry.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// True if the error does not come from a server: the connection was lost or never made, or the deadline passed.
    pub fn from_transport(&self) -> bool {
        self.0.request_id.is_empty()
    }

    /// Returns the id under which the server's log describes the call. Empty if no server answered.
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }
}

impl From<Status> for RunError {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN);
        let violations = details.bad_request().map(|request| request.field_violations.as_slice());
        Self(Box::new(Details {
            code: code(&status),
            reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
            message: status.message().to_owned(),
            metadata: info.map(|info| info.metadata.clone()).unwrap_or_default(),
            violations: violations.unwrap_or_default().iter().map(Violation::from).collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            request_id: request_id(&status).to_owned(),
        }))
    }
}

/// Returns the code of the status. tonic reports a lost connection and a passed deadline as CANCELLED or UNKNOWN with a
/// cause; a server's status has no cause. CANCELLED without a cause means that the server is stopping or has too many
/// calls: a caller that cancels a call drops its future, and receives no status.
fn code(status: &Status) -> Code {
    match status.code() {
        Code::Cancelled | Code::Unknown
            if causes(status).any(|cause| cause.is::<TimeoutExpired>()) =>
        {
            Code::DeadlineExceeded
        }
        Code::Cancelled => Code::Unavailable,
        Code::Unknown if status.source().is_some() => Code::Unavailable,
        code => code,
    }
}

fn request_id(status: &Status) -> &str {
    status.metadata().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default()
}

fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(status.source(), |&cause| cause.source())
}

impl From<&tonic_types::FieldViolation> for Violation {
    fn from(violation: &tonic_types::FieldViolation) -> Self {
        Self { field: violation.field.clone(), description: violation.description.clone() }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.code)?;
        if !self.0.reason.is_empty() {
            write!(f, " {}", self.0.reason)?;
        }
        write!(f, ": {}", self.0.message)?;
        if !self.0.request_id.is_empty() {
            write!(f, " (request id {})", self.0.request_id)?;
        }
        Ok(())
    }
}

impl Error for RunError {}

#[cfg(test)]
mod tests;
