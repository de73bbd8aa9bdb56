use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use prost::Message;
use tonic::{Code, Status};

use crate::testing::{Reply, Server, refusal};
use crate::v1::{GetResponse, Run, StatusEvent, StreamStatusResponse};

fn event(revision: u64) -> Vec<u8> {
    let event = StatusEvent::SnapshotEnd.into();
    StreamStatusResponse { event, revision, ..Default::default() }.encode_to_vec()
}

fn get_response() -> Reply {
    Some(Ok(GetResponse { run: Some(Run::default()) }.encode_to_vec())).into()
}

#[tokio::test]
async fn watches_beyond_the_limit_of_a_connection_open_further_ones() {
    let server = Server::start(|call| match call.method.as_str() {
        "StreamStatus" => Reply { messages: vec![event(1)], end: None },
        _ => get_response(),
    })
    .await;
    let client = server.client();
    let mut watches = Vec::new();
    for _ in 0..600 {
        let mut watch = client.watch("r");
        watch.next().await.unwrap();
        watches.push(watch);
    }
    client.get("r").await.unwrap();
    let connections: HashSet<_> = server.calls().iter().map(|call| call.connection).collect();
    assert_eq!(connections.len(), 8);
    // The room of a watch that is left is used again.
    watches.truncate(100);
    for _ in 0..500 {
        let mut watch = client.watch("r");
        watch.next().await.unwrap();
        watches.push(watch);
    }
    let connections: HashSet<_> = server.calls().iter().map(|call| call.connection).collect();
    assert_eq!(connections.len(), 8);
}

/// A server with these streams, and a client whose token changes with each call.
async fn client_of(streams: Vec<Reply>) -> (Server, crate::RunClient) {
    let streams = Mutex::new(VecDeque::from(streams));
    let server =
        Server::start(move |_| streams.lock().unwrap().pop_front().expect("one more stream")).await;
    let number = AtomicU32::new(0);
    let next = move || number.fetch_add(1, Ordering::Relaxed).to_string();
    let client = server.builder().token_from(next).build().unwrap();
    (server, client)
}

fn expired() -> Status {
    refusal(Code::Unauthenticated)
}

#[tokio::test]
async fn a_watch_whose_token_has_expired_resumes_with_another() {
    let streams = vec![
        Reply { messages: vec![], end: Some(expired()) },
        Reply { messages: vec![event(7)], end: Some(expired()) },
        Reply { messages: vec![event(8)], end: Some(Status::ok("")) },
    ];
    let (server, client) = client_of(streams).await;
    let mut watch = client.watch("r");
    assert_eq!(watch.next().await.unwrap().unwrap().revision, 7);
    assert_eq!(watch.next().await.unwrap().unwrap().revision, 8);
    assert!(watch.next().await.unwrap().is_none());
    let calls = server.calls();
    let tokens: Vec<_> = calls.iter().map(|call| call.authorization.as_str()).collect();
    assert_eq!(tokens, ["Bearer 0", "Bearer 1", "Bearer 2"]);
    let last = crate::v1::StreamStatusRequest::decode(calls[2].message.as_slice()).unwrap();
    assert_eq!(last.after_revision, Some(7));
}

#[tokio::test]
async fn a_watch_fails_if_the_new_token_is_refused_too() {
    let refused = || Reply { messages: vec![], end: Some(expired()) };
    let (server, client) = client_of(vec![refused(), refused()]).await;
    let error = client.watch("r").next().await.unwrap_err();
    assert_eq!((error.code(), error.request_id()), (Code::Unauthenticated, "q"));
    assert!(error.to_string().ends_with("(request id q)"), "{error}");
    assert_eq!(server.calls().len(), 2);
}

#[tokio::test]
async fn a_view_of_an_owner_sends_it_with_calls_and_watches() {
    let server = Server::start(|call| match call.method.as_str() {
        "StreamStatus" => Reply { messages: vec![event(1)], end: None },
        _ => get_response(),
    })
    .await;
    let client = server.builder().token(Some("t")).build().unwrap();
    let ada = client.for_owner("ada");
    ada.get("r").await.unwrap();
    ada.watch("r").next().await.unwrap();
    ada.stub().get(crate::v1::GetRequest::default()).await.unwrap();
    client.get("r").await.unwrap();
    let calls = server.calls();
    let owners: Vec<_> = calls.iter().map(|call| call.owner.as_deref()).collect();
    assert_eq!(owners, [Some("ada"), Some("ada"), Some("ada"), None]);
    assert!(calls.iter().all(|call| call.authorization == "Bearer t" && call.connection == 0));
    let error = client.for_owner("a\nb").get("r").await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
}
