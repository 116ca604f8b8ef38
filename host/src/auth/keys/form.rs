//! How keys stand in a file.
//!
//! TOML, one `[[key]]` each. A file of the largest size that `bulkhead key` writes has
//! 40 MiB, and a server reads it whenever a key is made, so what is written there is
//! read line by line: the form is a small part of TOML, in which every line is one
//! `name = value`. A file that a person has edited beyond that is read as the TOML that
//! it is; it may be smaller only.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use super::key::Key;
use crate::names::{AgentName, KeyId, Malformed, Scope};

/// The largest text that is read as any TOML. Reading that takes about a second and
/// fifteen times the memory for each 32 MiB.
const MOST_BYTES_OF_ANY_TOML: usize = 4 << 20;

/// What TOML takes for white space within a line.
const BLANKS: [char; 2] = [' ', '\t'];

/// What stands above the keys in a written file.
const HEADER: &str =
    "# Written by `bulkhead key`. Holds SHA-256 digests; no key can be made from it.\n";

/// Reads the keys of a text.
///
/// # Errors
/// Says what is wrong and where, for a person, without what stands there.
pub(super) fn parse(text: &str) -> Result<Vec<Key>, String> {
    let mut keys = Keys::default();
    match each_as_written(text, |entry| keys.add(&entry)) {
        Some(read) => read.map(|()| keys.all),
        None if text.len() > MOST_BYTES_OF_ANY_TOML => Err(format!(
            "line {} is not what `bulkhead key` writes, which a file of more than {} MiB has to be",
            first_line_of_another_form(text),
            MOST_BYTES_OF_ANY_TOML >> 20
        )),
        None => {
            let stored: Stored<'_> =
                toml::from_str(text).map_err(|error| not_ours(text, &error))?;
            read_all(&stored.key)
        }
    }
}

/// Says where a text is not a key file. The parser's own words are left out: they
/// repeat what stands there.
fn not_ours(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(text.len(), |span| span.start);
    let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    format!("line {line} is not what `bulkhead key` writes")
}

fn read_all(entries: &[Entry<'_>]) -> Result<Vec<Key>, String> {
    let mut keys = Keys::default();
    entries.iter().try_for_each(|entry| keys.add(entry))?;
    Ok(keys.all)
}

/// What was read so far.
#[derive(Default)]
struct Keys {
    all: Vec<Key>,
    ids: HashSet<KeyId>,
    known: Known,
}

impl Keys {
    fn add(&mut self, entry: &Entry<'_>) -> Result<(), String> {
        let bad = |what: String| format!("{}: {what}", entry.label(self.all.len()));
        let key = entry.read(&mut self.known).map_err(bad)?;
        if !self.ids.insert(key.id.clone()) {
            return Err(bad("there is another of this id".to_owned()));
        }
        self.all.push(key);
        Ok(())
    }
}

/// What many keys have in common is kept once.
#[derive(Default)]
struct Known {
    agents: HashMap<Box<str>, AgentName>,
    scopes: HashMap<Vec<Box<str>>, Arc<[Scope]>>,
}

impl Known {
    fn agent(&mut self, text: &str) -> Result<AgentName, String> {
        if let Some(known) = self.agents.get(text) {
            return Ok(known.clone());
        }
        let agent: AgentName = named("agent", text)?;
        self.agents.insert(text.into(), agent.clone());
        Ok(agent)
    }

    fn scopes(&mut self, texts: &[Cow<'_, str>]) -> Result<Arc<[Scope]>, String> {
        let texts: Vec<Box<str>> = texts.iter().map(|text| text.as_ref().into()).collect();
        if let Some(known) = self.scopes.get(&texts) {
            return Ok(Arc::clone(known));
        }
        let scopes = texts.iter().map(|text| named("scopes", text));
        let scopes: Arc<[Scope]> = scopes.collect::<Result<_, String>>()?;
        self.scopes.insert(texts, Arc::clone(&scopes));
        Ok(scopes)
    }
}

/// A file as it is stored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'t> {
    #[serde(default)]
    key: Vec<Entry<'t>>,
}

/// A key as it is stored: texts, so that a wrong one can be named without being
/// repeated.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry<'t> {
    id: Cow<'t, str>,
    agent: Cow<'t, str>,
    subject: Option<Cow<'t, str>>,
    scopes: Option<Vec<Cow<'t, str>>>,
    sha256: Cow<'t, str>,
    created: Cow<'t, str>,
    expires: Option<Cow<'t, str>>,
    replaces: Option<Cow<'t, str>>,
    revoked: Option<Cow<'t, str>>,
}

