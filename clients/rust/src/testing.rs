//! A server with the answers of a test, reached over a real connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use prost::Message;
use prost_types::{Struct, Value};
use tokio::net::TcpListener;
use tonic::{Code, Status};

use crate::RunClient;
use crate::v1::*;

/// The answer to a call. None: the call stays open without an answer.
pub(crate) type Answer = Option<Result<Vec<u8>, Status>>;

/// Starts a server that answers calls of the method with this name and message, and connects a client.
pub(crate) async fn client_of(
    answer: impl Fn(&str, &[u8]) -> Answer + Send + Sync + 'static,
) -> RunClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(respond_to(request, respond, answer.clone()));
                }
            });
        }
    });
    let builder = RunClient::builder().target(Some(&target)).token(None);
    builder.tls_ca(None).timeout(None).build().unwrap()
}

async fn respond_to(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    answer: Arc<impl Fn(&str, &[u8]) -> Answer>,
) {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let mut message = Vec::new();
    let mut body = request.into_body();
    while let Some(Ok(chunk)) = body.data().await {
        message.extend_from_slice(&chunk);
        let _ = body.flow_control().release_capacity(chunk.len());
    }
    // A message is preceded by a flag and its length in four bytes.
    let Some(answer) = answer(&method, &message[5..]) else { return std::future::pending().await };
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    // Fails if the caller has gone.
    let Ok(mut stream) = respond.send_response(head, false) else { return };
    let status = answer.map_or_else(
        |status| status,
        |message| {
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            let _ = stream.send_data([&[0], &length[..], &message].concat().into(), false);
            Status::ok("")
        },
    );
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
