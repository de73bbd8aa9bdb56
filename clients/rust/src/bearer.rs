use std::fmt;
use std::sync::Arc;

use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::credential::{Authorization, Credential};

/// The interceptor that adds the token and the owner, if there are any, to every call and watch.
#[derive(Clone)]
pub struct Bearer {
    credential: Arc<Credential>,
    owner: Option<Arc<str>>,
}

impl Bearer {
    pub(crate) fn new(credential: Credential) -> Self {
        Self { credential: Arc::new(credential), owner: None }
    }

    /// The same token, for the runs of one owner.
    pub(crate) fn for_owner(&self, owner: &str) -> Self {
        Self { credential: self.credential.clone(), owner: Some(owner.into()) }
    }

    /// Adds the token and the owner. Returns the header with the token.
    pub(crate) fn sign<T>(&self, request: &mut Request<T>) -> Result<Authorization, Status> {
        let authorization = self.credential.authorization()?;
        if let Some(value) = &authorization {
            request.metadata_mut().insert("authorization", value.clone());
        }
        self.add_owner(request)?;
        Ok(authorization)
    }

    fn add_owner<T>(&self, request: &mut Request<T>) -> Result<(), Status> {
        let Some(owner) = &self.owner else { return Ok(()) };
        let value = MetadataValue::try_from(&**owner).map_err(|_| {
            Status::invalid_argument(
                "The owner has characters that a header cannot carry; use visible ASCII only",
            )
        })?;
        request.metadata_mut().insert("runsvc-owner", value);
        Ok(())
    }

    /// Returns true if a call that was refused with this header can succeed with a token that is fetched anew.
    pub(crate) fn is_renewed_after(&self, refused: &Authorization) -> bool {
        self.credential.is_renewed_after(refused)
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        // The methods of the client have signed their requests, to know which token was refused.
        if !request.metadata().contains_key("authorization") {
            self.sign(&mut request)?;
        }
        Ok(request)
    }
}
