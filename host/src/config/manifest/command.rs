//! `[[command]]`: a tool of a WASI command, and how a call becomes a run of it.

use serde_json::{Map, Number};

use super::super::document::{Node, Table, Value};
use super::super::walk::{Section, Wrong, boolean, choice, parsed, table, text};
use super::{MAX_DESCRIPTION_BYTES, MAX_TITLE_BYTES, line, prose};
use crate::names::ToolName;

/// The most tools that one command may offer.
const MAX_COMMANDS: usize = 256;

/// The most entries of `args`.
const MAX_ARGS: usize = 64;

/// One tool of a WASI command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The name that clients call. Required.
    pub name: ToolName,
    /// A name for people: at most 256 bytes.
    pub title: Option<String>,
    /// What a model reads: 1 to 8,192 bytes. Required.
    pub description: String,
    /// JSON Schema of the arguments, as JSON text. Required.
    pub input_schema: String,
    /// JSON Schema of the structured result, as JSON text.
    pub output_schema: Option<String>,
    /// What it reads.
    pub stdin: Stdin,
    /// What it writes.
    pub stdout: Stdout,
    /// Its arguments, without the program's name; at most 64.
    pub args: Vec<Argument>,
    /// Hints about its effects.
    pub hints: Hints,
}

/// What a command reads from standard input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stdin {
    /// The call's arguments, one JSON object. The default.
    #[default]
    Json,
    /// One argument: a string as it is, anything else as JSON. Nothing, where the call
    /// has none of this name.
    From(String),
    /// Nothing.
    None,
}

/// What a command writes to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stdout {
    /// Text. The default.
    #[default]
    Text,
    /// One JSON value, the structured result.
    Json,
}

/// An entry of `args`. None of it ever goes through a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// These characters.
    Fixed(String),
    /// One argument of the call: a string as it is, anything else as JSON. Left out where
    /// the call has none of this name.
    From(String),
    /// A flag and after it the argument. Of `true`, the flag alone; of `false`, nothing.
    Flag {
        /// The flag, as `--lines`.
        flag: String,
        /// The argument's name.
        from: String,
    },
}

/// `annotations`: MCP's hints about a tool's effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Changes nothing.
    pub read_only: Option<bool>,
    /// May delete or overwrite.
    pub destructive: Option<bool>,
    /// A second call with the same arguments changes nothing more.
    pub idempotent: Option<bool>,
    /// Reaches beyond the plugin's own data.
    pub open_world: Option<bool>,
}

impl Hints {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            read_only: section.get("read_only", boolean),
            destructive: section.get("destructive", boolean),
            idempotent: section.get("idempotent", boolean),
            open_world: section.get("open_world", boolean),
        }
    }
}

/// All of them; `None` where one is wrong, which was reported.
pub(super) fn read_all(root: &mut Section<'_>) -> Option<Vec<Command>> {
    let commands = root.array_of_tables("command", Command::read);
    if commands.len() > MAX_COMMANDS {
        root.refuse("command", &format!("at most {MAX_COMMANDS} tools"));
    }
    commands.into_iter().collect()
}

impl Command {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let name = section.required("name", parsed);
        let description = section.required("description", |node| {
            prose(node, MAX_DESCRIPTION_BYTES).and_then(|text| {
                if text.is_empty() { Err(Wrong::new("is empty")) } else { Ok(text) }
            })
        });
        let input_schema = section.required("input_schema", schema);
        let title = section.get("title", |node| line(node, MAX_TITLE_BYTES));
        let output_schema = section.get("output_schema", schema);
        let stdin = section.get("stdin", stdin).unwrap_or_default();
        let words = [("text", Stdout::Text), ("json", Stdout::Json)];
        let stdout = section.get("stdout", choice(&words)).unwrap_or_default();
        let args = section.list("args", argument).unwrap_or_default();
        let hints = section.table("annotations", Hints::read);
        if args.len() > MAX_ARGS {
            section.refuse("args", &format!("at most {MAX_ARGS} entries"));
        }
        if output_schema.is_some() && stdout == Stdout::Text {
            section.refuse("output_schema", "only what writes JSON has one: `stdout = \"json\"`");
        }
        Some(Self {
            name: name?,
            title,
            description: description?,
            input_schema: input_schema?,
            output_schema,
            stdin,
            stdout,
            args,
            hints,
        })
    }
}

