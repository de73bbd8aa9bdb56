use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::attempts;
use crate::reports::Reports;
use crate::supervision::supervise;
use crate::v1::admin_service_client::AdminServiceClient;
use crate::v1::run_service_client::RunServiceClient;
use crate::v1::stream_status_request::Target;
use crate::v1::*;
use crate::{
    Bearer, Execution, RunClientBuilder, RunError, RunPages, SettingsError, Watch, WorkError,
    Worker,
};

const OUTAGE: Duration = Duration::from_secs(60);

/// The generated stub, with the token and nothing else: no deadline, no second attempt.
pub type RunStub = RunServiceClient<InterceptedService<Channel, Bearer>>;
/// The generated stub for operators, as [`RunStub`].
pub type AdminStub = AdminServiceClient<InterceptedService<Channel, Bearer>>;

/// A client of runsvc. Clones share its connection, which is closed with the last of them.
///
/// Every call has a deadline. Reads, and creations with a request_id, are made up to four times within it when the server
/// is not to be had; nothing else is sent twice. A response that is nothing but a run is returned as the run.
#[derive(Clone, Debug)]
pub struct RunClient {
    stub: RunStub,
    admin_stub: AdminStub,
    timeout: Duration,
}

/// The future of one call by the stub's method of that name.
macro_rules! call {
    ($self:ident, $repeatable:expr, $method:ident, $request:expr) => {
        call!($self.stub, $self, $repeatable, $method, $request)
    };
    ($stub:expr, $self:ident, $repeatable:expr, $method:ident, $request:expr) => {{
        let stub = &$stub;
        attempts::call($self.timeout, $repeatable, $request, |request| {
            let mut stub = stub.clone();
            async move { stub.$method(request).await }
        })
    }};
}

impl RunClient {
    pub(crate) fn new(channel: Channel, token: Bearer, timeout: Duration) -> Self {
        Self {
            stub: RunServiceClient::with_interceptor(channel.clone(), token.clone()),
            admin_stub: AdminServiceClient::with_interceptor(channel, token),
            timeout,
        }
    }

    /// A client as RUNSVC_TARGET, RUNSVC_TOKEN, RUNSVC_TLS_CA and RUNSVC_TIMEOUT say, or of a server on this machine, made
    /// inside a tokio runtime. It connects with its first call.
    pub fn connect() -> Result<Self, SettingsError> {
        Self::builder().build()
    }

    /// A client by other settings than the environment's.
    pub fn builder() -> RunClientBuilder {
        RunClientBuilder::default()
    }

    /// This client with another time that a call may take.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Admits a run beside any others of its thread; with a request_id, the same run however often it is asked.
    pub async fn create(
        &self,
        request: impl Into<CreateRequest>,
    ) -> Result<CreateResponse, RunError> {
        let request = request.into();
        call!(self, !request.request_id.is_empty(), create, request).await
    }

    /// Admits a run by its multitask_strategy; with a request_id, the same run however often it is asked.
    pub async fn create_or_reject(
        &self,
        request: impl Into<CreateOrRejectRequest>,
    ) -> Result<CreateOrRejectResponse, RunError> {
        let request = request.into();
        call!(self, !request.request_id.is_empty(), create_or_reject, request).await
    }

    /// The run, with its kwargs.
    pub async fn get(&self, run_id: impl Into<String>) -> Result<Run, RunError> {
        let request = GetRequest { run_id: run_id.into() };
        call!(self, true, get, request).await.map(|response| response.run.unwrap_or_default())
    }

    /// A thread's runs, newest first: of a thread's id, or by page size and statuses too.
    pub fn list_by_thread(&self, request: impl Into<ListByThreadRequest>) -> RunPages {
        let client = self.clone();
        let fetch = move |request| {
            let client = client.clone();
            Box::pin(async move { call!(client, true, list_by_thread, request).await }) as _
        };
        RunPages::new(request.into(), Box::new(fetch))
    }

    /// Whether a thread has active runs, and which.
    pub async fn has_inflight(
        &self,
        thread_id: impl Into<String>,
    ) -> Result<HasInflightResponse, RunError> {
        let request = HasInflightRequest { thread_id: thread_id.into() };
        call!(self, true, has_inflight, request).await
    }

    /// An executor's report of a status; RUNNING makes it the holder.
    pub async fn set_status(
        &self,
        request: SetStatusRequest,
    ) -> Result<SetStatusResponse, RunError> {
        call!(self, false, set_status, request).await
    }

    /// An executor's last report: status, error and usage at once.
    pub async fn complete(&self, request: CompleteRequest) -> Result<CompleteResponse, RunError> {
        call!(self, false, complete, request).await
    }

    /// An executor's report of its usage; the answer's run tells it of a cancel.
    pub async fn update_progress(
        &self,
        request: UpdateProgressRequest,
    ) -> Result<UpdateProgressResponse, RunError> {
        call!(self, false, update_progress, request).await
    }

