//! The URLs that the server itself calls.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::address::is_authority;
use crate::names::Malformed;

/// An absolute URL without a user or a fragment: `https`, or `http` to this machine
/// alone, since what comes from there is believed.
///
/// A name such as `localhost` may stand for any address, so whoever connects checks
/// the address again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    text: String,
    tls: bool,
    host: String,
    port: u16,
    target: String,
}

/// The longest URL, in bytes: what proxies take.
const LONGEST: usize = 2_048;

impl Url {
    /// Stands for a URL that could not be read, in a configuration that is refused.
    pub(super) fn nowhere() -> Self {
        let (text, host) = (String::new(), String::new());
        Self { text, tls: true, host, port: 0, target: String::new() }
    }

    /// The URL, as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is `https`. If not, only a loopback address may be connected to.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// A name or an address; of IPv6, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, written or not.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What goes into the request line: the path and the query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// What goes into `Host`: the authority as written.
    pub fn authority(&self) -> &str {
        let (_, rest) = self.text.split_once("://").unwrap_or_default();
        rest.split(['/', '?']).next().unwrap_or_default()
    }

    /// The same place with another path, which begins with `/`.
    ///
    /// # Errors
    /// When the whole gets too long.
    pub fn with_path(&self, path: &str) -> Result<Self, Malformed> {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.authority()).parse()
    }
}

impl FromStr for Url {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || {
            Malformed::new(
                "expected an absolute https URL without `#`, as `https://login.example.com/jwks`, or an http one of this machine, as `http://127.0.0.1:9000`",
            )
        };
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(malformed()),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).ok_or_else(malformed)?;
        let in_url =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
        if text.len() > LONGEST || !is_authority(authority) || !text.bytes().all(in_url) {
            return Err(malformed());
        }
        let (host, port) = host_and_port(authority);
        let port = match port {
            Some(port) => port.parse().map_err(|_| malformed())?,
            None if tls => 443,
            None => 80,
        };
        if !tls && !may_be_loopback(host) {
            return Err(malformed());
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            text: text.to_owned(),
            tls,
            host: host.to_owned(),
            port,
            target: format!("{slash}{target}"),
        })
    }
}

/// Of an authority that [`is_authority`] took.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    }
}

fn may_be_loopback(host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    let address = name.parse::<IpAddr>();
    name == "localhost"
        || name.ends_with(".localhost")
        || address.is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn a_url_tells_where_to_connect_and_what_to_ask() {
        for (text, tls, host, port, target) in [
            ("https://a.example", true, "a.example", 443, "/"),
            ("https://a.example:8443/b/c?d=e", true, "a.example", 8443, "/b/c?d=e"),
            ("https://a.example?d=e", true, "a.example", 443, "/?d=e"),
            ("https://[2001:db8::1]:1/", true, "2001:db8::1", 1, "/"),
            ("http://127.0.0.1:9000/jwks", false, "127.0.0.1", 9000, "/jwks"),
            ("http://[::1]/", false, "::1", 80, "/"),
            ("http://localhost", false, "localhost", 80, "/"),
        ] {
            let read = url(text);
            let parts = (read.is_tls(), read.host(), read.port(), read.target());
            assert_eq!(parts, (tls, host, port, target), "{text}");
            assert_eq!(read.as_str(), text);
        }
        assert_eq!(url("https://a.example:8443/b?c").authority(), "a.example:8443");
        let moved = url("https://a.example:8443/b?c").with_path("/d").unwrap();
        assert_eq!(moved.as_str(), "https://a.example:8443/d");
    }

    #[test]
    fn what_is_no_url_or_is_sent_in_the_clear_is_refused() {
        let long = format!("https://a.example/{}", "x".repeat(LONGEST));
        for bad in [
            "",
            "a.example",
            "ftp://a.example",
            "https://",
            "https:///x",
            "https://user@a.example/",
            "https://a.example/#x",
            "https://a.example:0/",
            "https://a.example:65536/",
            "https://a.example/ x",
            "https://a.example/\r\nHost: b",
            "https://[::1/",
            "http://a.example/",
            "http://10.0.0.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://127.0.0.1.example.com/",
            "http://localhost.example.com/",
            "HTTPS://a.example",
            &long,
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }
}
