//! The author's manifest, `plugin.toml`: what a plugin is, and what it would like.
//!
//! A manifest travels with the component and is as untrusted as it is. It never
//! grants anything: wants are shown to the operator, suggestions are shown beside
//! the quotas that hold.

mod command;

use std::collections::BTreeMap;

pub use command::{Argument, Command, Hints, Stdin, Stdout};

use super::document::{self, Node};
use super::problems::{Problems, Sink};
use super::quota::PerCallPatch;
use super::walk::{self, Section, Wrong, parsed, text};
use crate::names::{ByteCount, PluginName, ToolName};

/// The longest description of a tool, in bytes. A model carries it in every
/// conversation.
pub const MAX_DESCRIPTION_BYTES: usize = 8 << 10;

/// The longest title of a tool, in bytes.
pub const MAX_TITLE_BYTES: usize = 256;

/// A plugin's manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its identity in scopes, records and grants. Required.
    pub name: PluginName,
    /// Its version: 1 to 64 printable ASCII characters. Required.
    pub version: String,
    /// What it is for: at most 1,024 bytes without control characters.
    pub description: Option<String>,
    /// What it would like to be granted.
    pub wants: Wants,
    /// The quotas that its author measured.
    pub suggests: PerCallPatch,
    /// The tools of a WASI command.
    pub commands: Vec<Command>,
    /// What is said about the functions of a plain component, by their names.
    pub tools: BTreeMap<ToolName, About>,
}

/// `[tools.X]`: what the author says about a function, which its types do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// A name for people: at most 256 bytes.
    pub title: Option<String>,
    /// What a model reads: at most 8,192 bytes.
    pub description: Option<String>,
    /// Hints about its effects.
    pub hints: Hints,
}

/// `[wants]`: at most 64 entries of each kind, each of at most 256 bytes and
/// without control characters. Shown, never acted on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Outgoing HTTP requests, as `GET https://api.example.com/*`.
    pub http: Vec<String>,
    /// Names of secrets.
    pub secrets: Vec<String>,
    /// Folders.
    pub files: Vec<String>,
    /// Names of environment variables.
    pub env: Vec<String>,
}

impl Manifest {
    /// The largest manifest. It is a stranger's: large enough for the schemas of many
    /// tools, and small enough that reading it costs little.
    pub const LONGEST: ByteCount = ByteCount(256 << 10);

    /// The manifest of a plugin that has none.
    pub fn named(name: PluginName) -> Self {
        Self {
            name,
            version: "0.0.0".to_owned(),
            description: None,
            wants: Wants::default(),
            suggests: PerCallPatch::default(),
            commands: Vec::new(),
            tools: BTreeMap::new(),
        }
    }

    /// Reads the text of a manifest; `file` only serves to say where a problem is.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        let mut sink = Sink::new(file, text);
        let table = document::parse(text, Self::LONGEST, &mut sink);
        match walk::root(&table, &mut sink, Self::read) {
            Some(manifest) => sink.finish(manifest),
            None => Err(sink.into_problems()),
        }
    }

    /// `None` where something required is missing or wrong, which was reported.
    fn read(root: &mut Section<'_>) -> Option<Self> {
        let name = root.required("name", parsed);
        let version = root.required("version", version);
        let description = root.get("description", |node| line(node, 1_024));
        let wants = root.table("wants", Wants::read);
        let suggests = root.table("suggests", PerCallPatch::read_freely);
        let commands = command::read_all(root);
        let tools = root.tables("tools", About::read);
        Some(Self {
            name: name?,
            version: version?,
            description,
            wants,
            suggests,
            commands: commands?,
            tools,
        })
    }
}

impl About {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            title: section.get("title", |node| line(node, MAX_TITLE_BYTES)),
            description: section.get("description", |node| prose(node, MAX_DESCRIPTION_BYTES)),
            hints: section.table("annotations", Hints::read),
        }
    }
}

impl Wants {
    /// All of them, each with its kind, as `http GET https://api.example.com/*`.
    pub fn all(&self) -> Vec<String> {
        let kinds = [
            ("http", &self.http),
            ("secrets", &self.secrets),
            ("files", &self.files),
            ("env", &self.env),
        ];
        kinds
            .into_iter()
            .flat_map(|(kind, list)| list.iter().map(move |want| format!("{kind} {want}")))
            .collect()
    }

