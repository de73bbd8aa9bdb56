use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::{Bearer, RunClient};

const DEFAULT_TARGET: &str = "127.0.0.1:50051";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The settings of a [`RunClient`]. An option that is not set comes from its environment variable. An option that is
/// set to None ignores the variable and takes its default.
#[derive(Default)]
pub struct RunClientBuilder {
    target: Option<Option<String>>,
    token: Option<Bearer>,
    tls_ca: Option<Option<PathBuf>>,
    timeout: Option<Option<Duration>>,
    channel: Option<Channel>,
}

impl RunClientBuilder {
    /// Sets the address of the server, such as `runs.internal:50051`.
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
        self.token = Some(fixed_token(token.map(str::to_owned)));
        self
    }

    /// Sets a function that returns the token. It is called before each call and each connection of a watch, for tokens
    /// that change.
    #[must_use]
    pub fn token_from(mut self, token: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.token = Some(Bearer::new(Some(Arc::new(token))));
        self
    }

    /// Uses TLS and trusts the certificates in this PEM file.
    ///
    /// Variable: `RUNSVC_TLS_CA`. Default: the connection is not encrypted.
    #[must_use]
    pub fn tls_ca(mut self, tls_ca: Option<&Path>) -> Self {
        self.tls_ca = Some(tls_ca.map(Path::to_owned));
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
        let variable = |name| environment(name).filter(|value| !value.is_empty());
        let timeout = match self.timeout {
            Some(timeout) => timeout,
            None => variable("RUNSVC_TIMEOUT").map(|text| seconds(&text)).transpose()?,
        };
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(SettingsError("The timeout is 0; set it above 0".into()));
        }
        let token = self.token.unwrap_or_else(|| fixed_token(variable("RUNSVC_TOKEN")));
        let channel = match self.channel {
            Some(channel) => channel,
            None => connect(
                &self
                    .target
                    .unwrap_or_else(|| variable("RUNSVC_TARGET"))
                    .unwrap_or(DEFAULT_TARGET.into()),
                self.tls_ca.unwrap_or_else(|| variable("RUNSVC_TLS_CA").map(Into::into)),
            )?,
        };
        Ok(RunClient::new(channel, token, timeout.unwrap_or(DEFAULT_TIMEOUT)))
    }
}

fn fixed_token(token: Option<String>) -> Bearer {
    Bearer::new(token.map(|token| Arc::new(move || token.clone()) as _))
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

fn connect(target: &str, tls_ca: Option<PathBuf>) -> Result<Channel, SettingsError> {
    let invalid = |error| {
        SettingsError(format!(
            "The target {target:?} is not an address ({error}); use host:port, such as {DEFAULT_TARGET}"
        ))
    };
    let scheme = if tls_ca.is_some() { "https" } else { "http" };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{target}"))
        .map_err(invalid)?
        // Detects a peer that stopped responding within about 40 seconds, also on an idle watch.
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .connect_timeout(Duration::from_secs(20));
    if let Some(path) = tls_ca {
        let unreadable = |error| {
            SettingsError(format!("Cannot read the certificates {}: {error}", path.display()))
        };
        let certificates = Certificate::from_pem(fs::read(&path).map_err(unreadable)?);
        endpoint = endpoint
            .tls_config(ClientTlsConfig::new().ca_certificate(certificates))
            .map_err(invalid)?;
    }
    Ok(endpoint.connect_lazy())
}

/// The reason why a client cannot be built from its settings.
#[derive(Clone, Debug)]
pub struct SettingsError(String);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

#[cfg(test)]
mod tests;
