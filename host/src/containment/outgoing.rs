//! What a server needs to ask the authorization servers that its configuration names.
//!
//! Only their ports are kept to: landlock knows no addresses. Names are resolved by the
//! C library, from the files here and by datagrams. It asks no local daemon, whose
//! sockets cannot be had: what such a daemon answers beyond DNS is not found.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use super::existing;
use crate::config::Issuer;

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
/// none without issuers.
pub(super) fn ports(issuers: &[Issuer]) -> BTreeSet<u16> {
    let mut ports: BTreeSet<u16> = issuers.iter().flat_map(urls).filter_map(port).collect();
    if !ports.is_empty() {
        ports.insert(DOMAIN);
    }
    ports
}

/// The URLs at which an issuer is asked.
fn urls(issuer: &Issuer) -> impl Iterator<Item = &str> {
    [issuer.issuer.as_str()].into_iter()
}

/// The port of an `http` or `https` URL.
fn port(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest);
    let port = match host_and_port.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => address.parse::<Ipv6Addr>().ok().and(port.strip_prefix(':')),
        None => host_and_port.split_once(':').map(|(_, port)| port),
    };
    match (port, scheme.to_ascii_lowercase().as_str()) {
        (None | Some(""), "https") => Some(443),
        (None | Some(""), "http") => Some(80),
        (Some(port), "https" | "http") => port.parse().ok(),
        (_, _) => None,
    }
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

    #[test]
    fn the_port_of_a_url_is_what_it_says_or_its_schemes() {
        for (url, expected) in [
            ("https://idp.example.com", Some(443)),
            ("https://idp.example.com:/a", Some(443)),
            ("http://idp.example.com/realm?a:1", Some(80)),
            ("HTTPS://idp.example.com:8443/realm", Some(8443)),
            ("http://127.0.0.1:4011", Some(4011)),
            ("https://[2001:db8::1]:9000/x", Some(9000)),
            ("https://[2001:db8::1]/x", Some(443)),
            ("https://user:1@idp.example.com:7/", Some(7)),
            ("https://idp.example.com:65536/", None),
            ("https://idp.example.com:443x/", None),
            ("ftp://idp.example.com/", None),
            ("idp.example.com:443", None),
            ("", None),
        ] {
            assert_eq!(port(url), expected, "{url}");
        }
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
