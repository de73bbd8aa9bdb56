use std::sync::Arc;
use std::time::Duration;

use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::attempts;
use crate::streams::Streams;
use crate::v1::admin_service_client::AdminServiceClient;
use crate::v1::run_service_client::RunServiceClient;
use crate::v1::*;
use crate::watch_source::WatchSource;
use crate::{Bearer, RunClientBuilder, RunError, RunPages, SettingsError, Watch};

const DEFAULT_OUTAGE: Duration = Duration::from_secs(60);
/// The wait of a claim whose request has none.
const DEFAULT_WAIT: Duration = Duration::from_secs(20);

/// The generated stub of the RunService. It adds the token, but no deadlines and no retries.
pub type RunStub = RunServiceClient<InterceptedService<Channel, Bearer>>;
/// The generated stub of the AdminService. It adds the token, but no deadlines and no retries.
pub type AdminStub = AdminServiceClient<InterceptedService<Channel, Bearer>>;

/// A client of runsvc. Clones share one connection, which is closed with the last clone.
///
/// Every call has a deadline. Within it, reads and creations with a `request_id` are sent up to four times while the
/// server is unavailable; all other calls are sent once. A response that contains only a run is returned as the run.
#[derive(Clone, Debug)]
pub struct RunClient {
    stub: RunStub,
    admin_stub: AdminStub,
    channel: Channel,
    streams: Arc<Streams>,
    bearer: Bearer,
    timeout: Duration,
}

/// Makes one call through the stub's method with this name.
macro_rules! call {
    ($self:ident, $repeatable:expr, $method:ident, $request:expr) => {
        call!($self.stub, $self, $repeatable, $method, $request)
    };
    ($stub:expr, $self:ident, $repeatable:expr, $method:ident, $request:expr) => {{
        let stub = &$stub;
        attempts::call($self.timeout, $repeatable, &$self.bearer, $request, |request| {
            let mut stub = stub.clone();
            async move { stub.$method(request).await }
        })
    }};
}

impl RunClient {
    /// `connect`: makes a further connection for watches. None: all calls use this channel.
    pub(crate) fn new(
        channel: Channel,
        connect: Option<Box<dyn Fn() -> Channel + Send + Sync>>,
        bearer: Bearer,
        timeout: Duration,
    ) -> Self {
        let streams = Arc::new(Streams::new(channel.clone(), connect));
        Self {
            stub: RunServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            admin_stub: AdminServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            channel,
            streams,
            bearer,
            timeout,
        }
    }

    /// Creates a client with the settings of the environment: `RUNSVC_TARGET`, `RUNSVC_TOKEN` or `RUNSVC_TOKEN_FILE`,
    /// `RUNSVC_TLS_CA`, `RUNSVC_TLS_CERT`, `RUNSVC_TLS_KEY` and `RUNSVC_TIMEOUT`. By default it uses a server on this
    /// machine. It connects with its first call. Must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// A variable has an invalid value, or the certificates cannot be read.
    pub fn connect() -> Result<Self, SettingsError> {
        Self::builder().build()
    }

    /// Returns a builder, for settings that do not come from the environment.
    pub fn builder() -> RunClientBuilder {
        RunClientBuilder::default()
    }