impl Entry<'_> {
    fn is_complete(&self) -> bool {
        [&self.id, &self.agent, &self.sha256, &self.created].iter().all(|text| !text.is_empty())
    }

    /// What a person finds it by: its id, or its place in the file where that is none.
    fn label(&self, at: usize) -> String {
        match self.id.parse::<KeyId>() {
            Ok(id) => format!("key `{id}`"),
            Err(_) => format!("key number {}", at + 1),
        }
    }

    fn read(&self, known: &mut Known) -> Result<Key, String> {
        Ok(Key {
            id: named("id", &self.id)?,
            agent: known.agent(&self.agent)?,
            subject: self.subject.as_deref().map(|text| named("subject", text)).transpose()?,
            scopes: self.scopes.as_deref().map(|texts| known.scopes(texts)).transpose()?,
            digest: named("sha256", &self.sha256)?,
            created: time("created", &self.created)?,
            expires: self.expires.as_deref().map(|text| time("expires", text)).transpose()?,
            replaces: self.replaces.as_deref().map(|text| named("replaces", text)).transpose()?,
            revoked: self.revoked.as_deref().map(|text| time("revoked", text)).transpose()?,
        })
    }
}

fn named<T: FromStr<Err = Malformed>>(field: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|malformed| format!("`{field}`: {malformed}"))
}

fn time(field: &str, text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("`{field}`: expected a time (RFC 3339)"))
}

/// The keys as a text that [`each_as_written`] reads.
pub(super) fn render(keys: &[Key]) -> String {
    let mut out = HEADER.to_owned();
    for key in keys {
        out.push_str("\n[[key]]\n");
        line(&mut out, "id", &quoted(key.id.as_str()));
        line(&mut out, "agent", &quoted(key.agent.as_str()));
        if let Some(subject) = &key.subject {
            line(&mut out, "subject", &quoted(subject.as_str()));
        }
        if let Some(scopes) = &key.scopes {
            let scopes: Vec<_> = scopes.iter().map(|scope| quoted(scope.as_str())).collect();
            line(&mut out, "scopes", &format!("[{}]", scopes.join(", ")));
        }
        line(&mut out, "sha256", &quoted(&key.digest.to_hex()));
        line(&mut out, "created", &quoted(&key.created.to_string()));
        if let Some(expires) = key.expires {
            line(&mut out, "expires", &quoted(&expires.to_string()));
        }
        if let Some(replaces) = &key.replaces {
            line(&mut out, "replaces", &quoted(replaces.as_str()));
        }
        if let Some(revoked) = key.revoked {
            line(&mut out, "revoked", &quoted(&revoked.to_string()));
        }
    }
    out
}

fn line(out: &mut String, name: &str, value: &str) {
    // Writing to a `String` does not fail.
    let _ = writeln!(out, "{name} = {value}");
}

