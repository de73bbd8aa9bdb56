use std::fmt;
use std::sync::Arc;

use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::{Request, Status};

type Token = Arc<dyn Fn() -> String + Send + Sync>;

/// The interceptor that adds the token, if there is one, to every call and watch.
#[derive(Clone)]
pub struct Bearer(Option<Token>);

impl Bearer {
    pub(crate) fn new(token: Option<Token>) -> Self {
        Self(token)
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(…)")
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            let mut value =
                MetadataValue::try_from(format!("Bearer {}", token())).map_err(|_| {
                    Status::unauthenticated(
                        "The token has characters that a header cannot carry; use visible ASCII only",
                    )
                })?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}
