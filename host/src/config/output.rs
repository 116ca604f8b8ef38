//! `[output]`: how a tool's result is made fit for a model.
//!
//! The table stands in `bulkhead.toml`, in a sidecar, and under a sidecar's `[tools.X]`.
//! What a nearer table leaves out, the farther one says. The defaults are the safe ones:
//! each key weakens a protection, or adds one that costs something.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::walk::{Section, boolean, choice, parsed};
use crate::names::Malformed;

/// How a tool's result is made fit for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Text that is too large is cut, with a mark, instead of being refused. Default
    /// `false`.
    pub truncate: bool,
    /// It is what somebody else wrote, and is announced as such. Default `false`.
    pub untrusted: bool,
    /// Text is code: links and the tokens of chat templates stay as they are. Default
    /// `false`.
    pub code: bool,
    /// What becomes of links and images in text. Default `block`.
    pub links: Links,
    /// The hosts whose links and images stay as they are, as `docs.example.com` or
    /// `*.example.com`, which does not stand for `example.com`. Default none.
    pub link_hosts: Arc<[HostPattern]>,
    /// The media types of images, audio and binary resources, as `image/png`. Default
    /// [`MEDIA_TYPES`].
    pub media_types: Arc<[MediaType]>,
    /// What becomes of secrets in text. Default `redact`.
    pub secrets: Secrets,
    /// What becomes of text that seems to instruct the model. Default `annotate`.
    pub injection: Injection,
}

/// The media types that are let through where no configuration says which: those that
/// show and play without running anything.
pub const MEDIA_TYPES: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "audio/wav",
    "audio/mpeg",
    "audio/ogg",
    "audio/flac",
    "application/pdf",
    "application/zip",
    "application/gzip",
    "application/octet-stream",
];

impl Default for Output {
    fn default() -> Self {
        Self {
            truncate: false,
            untrusted: false,
            code: false,
            links: Links::Block,
            link_hosts: Arc::default(),
            media_types: MEDIA_TYPES.iter().filter_map(|name| name.parse().ok()).collect(),
            secrets: Secrets::Redact,
            injection: Injection::Annotate,
        }
    }
}

/// What becomes of Markdown's and HTML's links and images to hosts that are not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// They lead nowhere any more.
    Block,
    /// They stay.
    Keep,
}

/// What becomes of texts in a known format of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// Their kind is told instead.
    Redact,
    /// They stay, except for this server's own.
    Keep,
}

/// What becomes of text that seems to instruct the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injection {
    /// It is not looked for.
    Ignore,
    /// It is told in the result's `_meta`, and counted.
    Annotate,
    /// The result is refused, as `OUTPUT_REJECTED`.
    Refuse,
}

/// A host whose links stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(Box<str>);

impl HostPattern {
    /// Whether it stands for `host`, in lower case.
    pub fn covers(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(domain) => host.len() > domain.len() && host.ends_with(domain),
            None => *self.0 == *host,
        }
    }
}

impl FromStr for HostPattern {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let host = text.strip_prefix("*.").unwrap_or(text);
        let fits = (1..=253).contains(&host.len())
            && host.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            });
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(Malformed::new("a host in lower case, as `docs.example.com` or `*.example.com`"))
        }
    }
}

/// A media type without parameters, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType(Box<str>);

impl MediaType {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MediaType {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let token = |part: &str| {
            let good = |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'+' | b'.' | b'_');
            (1..=127).contains(&part.len()) && part.bytes().all(good)
        };
        match text.split_once('/') {
            Some((kind, subtype)) if token(kind) && token(subtype) => Ok(Self(text.into())),
            _ => Err(Malformed::new("a media type in lower case, as `image/png`")),
        }
    }
}

/// The part of an [`Output`] that was written down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputPatch {
    /// See [`Output::truncate`].
    pub truncate: Option<bool>,
    /// See [`Output::untrusted`].
    pub untrusted: Option<bool>,
    /// See [`Output::code`].
    pub code: Option<bool>,
    /// See [`Output::links`].
    pub links: Option<Links>,
    /// See [`Output::link_hosts`].
    pub link_hosts: Option<Vec<HostPattern>>,
    /// See [`Output::media_types`].
    pub media_types: Option<Vec<MediaType>>,
    /// See [`Output::secrets`].
    pub secrets: Option<Secrets>,
    /// See [`Output::injection`].
    pub injection: Option<Injection>,
}

impl OutputPatch {
    /// What this patch says, and what `base` says where it is silent.
    #[must_use]
    pub fn over(&self, base: &Output) -> Output {
        let hosts = self.link_hosts.as_deref();
        let types = self.media_types.as_deref();
        Output {
            truncate: self.truncate.unwrap_or(base.truncate),
            untrusted: self.untrusted.unwrap_or(base.untrusted),
            code: self.code.unwrap_or(base.code),
            links: self.links.unwrap_or(base.links),
            link_hosts: hosts.map_or_else(|| Arc::clone(&base.link_hosts), Arc::from),
            media_types: types.map_or_else(|| Arc::clone(&base.media_types), Arc::from),
            secrets: self.secrets.unwrap_or(base.secrets),
            injection: self.injection.unwrap_or(base.injection),
        }
    }

    /// Reads what was written.
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            truncate: section.get("truncate", boolean),
            untrusted: section.get("untrusted", boolean),
            code: section.get("code", boolean),
            links: section.get("links", choice(LINKS)),
            link_hosts: section.list("link_hosts", parsed),
            media_types: section.list("media_types", parsed),
            secrets: section.get("secrets", choice(SECRETS)),
            injection: section.get("injection", choice(INJECTION)),
        }
    }
}

const LINKS: &[(&str, Links)] = &[("block", Links::Block), ("keep", Links::Keep)];

const SECRETS: &[(&str, Secrets)] = &[("redact", Secrets::Redact), ("keep", Secrets::Keep)];

const INJECTION: &[(&str, Injection)] = &[
    ("ignore", Injection::Ignore),
    ("annotate", Injection::Annotate),
    ("refuse", Injection::Refuse),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_a_host_or_for_those_below_it() {
        let covers =
            |pattern: &str, host: &str| pattern.parse::<HostPattern>().unwrap().covers(host);
        assert!(covers("docs.example.com", "docs.example.com"));
        assert!(covers("*.example.com", "a.b.example.com"));
        for host in ["example.com", "evilexample.com", ".example.com", "example.com.evil.net"] {
            assert!(!covers("*.example.com", host) || host == ".example.com", "{host}");
        }
        for bad in ["", "*", "*.", "Example.com", "a..b", "a/b", "a:80", "ü.example", "*a.example"]
        {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_default_media_types_are_some() {
        assert_eq!(Output::default().media_types.len(), MEDIA_TYPES.len());
        for bad in ["", "image", "image/", "image/png; a=b", "Image/png", "image/*"] {
            assert!(bad.parse::<MediaType>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_nearer_table_wins() {
        let base = Output { untrusted: true, ..Output::default() };
        let patch = OutputPatch { links: Some(Links::Keep), ..OutputPatch::default() };
        assert_eq!(patch.over(&base), Output { links: Links::Keep, ..base });
    }
}
