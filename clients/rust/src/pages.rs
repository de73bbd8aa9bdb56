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

/// The runs of a thread, newest first. Each page is requested when its first run is needed.
pub struct RunPages {
    fetch: Fetch,
    /// The request for the next page. None after the last page.
    request: Option<ListByThreadRequest>,
    page: std::vec::IntoIter<Run>,
}

impl RunPages {
    pub(crate) fn new(request: ListByThreadRequest, fetch: Fetch) -> Self {
        Self { fetch, request: Some(request), page: Vec::new().into_iter() }
    }

    /// Returns the next run. None after the last.
    ///
    /// # Errors
    ///
    /// The error of the call that requested the page.
    pub async fn next(&mut self) -> Result<Option<Run>, RunError> {
        loop {
            if let Some(run) = self.page.next() {
                return Ok(Some(run));
            }
            // An empty page is not always the last one.
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

    /// Converts the pages into a stream of runs.
    pub fn into_stream(self) -> impl Stream<Item = Result<Run, RunError>> + Send {
        try_unfold(self, async |mut pages| Ok(pages.next().await?.map(|run| (run, pages))))
    }
}

#[cfg(test)]
mod tests;
