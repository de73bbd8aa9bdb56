//! The address of the server, and TLS.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::SettingsError;
use crate::settings::DEFAULT_TARGET;

/// The PEM files of a connection with TLS. Without any, the connection is not encrypted.
#[derive(Default)]
pub(crate) struct TlsFiles {
    /// The certificates to trust. None: those of the operating system.
    pub(crate) ca: Option<PathBuf>,
    /// The client's own certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// Returns the endpoint of the server at this address.
pub(crate) fn endpoint_of(target: &str, files: TlsFiles) -> Result<Endpoint, SettingsError> {
    let invalid = |error| {
        SettingsError(format!(
            "The target {target:?} is not an address ({error}); use host:port, such as {DEFAULT_TARGET}, or unix:/path"
        ))
    };
    let tls = tls_of(&files)?;
    let address = match (target.starts_with("unix:"), &tls) {
        (true, None) => target.to_owned(),
        (true, Some(_)) => {
            return Err(SettingsError(format!(
                "The target {target:?} is a socket of this machine, which is not encrypted; leave out the certificates"
            )));
        }
        (false, Some(_)) => format!("https://{target}"),
        (false, None) => format!("http://{target}"),
    };
    let endpoint = Endpoint::from_shared(address)
        .map_err(invalid)?
        // Detects a peer that stopped responding within about 40 seconds, also on an idle watch.
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .connect_timeout(Duration::from_secs(20));
    match tls {
        Some(config) => endpoint.tls_config(config).map_err(|error| {
            SettingsError(format!("The certificates or the key are not valid PEM: {error}"))
        }),
        None => Ok(endpoint),
    }
}

fn tls_of(files: &TlsFiles) -> Result<Option<ClientTlsConfig>, SettingsError> {
    let config = match &files.ca {
        Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    Ok(match &files.identity {
        Some((cert, key)) => Some(config.identity(Identity::from_pem(read(cert)?, read(key)?))),
        None => files.ca.is_some().then_some(config),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, SettingsError> {
    fs::read(path).map_err(|error| {
        SettingsError(format!("Cannot read the certificates {}: {error}", path.display()))
    })
}
