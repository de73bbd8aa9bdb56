//! The streams of a watch.

use std::sync::{Arc, Mutex, PoisonError};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use tonic::{Request, Status};

use crate::Bearer;
use crate::credential::Authorization;
use crate::streams::Streams;
use crate::v1::run_service_client::RunServiceClient;
use crate::v1::{StreamStatusRequest, StreamStatusResponse};

pub(crate) type Events = BoxStream<'static, Result<StreamStatusResponse, Status>>;
pub(crate) type Opening = BoxFuture<'static, Result<Events, Status>>;

/// Opens the streams of a watch, one after the other.
pub(crate) trait Source: Send + Sync {
    fn open(&self, request: StreamStatusRequest) -> Opening;

    /// Returns true if the token of the last stream, which was refused, can be replaced by another.
    fn has_new_token(&self) -> bool {
        false
    }
}

/// The source of a watch of a client.
pub(crate) struct WatchSource {
    streams: Arc<Streams>,
    bearer: Bearer,
    /// The header of the last stream.
    used: Mutex<Authorization>,
}

impl WatchSource {
    pub(crate) fn new(streams: Arc<Streams>, bearer: Bearer) -> Self {
        Self { streams, bearer, used: Mutex::default() }
    }

    fn signed(&self, request: StreamStatusRequest) -> Result<Request<StreamStatusRequest>, Status> {
        let mut request = Request::new(request);
        let used = self.bearer.sign(&mut request)?;
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = used;
        Ok(request)
    }
}

impl Source for WatchSource {
    fn open(&self, request: StreamStatusRequest) -> Opening {
        let place = self.streams.place();
        let request = self.signed(request);
        Box::pin(async move {
            let mut stub = RunServiceClient::new(place.channel.clone());
            let events = stub.stream_status(request?).await?.into_inner();
            // The stream has its place on the connection for as long as it is open.
            Ok(events
                .inspect(move |_| {
                    let _open = &place;
                })
                .boxed())
        })
    }

    fn has_new_token(&self) -> bool {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        self.bearer.is_renewed_after(&used)
    }
}

#[cfg(test)]
mod tests;
