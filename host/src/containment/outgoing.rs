//! What a server needs to ask the authorization servers that its configuration names.
//!
//! Only their ports are kept to: landlock knows no addresses. Names are resolved by the
//! C library, from the files here and by datagrams. It asks no local daemon, whose
//! sockets cannot be had: what such a daemon answers beyond DNS is not found.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::existing;
use crate::config::{Issuer, KeySource, Url};

/// Where name servers answer what is too long for a datagram (RFC 7766).
const DOMAIN: u16 = 53;

/// How names are resolved, and how the addresses of one are ordered.
const NAMES: [&str; 5] =
    ["/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf"];

/// Where systems keep the certificates of public authorities. Not what is beside them:
/// private keys.
const AUTHORITIES: [&str; 10] = [
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/pki",
];

/// What names a file or folder of authorities, for many programs.
const AUTHORITY_VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The TCP ports that these issuers are asked on, and what resolving their names takes;
/// none where nobody has to be asked.
pub(super) fn ports(issuers: &[Issuer]) -> BTreeSet<u16> {
    let mut ports: BTreeSet<u16> = issuers.iter().flat_map(urls).map(Url::port).collect();
    if !ports.is_empty() {
        ports.insert(DOMAIN);
    }
    ports
}

/// The URLs at which an issuer is asked. Keys that its metadata names on another port
/// cannot be had; `jwks_uri` can name them.
fn urls(issuer: &Issuer) -> impl Iterator<Item = &Url> {
    let keys = match &issuer.keys {
        KeySource::Discovered(url) | KeySource::At(url) => Some(url),
        KeySource::Secret(_) | KeySource::Nowhere => None,
    };
    keys.into_iter().chain(issuer.introspection.as_ref().map(|introspection| &introspection.url))
}

/// The files and folders that resolving names and verifying servers takes.
pub(super) fn files() -> Vec<PathBuf> {
    let variables = AUTHORITY_VARIABLES.iter().filter_map(std::env::var_os);
    let named = variables.flat_map(|paths| std::env::split_paths(&paths).collect::<Vec<_>>());
    let known = NAMES.iter().chain(&AUTHORITIES).map(PathBuf::from);
    let all = known.chain(named).filter(|path| path.exists());
    all.flat_map(|path| behind_link(&path).into_iter().chain([path])).collect()
}

/// The folder of the file that a link leads to, in which a newer one will take its place;
/// nothing for what is no link. A newer file in the place of one that is no link is not
/// read before the next start: its folder holds too much else.
fn behind_link(path: &Path) -> Option<PathBuf> {
    let target = path.is_symlink().then(|| path.canonicalize().ok())??;
    let folder = target.parent()?;
    // A folder of the system's is more than what was linked to.
    let is_own = folder != Path::new("/etc") && folder != Path::new("/");
    is_own.then(|| existing(folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::names::RequestId;

    fn ports_of(issuers: &str) -> Vec<u16> {
        let file = std::env::temp_dir().join(format!("bulkhead-{}.toml", RequestId::generate()));
        std::fs::write(&file, issuers).unwrap();
        let config = Config::load(Some(&file), []).unwrap();
        std::fs::remove_file(&file).unwrap();
        ports(&config.auth.issuers).into_iter().collect()
    }

    #[test]
    fn only_ports_where_somebody_is_asked_can_be_connected_to() {
        for (more, expected) in [
            ("", vec![53, 443]),
            ("jwks_uri = 'https://keys.example.com:8443/'", vec![53, 8443]),
            ("secret_env = 'SECRET'", vec![]),
            (
                "jwks_uri = 'http://127.0.0.1/'\nintrospection = { url = 'http://127.0.0.1:81/', \
                 client_id = 'a', client_secret_env = 'SECRET' }",
                vec![53, 80, 81],
            ),
        ] {
            let issuer = format!("[[auth.issuers]]\nissuer = 'https://idp.example.com'\n{more}");
            assert_eq!(ports_of(&issuer), expected, "{more}");
        }
        assert_eq!(ports_of(""), [] as [u16; 0]);
    }

    #[test]
    fn what_is_read_is_there_and_holds_no_private_key() {
        for path in files() {
            assert!(path.exists(), "{path:?}");
            for never in ["/", "/etc", "/etc/ssl", "/etc/ssl/private", "/etc/pki", "/run"] {
                assert_ne!(path, Path::new(never));
            }
        }
    }
}
