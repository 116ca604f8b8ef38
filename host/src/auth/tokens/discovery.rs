//! Where an issuer's keys are, by its own metadata (RFC 8414, OpenID Connect Discovery).
//!
//! Whoever writes the document chooses what the server asks next. So it must name the
//! issuer that was asked about (RFC 8414 §3.3), and what came over `https` leads to
//! `https` alone, never to a port of this machine.

use serde_json::Value;

use super::jwt::strict;
use crate::config::{Url, shown};
use crate::fetch::{Client, FetchError};

/// The URL of the key set of the issuer `name`, which is at `issuer`.
pub(super) async fn key_set_url(client: &Client, issuer: &Url, name: &str) -> Result<Url, String> {
    let mut objections = Vec::new();
    for place in places(issuer) {
        match client.get(&place).await {
            Ok(document) => match read(&document, issuer, name) {
                Ok(url) => return Ok(url),
                Err(why) => objections.push(format!("{}: {why}", shown(place.as_str()))),
            },
            Err(FetchError::Answer(why) | FetchError::Refused(why)) => objections.push(why),
            // The other places are on the same machine.
            Err(FetchError::Unreachable(why)) => return Err(why),
        }
    }
    Err(objections.join("; "))
}

/// In the order that MCP asks for: the well-known name before the issuer's path, and
/// OpenID's own way, after it.
fn places(issuer: &Url) -> Vec<Url> {
    let path = issuer.target().split('?').next().unwrap_or_default().trim_end_matches('/');
    let before = |name: &str| issuer.with_path(&format!("/.well-known/{name}{path}"));
    let mut places = vec![before("oauth-authorization-server"), before("openid-configuration")];
    if !path.is_empty() {
        places.push(issuer.with_path(&format!("{path}/.well-known/openid-configuration")));
    }
    places.into_iter().flatten().collect()
}

fn read(document: &[u8], issuer: &Url, name: &str) -> Result<Url, String> {
    let document = strict(document)?;
    match document.get("issuer").and_then(Value::as_str) {
        Some(named) if named == name => {}
        Some(named) => return Err(format!("it is of another issuer, `{}`", shown(named))),
        None => return Err("it names no issuer".to_owned()),
    }
    let text = document.get("jwks_uri").and_then(Value::as_str).ok_or("it has no `jwks_uri`")?;
    let url: Url = text.parse().map_err(|why| format!("its `jwks_uri`: {why}"))?;
    if issuer.is_tls() && !url.is_tls() {
        return Err("its `jwks_uri` is not https".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_before_and_after_the_path() {
        let of = |issuer: &str| {
            let places = places(&issuer.parse().unwrap());
            places.iter().map(|url| url.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            of("https://a.example/"),
            [
                "https://a.example/.well-known/oauth-authorization-server",
                "https://a.example/.well-known/openid-configuration",
            ]
        );
        assert_eq!(
            of("https://a.example:8443/realms/b"),
            [
                "https://a.example:8443/.well-known/oauth-authorization-server/realms/b",
                "https://a.example:8443/.well-known/openid-configuration/realms/b",
                "https://a.example:8443/realms/b/.well-known/openid-configuration",
            ]
        );
    }

    #[test]
    fn a_document_is_believed_about_its_own_issuer_alone() {
        let name = "https://a.example/b";
        let read = |document: &str| read(document.as_bytes(), &name.parse().unwrap(), name);
        let good = r#"{"issuer":"https://a.example/b","jwks_uri":"https://keys.example/"}"#;
        assert_eq!(read(good).unwrap().as_str(), "https://keys.example/");
        for (document, why) in [
            (r#"{"issuer":"https://a.example/b/","jwks_uri":"https://k/"}"#, "of another issuer"),
            (r#"{"issuer":"https://evil.example","jwks_uri":"https://k/"}"#, "of another issuer"),
            (r#"{"jwks_uri":"https://k/"}"#, "names no issuer"),
            (r#"{"issuer":"https://a.example/b"}"#, "has no `jwks_uri`"),
            (r#"{"issuer":"https://a.example/b","jwks_uri":7}"#, "has no `jwks_uri`"),
            (r#"{"issuer":"https://a.example/b","jwks_uri":"file:///etc/passwd"}"#, "`jwks_uri`:"),
            (r#"{"issuer":"https://a.example/b","jwks_uri":"http://127.0.0.1/"}"#, "is not https"),
            (r#"{"issuer":"x","issuer":"https://a.example/b"}"#, "same key twice"),
            ("<html>", "not JSON"),
            ("[]", "no JSON object"),
        ] {
            let objection = read(document).unwrap_err();
            assert!(objection.contains(why), "{document}: {objection}");
        }
    }
}
