//! One text of a plugin, made fit for a model.
//!
//! First the characters ([`crate::text`]), so that nothing hides from what follows: tokens
//! of chat templates, links that lead out, secrets. What is put in their places holds
//! nothing to be changed, and what was edited is looked at again: cleaning twice changes
//! nothing more, pinned by `cleaning_is_idempotent`.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::{Arc, LazyLock};

use aho_corasick::{AhoCorasick, MatchKind};

use super::changes::Changes;
use super::search::Search;
use super::secrets::{FORMATS, Format};
use super::{links, roles, secrets};
use crate::config::{Links, Output, Secrets};
use crate::names::Secret;
use crate::text::{Cut, Removed, clean_counted, hides};

/// What no output may hold, whatever is configured for it.
#[derive(Clone, Debug, Default)]
pub struct OwnSecrets(Option<Arc<Own>>);

#[derive(Debug)]
struct Own {
    searcher: AhoCorasick,
    /// Whether JSON writes one of them in another way than it is.
    quoted: bool,
}

/// The shortest text that counts as a secret, in bytes: a shorter one is in any text.
const SHORTEST: usize = 8;

impl OwnSecrets {
    /// These. Those shorter than eight bytes cannot be told from other text.
    pub fn of<'s>(secrets: impl IntoIterator<Item = &'s Secret>) -> Self {
        let secrets: Vec<&str> = secrets.into_iter().map(Secret::expose).collect();
        let long = secrets.into_iter().filter(|secret| secret.len() >= SHORTEST);
        let long: Vec<&str> = long.collect();
        // Too many for an automaton there are not.
        let quoted = long.iter().any(|secret| secret.contains(['"', '\\', '\n', '\t']));
        // Of two that begin alike, the longer one.
        let longest = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&long);
        let searcher = longest.ok().filter(|_| !long.is_empty());
        Self(searcher.map(|searcher| Arc::new(Own { searcher, quoted })))
    }
}

/// How often a text that was edited is looked at again: a secret may have held what closed a
/// tag, or the letters that a control of direction was for. No text is known that needs more
/// than two.
const ROUNDS: usize = 4;

/// How texts are cleaned.
#[derive(Clone, Copy)]
pub(super) struct Cleaner<'c> {
    pub(super) rules: &'c Output,
    pub(super) own: &'c OwnSecrets,
}

