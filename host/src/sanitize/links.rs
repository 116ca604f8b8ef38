//! Links and images that lead out, made to lead nowhere.
//!
//! The threat: a text that a model repeats shows an image, and fetching it tells its
//! host whatever the text put into its address. So in Markdown's links, images, link
//! definitions and autolinks, an address whose host is not listed gets the scheme
//! `blocked:`, which nothing fetches; and of an HTML tag that fetches by itself or is a
//! link, the `<` becomes `&lt;`. Addresses that stand in the text as such stay: nothing
//! fetches those by itself.
//!
//! What could be read in two ways (entities, backslashes and brackets before the path, a
//! user's name) is an address that leads out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::media;
use crate::config::{Links, Output};

/// What is put before an address.
pub(super) const BLOCKED: &str = "blocked:";

/// HTML tags that fetch what they name without being asked, and those that lead there.
const FETCHING: [&str; 23] = [
    "a", "area", "audio", "base", "body", "embed", "form", "frame", "iframe", "image", "img",
    "input", "link", "object", "picture", "script", "source", "table", "td", "th", "track", "use",
    "video",
];

/// What leads somewhere in the style of any tag.
const STYLES: [&str; 2] = ["url(", "image-set("];

/// How much of an address is read, in bytes: its scheme and host are shorter.
const LONGEST_ADDRESS: usize = 512;

/// The longest host with a port, in bytes (RFC 1035 §2.3.4). What is longer is none, and may
/// go on where it was not read.
const LONGEST_HOST: usize = 253 + 6;

/// The longest tag that is read to its end, in bytes; and the longest of any other name that
/// is looked at for its style.
const LONGEST_TAG: usize = 4 << 10;
const LONGEST_STYLED: usize = 256;

/// The most quoted values of a tag.
const MOST_QUOTED: usize = 32;

/// Where the address begins that has to be blocked, of what follows `](` or `]:`.
pub(super) fn destination(text: &str, rules: &Output) -> Option<usize> {
    // A definition may go on in the next line of a quotation.
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '>');
    // In brackets, or in what became of them; then it may hold spaces (CommonMark §6.3).
    let bracketed = start.strip_prefix('<').or_else(|| start.strip_prefix("&lt;"));
    let (start, address) = match bracketed {
        Some(start) => {
            let start = start.trim_start();
            (start, address(start, |b| matches!(b, b'>' | b'\n' | b'\r')))
        }
        None => (start, address(start, |b| b.is_ascii_whitespace() || b == b')')),
    };
    leads_out(address, rules).then(|| text.len() - start.len())
}

/// The same of what follows a `<`: an autolink (CommonMark §6.5).
pub(super) fn autolink(text: &str, rules: &Output) -> bool {
    let address = address(text, |b| b.is_ascii_whitespace() || matches!(b, b'<' | b'>'));
    let is_cut = address.len() + 4 > LONGEST_ADDRESS;
    let closed = is_cut || text.get(address.len()..).is_some_and(|rest| rest.starts_with('>'));
    let absolute = address.split(['/', '?', '#']).next().is_some_and(|head| head.contains(':'));
    closed && absolute && leads_out(address, rules)
}

/// Whether a tag begins after this `<` that leads to where it should not.
pub(super) fn tag(text: &str, rules: &Output) -> bool {
    let name: &str = text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    if name.is_empty() {
        return false;
    }
    let rest = text.get(name.len()..).unwrap_or_default();
    if FETCHING.iter().any(|tag| name.eq_ignore_ascii_case(tag)) {
        // `<a` in front of a word, or of a comparison, is no tag.
        let goes_on = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '"' | '\'' | '>');
        // Without an end it holds whatever follows; but `<a` may be less than `a`.
        let unended = || name.len() > 1 || fetches(styled(rest), rules);
        let leads_out = || end_of_tag(rest).map_or_else(unended, |tag| fetches(tag, rules));
        return rest.starts_with(goes_on) && leads_out();
    }
    let tag = styled(rest).split('>').next().unwrap_or_default();
    // Nearly no tag has one.
    if memchr::memchr(b'(', tag.as_bytes()).is_none() {
        return false;
    }
    let tag = tag.to_ascii_lowercase();
    STYLES.iter().any(|style| tag.contains(style)) && fetches(&tag, rules)
}