    /// Returns this client with another deadline for its calls. `Duration::MAX` means none; with a timeout of zero,
    /// calls fail with DEADLINE_EXCEEDED.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Returns this client for the runs of one owner, on the same connections. A caller who may act for several owners
    /// narrows its calls and watches in this way; an empty name means the runs of the platform itself.
    #[must_use]
    pub fn for_owner(&self, owner: &str) -> Self {
        let bearer = self.bearer.for_owner(owner);
        Self {
            stub: RunServiceClient::with_interceptor(self.channel.clone(), bearer.clone()),
            admin_stub: AdminServiceClient::with_interceptor(self.channel.clone(), bearer.clone()),
            bearer,
            ..self.clone()
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Creates a run, even if its thread has active runs. Repeated calls with the same `request_id` return the same
    /// run.
    pub async fn create(
        &self,
        request: impl Into<CreateRequest>,
    ) -> Result<CreateResponse, RunError> {
        let request = request.into();
        call!(self, !request.request_id.is_empty(), create, request).await
    }

    /// Creates a run if its `multitask_strategy` admits it beside the active runs of its thread. Repeated calls with
    /// the same `request_id` return the same run.
    ///
    /// # Errors
    ///
    /// [`Kind::ThreadBusy`](crate::Kind::ThreadBusy) if the strategy rejects the run.
    pub async fn create_or_reject(
        &self,
        request: impl Into<CreateOrRejectRequest>,
    ) -> Result<CreateOrRejectResponse, RunError> {
        let request = request.into();
        call!(self, !request.request_id.is_empty(), create_or_reject, request).await
    }

    /// Returns a run, with its kwargs.
    pub async fn get(&self, run_id: impl Into<String>) -> Result<Run, RunError> {
        let request = GetRequest { run_id: run_id.into() };
        call!(self, true, get, request).await.map(|response| response.run.unwrap_or_default())
    }

    /// Returns the runs of a thread, newest first. Takes a thread id, or a request with a page size and statuses.
    pub fn list_by_thread(&self, request: impl Into<ListByThreadRequest>) -> RunPages {
        let client = self.clone();
        let fetch = move |request| {
            let client = client.clone();
            Box::pin(async move { call!(client, true, list_by_thread, request).await }) as _
        };
        RunPages::new(request.into(), Box::new(fetch))
    }

    /// Returns the ids of the active runs of a thread.
    pub async fn has_inflight(
        &self,
        thread_id: impl Into<String>,
    ) -> Result<HasInflightResponse, RunError> {
        let request = HasInflightRequest { thread_id: thread_id.into() };
        call!(self, true, has_inflight, request).await
    }

    /// Reports the status of a run. RUNNING starts the run and makes the executor its holder. INTERRUPTED acknowledges
    /// a cancel.
    pub async fn set_status(
        &self,
        request: SetStatusRequest,
    ) -> Result<SetStatusResponse, RunError> {
        call!(self, false, set_status, request).await
    }

    /// Reports the end of a run: status, error, result, stop reason and final usage. INTERRUPTED acknowledges a cancel.
    pub async fn complete(&self, request: CompleteRequest) -> Result<CompleteResponse, RunError> {
        call!(self, false, complete, request).await
    }

    /// Reports usage. If the run in the response is INTERRUPTED, it was cancelled.
    pub async fn update_progress(
        &self,
        request: UpdateProgressRequest,
    ) -> Result<UpdateProgressResponse, RunError> {
        call!(self, false, update_progress, request).await
    }

    /// Sets or clears the model name of an active run.
    pub async fn update_model_name(
        &self,
        request: UpdateModelNameRequest,
    ) -> Result<Run, RunError> {
        call!(self, false, update_model_name, request)
            .await
            .map(|response| response.run.unwrap_or_default())
    }

    /// Sets and removes keys of a run's metadata, at any time.
    pub async fn update_metadata(
        &self,
        request: UpdateMetadataRequest,
    ) -> Result<UpdateMetadataResponse, RunError> {
        call!(self, false, update_metadata, request).await
    }

    /// Renews the lease of the holder. If the returned run is INTERRUPTED, it was cancelled.
    pub async fn heartbeat(&self, request: HeartbeatRequest) -> Result<Run, RunError> {
        call!(self, false, heartbeat, request)
            .await
            .map(|response| response.run.unwrap_or_default())
    }

    /// Asks for PENDING runs, which become RUNNING under the worker id of the request. Waits for a run if there is
    /// none. The deadline of the client counts from the end of this wait. With a `request_id`, the call can be
    /// repeated.
    pub async fn claim(&self, request: ClaimRequest) -> Result<ClaimResponse, RunError> {
        let wait = request.wait.and_then(|wait| wait.try_into().ok());
        let client = self.with_timeout(self.timeout.saturating_add(wait.unwrap_or(DEFAULT_WAIT)));
        call!(client, !request.request_id.is_empty(), claim, request).await
    }

    /// Gives a run back: it becomes PENDING again, and the attempt does not count.
    pub async fn release(&self, request: ReleaseRequest) -> Result<Run, RunError> {
        call!(self, false, release, request).await.map(|response| response.run.unwrap_or_default())
    }

    /// Cancels a run. Takes a run id, or a request with an action and a note. The outcome distinguishes a run that this
    /// call cancelled from one that had ended before.
    pub async fn cancel(
        &self,
        request: impl Into<CancelRequest>,
    ) -> Result<CancelResponse, RunError> {
        call!(self, false, cancel, request.into()).await
    }

    /// Reports that the executor of a cancelled run has stopped.
    pub async fn acknowledge_cancel(
        &self,
        request: AcknowledgeCancelRequest,
    ) -> Result<AcknowledgeCancelResponse, RunError> {
        call!(self, false, acknowledge_cancel, request).await
    }

    /// Ends every active run without a live lease, PENDING runs included. For operators. Repeat the call while the
    /// response has `more`.
    pub async fn reconcile_orphans(
        &self,
        request: ReconcileOrphansRequest,
    ) -> Result<ReconcileOrphansResponse, RunError> {
        call!(self.admin_stub, self, false, reconcile_orphans, request).await
    }

    /// Removes a terminal run for good. For operators.
    pub async fn delete(&self, run_id: impl Into<String>) -> Result<(), RunError> {
        let request = DeleteRequest { run_id: run_id.into() };
        call!(self.admin_stub, self, false, delete, request).await.map(|_| ())
    }

    /// Returns the version of the server, and figures of its store. For operators.
    pub async fn get_server_info(&self) -> Result<GetServerInfoResponse, RunError> {
        call!(self.admin_stub, self, true, get_server_info, GetServerInfoRequest {}).await
    }

    /// Sets, changes or removes a concurrency limit. For operators.
    pub async fn set_concurrency_limit(
        &self,
        request: SetConcurrencyLimitRequest,
    ) -> Result<(), RunError> {
        call!(self.admin_stub, self, false, set_concurrency_limit, request).await.map(|_| ())
    }

    /// Returns all concurrency limits. For operators.
    pub async fn list_concurrency_limits(&self) -> Result<Vec<ConcurrencyLimit>, RunError> {
        let request = ListConcurrencyLimitsRequest {};
        call!(self.admin_stub, self, true, list_concurrency_limits, request)
            .await
            .map(|response| response.limits)
    }

    /// Watches a run until it ends. Takes a run id, or a request with another target or other options. The watch
    /// connects when its first event is awaited.
    pub fn watch(&self, request: impl Into<StreamStatusRequest>) -> Watch {
        let source = WatchSource::new(self.streams.clone(), self.bearer.clone());
        Watch::new(request.into(), DEFAULT_OUTAGE, Box::new(source))
    }

    /// Returns the generated stub of the RunService.
    pub fn stub(&self) -> RunStub {
        self.stub.clone()
    }

    /// Returns the generated stub of the AdminService.
    pub fn admin_stub(&self) -> AdminStub {
        self.admin_stub.clone()
    }
}
