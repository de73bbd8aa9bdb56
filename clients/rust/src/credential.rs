//! The sources of a token.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tonic::Status;
use tonic::metadata::{Ascii, MetadataValue};

/// The value of the header `authorization`. None: no token is sent.
pub(crate) type Authorization = Option<MetadataValue<Ascii>>;

/// The token of a client, or its source.
pub(crate) enum Credential {
    None,
    Fixed(String),
    File(TokenFile),
    Function(TokenFunction),
}

impl Credential {
    /// Returns the present value of the header.
    pub(crate) fn authorization(&self) -> Result<Authorization, Status> {
        match self {
            Self::None => Ok(None),
            Self::Fixed(token) => header(token),
            Self::File(file) => header(&file.token()?),
            Self::Function(token) => header(&token.token()),
        }
    }

    /// Returns true if a token that is fetched anew differs from this one, with which a call was refused.
    pub(crate) fn is_renewed_after(&self, refused: &Authorization) -> bool {
        match self {
            Self::None | Self::Fixed(_) => false,
            Self::File(file) => {
                let token = file.token_read_again();
                token.is_ok_and(|token| header(&token).is_ok_and(|value| value != *refused))
            }
            Self::Function(token) => token.is_renewed_after(refused),
        }
    }
}

/// Returns the value of the header. An empty token is not sent.
fn header(token: &str) -> Result<Authorization, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let mut value = MetadataValue::try_from(format!("Bearer {token}")).map_err(|_| {
        Status::unauthenticated(
            "The token has characters that a header cannot carry; use visible ASCII only",
        )
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// A function that is called for each token.
pub(crate) struct TokenFunction {
    fetch: Box<dyn Fn() -> String + Send + Sync>,
    /// Fetched after a refusal, and not sent yet.
    fresh: Mutex<Option<String>>,
}

impl TokenFunction {
    pub(crate) fn new(fetch: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { fetch: Box::new(fetch), fresh: Mutex::default() }
    }

    fn token(&self) -> String {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner).take();
        fresh.unwrap_or_else(&self.fetch)
    }

    fn is_renewed_after(&self, refused: &Authorization) -> bool {
        let token = (self.fetch)();
        let is_other = header(&token).is_ok_and(|value| value != *refused);
        if is_other {
            *self.fresh.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        }
        is_other
    }
}

/// A file that holds a token, and the last token that could be read from it.
pub(crate) struct TokenFile {
    path: PathBuf,
    last: Mutex<Option<(Version, String)>>,
}

/// What changes when a file is replaced or written: modification time, length and inode.
type Version = (SystemTime, u64, u64);

impl TokenFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, last: Mutex::default() }
    }

    /// Returns the token, read again if the file has changed. The last one if the file cannot be read.
    fn token(&self) -> Result<String, Status> {
        self.read_unless(|last, present| last == present)
    }

    fn token_read_again(&self) -> Result<String, Status> {
        self.read_unless(|_, _| false)
    }

    fn read_unless(
        &self,
        is_current: impl Fn(&Version, &Version) -> bool,
    ) -> Result<String, Status> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let present = version_of(&self.path).and_then(|version| match &*last {
            Some((known, token)) if is_current(known, &version) => Ok((version, token.clone())),
            _ => Ok((version, read(&self.path)?)),
        });
        match (present, &*last) {
            (Ok((version, token)), _) => {
                *last = Some((version, token.clone()));
                Ok(token)
            }
            (Err(_), Some((_, token))) => Ok(token.clone()),
            (Err(error), None) => Err(self.unreadable(&error)),
        }
    }

    fn unreadable(&self, error: &io::Error) -> Status {
        let path = self.path.display();
        Status::unauthenticated(format!("There is no token: the token file {path}: {error}"))
    }
}

/// Reads the token, without the white space around it.
fn read(path: &Path) -> io::Result<String> {
    let token = fs::read_to_string(path)?.trim().to_owned();
    // A file that is being written is empty at first.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(io::Error::other("it must contain one token, and nothing else"));
    }
    Ok(token)
}

fn version_of(path: &Path) -> io::Result<Version> {
    let metadata = fs::metadata(path)?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Ok((metadata.modified()?, metadata.len(), inode))
}

#[cfg(test)]
mod tests;