    /// Sets or clears the model's name, until the run has ended.
    pub async fn update_model_name(
        &self,
        request: UpdateModelNameRequest,
    ) -> Result<Run, RunError> {
        call!(self, false, update_model_name, request)
            .await
            .map(|response| response.run.unwrap_or_default())
    }

    /// Renews the holder's lease.
    pub async fn heartbeat(&self, request: HeartbeatRequest) -> Result<Run, RunError> {
        call!(self, false, heartbeat, request)
            .await
            .map(|response| response.run.unwrap_or_default())
    }

    /// Cancels a run: of an id, or with an action and a note too. The outcome tells whether it had ended before.
    pub async fn cancel(
        &self,
        request: impl Into<CancelRequest>,
    ) -> Result<CancelResponse, RunError> {
        call!(self, false, cancel, request.into()).await
    }

    /// An executor's report that it has stopped a cancelled run.
    pub async fn acknowledge_cancel(
        &self,
        request: AcknowledgeCancelRequest,
    ) -> Result<AcknowledgeCancelResponse, RunError> {
        call!(self, false, acknowledge_cancel, request).await
    }

    /// Ends active runs that no living executor holds, for operators; call again while there are more.
    pub async fn reconcile_orphans(
        &self,
        request: ReconcileOrphansRequest,
    ) -> Result<ReconcileOrphansResponse, RunError> {
        call!(self.admin_stub, self, false, reconcile_orphans, request).await
    }

    /// Removes a run that has ended, for good; for operators.
    pub async fn delete(&self, run_id: impl Into<String>) -> Result<(), RunError> {
        let request = DeleteRequest { run_id: run_id.into() };
        call!(self.admin_stub, self, false, delete, request).await.map(|_| ())
    }

    /// What the server is and what it holds, for operators.
    pub async fn get_server_info(&self) -> Result<GetServerInfoResponse, RunError> {
        call!(self.admin_stub, self, true, get_server_info, GetServerInfoRequest {}).await
    }

    /// Watches a run of an id until it has ended, or what the request says. It connects with the first event, and goes on
    /// for a minute without a server.
    pub fn watch(&self, request: impl Into<StreamStatusRequest>) -> Watch {
        let stub = self.stub.clone();
        let open = move |request| {
            let mut stub = stub.clone();
            Box::pin(async move { Ok(stub.stream_status(request).await?.into_inner().boxed()) })
                as _
        };
        Watch::new(request.into(), OUTAGE, Box::new(open))
    }

    /// Executes a run: starts it, keeps its lease beside the work, tells the work to stop when others have ended the run, and
    /// reports how it ended.
    ///
    /// While there is no server the work goes on, however long, for time in which none serves counts for no lease: only an
    /// answer stops it. The report of the end is repeated for as long as the lease, but at least a minute.
    ///
    /// The work returns its final usage beyond what it reported, also of a cancelled run; an error makes the run ERROR with its text. The run is
    /// returned as reported: SUCCESS, ERROR or INTERRUPTED. Heartbeats are sent while the work awaits something; what
    /// computes for long belongs on a thread of its own. When the future is dropped nothing is reported, and the lease ends
    /// the run.
    pub async fn work<F, E>(
        &self,
        run_id: impl Into<String>,
        worker: Worker,
        work: impl FnOnce(Execution) -> F,
    ) -> Result<Run, WorkError>
    where
        F: Future<Output = Result<Option<Progress>, E>>,
        E: std::fmt::Display,
    {
        let run_id = run_id.into();
        let reports = Reports::new(self, &worker, &run_id);
        let run = reports.start().await?;
        let reports = reports.patient(&run);
        let tell = Arc::new(watch::Sender::new(None));
        let execution = Execution::new(self.clone(), worker.clone(), run.clone(), &tell);
        let working = async {
            let outcome = work(execution.clone()).await;
            let why = *tell.borrow();
            let usage = execution.usage(outcome.as_ref().ok().and_then(Option::as_ref)).await;
            reports.finish(why, usage, outcome.err().map(|error| error.to_string())).await
        };
        tokio::select! {
            run = working => run,
            // Until the end is reported.
            () = supervise(self, &worker, &run, &tell) => unreachable!("it does not end by itself"),
        }
    }

    /// The generated stub.
    pub fn stub(&self) -> RunStub {
        self.stub.clone()
    }

    /// The generated stub for operators.
    pub fn admin_stub(&self) -> AdminStub {
        self.admin_stub.clone()
    }
}

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

impl<T: Into<String>> From<T> for ListByThreadRequest {
    fn from(thread_id: T) -> Self {
        Self { thread_id: thread_id.into(), ..Self::default() }
    }
}

impl<T: Into<String>> From<T> for CancelRequest {
    fn from(run_id: T) -> Self {
        Self { run_id: run_id.into(), ..Self::default() }
    }
}

impl<T: Into<String>> From<T> for StreamStatusRequest {
    fn from(run_id: T) -> Self {
        Self { target: Some(Target::RunId(run_id.into())), ..Self::default() }
    }
}