/// What is looked for by its first bytes.
#[derive(Clone, Copy)]
enum Needle {
    Token(&'static str),
    Secret(&'static Format),
}

static NEEDLES: LazyLock<Vec<Needle>> = LazyLock::new(|| {
    let tokens = roles::IN_BRACKETS.iter().map(|token| Needle::Token(token));
    tokens.chain(FORMATS.iter().map(Needle::Secret)).collect()
});

impl Needle {
    fn text(self) -> &'static str {
        match self {
            Self::Token(token) => token,
            Self::Secret(format) => format.prefix,
        }
    }
}

static SEARCH: LazyLock<Search> =
    LazyLock::new(|| Search::new(NEEDLES.iter().map(|needle| needle.text())));

/// What is put in the place of a part of a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Edit {
    /// A `<` or `[` that begins a token.
    Token,
    /// An address that leads out gets the scheme that leads nowhere.
    Link,
    /// A `<` that begins a tag.
    Tag,
    /// So many bytes of a secret of a kind; the longest first.
    Secret(Reverse<usize>, &'static str),
}

impl Cleaner<'_> {
    /// The text, cleaned; borrowed when there was nothing to change.
    pub(super) fn clean<'t>(&self, text: &'t str, changes: &mut Changes) -> Cow<'t, str> {
        let mut clean = shown(text, changes);
        for _ in 0..ROUNDS {
            let Cow::Owned(edited) = self.edited(&clean, changes) else { break };
            clean = Cow::Owned(shown(&edited, changes).into_owned());
        }
        clean
    }

    /// Whether there is nothing in a JSON text to look at, so that there is nothing in any of
    /// the strings in it, if it [shows them](super::json::shows_its_strings).
    pub(super) fn finds_nothing(&self, json: &str) -> bool {
        let links = || {
            let mut places = memchr::memchr2_iter(b'<', b']', json.as_bytes());
            let begins = |at: usize| {
                let here = json.get(at..).unwrap_or_default();
                ["<", "](", "]:"].iter().any(|begin| here.starts_with(begin))
            };
            places.any(begins)
        };
        !hides(json)
            && SEARCH.find_iter(json).next().is_none()
            && !self.own.0.iter().any(|own| own.quoted || own.searcher.is_match(json))
            && (self.rules.code || !links())
    }

    fn edited<'t>(&self, text: &'t str, changes: &mut Changes) -> Cow<'t, str> {
        let mut edits = Vec::new();
        // What lies in a secret that was found is looked at no more.
        let mut covered = 0;
        for hit in SEARCH.find_iter(text) {
            let at = hit.start();
            match NEEDLES.get(hit.pattern().as_usize()) {
                Some(Needle::Token(_)) if !self.rules.code => edits.push((at, Edit::Token)),
                Some(Needle::Secret(format)) if at >= covered => {
                    if self.rules.secrets == Secrets::Redact || format.prefix == OWN_PREFIX {
                        let length = secrets::length(text, at, format);
                        covered = at + length.unwrap_or_default();
                        edits.extend(
                            length.map(|length| (at, Edit::Secret(Reverse(length), format.kind))),
                        );
                    }
                }
                Some(Needle::Token(_) | Needle::Secret(_)) | None => {}
            }
        }
        for hit in self.own.0.iter().flat_map(|own| own.searcher.find_iter(text)) {
            edits.push((hit.start(), Edit::Secret(Reverse(hit.len()), "secret of this server")));
        }
        if !self.rules.code {
            self.find_markup(text, &mut edits);
        }
        if edits.is_empty() {
            return Cow::Borrowed(text);
        }
        edits.sort_unstable();
        edits.dedup();
        let mut cut = Cut::new(text);
        let mut last = None;
        for (at, edit) in edits {
            // What two find at one place, one changes; a link's address may be a secret.
            if last != Some(at) {
                apply(text, at, edit, &mut cut, changes);
            }
            if edit != Edit::Link {
                last = Some(at);
            }
        }
        cut.done()
    }

    fn find_markup(&self, text: &str, edits: &mut Vec<(usize, Edit)>) {
        for at in memchr::memchr2_iter(b'<', b']', text.as_bytes()) {
            let here = text.get(at..).unwrap_or_default();
            let after = here.get(1..).unwrap_or_default();
            if here.starts_with('<') && roles::is_token(here) {
                edits.push((at, Edit::Token));
            } else if self.rules.links == Links::Keep {
            } else if here.starts_with('<') {
                if links::autolink(after, self.rules) {
                    edits.push((at + 1, Edit::Link));
                } else if links::tag(after, self.rules) {
                    edits.push((at, Edit::Tag));
                }
            } else if let Some(address) = after.strip_prefix(['(', ':']) {
                let begins = links::destination(address, self.rules);
                edits.extend(begins.map(|begins| (at + 2 + begins, Edit::Link)));
            }
        }
    }
}

/// The text without what does not show.
fn shown<'t>(text: &'t str, changes: &mut Changes) -> Cow<'t, str> {
    let mut removed = Removed::default();
    let shown = clean_counted(text, &mut removed);
    changes.add(removed);
    shown
}

/// How this server's own keys begin: they are never passed on.
const OWN_PREFIX: &str = "bhk_";

