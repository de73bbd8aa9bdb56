use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::Channel;

use crate::connect::server_of;
use crate::credential::{Credential, TokenFile, TokenFunction};
use crate::tls::TlsFiles;
use crate::{Bearer, RunClient};

pub(crate) const DEFAULT_TARGET: &str = "127.0.0.1:50051";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The settings of a [`RunClient`]. An option that is not set comes from its environment variable. An option that is
/// set to None ignores the variable and takes its default.
#[derive(Default)]
pub struct RunClientBuilder {
    target: Option<Option<String>>,
    token: Option<Credential>,
    tls_ca: Option<Option<PathBuf>>,
    tls_identity: Option<Option<(PathBuf, PathBuf)>>,
    timeout: Option<Option<Duration>>,
    channel: Option<Channel>,
}

impl RunClientBuilder {
    /// Sets the address of the server, such as `runs.internal:50051` or `unix:/run/runsvc.sock`.
    ///
    /// Variable: `RUNSVC_TARGET`. Default: `127.0.0.1:50051`.
    #[must_use]
    pub fn target(mut self, target: Option<&str>) -> Self {
        self.target = Some(target.map(str::to_owned));
        self
    }

    /// Sets the token that identifies the caller. It is sent as `authorization: Bearer …` with every call and watch.
    ///
    /// Variable: `RUNSVC_TOKEN`. Default: no token is sent.
    #[must_use]
    pub fn token(mut self, token: Option<&str>) -> Self {
        self.token =
            Some(token.map_or(Credential::None, |token| Credential::Fixed(token.to_owned())));
        self
    }

    /// Sets a file that contains the token, and nothing else but white space. It is read again when it has changed, and
    /// before a call that was refused as UNAUTHENTICATED is repeated. While it cannot be read, the last token is used.
    ///
    /// Variable: `RUNSVC_TOKEN_FILE`.
    #[must_use]
    pub fn token_file(mut self, path: &Path) -> Self {
        self.token = Some(Credential::File(TokenFile::new(path.to_owned())));
        self
    }

    /// Sets a function that returns the token. It is called before each call and each connection of a watch, and again
    /// before a call that was refused as UNAUTHENTICATED is repeated. It must not block for long.
    #[must_use]
    pub fn token_from(mut self, token: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.token = Some(Credential::Function(TokenFunction::new(token)));
        self
    }

    /// Uses TLS and trusts the certificates in this PEM file. It is read again for each new connection.
    ///
    /// Variable: `RUNSVC_TLS_CA`. Default: the connection is not encrypted.
    #[must_use]
    pub fn tls_ca(mut self, tls_ca: Option<&Path>) -> Self {
        self.tls_ca = Some(tls_ca.map(Path::to_owned));
        self
    }

    /// Sets the client's own certificate and its private key, two PEM files, and uses TLS. They are read again for each
    /// new connection.
    /// Without [`RunClientBuilder::tls_ca`], the certificates of the operating system are trusted.
    ///
    /// Variables: `RUNSVC_TLS_CERT` and `RUNSVC_TLS_KEY`. Default: none is presented to the server.
    #[must_use]
    pub fn tls_identity(mut self, files: Option<(&Path, &Path)>) -> Self {
        self.tls_identity = Some(files.map(|(cert, key)| (cert.to_owned(), key.to_owned())));
        self
    }

    /// Sets the deadline of every call. `Duration::MAX` means none. A watch has no deadline.
    ///
    /// Variable: `RUNSVC_TIMEOUT`, in seconds. Default: 10 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Uses this channel, for connections that the other options cannot describe. Target and certificates are ignored
    /// then.
    #[must_use]
    pub fn channel(mut self, channel: Channel) -> Self {
        self.channel = Some(channel);
        self
    }

    /// Builds the client. It connects with its first call. Must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// The target is not an address, the timeout is not a positive number, or the certificates cannot be read.
    pub fn build(self) -> Result<RunClient, SettingsError> {
        self.build_in(|name| env::var(name).ok())
    }

    fn build_in(
        self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<RunClient, SettingsError> {
        // An empty variable counts as unset.
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        let timeout = match self.timeout {
            Some(timeout) => timeout,
            None => variable("RUNSVC_TIMEOUT").map(|text| seconds(&text)).transpose()?,
        };
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(SettingsError("The timeout is 0; set it above 0".into()));
        }
        let token = self.token.map_or_else(|| token_of(&variable), Ok)?;
        let bearer = Bearer::new(token);
        let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
        if let Some(channel) = self.channel {
            return Ok(RunClient::new(channel, None, bearer, timeout));
        }
        let target = self.target.unwrap_or_else(|| variable("RUNSVC_TARGET"));
        let files = TlsFiles {
            ca: self.tls_ca.unwrap_or_else(|| variable("RUNSVC_TLS_CA").map(Into::into)),
            identity: self.tls_identity.map_or_else(|| identity_of(&variable), Ok)?,
        };
        let server = server_of(&target.unwrap_or(DEFAULT_TARGET.into()), files)?;
        let channel = server.connect();
        let connect = Box::new(move || server.connect());
        Ok(RunClient::new(channel, Some(connect), bearer, timeout))
    }
}

/// Returns the token of the environment.
fn token_of(variable: &impl Fn(&str) -> Option<String>) -> Result<Credential, SettingsError> {
    match (variable("RUNSVC_TOKEN"), variable("RUNSVC_TOKEN_FILE")) {
        (Some(_), Some(_)) => Err(SettingsError(
            "RUNSVC_TOKEN and RUNSVC_TOKEN_FILE are both set; unset one of them".into(),
        )),
        (Some(token), None) => Ok(Credential::Fixed(token)),
        (None, Some(path)) => Ok(Credential::File(TokenFile::new(path.into()))),
        (None, None) => Ok(Credential::None),
    }
}

/// Returns the files of the client's own certificate and key.
fn identity_of(
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<Option<(PathBuf, PathBuf)>, SettingsError> {
    match (variable("RUNSVC_TLS_CERT"), variable("RUNSVC_TLS_KEY")) {
        (Some(cert), Some(key)) => Ok(Some((cert.into(), key.into()))),
        (None, None) => Ok(None),
        _ => Err(SettingsError(
            "RUNSVC_TLS_CERT and RUNSVC_TLS_KEY belong together; set both or none".into(),
        )),
    }
}

fn seconds(text: &str) -> Result<Duration, SettingsError> {
    let seconds = text.parse().ok().filter(|seconds: &f64| *seconds > 0.0 && seconds.is_finite());
    // A number that is too large for a Duration means the longest one.
    let length =
        seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    length.filter(|length| !length.is_zero()).ok_or_else(|| {
        SettingsError(format!("RUNSVC_TIMEOUT is {text:?}; set it to a number of seconds above 0"))
    })
}

/// The reason why a client cannot be built from its settings.
#[derive(Clone, Debug)]
pub struct SettingsError(pub(crate) String);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

#[cfg(test)]
mod tests;
