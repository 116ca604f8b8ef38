//! Secrets in known formats, and this server's own.
//!
//! Formats that their issuers made to be found: a prefix that nothing else has, and a
//! length. What looks like a password is not looked for: too much does.

/// A format of secrets.
pub(super) struct Format {
    /// How it begins.
    pub(super) prefix: &'static str,
    /// What it is called where it stood.
    pub(super) kind: &'static str,
    /// How long what follows is at least, in characters of it.
    least: usize,
    /// And at most; the longest such text is one.
    most: usize,
    body: Body,
}

#[derive(Clone, Copy)]
enum Body {
    /// Letters and digits.
    Alphanumeric,
    /// Capital letters and digits.
    Capitals,
    /// Letters, digits, `_` and `-`.
    Word,
    /// The same and dots: at least two of them.
    Dotted,
    /// A PEM block, to its end.
    Pem,
}

const fn format(
    prefix: &'static str,
    kind: &'static str,
    least: usize,
    most: usize,
    body: Body,
) -> Format {
    Format { prefix, kind, least, most, body }
}

/// The longest of those without a length of their own, in bytes.
const LONG: usize = 2 << 10;

/// The formats that are known, each with the length that its issuer documents, or a bit
/// less.
pub(super) const FORMATS: &[Format] = &[
    format("bhk_", "bulkhead key", 40, LONG, Body::Word),
    format("AKIA", "AWS access key id", 16, 16, Body::Capitals),
    format("ASIA", "AWS access key id", 16, 16, Body::Capitals),
    format("ghp_", "GitHub token", 36, 255, Body::Alphanumeric),
    format("gho_", "GitHub token", 36, 255, Body::Alphanumeric),
    format("ghu_", "GitHub token", 36, 255, Body::Alphanumeric),
    format("ghs_", "GitHub token", 36, 255, Body::Alphanumeric),
    format("ghr_", "GitHub token", 36, 255, Body::Alphanumeric),
    format("github_pat_", "GitHub token", 60, 255, Body::Word),
    format("glpat-", "GitLab token", 20, 255, Body::Word),
    format("xoxb-", "Slack token", 24, 255, Body::Word),
    format("xoxp-", "Slack token", 24, 255, Body::Word),
    format("xoxa-", "Slack token", 24, 255, Body::Word),
    format("xoxs-", "Slack token", 24, 255, Body::Word),
    format("xapp-", "Slack token", 24, 255, Body::Word),
    format("sk_live_", "Stripe key", 16, 255, Body::Alphanumeric),
    format("rk_live_", "Stripe key", 16, 255, Body::Alphanumeric),
    format("sk-ant-", "Anthropic key", 32, 255, Body::Word),
    format("sk-proj-", "OpenAI key", 32, 255, Body::Word),
    format("sk-svcacct-", "OpenAI key", 32, 255, Body::Word),
    format("sk-", "API key", 40, 255, Body::Alphanumeric),
    format("AIza", "Google API key", 35, 35, Body::Word),
    format("ya29.", "Google token", 40, LONG, Body::Word),
    format("npm_", "npm token", 36, 36, Body::Alphanumeric),
    format("pypi-AgE", "PyPI token", 50, LONG, Body::Word),
    format("hf_", "Hugging Face token", 34, 40, Body::Alphanumeric),
    format("dop_v1_", "DigitalOcean token", 64, 64, Body::Alphanumeric),
    format("shpat_", "Shopify token", 32, 32, Body::Alphanumeric),
    format("SG.", "SendGrid key", 60, 80, Body::Dotted),
    format("eyJ", "JSON Web Token", 40, LONG, Body::Dotted),
    format("-----BEGIN ", "private key", 1, LONG, Body::Pem),
];

/// What the label of a private key's first line ends with (RFC 7468), how long one is at
/// most, in bytes, and what the last line begins with.
const PEM_LABEL: &str = "PRIVATE KEY";
const LONGEST_LABEL: usize = 64;
const PEM_END: &str = "-----END ";

/// How long the secret is that begins where `format` was found in `text`; nothing when
/// there is none.
pub(super) fn length(text: &str, at: usize, format: &Format) -> Option<usize> {
    match text.as_bytes().get(..at)? {
        // A text of JSON may write it behind a line's end.
        [.., b'\\', b'n' | b'r' | b't'] => {}
        [.., b'_' | b'-' | b'.'] => return None,
        [.., b] if b.is_ascii_alphanumeric() => return None,
        _ => {}
    }
    let body = text.get(at + format.prefix.len()..)?;
    let matches: fn(u8) -> bool = match format.body {
        Body::Alphanumeric => |b| b.is_ascii_alphanumeric(),
        Body::Capitals => |b| b.is_ascii_uppercase() || b.is_ascii_digit(),
        Body::Word => |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'),
        Body::Dotted => |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'),
        Body::Pem => return pem(body).map(|length| format.prefix.len() + length),
    };
    let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let length = body.bytes().take(format.most).take_while(|b| matches(*b)).count();
    let goes_on = format.most != LONG
        && length == format.most
        && body.as_bytes().get(length).is_some_and(|b| is_word(*b));
    let secret = body.get(..length)?;
    let parts = secret.split('.').filter(|part| !part.is_empty()).count();
    let wanted = match format.body {
        Body::Dotted if format.prefix == "eyJ" => 3,
        Body::Dotted => 2,
        Body::Alphanumeric | Body::Capitals | Body::Word | Body::Pem => 1,
    };
    let found = length >= format.least && !goes_on && parts >= wanted;
    found.then_some(format.prefix.len() + secret.trim_end_matches('.').len())
}

/// A PEM block that holds a private key, after its first words: to the end of its last
/// line, or of the text where that is missing.
fn pem(body: &str) -> Option<usize> {
    let of_label = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b' ';
    let label = body.bytes().take(LONGEST_LABEL).take_while(|b| of_label(b)).count();
    let key = body.get(..label)?.ends_with(PEM_LABEL) && body.get(label..)?.starts_with("-----");
    let begin = key.then_some(label + 5)?;
    let rest = body.get(begin..)?;
    let end = rest.find(PEM_END).map(|end| {
        let line = rest.get(end..).unwrap_or_default();
        let closed = line.get(PEM_END.len()..).and_then(|line| line.find("-----"));
        end + closed.map_or(line.len(), |at| PEM_END.len() + at + 5)
    });
    Some(begin + end.unwrap_or(rest.len()))
}
