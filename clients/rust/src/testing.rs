//! A server with the answers of a test, reached over a real connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use prost::Message;
use prost_types::{Struct, Value};
use tokio::net::{TcpListener, TcpStream};
use tonic::{Code, Status};

use crate::v1::*;
use crate::{RunClient, RunClientBuilder};

/// The answer to a call. None: the call stays open without an answer.
pub(crate) type Answer = Option<Result<Vec<u8>, Status>>;

/// A call as the server received it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) message: Vec<u8>,
    pub(crate) authorization: String,
    pub(crate) owner: Option<String>,
    /// The number of its connection.
    pub(crate) connection: usize,
}

/// The messages of an answer, and its status. None: the call stays open.
pub(crate) struct Reply {
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) end: Option<Status>,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        match answer {
            None => Self { messages: Vec::new(), end: None },
            Some(Ok(message)) => Self { messages: vec![message], end: Some(Status::ok("")) },
            Some(Err(status)) => Self { messages: Vec::new(), end: Some(status) },
        }
    }
}

/// A server that allows 250 calls at a time on one connection, and records its calls.
pub(crate) struct Server {
    pub(crate) target: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let calls = Arc::<Mutex<Vec<Call>>>::default();
        let record = calls.clone();
        let answer = Arc::new(move |call: Call| {
            let reply = answer(&call);
            record.lock().unwrap().push(call);
            reply
        });
        tokio::spawn(async move {
            let mut number = 0;
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, number, answer.clone()));
                number += 1;
            }
        });
        Self { target, calls }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Returns the settings of a client of this server, without those of the environment.
    pub(crate) fn builder(&self) -> RunClientBuilder {
        let builder = RunClient::builder().target(Some(&self.target)).token(None);
        builder.tls_ca(None).tls_identity(None).timeout(None)
    }

    pub(crate) fn client(&self) -> RunClient {
        self.builder().build().unwrap()
    }
}

/// Starts a server that answers calls of the method with this name and message, and connects a client.
pub(crate) async fn client_of(
    answer: impl Fn(&str, &[u8]) -> Answer + Send + Sync + 'static,
) -> RunClient {
    Server::start(move |call| answer(&call.method, &call.message).into()).await.client()
}

async fn serve(
    socket: TcpStream,
    connection: usize,
    answer: Arc<impl Fn(Call) -> Reply + Send + Sync + 'static>,
) {
    let mut settings = h2::server::Builder::new();
    let handshake = settings.max_concurrent_streams(250).handshake(socket);
    let mut accepted = handshake.await.unwrap();
    while let Some(Ok((request, respond))) = accepted.accept().await {
        tokio::spawn(respond_to(request, connection, respond, answer.clone()));
    }
}

async fn call_of(request: Request<RecvStream>, connection: usize) -> Call {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let authorization = text("authorization").unwrap_or_default();
    let owner = text("runsvc-owner");
    let mut message = Vec::new();
    let mut body = request.into_body();
    while let Some(Ok(chunk)) = body.data().await {
        message.extend_from_slice(&chunk);
        let _ = body.flow_control().release_capacity(chunk.len());
    }
    // A message is preceded by a flag and its length in four bytes.
    Call { method, message: message.split_off(5), authorization, owner, connection }
}

async fn respond_to(
    request: Request<RecvStream>,
    connection: usize,
    mut respond: SendResponse<Bytes>,
    answer: Arc<impl Fn(Call) -> Reply>,
) {
    let reply = answer(call_of(request, connection).await);
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    // Fails if the caller has gone.
    let Ok(mut stream) = respond.send_response(head, false) else { return };
    for message in reply.messages {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let _ = stream.send_data([&[0], &length[..], &message].concat().into(), false);
    }
    let Some(status) = reply.end else { return std::future::pending().await };
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    let _ = stream.send_trailers(trailers);
}

/// A server with one run, and the reports that it received.
#[derive(Clone, Default)]
pub(crate) struct OneRun {
    run: Arc<Mutex<Run>>,
    reports: Arc<Mutex<Vec<String>>>,
}

impl OneRun {
    pub(crate) async fn client(&self) -> RunClient {
        let server = self.clone();
        client_of(move |method, message| server.answer(method, message)).await
    }

    pub(crate) fn reports(&self) -> Vec<String> {
        self.reports.lock().unwrap().clone()
    }

    pub(crate) fn answer(&self, method: &str, message: &[u8]) -> Answer {
        let mut run = self.run.lock().unwrap();
        let report = match method {
            "SetStatus" => {
                let request = SetStatusRequest::decode(message).unwrap();
                run.status = request.status;
                format!("start {}", request.worker_id.unwrap_or_default())
            }
            "Complete" => {
                let request = CompleteRequest::decode(message).unwrap();
                let tokens = request.progress.as_ref().and_then(|progress| progress.total_tokens);
                if tokens.is_some_and(|tokens| tokens < 0) {
                    return Some(Err(refusal(Code::InvalidArgument)));
                }
                run.status = request.status;
                format!("complete {} {}", run.status().as_str_name(), request.error())
            }
            "Get" => {
                let kwargs =
                    Struct { fields: BTreeMap::from([("input".into(), Value::default())]) };
                self.reports.lock().unwrap().push("get".into());
                let run = Run { kwargs: Some(kwargs), ..run.clone() };
                return Some(Ok(GetResponse { run: Some(run) }.encode_to_vec()));
            }
            "UpdateProgress" => "progress".into(),
            "Heartbeat" => "heartbeat".into(),
            _ => return None,
        };
        self.reports.lock().unwrap().push(report);
        // Every response to a report has its run in field 1.
        Some(Ok(HeartbeatResponse { run: Some(run.clone()) }.encode_to_vec()))
    }
}

/// An error as a server sends it.
pub(crate) fn refusal(code: Code) -> Status {
    let mut status = Status::new(code, "refused");
    status.metadata_mut().insert("x-request-id", "q".parse().unwrap());
    status
}