/// A basic string of TOML. No name has the control characters that would need more.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Gives `take` every entry of a text in which every line is empty, a comment,
/// `[[key]]`, or `name = value` with a value on that line; nothing for any other text,
/// which `take` may have seen the beginning of. One entry is held at a time.
fn each_as_written<'t>(
    text: &'t str,
    mut take_entry: impl FnMut(Entry<'t>) -> Result<(), String>,
) -> Option<Result<(), String>> {
    let mut entries: Vec<Entry<'t>> = Vec::with_capacity(2);
    for line in text.lines() {
        take(line, &mut entries)?;
        if entries.len() > 1 {
            let whole = entries.remove(0);
            whole.is_complete().then_some(())?;
            if let Err(what) = take_entry(whole) {
                return Some(Err(what));
            }
        }
    }
    let Some(last) = entries.pop() else { return Some(Ok(())) };
    last.is_complete().then(|| take_entry(last))
}

fn first_line_of_another_form(text: &str) -> usize {
    let mut entries = Vec::new();
    text.lines().take_while(|line| take(line, &mut entries).is_some()).count() + 1
}

/// Adds what a line says to the last entry.
fn take<'t>(line: &'t str, entries: &mut Vec<Entry<'t>>) -> Option<()> {
    let line = line.trim_matches(BLANKS);
    if line.is_empty() || line.starts_with('#') {
        return Some(());
    }
    if line == "[[key]]" {
        entries.push(Entry::default());
        return Some(());
    }
    let entry = entries.last_mut()?;
    let (name, value) = line.split_once('=')?;
    let value = value.trim_start_matches(BLANKS);
    match name.trim_end_matches(BLANKS) {
        "id" => take_once(&mut entry.id, value),
        "agent" => take_once(&mut entry.agent, value),
        "subject" => take_first(&mut entry.subject, text_of(value)?),
        "scopes" => take_first(&mut entry.scopes, texts_of(value)?),
        "sha256" => take_once(&mut entry.sha256, value),
        "created" => take_once(&mut entry.created, value),
        "expires" => take_first(&mut entry.expires, text_of(value)?),
        "replaces" => take_first(&mut entry.replaces, text_of(value)?),
        "revoked" => take_first(&mut entry.revoked, text_of(value)?),
        _ => None,
    }
}

/// Fills what has to be there: an empty text is none.
fn take_once<'t>(field: &mut Cow<'t, str>, value: &'t str) -> Option<()> {
    let text = text_of(value)?;
    (field.is_empty() && !text.is_empty()).then(|| *field = text)
}

fn take_first<T>(field: &mut Option<T>, value: T) -> Option<()> {
    field.is_none().then(|| *field = Some(value))
}

/// A string that is all of `value`.
fn text_of(value: &str) -> Option<Cow<'_, str>> {
    let (text, rest) = leading_text(value)?;
    rest.is_empty().then_some(text)
}

/// A list of strings that is all of `value`.
fn texts_of(value: &str) -> Option<Vec<Cow<'_, str>>> {
    let mut rest = value.strip_prefix('[')?.strip_suffix(']')?.trim_matches(BLANKS);
    let mut texts = Vec::new();
    while !rest.is_empty() {
        let (text, after) = leading_text(rest)?;
        texts.push(text);
        let after = after.trim_start_matches(BLANKS);
        match after.strip_prefix(',') {
            Some(more) => rest = more.trim_start_matches(BLANKS),
            None => {
                after.is_empty().then_some(())?;
                break;
            }
        }
    }
    Some(texts)
}

/// The string that `value` begins with, and what follows it. Of escapes, the two that
/// [`quoted`] writes.
fn leading_text(value: &str) -> Option<(Cow<'_, str>, &str)> {
    if let Some(literal) = value.strip_prefix('\'') {
        let (text, rest) = literal.split_once('\'')?;
        // Three quotes begin a string of many lines.
        let is_plain = !rest.starts_with('\'') && !has_control(text);
        return is_plain.then_some((Cow::Borrowed(text), rest));
    }
    let basic = value.strip_prefix('"')?;
    let mut escaped = false;
    let end = basic.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    let (text, rest) = (basic.get(..end)?, basic.get(end + 1..)?);
    if rest.starts_with('"') || has_control(text) {
        return None;
    }
    if !text.contains('\\') {
        return Some((Cow::Borrowed(text), rest));
    }
    unescaped(text).map(|text| (Cow::Owned(text), rest))
}

