//! The operator's sidecar, `plugins/NAME.toml`: quotas, rates, and who may call
//! which tool.

use std::collections::BTreeMap;

use super::ceiling::Ceilings;
use super::document::{self, Node};
use super::input::InputPatch;
use super::output::OutputPatch;
use super::problems::{Problems, Sink};
use super::quota::{PerAgentPatch, PerCallPatch, PerPluginPatch};
use super::walk::{self, Section, Wrong, choice, parsed, text};
use crate::names::{ByteCount, Scope, ToolName};

/// A sidecar. The default is that of a plugin without one: the server's defaults
/// hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sidecar {
    /// What one call may spend.
    pub per_call: PerCallPatch,
    /// What all calls of the plugin together may spend.
    pub per_plugin: PerPluginPatch,
    /// What each agent may do with the plugin.
    pub per_agent: PerAgentPatch,
    /// How its results are made fit for a model.
    pub output: OutputPatch,
    /// How arguments are taken.
    pub input: InputPatch,
    /// Put before the name of each of its tools: 1 to 32 letters, digits, `_` or `-`.
    pub prefix: Option<String>,
    /// Rules for single tools, under the names that the plugin declares.
    pub tools: BTreeMap<ToolName, ToolRules>,
}

/// `[tools.X]`: what the operator says about one tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolRules {
    /// What one call of it may spend.
    pub per_call: PerCallPatch,
    /// What all calls of it together may spend.
    pub per_plugin: Option<PerPluginPatch>,
    /// What each agent may do with it.
    pub per_agent: Option<PerAgentPatch>,
    /// How its results are made fit for a model.
    pub output: OutputPatch,
    /// How its arguments are taken.
    pub input: InputPatch,
    /// All of these scopes are needed to call it; at least one. Without it, the
    /// tool's own: `PLUGIN:TOOL`.
    pub requires: Option<Vec<Scope>>,
    /// What a principal without them is told.
    pub on_denied: OnDenied,
}

/// What a principal without a tool's scopes is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDenied {
    /// Which scope is missing. The default.
    #[default]
    Explain,
    /// That there is no such tool.
    Conceal,
}

/// The largest sidecar: rules for thousands of tools.
const LONGEST: ByteCount = ByteCount(1 << 20);

impl Sidecar {
    /// Reads the text of the sidecar `file`, whose name only serves to say where a
    /// problem is.
    ///
    /// # Errors
    /// Everything that is wrong with it, a quota above the server's ceiling included.
    /// A grant is: this version serves none.
    pub fn parse(file: &str, text: &str, ceilings: &Ceilings) -> Result<Self, Problems> {
        let mut sink = Sink::new(file, text);
        let table = document::parse(text, LONGEST, &mut sink);
        let sidecar = walk::root(&table, &mut sink, |root| Self::read(root, ceilings));
        sink.finish(sidecar)
    }

    fn read(root: &mut Section<'_>, ceilings: &Ceilings) -> Self {
        root.table("grant", |grant| {
            for capability in ["http", "files", "env", "secrets"] {
                grant.unserved(capability);
            }
        });
        Self {
            per_call: root.table("per_call", |section| PerCallPatch::read(section, ceilings)),
            per_plugin: root.table("per_plugin", |section| PerPluginPatch::read(section, ceilings)),
            per_agent: root.table("per_agent", |section| PerAgentPatch::read(section, ceilings)),
            output: root.table("output", OutputPatch::read),
            input: root.table("input", InputPatch::read),
            prefix: root.get("prefix", prefix),
            tools: root.tables("tools", |section| ToolRules::read(section, ceilings)),
        }
    }
}

impl ToolRules {
    fn read(section: &mut Section<'_>, ceilings: &Ceilings) -> Self {
        Self {
            per_call: section.table("per_call", |section| PerCallPatch::read(section, ceilings)),
            per_plugin: section
                .optional_table("per_plugin", |section| PerPluginPatch::read(section, ceilings)),
            per_agent: section
                .optional_table("per_agent", |section| PerAgentPatch::read(section, ceilings)),
            output: section.table("output", OutputPatch::read),
            input: section.table("input", InputPatch::read),
            requires: requires(section),
            on_denied: section.get("on_denied", choice(ON_DENIED)).unwrap_or_default(),
        }
    }
}

const ON_DENIED: &[(&str, OnDenied)] =
    &[("explain", OnDenied::Explain), ("conceal", OnDenied::Conceal)];

/// The scopes of `requires`. An empty list is refused: it would read as "none
/// needed" and open the tool to every principal by a slip.
fn requires(section: &mut Section<'_>) -> Option<Vec<Scope>> {
    let scopes = section.list("requires", required_scope)?;
    if scopes.is_empty() {
        section.refuse("requires", "name at least one scope, or leave the key out");
    }
    Some(scopes)
}

