//! Whose certificates are believed.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Certificate authorities, read once: a contained process reads no more files.
#[derive(Clone, Debug)]
pub struct Roots(Arc<RootCertStore>);

/// Certificates that cannot be had, and what to do about it.
#[derive(Debug)]
pub struct NoRoots(String);

impl fmt::Display for NoRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoRoots {}

impl Roots {
    /// No authority at all, for whoever speaks `http` with this machine alone.
    pub fn none() -> Self {
        Self(Arc::new(RootCertStore::empty()))
    }

    /// Those of the system. Takes some milliseconds.
    pub fn of_system() -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self(Arc::new(store))
    }

    /// These, and those of the PEM file at `path`.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub fn and(&self, path: &Path) -> Result<Self, NoRoots> {
        let bad = |why: &dyn fmt::Display| NoRoots(format!("{}: {why}", path.display()));
        let mut store = RootCertStore::clone(&self.0);
        let before = store.len();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(&error))? {
            let certificate = certificate.map_err(|error| bad(&error))?;
            store.add(certificate).map_err(|error| bad(&error))?;
        }
        if store.len() == before {
            return Err(bad(
                &"no certificate in it; it is to be PEM, `-----BEGIN CERTIFICATE-----`",
            ));
        }
        Ok(Self(Arc::new(store)))
    }

    /// Whether there is an authority at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn client_config(&self) -> Result<Arc<ClientConfig>, NoRoots> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| NoRoots(error.to_string()))?;
        Ok(Arc::new(builder.with_root_certificates(Arc::clone(&self.0)).with_no_client_auth()))
    }
}
