//! The hostile guests, as data: what each is given, how it has to end, and what it
//! may have cost by then.

use std::time::Duration;

/// One call of a guest's tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attack {
    /// The plugin: the stem of its file.
    pub(crate) plugin: &'static str,
    /// What it was written in.
    pub(crate) language: &'static str,
    /// The tool.
    pub(crate) tool: &'static str,
    /// A tool of the same plugin that echoes: whoever calls next.
    pub(crate) echo: &'static str,
    /// Its arguments, a JSON object.
    pub(crate) arguments: &'static str,
    /// The code that its caller gets; empty where the call has to succeed.
    pub(crate) code: &'static str,
    /// What the result or the error has to contain.
    pub(crate) says: &'static str,
    /// `per_call` of the tool, in millions of units.
    pub(crate) fuel_m: u64,
    /// `per_call` of the tool, in MiB.
    pub(crate) memory_mib: u64,
    /// `per_call` of the tool.
    pub(crate) deadline: Duration,
}

/// What most attacks run with: a meter that ends every loop soon, and a clock that
/// ends nothing before it, however busy the machine is.
const RUST: Attack = Attack {
    plugin: "",
    language: "Rust",
    tool: "",
    echo: "echo",
    arguments: "{}",
    code: "",
    says: "",
    fuel_m: 100,
    memory_mib: 64,
    deadline: Duration::from_secs(60),
};

/// An interpreter takes more of everything for the same attack.
const PYTHON: Attack = Attack {
    plugin: "attacks_py",
    language: "Python",
    echo: "py_echo",
    fuel_m: 500,
    memory_mib: 64,
    ..RUST
};

const JAVASCRIPT: Attack =
    Attack { plugin: "attacks_js", language: "JavaScript", echo: "js_echo", fuel_m: 500, ..RUST };

/// For attacks that the clock has to end.
const SOON: Duration = Duration::from_millis(300);

/// So much fuel that nothing burns it before its deadline.
const ENDLESS: u64 = 1_000_000;

/// Every attack, in the order of the table.
pub(crate) const ATTACKS: &[Attack] = &[
    Attack { tool: "py_echo", arguments: HELLO, says: "hello", ..PYTHON },
    Attack { tool: "py_spin", code: "FUEL_EXHAUSTED", says: "per_call.fuel", ..PYTHON },
    Attack {
        tool: "py_sleep",
        arguments: r#"{"seconds":3600}"#,
        code: "DEADLINE_EXCEEDED",
        deadline: SOON,
        ..PYTHON
    },
];

/// What `echo` is given.
pub(crate) const HELLO: &str = r#"{"message":"hello"}"#;
