//! Short forms of requests: an id where the other fields are rarely set.

use crate::v1::stream_status_request::Target;
use crate::v1::{
    CancelRequest, CreateOrRejectRequest, CreateRequest, ListByThreadRequest, RunSpec,
    StreamStatusRequest,
};

impl From<RunSpec> for CreateRequest {
    fn from(spec: RunSpec) -> Self {
        Self { spec: Some(spec), ..Self::default() }
    }
}

impl From<RunSpec> for CreateOrRejectRequest {
    fn from(spec: RunSpec) -> Self {
        Self { spec: Some(spec), ..Self::default() }
    }
}

/// A request for all runs of the thread with this id.
impl<T: Into<String>> From<T> for ListByThreadRequest {
    fn from(thread_id: T) -> Self {
        Self { thread_id: thread_id.into(), ..Self::default() }
    }
}

/// A request to cancel the run with this id.
impl<T: Into<String>> From<T> for CancelRequest {
    fn from(run_id: T) -> Self {
        Self { run_id: run_id.into(), ..Self::default() }
    }
}

/// A request to watch the run with this id, from a snapshot on.
impl<T: Into<String>> From<T> for StreamStatusRequest {
    fn from(run_id: T) -> Self {
        Self { target: Some(Target::RunId(run_id.into())), ..Self::default() }
    }
}
