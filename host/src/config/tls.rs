//! `[server.tls]`: TLS in the server itself.

use std::path::{Path, PathBuf};

use super::walk::{Section, path};

/// `[server.tls]`: the certificate that the public listener shows, and whose
/// certificates clients may show. Relative paths stand for places beside the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, PEM, the server's own first. Read anew when it changes.
    pub certificate: PathBuf,
    /// Its private key, PEM (PKCS #8, PKCS #1 or SEC 1).
    pub key: PathBuf,
    /// The authorities, PEM, whose client certificates are a credential. None by default.
    pub client_ca: Option<PathBuf>,
}

impl Tls {
    pub(super) fn read(section: &mut Section<'_>, base: &Path) -> Self {
        let mut file = |key| base.join(section.required(key, path).unwrap_or_default());
        let (certificate, key) = (file("certificate"), file("key"));
        let client_ca = section.get("client_ca", path).map(|path| base.join(path));
        Self { certificate, key, client_ca }
    }
}