/// A scope without a `*`, which would ask for a grant of everything there is.
fn required_scope(node: &Node) -> Result<Scope, Wrong> {
    let scope: Scope = parsed(node)?;
    if scope.as_str().ends_with('*') {
        return Err(Wrong::new("a required scope is one scope, without `*`"));
    }
    Ok(scope)
}

/// A prefix with which a name can still be a tool's.
fn prefix(node: &Node) -> Result<String, Wrong> {
    let prefix = text(node)?;
    if prefix.len() > 32 || prefix.parse::<ToolName>().is_err() {
        return Err(Wrong::new("a prefix has 1 to 32 letters, digits, `_` or `-`"));
    }
    Ok(prefix.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{RateLimit, UnknownProperties};
    use crate::names::Fuel;

    #[test]
    fn a_sidecar_says_what_it_says() {
        let sidecar = Sidecar::parse(
            "records.toml",
            r#"
            prefix = "crm_"
            [per_call]
            fuel = "20M"
            [per_plugin]
            queue = 5
            [per_agent]
            rate = "60/min"
            burst = 10
            [input]
            coerce = true
            [grant]
            [tools.delete_record]
            requires = ["crm.write"]
            on_denied = "conceal"
            per_agent.rate = "5/min"
            input.unknown_properties = "refuse"
            input.coerce = false
            [tools.get_record]
            [tools.get_record.per_call]
            fuel = "1M"
            "#,
            &Ceilings::none(),
        )
        .unwrap();
        assert_eq!(sidecar.prefix.as_deref(), Some("crm_"));
        assert_eq!(sidecar.per_call.fuel, Some(Fuel(20_000_000)));
        assert_eq!(sidecar.per_plugin.queue, Some(5));
        assert_eq!(sidecar.per_agent.rate.map(|limit| limit.burst.get()), Some(10));
        let coerce = InputPatch { coerce: Some(true), ..InputPatch::default() };
        assert_eq!(sidecar.input, coerce);
        let delete = &sidecar.tools["delete_record"];
        assert_eq!(delete.requires, Some(vec!["crm.write".parse().unwrap()]));
        assert_eq!(delete.on_denied, OnDenied::Conceal);
        let unknown_properties = Some(UnknownProperties::Refuse);
        assert_eq!(delete.input, InputPatch { unknown_properties, coerce: Some(false) });
        assert_eq!(delete.per_plugin, None);
        let rate = RateLimit::new("5/min".parse().unwrap());
        let per_agent = PerAgentPatch { rate: Some(rate), concurrency: None };
        assert_eq!(delete.per_agent, Some(per_agent));
        let get = &sidecar.tools["get_record"];
        assert_eq!(get.per_call.fuel, Some(Fuel(1_000_000)));
        assert_eq!(get.on_denied, OnDenied::Explain);
        assert_eq!(get.requires, None);
    }

    #[test]
    fn an_empty_sidecar_is_none() {
        assert_eq!(Sidecar::parse("s", "", &Ceilings::none()), Ok(Sidecar::default()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            (
                "[tools.x]\nrequries = [\"a\"]",
                "s:2:1: unknown key `tools.x.requries`; did you mean `requires`?",
            ),
            (
                "[tools.x]\nrequires = []",
                "s:2:12: `tools.x.requires`: name at least one scope, or leave the key out",
            ),
            (
                "[tools.x]\nrequires = [\"crm:*\"]",
                "s:2:13: `tools.x.requires`: a required scope is one scope, without `*`",
            ),
            (
                "[tools.\"x y\"]",
                "s:1:8: `tools.x y`: a name has 1 to 64 letters, digits, `_` or `-`",
            ),
            ("[tools]\nx = 1", "s:2:5: `tools.x`: expected a table, found a whole number"),
            (
                "[tools.x]\non_denied = \"hide\"",
                "s:2:13: `tools.x.on_denied`: expected `explain` or `conceal`, found `hide`",
            ),
            (
                "[input]\nunknown_properties = \"refused\"",
                "s:2:22: `input.unknown_properties`: expected `as-schema` or `refuse`, found \
                 `refused`; did you mean `refuse`?",
            ),
            ("[input]\ncoerse = true", "s:2:1: unknown key `input.coerse`; did you mean `coerce`?"),
            (
                "[tools.x]\ninput.coerce = 1",
                "s:2:16: `tools.x.input.coerce`: expected true or false, found a whole number",
            ),
            ("[grant]\nhttp = []", "s:2:1: `grant.http` is not served by this version"),
            ("[grant]\nenv.LANG = \"C\"", "s:2:1: `grant.env` is not served by this version"),
            ("[grant]\nhtpt = []", "s:2:1: unknown key `grant.htpt`"),
            (
                "prefix = \"crm.\"",
                "s:1:10: `prefix`: a prefix has 1 to 32 letters, digits, `_` or `-`",
            ),
            ("[server]", "s:1:2: unknown key `server`"),
        ];
        for (text, expected) in cases {
            assert_eq!(
                Sidecar::parse("s", text, &Ceilings::none()).unwrap_err().to_string(),
                expected,
                "{text}"
            );
        }
    }
}