fn apply(text: &str, at: usize, edit: Edit, cut: &mut Cut<'_>, changes: &mut Changes) {
    match edit {
        Edit::Token | Edit::Tag => {
            let bracket = text.get(at..).is_some_and(|here| here.starts_with('['));
            let entity = if bracket { "&#91;" } else { "&lt;" };
            let count =
                if edit == Edit::Token { &mut changes.role_tokens } else { &mut changes.links };
            *count += usize::from(cut.replace(at, at + 1, entity));
        }
        Edit::Link => changes.links += usize::from(cut.replace(at, at, links::BLOCKED)),
        Edit::Secret(Reverse(length), kind) => {
            let told = format!("{{redacted: {kind}}}");
            changes.secrets += usize::from(cut.replace(at, at + length, &told));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cleaned(text: &str, rules: &Output) -> (String, Changes) {
        let own = OwnSecrets::of(&[Secret::new("correct-horse-battery")]);
        let mut changes = Changes::default();
        let clean = Cleaner { rules, own: &own }.clean(text, &mut changes).into_owned();
        (clean, changes)
    }

    /// What is changed by default: the clean text, and what was counted but for zeros.
    #[track_caller]
    fn check(text: &str, clean: &str, counted: &[(&str, usize)]) {
        let (found, changes) = cleaned(text, &Output::default());
        assert_eq!(found, clean, "{text:?}");
        let nonzero = changes.named().into_iter().filter(|(_, count)| *count > 0);
        assert_eq!(nonzero.collect::<Vec<_>>(), counted, "{text:?}");
        let again = cleaned(&found, &Output::default());
        assert_eq!(again, (found, Changes::default()), "{text:?}");
    }

    #[test]
    fn tokens_of_chat_templates_are_made_harmless() {
        for token in [
            "<|im_start|>",
            "<|endoftext|>",
            "<|start_header_id|>",
            "<|START_OF_TURN_TOKEN|>",
            "<s>",
            "</s>",
            "<｜User｜>",
            "<｜begin▁of▁sentence｜>",
            "<start_of_turn>",
            "<<SYS>>",
            "<tool_call>",
            "</think>",
        ] {
            check(&format!("a{token}b"), &format!("a&lt;{}b", &token[1..]), &[("role_tokens", 1)]);
        }
        check("[INST] x [/INST]", "&#91;INST] x &#91;/INST]", &[("role_tokens", 2)]);
        // Hidden in it.
        check("<|im_\u{200b}start|>", "&lt;|im_start|>", &[("hidden", 1), ("role_tokens", 1)]);
        for code in
            ["f <| x |> g", "a <|> b", "<|", "<||>", "x<s", "<strong>", "[INSTALL]", "Vec<S>"]
        {
            check(code, code, &[]);
        }
    }

    #[test]
    fn links_lead_nowhere() {
        let url = "https://evil.example/p?d=secret";
        for (text, clean) in [
            ("![a](URL)", "![a](BLOCKED)"),
            ("[a]( <URL> \"t\")", "[a]( <BLOCKED> \"t\")"),
            ("[![a](URL)](URL)", "[![a](BLOCKED)](BLOCKED)"),
            ("[a]\n\n[a]: URL", "[a]\n\n[a]: BLOCKED"),
            ("> [a]:\n> x", "> [a]:\n> x"),
            ("> [a]:\n> URL", "> [a]:\n> BLOCKED"),
            ("see <URL>.", "see <BLOCKED>."),
            (&format!("<URL{}>", "x".repeat(5_000)), &format!("<BLOCKED{}>", "x".repeat(5_000))),
            ("<img src=\"URL\">", "&lt;img src=\"URL\">"),
            ("see URL", "see URL"),
            ("[a](#b) [c](d.md) <em>e</em>", "[a](#b) [c](d.md) <em>e</em>"),
        ] {
            let clean = clean.replace("BLOCKED", &format!("blocked:{url}")).replace("URL", url);
            let text = text.replace("URL", url);
            let links = clean.matches("blocked:").count() + clean.matches("&lt;").count();
            let counted = [("links", links)];
            check(&text, &clean, if links == 0 { &[] } else { &counted });
        }
    }

    #[test]
    fn secrets_are_told_by_their_kind() {
        let word = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5kM7n".repeat(2);
        let of = |prefix: &str, length: usize| format!("{prefix}{}", &word[..length]);
        for (secret, kind) in [
            ("AKIAIOSFODNN7EXAMPLE".to_owned(), "AWS access key id"),
            (of("ghp_", 36), "GitHub token"),
            (of("glpat-", 20), "GitLab token"),
            (of("xoxb-", 30), "Slack token"),
            (of("sk-ant-api03-", 60), "Anthropic key"),
            (of("sk-", 48), "API key"),
            (of("AIza", 35), "Google API key"),
            (of("bhk_k3v9aaaabbbb_", 58), "bulkhead key"),
            (format!("eyJ{}.eyJ{}.{}", &word[..20], &word[..20], &word[..30]), "JSON Web Token"),
            (format!("SG.{}.{}", &word[..22], &word[..43]), "SendGrid key"),
            (
                format!("-----BEGIN RSA PRIVATE KEY-----\n{word}\n-----END RSA PRIVATE KEY-----"),
                "private key",
            ),
            ("correct-horse-battery".to_owned(), "secret of this server"),
        ] {
            let clean = format!("a: {{redacted: {kind}}}, b");
            check(&format!("a: {secret}, b"), &clean, &[("secrets", 1)]);
        }
        check(
            "![](javascript:AKIAIOSFODNN7EXAMPLE)",
            "![](blocked:javascript:{redacted: AWS access key id})",
            &[("links", 1), ("secrets", 1)],
        );
        let token = of("sk-", 48);
        check(
            &format!("[]({token}<b)"),
            "[](blocked:{redacted: API key}<b)",
            &[("links", 1), ("secrets", 1)],
        );
        // What only begins so.
        for text in [
            "the task-force sk-1 asked",
            "AKIAshort",
            "x_AKIAIOSFODNN7EXAMPLE",
            "hf_hub",
            "eyJ0",
            "SG.",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            "npm_config_registry",
            "ghp_",
            "AKIAIOSFODNN7EXAMPLE1",
        ] {
            check(text, text, &[]);
        }
        // As JSON in a text writes what stands after a line's end.
        check(
            "{\"a\":\"x\\nAKIAIOSFODNN7EXAMPLE\"}",
            "{\"a\":\"x\\n{redacted: AWS access key id}\"}",
            &[("secrets", 1)],
        );
        let own = OwnSecrets::of(&[Secret::new("password1"), Secret::new("password1-long-tail")]);
        let rules = Output::default();
        let cleaner = Cleaner { rules: &rules, own: &own };
        let clean = cleaner.clean("a password1-long-tail b", &mut Changes::default()).into_owned();
        assert_eq!(clean, "a {redacted: secret of this server} b");
        let keep = Output { secrets: Secrets::Keep, ..Output::default() };
        let (text, _) = cleaned(
            &format!("AKIAIOSFODNN7EXAMPLE correct-horse-battery {}", of("bhk_a_", 58)),
            &keep,
        );
        assert_eq!(
            text,
            "AKIAIOSFODNN7EXAMPLE {redacted: secret of this server} {redacted: bulkhead key}"
        );
    }

    #[test]
    fn code_is_left_alone_where_it_is_declared() {
        let code = "<|im_start|>[a](https://x.example) <img src=//x.example>";
        let rules = Output { code: true, ..Output::default() };
        assert_eq!(cleaned(code, &rules), (code.to_owned(), Changes::default()));
        let keep = Output { links: Links::Keep, ..Output::default() };
        assert_eq!(cleaned(&code[12..], &keep), (code[12..].to_owned(), Changes::default()));
    }

    proptest! {
        #[test]
        fn cleaning_is_idempotent(
            text in "(<|\\||>|\\[|\\]|\\(|\\)|:|//|https:|evil\\.example|im_start|INST|img src=|sk-|AKIA|[A-Z0-9]{16}|eyJ|\\.|-----BEGIN |PRIVATE KEY-----|bhk_|[a-z0-9]{40}|&lt;|blocked:|redacted|\\{|\\}|\u{200b}|\u{1b}|ü| |\n){0,24}"
        ) {
            let rules = Output::default();
            let (once, _) = cleaned(&text, &rules);
            let (twice, changes) = cleaned(&once, &rules);
            prop_assert_eq!(&twice, &once);
            prop_assert!(changes.is_nothing(), "{:?}", changes);
        }
    }
}