    fn read(section: &mut Section<'_>) -> Self {
        Self {
            http: wanted(section, "http"),
            secrets: wanted(section, "secrets"),
            files: wanted(section, "files"),
            env: wanted(section, "env"),
        }
    }
}

fn wanted(section: &mut Section<'_>, key: &'static str) -> Vec<String> {
    let wanted = section.list(key, |node| line(node, 256)).unwrap_or_default();
    if wanted.len() > 64 {
        section.refuse(key, "at most 64 entries");
    }
    wanted
}

fn version(node: &Node) -> Result<String, Wrong> {
    let version = line(node, 64)?;
    if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Wrong::new("a version has 1 to 64 printable ASCII characters, as `1.2.0`"));
    }
    Ok(version)
}

/// A text of at most `longest` bytes, of any number of lines.
fn prose(node: &Node, longest: usize) -> Result<String, Wrong> {
    let prose = text(node)?;
    if prose.len() > longest {
        return Err(Wrong::new(format!("at most {longest} bytes")));
    }
    Ok(prose.to_owned())
}

/// A text of at most `longest` bytes without control characters.
fn line(node: &Node, longest: usize) -> Result<String, Wrong> {
    let line = text(node)?;
    if line.len() > longest {
        return Err(Wrong::new(format!("at most {longest} bytes")));
    }
    if line.chars().any(char::is_control) {
        return Err(Wrong::new("control characters are not allowed"));
    }
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Fuel;

    #[test]
    fn a_manifest_says_what_a_plugin_is() {
        let manifest = Manifest::parse(
            "plugin.toml",
            r#"
            name = "wc"
            version = "1.2.0"
            description = "Counts lines, words and bytes."
            [wants]
            http = ["GET https://api.example.com/*"]
            secrets = ["CRM_TOKEN"]
            [suggests]
            fuel = "20M"
            "#,
        )
        .unwrap();
        assert_eq!(manifest.name.as_str(), "wc");
        assert_eq!(manifest.version, "1.2.0");
        assert_eq!(manifest.description.as_deref(), Some("Counts lines, words and bytes."));
        assert_eq!(manifest.wants.http, ["GET https://api.example.com/*"]);
        assert_eq!(manifest.wants.secrets, ["CRM_TOKEN"]);
        assert_eq!(manifest.suggests.fuel, Some(Fuel(20_000_000)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let many = format!("wants.env = [{}]", "\"A\",".repeat(65));
        let cases = [
            ("", "m:1:1: `name` is missing\nm:1:1: `version` is missing"),
            (
                "name = \"a b\"",
                "m:1:1: `version` is missing\nm:1:8: `name`: 1 to 64 letters, digits, `_` or `-`",
            ),
            (
                "nmae = \"a\"",
                "m:1:1: `name` is missing\nm:1:1: `version` is missing\nm:1:1: unknown key `nmae`; did you mean `name`?",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(Manifest::parse("m", text).unwrap_err().to_string(), expected, "{text}");
        }
        let cases = [
            (
                "description = \"a\\u001bb\"",
                "m:3:15: `description`: control characters are not allowed",
            ),
            ("[grant]", "m:3:2: unknown key `grant`"),
            (
                "[tools.a]\ndescription = 1",
                "m:4:15: `tools.a.description`: expected a string, found a whole number",
            ),
            ("[wants]\nhttp = [1]", "m:4:9: `wants.http`: expected a string, found a whole number"),
            (&many, "m:3:13: `wants.env`: at most 64 entries"),
        ];
        for (text, expected) in cases {
            let text = format!("name = \"a\"\nversion = \"1\"\n{text}");
            assert_eq!(Manifest::parse("m", &text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_too_large_is_not_looked_at() {
        let text = format!("x = 1\n#{}", "x".repeat(256 << 10));
        let listed = Manifest::parse("m", &text).unwrap_err().to_string();
        assert_eq!(listed, "m:1:1: is larger than 256KiB");
    }
}