fn styled(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST_STYLED)).unwrap_or(text)
}

/// What stands in a tag: up to a `>` outside of quotation marks. Nothing where that is
/// missing, or far away, or behind more quotations than a tag has.
fn end_of_tag(text: &str) -> Option<&str> {
    let bytes = text.as_bytes().get(..LONGEST_TAG.min(text.len()))?;
    let mut at = 0;
    for _ in 0..MOST_QUOTED {
        at += memchr::memchr3(b'>', b'"', b'\'', bytes.get(at..)?)?;
        match *bytes.get(at)? {
            b'>' => return text.get(..at),
            quote => at += memchr::memchr(quote, bytes.get(at + 1..)?)? + 2,
        }
    }
    None
}

/// Whether one of a tag's values is an address that leads to where it should not.
fn fetches(tag: &str, rules: &Output) -> bool {
    // An address that leads anywhere has one of these.
    if memchr::memchr3(b':', b'/', b'&', tag.as_bytes()).is_none() && !tag.contains('\\') {
        return false;
    }
    let values_lead_out = |tag: &str| {
        let split = ['"', '\'', '=', ',', ' ', '\t', '\n', '\r', '`', '(', ')', ';'];
        let in_browser = |value: &str| {
            let known = |(scheme, _): (&str, &str)| !is_scheme(scheme) || is_fetched(scheme);
            value.contains([':', '/', '\\']) && value.split_once(':').is_none_or(known)
        };
        tag.split(split).any(|value| in_browser(value) && leads_out(value, rules))
    };
    // A user's name may hold what values are split at.
    let has_user = tag.split("//").skip(1).any(|authority| {
        authority.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
    });
    // What may stand for a part of an address.
    let has_entity = || {
        let tag = tag.to_ascii_lowercase();
        let entities = ["&#", "&colon", "&sol", "&bsol", "&tab", "&newline"];
        entities.iter().any(|entity| tag.contains(entity))
    };
    // A browser takes them out of an address.
    let breaks = ['\t', '\n', '\r'];
    has_user
        || (tag.contains('&') && has_entity())
        || values_lead_out(tag)
        || (tag.contains(breaks) && values_lead_out(&tag.replace(breaks, "")))
}

/// Whether the address of a resource leads where it should not. Its scheme may be any, and
/// is a server's own matter, but for those that a browser takes.
pub(super) fn resource(uri: &str, rules: &Output) -> bool {
    let of_browser = |(scheme, _): (&str, &str)| {
        let scheme = scheme.trim();
        !is_scheme(scheme) || is_fetched(scheme)
    };
    rules.links == Links::Block
        && uri.split_once(':').is_none_or(of_browser)
        && leads_out(uri.trim(), rules)
}

/// Whether a browser fetches or runs what has this scheme.
fn is_fetched(scheme: &str) -> bool {
    let fetched = ["http", "https", "data", "javascript", "vbscript", "blob", "ftp", "ws", "wss"];
    fetched.iter().any(|one| scheme.eq_ignore_ascii_case(one))
}

