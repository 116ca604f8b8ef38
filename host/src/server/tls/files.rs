//! What a server shows and believes, read from PEM files.
//!
//! The threat: a key that somebody else could read, a key of another certificate, a file
//! that has no end. Each is refused before anything is served with it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use super::certificate::last_moment;
use crate::config;
use crate::containment::why_unreadable;

/// The largest file of a certificate with its chain, in bytes: [`LONGEST_CHAIN`] of the
/// largest that are in use.
const MOST_CHAIN_BYTES: u64 = 256 << 10;

/// The most certificates that are sent to each client. Clients take about ten.
const LONGEST_CHAIN: usize = 10;

/// The largest file of a private key, in bytes: an RSA key of 16,384 bits takes 13 KiB.
const MOST_KEY_BYTES: u64 = 64 << 10;

/// The largest file of authorities, in bytes. All that browsers believe in take 220 KiB.
const MOST_AUTHORITY_BYTES: u64 = 4 << 20;

/// The largest file of revocation lists, in bytes: some 400,000 certificates.
const MOST_CRL_BYTES: u64 = 16 << 20;

/// How many sessions are kept for clients that come again, some hundred bytes each.
const SESSIONS: usize = 8_192;

/// Why files do not make TLS: which, and what to do.
#[derive(Debug)]
pub struct BadTls(String);

impl fmt::Display for BadTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadTls {}

/// What the files say.
pub(super) struct Read {
    pub(super) config: ServerConfig,
    /// The digest of everything that decides whether a client's certificate is good.
    pub(super) judged_by: [u8; 32],
    /// When the server's own certificate expires, if that can be read.
    pub(super) until: Option<Timestamp>,
}

