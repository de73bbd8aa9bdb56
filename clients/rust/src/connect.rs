//! The address of the server.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::SettingsError;
use crate::settings::DEFAULT_TARGET;
use crate::tls::{Connector, TlsFiles};

/// A server, and how to connect to it.
pub(crate) struct Server {
    endpoint: Endpoint,
    tls: Option<Connector>,
}

impl Server {
    /// Returns a connection, which is made with its first call.
    pub(crate) fn connect(&self) -> Channel {
        match &self.tls {
            Some(connector) => self.endpoint.connect_with_connector_lazy(connector.clone()),
            None => self.endpoint.connect_lazy(),
        }
    }
}

/// Returns the server at this address.
pub(crate) fn server_of(target: &str, files: TlsFiles) -> Result<Server, SettingsError> {
    let invalid = |error| {
        SettingsError(format!(
            "The target {target:?} is not an address ({error}); use host:port, such as {DEFAULT_TARGET}, or unix:/path"
        ))
    };
    let tls = Connector::new(files).map_err(|error| {
        SettingsError(format!("Cannot read the certificates or the key: {error}"))
    })?;
    let is_socket = target.starts_with("unix:");
    if is_socket && tls.is_some() {
        return Err(SettingsError(format!(
            "The target {target:?} is a socket of this machine, which is not encrypted; leave out the certificates"
        )));
    }
    // The connector encrypts, so that the transport need not.
    let address = if is_socket { target.to_owned() } else { format!("http://{target}") };
    let mut endpoint = Endpoint::from_shared(address)
        .map_err(invalid)?
        // Detects a peer that stopped responding within about 40 seconds, also on an idle watch.
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .connect_timeout(Duration::from_secs(20));
    if tls.is_some() {
        // Servers and proxies see the scheme of the requests.
        if let Ok(origin) = format!("https://{target}").parse() {
            endpoint = endpoint.origin(origin);
        }
    }
    Ok(Server { endpoint, tls })
}