/// JSON text, or a table as JSON. Its meaning is checked with every other tool's.
fn schema(node: &Node) -> Result<String, Wrong> {
    let Value::Text(text) = &node.value else {
        return Ok(serde_json::Value::Object(json_of_table(table(node)?)?).to_string());
    };
    match text.trim_start().starts_with('{') {
        true => Ok(text.clone()),
        false => Err(Wrong::new(
            "names a file; `bulkhead build` puts the file's text here, and so can you",
        )),
    }
}

fn json_of_table(table: &Table) -> Result<Map<String, serde_json::Value>, Wrong> {
    table.0.iter().map(|(key, (_, node))| Ok((key.clone(), json(node)?))).collect()
}

/// The parser has bounded how deep it is.
fn json(node: &Node) -> Result<serde_json::Value, Wrong> {
    Ok(match &node.value {
        Value::Text(text) => text.clone().into(),
        Value::Integer(number) => Number::from(*number).into(),
        Value::Float(number) => Number::from_f64(*number)
            .ok_or_else(|| Wrong::new("JSON has neither infinity nor NaN"))?
            .into(),
        Value::Boolean(yes) => (*yes).into(),
        Value::List(items) => items.iter().map(json).collect::<Result<Vec<_>, _>>()?.into(),
        Value::Table(table) => json_of_table(table)?.into(),
        Value::Date => return Err(Wrong::new("JSON has no dates; write a string")),
    })
}

fn stdin(node: &Node) -> Result<Stdin, Wrong> {
    if let Value::Table(table) = &node.value {
        return match reference(table)? {
            (None, from) => Ok(Stdin::From(from)),
            (Some(_), _) => Err(Wrong::new("expected only `from`, as `{ from = \"text\" }`")),
        };
    }
    choice(&[("json", true), ("none", false)])(node)
        .map(|json| if json { Stdin::Json } else { Stdin::None })
        .map_err(|_| Wrong::new("expected `json`, `none`, or `{ from = \"ARGUMENT\" }`"))
}

fn argument(node: &Node) -> Result<Argument, Wrong> {
    if let Value::Text(fixed) = &node.value {
        return word(fixed).map(Argument::Fixed);
    }
    let Value::Table(table) = &node.value else {
        return Err(Wrong::new(
            "expected a string, `{ from = \"ARGUMENT\" }`, or `{ flag = \"--FLAG\", from = \"ARGUMENT\" }`",
        ));
    };
    Ok(match reference(table)? {
        (None, from) => Argument::From(from),
        (Some(flag), from) => Argument::Flag { flag, from },
    })
}

/// `{ flag, from }`, of which `from` is required.
fn reference(table: &Table) -> Result<(Option<String>, String), Wrong> {
    let (mut flag, mut from) = (None, None);
    for (key, (_, node)) in &table.0 {
        let word = word(text(node)?)?;
        match key.as_str() {
            "flag" => flag = Some(word),
            "from" => from = Some(word),
            _ => return Err(Wrong::new("expected `from`, and perhaps `flag`, alone")),
        }
    }
    from.map(|from| (flag, from)).ok_or_else(|| Wrong::new("`from` is missing"))
}

