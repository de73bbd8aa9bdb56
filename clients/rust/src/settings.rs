use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::{Bearer, RunClient};

const DEFAULT_TARGET: &str = "127.0.0.1:50051";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the server is and how to speak to it. What is not set comes from the environment; setting it to None switches
/// the environment off and leaves the default.
#[derive(Default)]
pub struct RunClientBuilder {
    target: Option<Option<String>>,
    token: Option<Bearer>,
    tls_ca: Option<Option<PathBuf>>,
    timeout: Option<Option<Duration>>,
    channel: Option<Channel>,
}

impl RunClientBuilder {
    /// The server's address, such as `runs.internal:50051`. Else `RUNSVC_TARGET`, else `127.0.0.1:50051`.
    #[must_use]
    pub fn target(mut self, target: Option<&str>) -> Self {
        self.target = Some(target.map(str::to_owned));
        self
    }

    /// What proves to the server who calls. Else `RUNSVC_TOKEN`, else none is sent.
    #[must_use]
    pub fn token(mut self, token: Option<&str>) -> Self {
        self.token = Some(fixed(token.map(str::to_owned)));
        self
    }

    /// Asked for the token before each call and each connection of a watch, so that it may change.
    #[must_use]
    pub fn token_from(mut self, token: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.token = Some(Bearer::new(Some(Arc::new(token))));
        self
    }

    /// Speaks TLS, with a server whose certificate leads to one of these, a file in PEM. Else `RUNSVC_TLS_CA`, else the
    /// connection is not encrypted.
    #[must_use]
    pub fn tls_ca(mut self, tls_ca: Option<&Path>) -> Self {
        self.tls_ca = Some(tls_ca.map(Path::to_owned));
        self
    }

    /// How long a call may take; a watch has no limit. Else `RUNSVC_TIMEOUT` in seconds, else 10 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Speaks over this channel, for whatever the other options do not offer; target and certificates then mean nothing.
    #[must_use]
    pub fn channel(mut self, channel: Channel) -> Self {
        self.channel = Some(channel);
        self
    }

    /// The client, made inside a tokio runtime. It connects with its first call.
    pub fn build(self) -> Result<RunClient, SettingsError> {
        self.build_in(|name| env::var(name).ok())
    }

    fn build_in(
        self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<RunClient, SettingsError> {
        // A variable that is set to nothing is meant to be no variable.
        let variable = |name| environment(name).filter(|value| !value.is_empty());
        let timeout = match self.timeout {
            Some(timeout) => timeout,
            None => variable("RUNSVC_TIMEOUT").map(|text| seconds(&text)).transpose()?,
        };
        let token = self.token.unwrap_or_else(|| fixed(variable("RUNSVC_TOKEN")));
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

fn fixed(token: Option<String>) -> Bearer {
    Bearer::new(token.map(|token| Arc::new(move || token.clone()) as _))
}

fn seconds(text: &str) -> Result<Duration, SettingsError> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|seconds| !seconds.is_zero()).ok_or_else(|| {
        SettingsError(format!("RUNSVC_TIMEOUT is {text:?}, which is no number of seconds above 0"))
    })
}

fn connect(target: &str, tls_ca: Option<PathBuf>) -> Result<Channel, SettingsError> {
    let wrong = |error| SettingsError(format!("The target {target:?} is no address: {error}"));
    let scheme = if tls_ca.is_some() { "https" } else { "http" };
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{target}"))
        .map_err(wrong)?
        // A peer that froze is noticed within some 40 seconds, also by a watch that nothing happens on.
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .connect_timeout(Duration::from_secs(20));
    if let Some(path) = tls_ca {
        let unreadable = |error| {
            SettingsError(format!("The certificates {} cannot be read: {error}", path.display()))
        };
        let certificates = Certificate::from_pem(fs::read(&path).map_err(unreadable)?);
        endpoint = endpoint
            .tls_config(ClientTlsConfig::new().ca_certificate(certificates))
            .map_err(wrong)?;
    }
    Ok(endpoint.connect_lazy())
}

/// What a client cannot be made from, in words.
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
