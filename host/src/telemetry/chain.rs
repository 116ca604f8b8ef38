//! The hash chain that makes a change to an audit log evident.
//!
//! A line is a JSON object whose last two fields are `prev` and `hash`. `hash` is
//! the SHA-256, in lower-case hexadecimal, of the line without `,"hash":"…"`; `prev`
//! is the hash of the line before, or 64 zeros in a file's first. `seq` counts from
//! one. So whoever changes, adds or removes a line must rewrite all that follow.
//!
//! What it does not show: that lines are missing at the end, or that all of a file
//! was rewritten. For that, keep the last hash somewhere else.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;

/// No line is longer, its end included: two thirds of it are the largest shape of
/// arguments, and the rest are names. Pinned by `the_longest_line_is_bounded`.
pub(super) const MAX_LINE_BYTES: usize = 64 << 10;

/// What stands between a line's `prev` and its hash.
const HASH_FIELD: &str = r#","hash":""#;

/// The length of a hash as text.
const HASH_CHARS: usize = 64;

/// What a line continues.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link<'a> {
    pub(super) seq: u64,
    pub(super) prev: &'a str,
}

/// The end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// How many lines there are.
    seq: u64,
    /// The last one's hash.
    head: String,
}

impl Default for Chain {
    /// A chain without lines.
    fn default() -> Self {
        Self { seq: 0, head: "0".repeat(HASH_CHARS) }
    }
}

impl Chain {
    /// Appends a line to `to`: the JSON object that `write` writes, whose last field
    /// must be the link's `prev`, with its hash and a newline.
    ///
    /// # Errors
    /// Those of `write`; then nothing has changed.
    pub(super) fn append(
        &mut self,
        to: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>, Link<'_>) -> serde_json::Result<()>,
    ) -> serde_json::Result<()> {
        let seq = self.seq + 1;
        let start = to.len();
        let link = Link { seq, prev: &self.head };
        write(to, link).inspect_err(|_| to.truncate(start))?;
        let hash = sha256(to.get(start..).unwrap_or_default());
        to.pop();
        for part in [HASH_FIELD, &hash, "\"}\n"] {
            to.extend_from_slice(part.as_bytes());
        }
        *self = Self { seq, head: hash };
        Ok(())
    }

    /// The chain that ends with `line`, which has no newline.
    ///
    /// # Errors
    /// Says what is wrong with a line whose hash is not its own.
    pub(super) fn ending_with(line: &[u8]) -> Result<Self, &'static str> {
        let (_, chain) = read(line)?;
        Ok(chain)
    }

    /// The chain with `line`, which has no newline, at its end.
    fn followed_by(self, line: &[u8]) -> Result<Self, &'static str> {
        let (prev, chain) = read(line)?;
        if chain.seq != self.seq + 1 || prev != self.head {
            return Err("it does not continue the line before it");
        }
        Ok(chain)
    }
}

/// What `line` continues and the chain that it ends.
fn read(line: &[u8]) -> Result<(String, Chain), &'static str> {
    const NO_RECORD: &str = "it is not an audit record";

    #[derive(Deserialize)]
    struct Sealed {
        seq: u64,
        prev: String,
    }

    let text = std::str::from_utf8(line).map_err(|_| NO_RECORD)?;
    let (body, hash) = text
        .strip_suffix("\"}")
        .and_then(|text| text.split_at_checked(text.len().checked_sub(HASH_CHARS)?))
        .ok_or(NO_RECORD)?;
    let body = body.strip_suffix(HASH_FIELD).ok_or(NO_RECORD)?;
    let sealed = format!("{body}}}");
    if sha256(sealed.as_bytes()) != hash {
        return Err("its hash is not its own");
    }
    let Sealed { seq, prev } = serde_json::from_str(&sealed).map_err(|_| NO_RECORD)?;
    Ok((prev, Chain { seq, head: hash.to_owned() }))
}

fn sha256(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(HASH_CHARS);
    for byte in digest(&SHA256, bytes).as_ref() {
        for nibble in [byte >> 4, byte & 15] {
            hex.extend(char::from_digit(nibble.into(), 16));
        }
    }
    hex
}

/// A chain that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many records it has.
    pub records: u64,
    /// The last record's hash; 64 zeros without records.
    pub head: String,
    /// How long an unfinished last line is. Its process is writing it right now, or
    /// died before; what it recorded was never acknowledged.
    pub unfinished_bytes: u64,
}

/// A chain that does not hold, or could not be read.
#[derive(Debug)]
pub enum Broken {
    /// The file could not be read.
    Unreadable(io::Error),
    /// A line that is wrong.
    Line {
        /// Which one, from one.
        number: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::Line { number, what } => write!(f, "line {number}: {what}"),
        }
    }
}

