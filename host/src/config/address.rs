//! Addresses as the configuration spells them: sockets, URLs, origins, hosts.
//!
//! Checked by hand, because only the parts that decide something matter: what a
//! header is compared with has one spelling, and what goes into a header or a
//! document cannot break out of it.

use std::net::{Ipv6Addr, SocketAddr};

use super::document::Node;
use super::walk::{Wrong, text};

/// `IP:PORT`.
pub(super) fn socket_address(node: &Node) -> Result<SocketAddr, Wrong> {
    text(node)?.parse().map_err(|_| Wrong::new("expected `IP:PORT`, as `127.0.0.1:8080`"))
}

/// An absolute `http` or `https` URL without a fragment or a user, as written
/// (RFC 9728 §1.2; RFC 3986 §2 for its characters).
pub(super) fn public_url(node: &Node) -> Result<String, Wrong> {
    let wrong = || {
        Wrong::new(
            "expected an absolute http or https URL without `#`, as `https://tools.example.com/mcp`",
        )
    };
    let url = text(node)?;
    let after_scheme =
        url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).ok_or_else(wrong)?;
    let authority = after_scheme.split(['/', '?']).next().unwrap_or_default();
    let in_url =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
    if url.len() <= 2_048 && is_authority(authority) && url.bytes().all(in_url) {
        Ok(url.to_owned())
    } else {
        Err(wrong())
    }
}

/// `SCHEME://HOST` or `SCHEME://HOST:PORT` as a browser writes it in `Origin`: in
/// lower case, without the scheme's default port (RFC 6454 §6.2).
pub(super) fn origin(node: &Node) -> Result<String, Wrong> {
    let wrong = || Wrong::new("expected an origin, as `https://app.example.com`, without a path");
    let origin = text(node)?.to_ascii_lowercase();
    let (scheme, authority) = origin.split_once("://").ok_or_else(wrong)?;
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if scheme.is_empty() || !scheme.bytes().all(in_scheme) || !is_authority(authority) {
        return Err(wrong());
    }
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return Ok(origin),
    };
    Ok(origin.strip_suffix(default_port).unwrap_or(&origin).to_owned())
}

/// `HOST` or `HOST:PORT`, in lower case.
pub(super) fn host(node: &Node) -> Result<String, Wrong> {
    let host = text(node)?.to_ascii_lowercase();
    if is_authority(&host) {
        Ok(host)
    } else {
        Err(Wrong::new("expected a host, as `tools.example.com` or `10.0.0.5:8080`"))
    }
}

/// Whether `text` is a name, an IPv4 address or a bracketed IPv6 address, with or
/// without a port, and without a user.
pub(super) fn is_authority(text: &str) -> bool {
    let (is_host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok(), port),
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            ((1..=253).contains(&name.len()) && name.bytes().all(in_name), port)
        }
    };
    is_host && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::{Place, Value};

    fn node(text: &str) -> Node {
        Node { place: Place::Byte(0), value: Value::Text(text.to_owned()), raw: None }
    }

    #[test]
    fn public_urls() {
        for good in [
            "https://tools.example.com/mcp",
            "http://127.0.0.1:8080/mcp",
            "https://[::1]:8443",
            "https://a.example/b?c=d%20",
        ] {
            assert_eq!(public_url(&node(good)).ok().as_deref(), Some(good));
        }
        let long = format!("https://a.example/{}", "x".repeat(2_048));
        for bad in [
            "",
            "tools.example.com/mcp",
            "/mcp",
            "ftp://a.example",
            "https://",
            "https:///mcp",
            "https://a.example/#b",
            "https://user@a.example/",
            "https://a.example:port/",
            "https://a.example:65536/",
            "https://a.example/ b",
            "https://a.example/\"",
            "https://a.example/\r\nX: y",
            "https://[::1/mcp",
            &long,
        ] {
            assert!(public_url(&node(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_have_one_spelling() {
        for (written, spelled) in [
            ("https://app.example.com", "https://app.example.com"),
            ("HTTPS://App.Example.com:443", "https://app.example.com"),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:443", "http://localhost:443"),
            ("vscode-webview://1a2b", "vscode-webview://1a2b"),
        ] {
            assert_eq!(origin(&node(written)).ok().as_deref(), Some(spelled));
        }
        for bad in
            ["", "*", "null", "https://a.example/", "a.example", "://a", "https://*.a.example"]
        {
            assert!(origin(&node(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts() {
        for (written, spelled) in [
            ("Tools.example.com", "tools.example.com"),
            ("10.0.0.5:80", "10.0.0.5:80"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(host(&node(written)).ok().as_deref(), Some(spelled));
        }
        for bad in ["", "*", "https://a", "a/b", "a:0", "a:", "::1", "[::1", "a:+1"] {
            assert!(host(&node(bad)).is_err(), "{bad}");
        }
    }
}