/// What stands before the first byte at which an address `ends`; of a longer one, the
/// beginning decides.
fn address(text: &str, ends: impl Fn(u8) -> bool) -> &str {
    let text = text.get(..text.floor_char_boundary(LONGEST_ADDRESS)).unwrap_or(text);
    let end = text.bytes().position(ends);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Whether an address leads to where it should not.
fn leads_out(address: &str, rules: &Output) -> bool {
    if address.starts_with(BLOCKED) {
        return false;
    }
    let head = address.split(['/', '?', '#']).next().unwrap_or_default();
    // A browser takes a backslash for a slash, and line breaks and tabs out; Markdown takes
    // what it escapes for what it means.
    let in_two_ways = |c: char| matches!(c, '&' | '\\' | '<' | '>');
    if head.contains(in_two_ways)
        || address.starts_with("/\\")
        || address.starts_with("/&")
        || memchr::memchr3(b'\t', b'\n', b'\r', address.as_bytes()).is_some()
    {
        return true;
    }
    match head.split_once(':') {
        // Two slashes alone begin a comment.
        None => address
            .strip_prefix("//")
            .is_some_and(|rest| !rest.is_empty() && !is_listed(rest, rules)),
        Some((scheme, _)) => {
            let rest = address.get(scheme.len() + 1..).unwrap_or_default();
            match scheme.to_ascii_lowercase().as_str() {
                "http" | "https" => {
                    !rest.strip_prefix("//").is_some_and(|rest| is_listed(rest, rules))
                }
                "data" => !is_harmless_data(rest, rules),
                // Both ask a person first.
                "mailto" | "tel" => false,
                // A time, a ratio, a key of a program: no scheme.
                scheme if !is_scheme(scheme) => false,
                _ => true,
            }
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// Whether what follows `//` begins with a listed host, and nothing else is there that a
/// browser may take for one.
fn is_listed(text: &str, rules: &Output) -> bool {
    let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.split_once(':').map_or(authority, |(host, _)| host).to_ascii_lowercase();
    let port_is_one =
        authority.split_once(':').is_none_or(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    authority.len() <= LONGEST_HOST
        && port_is_one
        && rules.link_hosts.iter().any(|listed| listed.covers(&host))
}

/// Whether a `data:` address holds media of a listed type, by its name and its bytes.
fn is_harmless_data(rest: &str, rules: &Output) -> bool {
    let Some((kind, data)) = rest.split_once(',') else { return false };
    let Some(kind) = kind.strip_suffix(";base64") else { return false };
    let begin = data.get(..data.len().min(64) / 4 * 4).unwrap_or_default();
    let listed = rules.media_types.iter().any(|listed| listed.as_str() == kind);
    listed && STANDARD.decode(begin).is_ok_and(|bytes| media::is_of(kind, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Output {
        let hosts = ["docs.example.com", "*.cdn.example"];
        let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        Output { link_hosts: hosts, ..Output::default() }
    }

    #[test]
    fn an_address_leads_out_or_does_not() {
        let rules = rules();
        for stays in [
            "",
            "#part",
            "page.html",
            "../a/b?c=http://evil.example",
            "/root",
            "a/b:c",
            "?q=a:b",
            "https://docs.example.com",
            "https://docs.example.com/a?b#c",
            "HTTPS://DOCS.example.com:443/",
            "//docs.example.com/x",
            "http://a.b.cdn.example/i.png",
            "mailto:a@b.example",
            "tel:+41",
            "blocked:https://evil.example",
            "12:30",
            "//",
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
        ] {
            assert!(!leads_out(stays, &rules), "{stays}");
        }
        for out in [
            "https://evil.example",
            "http://evil.example/?q=1",
            "HtTp://evil.example",
            "//evil.example/x",
            "https://docs.example.com.evil.example",
            "https://docs.example.com@evil.example/",
            "https://docs.example.com:@evil.example/",
            "https://docs.example.com:80@evil.example",
            "https:evil.example",
            "https:/evil.example",
            "https:///evil.example",
            "https:\\\\evil.example",
            "\\\\evil.example",
            "/\\evil.example",
            "https&colon;//evil.example",
            "&#104;ttps://evil.example",
            "https\\://evil.example",
            "https://docs.example.com\\@evil.example",
            "https://docs.example.com&#64;evil.example",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "data:text/html;base64,PHNjcmlwdD4=",
            "data:image/png;base64,PHNjcmlwdD4=",
            "data:image/svg+xml,<svg/>",
            "slack://x",
            "https://cdn.example/i.png",
            "https://docs.example.com<@evil.example",
            "java\tscript:alert(1)",
            "/\t/evil.example",
            "/&#47;evil.example",
            // A listed host up to where it is read, and what goes on is another.
            &format!("https://{}.cdn.example@evil.example", "a".repeat(LONGEST_ADDRESS - 20)),
            &format!("https://{}.cdn.example@evil.example", "a".repeat(300)),
        ] {
            assert!(leads_out(out, &rules), "{out}");
        }
    }

    #[test]
    fn an_address_ends_where_markdown_ends_it() {
        let rules = rules();
        for out in [
            "https://docs.example.com<@evil.example)",
            "https://docs.example.com>@evil.example)",
            "https://docs.example.com(a)@evil.example)",
            "<https://docs.example.com @evil.example>)",
            "< https://evil.example>)",
            "</\t/evil.example>)",
            "\n\thttps://evil.example \"title\")",
            "\n> https://evil.example",
            "\u{a0}https://evil.example)",
            "\u{2028}\u{3000}https://evil.example)",
            "&lt;https://evil.example",
        ] {
            assert!(destination(out, &rules).is_some(), "{out}");
        }
        for stays in [
            "https://docs.example.com/a>b)",
            "<a file.md>)",
            "a.md \"x://y\")",
            "// a comment",
            ")",
            "",
        ] {
            assert_eq!(destination(stays, &rules), None, "{stays}");
        }
        assert!(autolink("https://docs.example.com)@evil.example>", &rules));
        assert!(!autolink("https://docs.example.com/a)b>", &rules));
        assert!(!autolink("https://evil.example and more>", &rules), "no autolink");
    }

    #[test]
    fn a_tag_that_fetches_from_elsewhere_is_one() {
        let rules = rules();
        for fetches in [
            "img src=https://evil.example/x>",
            "IMG\nSRC = '//evil.example'>",
            "img/src=\"http://evil.example\">",
            "iframe srcdoc='&#60;img'>",
            "img src=\"https://docs.example.com\" srcset=\"a 1x, //evil.example 2x\">",
            "video poster=`https://evil.example`>",
            "img src=https://evil.example",
            "img src='x' onerror=javascript:x>",
            "img src='https://docs.example.com,@evil.example'>",
            "img src='https://docs.example.com=@evil.example'>",
            "img src='/\t/evil.example'>",
            "img src='ht\ntps://evil.example'>",
            "img alt='>' src='https://evil.example'>",
            "img src='/&#47;evil.example'>",
            "img src='/&Tab;/evil.example'>",
            "a href='https://evil.example'>",
            "A\nHREF=https://evil.example>",
            "script src=//evil.example>",
            "input type=image src=//evil.example>",
            "p style='background:url(//evil.example)'>",
            "p style='background:URL(https://evil.example/x)'>",
            "body background=https://evil.example>",
        ] {
            assert!(tag(fetches, &rules), "{fetches}");
        }
        for stays in [
            "img src=\"a.png\" alt=\"a picture\">",
            "i>",
            "imgur>",
            "images>",
            "img>",
            "img src='https://docs.example.com/a.png'>",
            "em>",
            "T>",
            "object>",
            "img\n\tsrc='a.png'\n\talt='b'\n>",
            "img src='a@2x.png' alt='Q&A' style='width:10px'>",
            "img src='https://docs.example.com/a@2x.png'>",
            "a href='#part'>",
            "a name='x:y'>",
            "a b",
            "a, b = https://x",
            "a && b",
            "td>",
            "p style='color:red'>",
            "p>url(https://evil.example)",
        ] {
            assert!(!tag(stays, &rules), "{stays}");
        }
    }
}
