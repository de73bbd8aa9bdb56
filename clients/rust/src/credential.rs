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
    Function(Box<dyn Fn() -> String + Send + Sync>),
}

impl Credential {
    /// Returns the present value of the header.
    pub(crate) fn authorization(&self) -> Result<Authorization, Status> {
        match self {
            Self::None => Ok(None),
            Self::Fixed(token) => header(token).map(Some),
            Self::File(file) => header(&file.token()).map(Some),
            Self::Function(token) => header(&token()).map(Some),
        }
    }

    /// Returns true if a call that was refused with this value can succeed with a token that is fetched anew.
    pub(crate) fn is_renewed_after(&self, refused: &Authorization) -> bool {
        match self {
            Self::None | Self::Fixed(_) => false,
            Self::File(file) => header(&file.token_read_again()).ok() != *refused,
            Self::Function(_) => true,
        }
    }
}

fn header(token: &str) -> Result<MetadataValue<Ascii>, Status> {
    let mut value = MetadataValue::try_from(format!("Bearer {token}")).map_err(|_| {
        Status::unauthenticated(
            "The token has characters that a header cannot carry; use visible ASCII only",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A file that holds a token, and the last token that could be read from it.
pub(crate) struct TokenFile {
    path: PathBuf,
    last: Mutex<(Option<Version>, String)>,
}

/// What changes when a file is replaced or written: modification time, length and inode.
type Version = (SystemTime, u64, u64);

impl TokenFile {
    /// Reads the token for the first time. White space around it is removed.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let version = version_of(&path).ok();
        let token = read(&path)?;
        Ok(Self { path, last: Mutex::new((version, token)) })
    }

    /// Returns the token, read again if the file has changed. The last one if the file cannot be read.
    fn token(&self) -> String {
        let version = version_of(&self.path).ok();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if version.is_some() && version != last.0 {
            self.update(&mut last, version);
        }
        last.1.clone()
    }

    fn token_read_again(&self) -> String {
        let version = version_of(&self.path).ok();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.update(&mut last, version);
        last.1.clone()
    }

    fn update(&self, last: &mut (Option<Version>, String), version: Option<Version>) {
        if let Ok(token) = read(&self.path) {
            *last = (version, token);
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let token = fs::read_to_string(path)?.trim().to_owned();
    // A file that is being written is empty at first.
    if token.is_empty() { Err(io::Error::other("the file is empty")) } else { Ok(token) }
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