impl std::error::Error for Broken {}

/// Reads the audit log at `path` from its first line to its last, in constant memory.
///
/// # Errors
/// At the first line that does not continue the one before it.
pub fn verify(path: &Path) -> Result<Summary, Broken> {
    let mut lines = BufReader::new(File::open(path).map_err(Broken::Unreadable)?);
    let mut chain = Chain::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = MAX_LINE_BYTES as u64;
        lines.by_ref().take(limit).read_until(b'\n', &mut line).map_err(Broken::Unreadable)?;
        let broken = |what| Broken::Line { number: chain.seq + 1, what };
        match line.split_last() {
            Some((b'\n', record)) => {
                chain = chain.clone().followed_by(record).map_err(broken)?;
            }
            Some(_) if line.len() == MAX_LINE_BYTES => return Err(broken("it is too long")),
            Some(_) | None => {
                let Chain { seq: records, head } = chain;
                return Ok(Summary { records, head, unfinished_bytes: line.len() as u64 });
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    /// A log with these texts, and its chain's end.
    pub(in crate::telemetry) fn log(texts: &[&str]) -> (Vec<u8>, Chain) {
        let mut chain = Chain::default();
        let mut bytes = Vec::new();
        for text in texts {
            let line = |to: &mut Vec<u8>, Link { seq, prev }: Link<'_>| {
                write!(to, r#"{{"seq":{seq},"text":"{text}","prev":"{prev}"}}"#)
                    .map_err(serde_json::Error::io)
            };
            chain.append(&mut bytes, line).unwrap();
        }
        (bytes, chain)
    }

    fn check(bytes: &[u8]) -> Result<Summary, String> {
        let file = crate::telemetry::file::tests::Folder::new();
        let path = file.path("log.jsonl");
        std::fs::write(&path, bytes).unwrap();
        verify(&path).map_err(|broken| broken.to_string())
    }

    #[test]
    fn a_line_is_what_its_doc_says() {
        let zeros = "0".repeat(64);
        let body = format!(r#"{{"seq":1,"text":"a","prev":"{zeros}"}}"#);
        let hash = sha256(body.as_bytes());
        let line = format!("{},\"hash\":\"{hash}\"}}\n", body.strip_suffix('}').unwrap());
        assert_eq!(String::from_utf8(log(&["a"]).0).unwrap(), line);
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), abc);
    }

    #[test]
    fn a_chain_holds_until_it_is_touched() {
        let (good, _) = log(&["a", "b", "c"]);
        let summary = check(&good).unwrap();
        assert_eq!((summary.records, summary.unfinished_bytes), (3, 0));
        assert!(String::from_utf8(good.clone()).unwrap().contains(&summary.head));

        let lines: Vec<&[u8]> = good.split_inclusive(|b| *b == b'\n').collect();
        let text = String::from_utf8(good.clone()).unwrap();
        for (what, changed, broken) in [
            ("changed", text.replace("\"b\"", "\"B\"").into_bytes(), "line 2: its hash"),
            ("left out", [lines[0], lines[2]].concat(), "line 2: it does not continue"),
            ("exchanged", [lines[1], lines[0]].concat(), "line 1: it does not continue"),
            ("twice", [lines[0], lines[0]].concat(), "line 2: it does not continue"),
            ("foreign", [lines[0], b"hello\n"].concat(), "line 2: it is not"),
            ("empty", [lines[0], b"\n"].concat(), "line 2: it is not"),
            ("no UTF-8", [lines[0], b"\xff\n"].concat(), "line 2: it is not"),
            ("endless", vec![b'x'; MAX_LINE_BYTES + 1], "line 1: it is too long"),
        ] {
            let error = check(&changed).unwrap_err();
            assert!(error.starts_with(broken), "{what}: {error}");
        }
    }

    #[test]
    fn a_line_that_fails_changes_nothing() {
        let (mut bytes, mut chain) = log(&["a"]);
        let before = (bytes.clone(), chain.clone());
        let fail = |to: &mut Vec<u8>, _: Link<'_>| {
            to.extend_from_slice(b"{");
            Err(serde_json::Error::io(io::ErrorKind::Other.into()))
        };
        assert!(chain.append(&mut bytes, fail).is_err());
        assert_eq!((bytes, chain), before);
    }

    #[test]
    fn an_unfinished_line_is_told() {
        let (good, _) = log(&["a", "b"]);
        let summary = check(&good[..good.len() - 5]).unwrap();
        assert_eq!(summary.records, 1);
        assert!(summary.unfinished_bytes > 0);
        let nothing = Summary { records: 0, head: "0".repeat(64), unfinished_bytes: 0 };
        assert_eq!(check(b"").unwrap(), nothing);
    }
}
