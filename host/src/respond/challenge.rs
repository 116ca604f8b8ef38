//! What a refused client is told to do about it: `WWW-Authenticate` (RFC 9110 §11.6.1),
//! and the document that it leads to (RFC 9728).

use bytes::Bytes;
use http::header::HeaderValue;
use serde::Serialize;

use crate::config::Config;
use crate::error::{Code, Error};
use crate::names::Scope;

/// Where clients find the document of a resource: in front of its path (RFC 9728 §3.1).
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The challenge where the operator hands out keys.
const OF_KEYS: &str = r#"Bearer realm="bulkhead""#;

/// How clients get a credential: fixed by the configuration.
#[derive(Clone, Debug)]
pub struct Challenges {
    oauth: Option<OAuth>,
}

#[derive(Clone, Debug)]
struct OAuth {
    /// Of the document.
    url: String,
    /// The path of the resource, as `/mcp`; empty for the root.
    path: String,
    document: Bytes,
    /// What a client without a token is told to ask for; may be empty.
    scopes: String,
}

/// The document (RFC 9728 §2).
#[derive(Serialize)]
struct Metadata<'a> {
    resource: &'a str,
    resource_name: &'static str,
    authorization_servers: Vec<&'a str>,
    #[serde(skip_serializing_if = "<[Scope]>::is_empty")]
    scopes_supported: &'a [Scope],
    bearer_methods_supported: [&'static str; 1],
}

impl Challenges {
    /// What this configuration's clients are told; without issuers there is no more to
    /// tell than that a key is needed.
    pub fn new(config: &Config) -> Self {
        let issuers = &config.auth.issuers;
        let resource = config.server.resource().filter(|_| !issuers.is_empty());
        Self { oauth: resource.and_then(|resource| OAuth::new(&resource, config)) }
    }

    /// Where API keys are the only credentials.
    pub fn of_keys() -> Self {
        Self { oauth: None }
    }

    /// The document, if it is served at `path`: both in front of the resource's path and
    /// at the root, which is where clients look first and last.
    pub fn document(&self, path: &str) -> Option<Bytes> {
        let oauth = self.oauth.as_ref()?;
        let suffix = path.strip_prefix(WELL_KNOWN)?;
        (suffix.is_empty() || suffix == oauth.path || suffix == "/mcp")
            .then(|| oauth.document.clone())
    }

    /// The challenge to a refused request that `presented` a credential or did not; none
    /// where a credential would not help.
    pub(super) fn header(&self, error: &Error, presented: bool) -> Option<HeaderValue> {
        let oauth = self.oauth.as_ref();
        let text = if *error.code() == Code::Unauthenticated {
            oauth.map_or_else(|| OF_KEYS.to_owned(), |oauth| oauth.unauthenticated(presented))
        } else if *error.code() == Code::InsufficientScope {
            oauth.map_or_else(|| OF_KEYS.to_owned(), |oauth| oauth.insufficient(error))
        } else {
            return None;
        };
        HeaderValue::try_from(text).ok()
    }
}

impl OAuth {
    fn new(resource: &str, config: &Config) -> Option<Self> {
        let url: http::Uri = resource.parse().ok()?;
        let (scheme, authority) = (url.scheme_str()?, url.authority()?);
        let path = url.path().trim_end_matches('/').to_owned();
        let metadata = Metadata {
            resource,
            resource_name: "Bulkhead",
            authorization_servers: config
                .auth
                .issuers
                .iter()
                .map(|issuer| issuer.issuer.as_str())
                .collect(),
            scopes_supported: &config.auth.scopes_supported,
            bearer_methods_supported: ["header"],
        };
        let scopes = config.auth.scopes_supported.iter().map(Scope::as_str);
        Some(Self {
            url: format!("{scheme}://{authority}{WELL_KNOWN}{path}"),
            document: serde_json::to_vec(&metadata).ok()?.into(),
            scopes: scopes.collect::<Vec<_>>().join(" "),
            path,
        })
    }

    /// RFC 6750 §3.1: an error is named only to who presented something.
    fn unauthenticated(&self, presented: bool) -> String {
        let mut text = format!("Bearer resource_metadata=\"{}\"", self.url);
        if !self.scopes.is_empty() {
            text.push_str(&format!(", scope=\"{}\"", self.scopes));
        }
        if presented {
            text.push_str(", error=\"invalid_token\"");
        }
        text
    }

    fn insufficient(&self, error: &Error) -> String {
        let scopes = error.details().and_then(|details| details.get("scope"));
        let scopes = scopes.and_then(serde_json::Value::as_str).unwrap_or_default();
        format!(
            "Bearer error=\"insufficient_scope\", scope=\"{scopes}\", resource_metadata=\"{}\", \
             error_description=\"{}\"",
            self.url,
            quotable(error.message())
        )
    }
}

/// A text as RFC 6750 §3 lets it stand between quotes.
fn quotable(text: &str) -> String {
    let fits = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
    text.chars().filter(fits).collect()
}