fn has_control(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_control())
}

fn unescaped(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut symbols = text.chars();
    while let Some(symbol) = symbols.next() {
        match symbol {
            '\\' => out.push(symbols.next().filter(|next| matches!(next, '"' | '\\'))?),
            other => out.push(other),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::auth::keys::SecretDigest;

    const NOW: &str = "2026-11-23T06:00:00Z";
    const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn entry(id: &str, agent: &str, digest: &str, more: &str) -> String {
        format!(
            "[[key]]\nid = '{id}'\nagent = '{agent}'\nsha256 = '{digest}'\n\
             created = '{NOW}'\n{more}\n"
        )
    }

    fn as_written(text: &str) -> Option<Vec<Entry<'_>>> {
        let mut entries = Vec::new();
        let read = each_as_written(text, |entry| {
            entries.push(entry);
            Ok(())
        });
        read.map(|_| entries)
    }

    #[test]
    fn a_bad_file_says_which_entry_and_shows_no_digest() {
        let good = entry("good", "a", DIGEST, "");
        let short = &DIGEST[..63];
        let cases = [
            (entry("x", "a", DIGEST, ""), "key number 2: `id`: 4 to 32 letters or digits"),
            (entry("", "a", DIGEST, ""), "key number 2: `id`: 4 to 32 letters or digits"),
            (
                entry("fine", "a b", DIGEST, ""),
                "key `fine`: `agent`: 1 to 64 letters, digits, `_`, `-` or `.`",
            ),
            (entry("fine", "a", short, ""), "key `fine`: `sha256`: expected 64 hexadecimal digits"),
            (
                entry("fine", "a", DIGEST, "expires = 'soon'"),
                "key `fine`: `expires`: expected a time (RFC 3339)",
            ),
            (
                entry("fine", "a", DIGEST, "scopes = ['a', 'b c']"),
                "key `fine`: `scopes`: a scope is `PLUGIN:TOOL`",
            ),
            (good.clone(), "key `good`: there is another of this id"),
            (
                entry("fine", "a", DIGEST, "scope = ['*']"),
                "line 12 is not what `bulkhead key` writes",
            ),
            (
                entry("fine", "a", DIGEST, "agent = 'b'"),
                "line 12 is not what `bulkhead key` writes",
            ),
            (
                entry("fine", "a", DIGEST, "subject = 'b'\nsubject = 'c'"),
                "line 13 is not what `bulkhead key` writes",
            ),
            (format!("[[key]]\nid = {DIGEST}"), "line 8 is not what `bulkhead key` writes"),
            (format!("[[key]]\nid = 'fine'\nscopes = '{DIGEST}'"), "line 9 is not what"),
            ("[[key]]\nid = 'fine'\n".to_owned(), "line 7 is not what"),
            ("[other]\n".to_owned(), "line 7 is not what"),
        ];
        for (second, expected) in cases {
            let what = parse(&format!("{good}{second}")).unwrap_err();
            assert!(what.starts_with(expected), "{what} and not {expected}");
            assert!(!what.contains(&DIGEST[..16]), "{what}");
        }
        assert_eq!(parse(&good).unwrap().len(), 1);
        assert!(parse("").unwrap().is_empty());
        assert!(parse("# nothing yet\n").unwrap().is_empty());
    }

    #[test]
    fn what_a_person_wrote_is_read_in_either_way() {
        let plain =
            entry("good", "a", DIGEST, "scopes = [ \"a:*\", 'b' ,]  \nsubject = \"x\\\"y\"");
        let edited = plain.replace("scopes = [", "scopes = [ # mine\n");
        assert!(as_written(&plain).is_some());
        assert!(as_written(&edited).is_none());
        for text in [plain, edited] {
            let [key] = parse(&text).unwrap().try_into().unwrap();
            let scopes: Vec<_> = key.scopes.iter().flat_map(|all| all.iter()).collect();
            assert_eq!(scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(), ["a:*", "b"]);
            assert_eq!(key.subject.unwrap().as_str(), "x\"y");
        }
    }

    #[test]
    fn a_large_file_is_read_only_as_it_was_written() {
        let good = entry("good", "a", DIGEST, "");
        let padding = "#".repeat(MOST_BYTES_OF_ANY_TOML);
        assert_eq!(parse(&format!("{padding}\n{good}")).unwrap().len(), 1);
        let what = parse(&format!("{padding}\n{good}scopes = [\n]\n")).unwrap_err();
        assert!(what.starts_with("line 8 is not what `bulkhead key` writes, which"), "{what}");
    }

    #[test]
    fn what_keys_have_in_common_is_kept_once() {
        let text = ["aaaa", "bbbb"].map(|id| entry(id, "a", DIGEST, "scopes = ['x:*', 'y']"));
        let [one, two] = parse(&text.concat()).unwrap().try_into().unwrap();
        assert!(std::ptr::eq(one.agent.as_str(), two.agent.as_str()));
        assert!(Arc::ptr_eq(&one.scopes.unwrap(), &two.scopes.unwrap()));
    }

    fn key() -> impl Strategy<Value = Key> {
        let time = (0_i64..4_000_000_000).prop_map(|at| Timestamp::from_second(at).unwrap());
        let text = "[^\\p{Cc}]{1,20}";
        (
            ("[A-Za-z0-9]{4,32}", "[A-Za-z0-9_.-]{1,64}", proptest::option::of(text)),
            proptest::option::of(proptest::collection::vec("[a-z]{1,9}(:\\*)?", 0..4)),
            (time.clone(), proptest::option::of(time.clone()), proptest::option::of(time)),
            proptest::option::of("[a-z0-9]{12}"),
        )
            .prop_map(
                |((id, agent, subject), scopes, (created, expires, revoked), replaces)| Key {
                    digest: SecretDigest::of(&id),
                    id: id.parse().unwrap(),
                    agent: agent.parse().unwrap(),
                    subject: subject.map(|subject| subject.parse().unwrap()),
                    scopes: scopes
                        .map(|all| all.iter().map(|scope| scope.parse().unwrap()).collect()),
                    created,
                    expires,
                    revoked,
                    replaces: replaces.map(|id| id.parse().unwrap()),
                },
            )
    }

    proptest! {
        /// Both readers read what is written, and read the same.
        #[test]
        fn what_is_written_is_read_back(key in key()) {
            let text = render(std::slice::from_ref(&key));
            let as_toml: Stored<'_> = toml::from_str(&text).unwrap();
            for entries in [as_written(&text).unwrap(), as_toml.key] {
                let read = read_all(&entries).unwrap();
                prop_assert_eq!(render(&read), text.clone());
                prop_assert_eq!(&read[0].subject, &key.subject);
                prop_assert!(read[0].digest.matches(&key.digest));
            }
        }

        /// What the line reader takes is TOML, and means the same there.
        #[test]
        fn nothing_is_read_that_is_not_toml(
            lines in proptest::collection::vec("(id|agent|subject|scopes|sha256|created|x) ?= ?[\\[\"'a\\\\é,\\]# ]{0,8}", 0..6)
        ) {
            let text = format!("[[key]]\nid='aaaa'\nagent='a'\nsha256='x'\ncreated='y'\n{}\n", lines.join("\n"));
            if let Some(entries) = as_written(&text) {
                let as_toml: Stored<'_> = toml::from_str(&text).unwrap();
                let (ours, theirs) = (&entries[0], &as_toml.key[0]);
                prop_assert_eq!(&ours.subject, &theirs.subject);
                prop_assert_eq!(&ours.scopes, &theirs.scopes);
            }
        }
    }
}