fn word(text: &str) -> Result<String, Wrong> {
    match text {
        text if text.len() > 1_024 => Err(Wrong::new("at most 1024 bytes")),
        text if text.contains('\0') => Err(Wrong::new("an argument cannot hold a zero byte")),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Manifest;
    use super::*;

    fn parse(commands: &str) -> Result<Vec<Command>, String> {
        let text = format!("name = \"wc\"\nversion = \"1\"\n{commands}");
        Manifest::parse("m", &text).map(|m| m.commands).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_command_says_how_a_call_becomes_a_run() {
        let commands = parse(
            r#"
            [[command]]
            name = "wc"
            description = "Counts."
            input_schema = { type = "object", properties.text.type = "string", required = ["text"] }
            stdin = { from = "text" }
            stdout = "json"
            args = ["--mode", { from = "mode" }, { flag = "--lines", from = "lines" }]
            annotations = { read_only = true }
            [[command]]
            name = "other"
            description = "Another."
            input_schema = '{"type":"object"}'
            "#,
        )
        .unwrap();
        let [wc, other] = commands.as_slice() else { panic!("two: {commands:?}") };
        let schema: serde_json::Value = serde_json::from_str(&wc.input_schema).unwrap();
        assert_eq!(schema["properties"]["text"]["type"], "string");
        assert_eq!(wc.stdin, Stdin::From("text".to_owned()));
        assert_eq!(wc.stdout, Stdout::Json);
        let expected = [
            Argument::Fixed("--mode".to_owned()),
            Argument::From("mode".to_owned()),
            Argument::Flag { flag: "--lines".to_owned(), from: "lines".to_owned() },
        ];
        assert_eq!(wc.args, expected);
        assert_eq!(wc.hints.read_only, Some(true));
        assert_eq!((&other.stdin, other.stdout), (&Stdin::Json, Stdout::Text));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let whole = "name = \"a\"\ndescription = \"a\"\ninput_schema = '{}'\n";
        let cases = [
            ("command = 1".to_owned(), "m:3:11: `command`: expected a list of tables"),
            (
                "[[command]]".to_owned(),
                "m:3:3: `command.1.name` is missing\nm:3:3: `command.1.description` is missing\nm:3:3: `command.1.input_schema` is missing",
            ),
            (
                format!("[[command]]\n{whole}stdin = \"yaml\""),
                "m:7:9: `command.1.stdin`: expected `json`, `none`, or `{ from = \"ARGUMENT\" }`",
            ),
            (
                format!("[[command]]\n{whole}args = [{{ flag = \"-l\" }}]"),
                "m:7:9: `command.1.args`: `from` is missing",
            ),
            (
                format!("[[command]]\n{whole}args = [{{ from = \"a\\u0000b\" }}]"),
                "m:7:9: `command.1.args`: an argument cannot hold a zero byte",
            ),
            (
                format!("[[command]]\n{whole}output_schema = '{{}}'"),
                "m:7:17: `command.1.output_schema`: only what writes JSON has one: `stdout = \"json\"`",
            ),
            (
                "[[command]]\nname = \"a\"\ndescription = \"a\"\ninput_schema = \"in.json\""
                    .to_owned(),
                "m:6:16: `command.1.input_schema`: names a file; `bulkhead build` puts the file's text here, and so can you",
            ),
            (
                "[[command]]\nname = \"a\"\ndescription = \"a\"\ninput_schema = { a = nan }"
                    .to_owned(),
                "m:6:16: `command.1.input_schema`: JSON has neither infinity nor NaN",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(&text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn each_bound_is_one_below_what_is_refused() {
        let whole = "name = \"a\"\ndescription = \"a\"\ninput_schema = '{}'\n";
        let args = |count| format!("[[command]]\n{whole}args = [{}]", "\"x\",".repeat(count));
        let word = |bytes| format!("[[command]]\n{whole}args = [\"{}\"]", "x".repeat(bytes));
        let tools = |count| format!("[[command]]\n{whole}").repeat(count);
        let said = |bytes| {
            let text = "x".repeat(bytes);
            format!("[[command]]\nname = \"a\"\ndescription = \"{text}\"\ninput_schema = '{{}}'")
        };
        for (most, more, expected) in [
            (args(MAX_ARGS), args(MAX_ARGS + 1), "at most 64 entries"),
            (word(1_024), word(1_025), "at most 1024 bytes"),
            (tools(MAX_COMMANDS), tools(MAX_COMMANDS + 1), "at most 256 tools"),
            (said(MAX_DESCRIPTION_BYTES), said(MAX_DESCRIPTION_BYTES + 1), "at most 8192 bytes"),
            (said(1), said(0), "is empty"),
        ] {
            assert!(parse(&most).is_ok(), "{expected}: {:?}", parse(&most));
            let why = parse(&more).unwrap_err();
            assert!(why.contains(expected), "{expected}: {why}");
        }
    }
}
