//! Connections with TLS, whose files are read again for each.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tower_service::Service;

/// The PEM files of a connection with TLS. Without any, the connection is not encrypted.
#[derive(Default)]
pub(crate) struct TlsFiles {
    /// The certificates to trust. None: those of the operating system.
    pub(crate) ca: Option<PathBuf>,
    /// The client's own certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// Makes connections with TLS. Files that are replaced count for new connections. While they cannot be used, such as
/// between the replacements of a certificate and its key, the last ones are.
#[derive(Clone)]
pub(crate) struct Connector {
    files: Arc<TlsFiles>,
    last: Arc<Mutex<Arc<ClientConfig>>>,
}

impl Connector {
    /// Fails if the files cannot be used. None: there is no file.
    pub(crate) fn new(files: TlsFiles) -> io::Result<Option<Self>> {
        if files.ca.is_none() && files.identity.is_none() {
            return Ok(None);
        }
        let last = Arc::new(Mutex::new(Arc::new(read(&files)?)));
        Ok(Some(Self { files: Arc::new(files), last }))
    }

    fn config(&self) -> Arc<ClientConfig> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(config) = read(&self.files) {
            *last = Arc::new(config);
        }
        last.clone()
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let connector = TlsConnector::from(self.config());
        Box::pin(async move {
            let host = server.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let stream = TcpStream::connect((host, server.port_u16().unwrap_or(443))).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(connector.connect(name, stream).await?))
        })
    }
}

fn read(files: &TlsFiles) -> io::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots(files.ca.as_deref())?);
    let mut config = match &files.identity {
        Some((cert, key)) => builder
            .with_client_auth_cert(certificates(cert)?, private_key(key)?)
            .map_err(|error| invalid(cert, error))?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols.push(b"h2".to_vec());
    Ok(config)
}

fn roots(ca: Option<&Path>) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(ca) => {
            for certificate in certificates(ca)? {
                roots.add(certificate).map_err(|error| invalid(ca, error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| invalid(path, error))?;
    if found.is_empty() { Err(invalid(path, "it contains no certificate")) } else { Ok(found) }
}

fn private_key(path: &Path) -> io::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| invalid(path, error))
}

fn invalid(path: &Path, error: impl ToString) -> io::Error {
    io::Error::other(format!("{}: {}", path.display(), error.to_string()))
}
