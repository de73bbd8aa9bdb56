use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt;

const DOMAIN: &str = "runsvc";
/// On every failure that a server of ours tells.
const REQUEST_ID: &str = "x-request-id";

/// Why a call failed.
#[derive(Clone, Debug)]
pub struct RunError(Box<Told>);

#[derive(Clone, Debug)]
struct Told {
    code: Code,
    reason: String,
    message: String,
    metadata: HashMap<String, String>,
    violations: Vec<Violation>,
    retry_after: Option<Duration>,
    from_transport: bool,
}

/// What callers often go on from; [`RunError::code`] and [`RunError::reason`] tell all others apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// No such run, or not the caller's.
    NotFound,
    /// The thread has an active run; the metadata names it as run_id.
    ThreadBusy,
    /// Refused as things stand: INVALID_TRANSITION (the run has ended), or NOT_HOLDER (another worker has it).
    FailedPrecondition,
    /// The request is at fault; the violations list every field.
    InvalidArgument,
    /// No server, one that stops, or one that cannot reach its store. With a reason the change did not happen; without
    /// one the connection was lost, and it may have happened.
    Unavailable,
    /// Anything else.
    Other,
}

/// One field of a request that is at fault, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its path in the request, such as spec.thread_id.
    pub field: String,
    /// What is wrong with it, for people.
    pub description: String,
}

impl RunError {
    /// The canonical code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What kind of failure it is.
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

    /// Whether it says nothing about the run: the same report may be taken in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(
            self.0.code,
            Code::Unavailable
                | Code::DeadlineExceeded
                | Code::ResourceExhausted
                | Code::Unknown
                | Code::Internal
        )
    }

    /// Whether it says that the run ended, was removed, or is another worker's.
    pub(crate) fn is_losing(&self) -> bool {
        matches!(self.kind(), Kind::NotFound | Kind::FailedPrecondition)
    }

    /// Name of a [`v1::ErrorReason`](crate::v1::ErrorReason) without its prefix, such as THREAD_BUSY. Empty: the server
    /// did not say, or did not answer.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// What happened, for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The facts of the reason, such as run_id.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.0.metadata
    }

    /// The fields at fault, of an INVALID_REQUEST.
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// After how long trying again is worth it, if the server said.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// No server said so: the connection was lost or never made, or the time was over.
    pub fn from_transport(&self) -> bool {
        self.0.from_transport
    }
}

impl From<Status> for RunError {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN);
        let faults = details.bad_request().map(|request| request.field_violations.as_slice());
        Self(Box::new(Told {
            code: code(&status),
            reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
            message: status.message().to_owned(),
            metadata: info.map(|info| info.metadata.clone()).unwrap_or_default(),
            violations: faults.unwrap_or_default().iter().map(Violation::from).collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            from_transport: !status.metadata().contains_key(REQUEST_ID),
        }))
    }
}

/// The status' code. What has a cause comes from this side of the connection, and tonic has codes of its own for it.
fn code(status: &Status) -> Code {
    match status.code() {
        Code::Cancelled | Code::Unknown
            if causes(status).any(|cause| cause.is::<TimeoutExpired>()) =>
        {
            Code::DeadlineExceeded
        }
        Code::Cancelled | Code::Unknown if status.source().is_some() => Code::Unavailable,
        code => code,
    }
}

fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(status.source(), |&cause| cause.source())
}

impl From<&tonic_types::FieldViolation> for Violation {
    fn from(fault: &tonic_types::FieldViolation) -> Self {
        Self { field: fault.field.clone(), description: fault.description.clone() }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.code)?;
        if !self.0.reason.is_empty() {
            write!(f, " {}", self.0.reason)?;
        }
        write!(f, ": {}", self.0.message)
    }
}

impl Error for RunError {}

#[cfg(test)]
mod tests;