/// Reads all files.
pub(super) fn read(files: &config::Tls) -> Result<Read, BadTls> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = chain(&files.certificate)?;
    let until = chain.first().and_then(|own| last_moment(own));
    let key = key(&files.key)?;
    let clients = Clients::read(files)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| BadTls(error.to_string()))?;
    let (builder, asked) = match clients.verifier(files, &provider)? {
        None => (builder.with_no_client_auth(), false),
        Some(verifier) => (builder.with_client_cert_verifier(verifier), true),
    };
    let mut config =
        builder.with_single_cert(chain, key).map_err(|error| no_pair(files, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if asked {
        // A session that is taken up again brings its certificate along, and nobody
        // looks whether it has expired or was revoked since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    } else {
        // Kept here, not with clients: a ticket's key would open what was recorded.
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    }
    Ok(Read { config, judged_by: clients.digest(), until })
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadTls> {
    let bad = |what: &str| bad("certificate", path, what);
    let pem = bounded(path, MOST_CHAIN_BYTES).map_err(|why| bad(&why))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| bad(&format!("is not PEM: {error}")))?;
    match chain.len() {
        0 => Err(bad("holds no certificate in PEM")),
        1..=LONGEST_CHAIN => Ok(chain),
        more => Err(bad(&format!(
            "holds {more} certificates; at most {LONGEST_CHAIN} are sent: the server's own, and \
             those between it and its root"
        ))),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, BadTls> {
    let bad = |what: &str| bad("key", path, what);
    let file = open(path).map_err(|why| bad(&why))?;
    refuse_if_open_to_others(&file).map_err(|error| bad(&error.to_string()))?;
    let pem = whole(&file, MOST_KEY_BYTES).map_err(|why| bad(&why))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        bad("holds no key that can be used: PEM of PKCS #8, PKCS #1 or SEC 1, without a passphrase")
    })
}

fn no_pair(files: &config::Tls, error: &rustls::Error) -> BadTls {
    let certificate = files.certificate.display();
    if matches!(error, rustls::Error::InconsistentKeys(_)) {
        let what = format!("is not the key of the first certificate in {certificate}");
        return bad("key", &files.key, &what);
    }
    if matches!(error, rustls::Error::InvalidCertificate(_)) {
        return bad("certificate", &files.certificate, &format!("cannot be used: {error}"));
    }
    bad("key", &files.key, &format!("cannot be used with {certificate}: {error}"))
}

/// By what the certificates of clients are judged: two files, where they are named.
struct Clients {
    authorities: Option<Vec<u8>>,
    revoked: Option<Vec<u8>>,
}

impl Clients {
    fn read(files: &config::Tls) -> Result<Self, BadTls> {
        let file = |key, path: &Option<PathBuf>, most| {
            let read = |path: &PathBuf| bounded(path, most).map_err(|why| bad(key, path, &why));
            path.as_ref().map(read).transpose()
        };
        Ok(Self {
            authorities: file("client_ca", &files.client_ca, MOST_AUTHORITY_BYTES)?,
            revoked: file("client_crl", &files.client_crl, MOST_CRL_BYTES)?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = Context::new(&SHA256);
        for file in [&self.authorities, &self.revoked] {
            let bytes = file.as_deref().unwrap_or_default();
            digest.update(&bytes.len().to_le_bytes());
            digest.update(bytes);
        }
        digest.finish().as_ref().try_into().unwrap_or_default()
    }

    /// Takes a client without a certificate, who then needs another credential.
    fn verifier(
        &self,
        files: &config::Tls,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, BadTls> {
        let (Some(pem), Some(path)) = (&self.authorities, &files.client_ca) else {
            return Ok(None);
        };
        let wrong = |what: String| bad("client_ca", path, &what);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| wrong(format!("is not PEM: {error}")))?;
            roots.add(certificate).map_err(|error| wrong(format!("cannot be used: {error}")))?;
        }
        if roots.is_empty() {
            return Err(wrong("holds no certificate in PEM".to_owned()));
        }
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .allow_unauthenticated();
        let verifier = match (&self.revoked, &files.client_crl) {
            (Some(pem), Some(path)) => {
                let wrong = |what: String| bad("client_crl", path, &what);
                let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(pem)
                    .collect::<Result<_, _>>()
                    .map_err(|error| wrong(format!("is not PEM: {error}")))?;
                if lists.is_empty() {
                    return Err(wrong("holds no revocation list in PEM".to_owned()));
                }
                let builder = builder.with_crls(lists).enforce_revocation_expiration();
                builder.build().map_err(|error| wrong(format!("cannot be used: {error}")))
            }
            (_, _) => builder.build().map_err(|error| wrong(format!("cannot be used: {error}"))),
        };
        verifier.map(Some)
    }
}

fn bad(key: &str, path: &Path, what: &str) -> BadTls {
    BadTls(format!("`server.tls.{key}`: {} {what}", path.display()))
}

fn bounded(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    whole(&open(path)?, most)
}

fn open(path: &Path) -> Result<File, String> {
    File::open(path).map_err(|error| format!("cannot be read: {}", why_unreadable(path, &error)))
}

fn whole(file: &File, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = file.take(most + 1).read_to_end(&mut bytes);
    match read {
        Err(error) => Err(format!("cannot be read: {error}")),
        Ok(read) if read as u64 > most => Err(format!("is larger than {} KiB", most >> 10)),
        Ok(_) => Ok(bytes),
    }
}

/// Asks the open file, and not the path, which could change its meaning meanwhile. A
/// group may read what root gave it: that is how systems hand keys to services.
#[cfg(unix)]
fn refuse_if_open_to_others(file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;

    const ROOT: u32 = 0;
    let metadata = file.metadata()?;
    let (mode, roots) = (metadata.mode() & 0o777, metadata.uid() == ROOT);
    let (others, next) = if roots { (0o037, "640") } else { (0o077, "600") };
    if mode & others != 0 {
        return Err(io::Error::other(format!(
            "may be used by others (mode {mode:03o}); `chmod {next}` it, and replace the key if \
             others were there"
        )));
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_if_open_to_others(_: &File) -> io::Result<()> {
    Ok(())
}
