use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::stream::try_unfold;

use crate::RunError;
use crate::v1::{ListByThreadRequest, ListByThreadResponse, Run};

type Fetch = Box<
    dyn Fn(ListByThreadRequest) -> BoxFuture<'static, Result<ListByThreadResponse, RunError>>
        + Send
        + Sync,
>;

/// A thread's runs, newest first. Pages are asked for as they are needed.
pub struct RunPages {
    fetch: Fetch,
    /// What the next page is asked for with; None after the last.
    request: Option<ListByThreadRequest>,
    page: std::vec::IntoIter<Run>,
}

impl RunPages {
    pub(crate) fn new(request: ListByThreadRequest, fetch: Fetch) -> Self {
        Self { fetch, request: Some(request), page: Vec::new().into_iter() }
    }

    /// The next run; None after the last.
    pub async fn next(&mut self) -> Result<Option<Run>, RunError> {
        loop {
            if let Some(run) = self.page.next() {
                return Ok(Some(run));
            }
            // A page may be empty and not the last.
            let Some(request) = &self.request else {
                return Ok(None);
            };
            let response = (self.fetch)(request.clone()).await?;
            self.page = response.runs.into_iter();
            self.request =
                self.request.take().filter(|_| !response.next_page_token.is_empty()).map(
                    |request| ListByThreadRequest {
                        page_token: response.next_page_token,
                        ..request
                    },
                );
        }
    }

    /// The same runs as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Run, RunError>> + Send {
        try_unfold(self, async |mut pages| Ok(pages.next().await?.map(|run| (run, pages))))
    }
}

#[cfg(test)]
mod tests;
