//! From a call's arguments to what a command is run with.

use bytes::Bytes;
use serde_json::value::RawValue;
use std::collections::HashMap;

use crate::config::{Argument, Command, Stdin};

/// What a command is run with.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// Without the program's name.
    pub(super) args: Vec<String>,
    pub(super) stdin: Bytes,
}

/// A call's arguments are what the schema allows, not what a command line can say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ZeroByte {
    /// The argument that holds it.
    pub(super) name: String,
}

/// Lays a call's arguments, one JSON object, out as the author's manifest says.
pub(super) fn lay_out(command: &Command, arguments: &str) -> Result<Run, ZeroByte> {
    // Validated before: it is an object.
    let given: HashMap<String, &RawValue> = serde_json::from_str(arguments).unwrap_or_default();
    let value = |name: &str| given.get(name).map(|value| plain(value));
    let mut args = Vec::with_capacity(command.args.len());
    for argument in &command.args {
        match argument {
            Argument::Fixed(word) => args.push(word.clone()),
            Argument::From(from) => {
                if let Some(value) = value(from) {
                    args.push(without_zero(from, value)?);
                }
            }
            Argument::Flag { flag, from } => match given.get(from).map(|raw| raw.get()) {
                None | Some("false") => {}
                Some("true") => args.push(flag.clone()),
                Some(_) => {
                    args.push(flag.clone());
                    args.push(without_zero(from, value(from).unwrap_or_default())?);
                }
            },
        }
    }
    let stdin = match &command.stdin {
        Stdin::Json => Bytes::copy_from_slice(arguments.as_bytes()),
        Stdin::From(from) => value(from).unwrap_or_default().into(),
        Stdin::None => Bytes::new(),
    };
    Ok(Run { args, stdin })
}

/// A string as it is, anything else as the JSON that it is.
fn plain(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

/// Where a C program's argument ends at a zero byte, the rest of it would be lost.
fn without_zero(name: &str, value: String) -> Result<String, ZeroByte> {
    if value.contains('\0') { Err(ZeroByte { name: name.to_owned() }) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Manifest;

    fn command(toml: &str) -> Command {
        let text = format!(
            "name = \"a\"\nversion = \"1\"\n[[command]]\nname = \"a\"\ndescription = \"a\"\ninput_schema = '{{}}'\n{toml}"
        );
        Manifest::parse("m", &text).unwrap().commands.remove(0)
    }

    #[test]
    fn arguments_are_laid_out_as_the_manifest_says() {
        let args = r#"args = ["-x", { from = "mode" }, { flag = "--lines", from = "lines" }]"#;
        let cases = [
            ("{}", vec!["-x"]),
            (r#"{"mode":"a b; rm -rf /","lines":7}"#, vec!["-x", "a b; rm -rf /", "--lines", "7"]),
            (r#"{"mode":"\u00e9\"","lines":true}"#, vec!["-x", "é\"", "--lines"]),
            (r#"{"mode":["a", {"b": null}],"lines":false}"#, vec!["-x", r#"["a", {"b": null}]"#]),
            (
                r#"{"lines":12345678901234567890123}"#,
                vec!["-x", "--lines", "12345678901234567890123"],
            ),
        ];
        for (arguments, expected) in cases {
            let run = lay_out(&command(args), arguments).unwrap();
            assert_eq!(run.args, expected, "{arguments}");
            assert_eq!(run.stdin, arguments.as_bytes(), "{arguments}");
        }
    }

    #[test]
    fn standard_input_is_what_the_manifest_says() {
        let arguments = r#"{"text":"a\u0000b\n","n":1}"#;
        let cases = [
            ("stdin = \"json\"", arguments),
            ("stdin = \"none\"", ""),
            ("stdin = { from = \"text\" }", "a\0b\n"),
            ("stdin = { from = \"n\" }", "1"),
            ("stdin = { from = \"absent\" }", ""),
        ];
        for (toml, expected) in cases {
            assert_eq!(lay_out(&command(toml), arguments).unwrap().stdin, expected, "{toml}");
        }
    }

    #[test]
    fn a_zero_byte_is_refused_where_it_would_end_an_argument() {
        let zero = Err(ZeroByte { name: "n".to_owned() });
        for args in ["args = [{ from = \"n\" }]", "args = [{ flag = \"-n\", from = \"n\" }]"] {
            assert_eq!(lay_out(&command(args), r#"{"n":"a\u0000b"}"#), zero, "{args}");
        }
    }
}
