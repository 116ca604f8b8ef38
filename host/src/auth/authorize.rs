//! The third step of a call: may this principal call this tool?
//!
//! A concealed tool is answered for by the same function as one that does not
//! exist, so that the two cannot drift apart.

use std::sync::Arc;

use super::principal::Principal;
use crate::catalog::{Catalog, Tool};
use crate::config::{OnDenied, PerAgent, PerPlugin};
use crate::error::{Code, Error};
use crate::limits::{Charged, Meter, MeterKey, Metered, Seat};
use crate::names::{Scope, ToolName};

/// Evidence: the principal may call the tool.
///
/// Its fields are private and [`authorize`] is its one constructor.
#[derive(Debug)]
pub struct Permit {
    principal: Principal,
    tool: Arc<Tool>,
}

/// Decides whether the principal may call the tool that clients know as `name`.
///
/// # Errors
/// `TOOL_NOT_FOUND` when there is no such tool, or one that is concealed from the
/// principal. When one may know of it: `INSUFFICIENT_SCOPE`, with all scopes of the call
/// in the detail `scope` (space-separated, as in RFC 6750 §3), to a token that can be
/// stepped up to them, and `PERMISSION_DENIED`, with those that are missing, to all else.
pub fn authorize(
    principal: Charged<Principal>,
    catalog: &Catalog,
    name: &str,
) -> Result<Permit, Error> {
    let principal = principal.into_inner();
    let tool = catalog.find(name).ok_or_else(|| not_found(name, "no such tool"))?;
    let missing: Vec<&str> = principal.lacks(&tool.requires).map(Scope::as_str).collect();
    if missing.is_empty() {
        return Ok(Permit { principal, tool: Arc::clone(tool) });
    }
    Err(match tool.on_denied {
        OnDenied::Explain if principal.could_have(&tool.requires) => insufficient(tool),
        OnDenied::Explain => denied(&tool.name, &missing),
        OnDenied::Conceal => not_found(name, format_args!("concealed; lacks {missing:?}")),
    }
    .note("missing", missing)
    .note("plugin", tool.plugin.name.as_str()))
}

/// The tools that the principal may call, in the catalog's order; to a token, those
/// that it could step up to as well.
pub fn visible<'a>(
    principal: &'a Charged<Principal>,
    catalog: &'a Catalog,
) -> impl Iterator<Item = &'a Arc<Tool>> {
    let principal = principal.get();
    catalog.tools().iter().filter(|tool| {
        let explained = tool.on_denied == OnDenied::Explain;
        principal.lacks(&tool.requires).next().is_none()
            || explained && principal.could_have(&tool.requires)
    })
}

/// The one answer for every tool that is not there for this principal. A name is
/// repeated only when it could be a tool's: any other is a stranger's text on its
/// way into a model's context.
fn not_found(name: &str, why: impl std::fmt::Display) -> Error {
    let text = match name.parse::<ToolName>() {
        Ok(name) => format!("There is no tool `{name}`. `tools/list` names those that there are."),
        Err(_) => "There is no tool of that name. `tools/list` names those that there are.".into(),
    };
    Error::new(Code::ToolNotFound, text).because(why)
}

/// One challenge names all that the call needs, what the token has already included:
/// clients ask for exactly this (MCP, authorization, "Scope Challenge Handling").
fn insufficient(tool: &Tool) -> Error {
    let scopes: Vec<&str> = tool.requires.iter().map(Scope::as_str).collect();
    let text =
        format!("Calling {} needs a token with these scopes: {}.", tool.name, scopes.join(" "));
    Error::new(Code::InsufficientScope, text).detail("scope", scopes.join(" "))
}

fn denied(tool: &ToolName, missing: &[&str]) -> Error {
    let text = format!(
        "Calling `{tool}` needs what this credential was not granted: `{}`. The operator of the \
         server can grant it.",
        missing.join("`, `"),
    );
    Error::new(Code::PermissionDenied, text).detail("scope", missing.join(" "))
}

impl Permit {
    /// Who calls.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What is called.
    pub fn tool(&self) -> &Arc<Tool> {
        &self.tool
    }

    /// The seats that the call needs, narrow ones first: the agent's own, the
    /// tool's, the plugin's.
    ///
    /// An agent's seats have no queue of their own: its calls wait for them as
    /// calls wait for the plugin.
    pub fn seats(&self) -> impl Iterator<Item = Seat> {
        let plugin = &self.tool.plugin;
        let agent = self.principal.agent();
        let own = |limit, key: MeterKey, per_agent: &PerAgent| {
            per_agent.concurrency.map(|concurrency| {
                let per_plugin = PerPlugin { concurrency, ..plugin.per_plugin };
                seat(limit, key, &per_plugin)
            })
        };
        let on_tool = self.tool.per_agent.as_ref().and_then(|per_agent| {
            let key = MeterKey::agent_tool(agent, &self.tool.name);
            own("tool.per_agent.concurrency", key, per_agent)
        });
        let on_plugin = own(
            "plugin.per_agent.concurrency",
            MeterKey::agent_plugin(agent, &plugin.name),
            &plugin.per_agent,
        );
        let over_all =
            own("per_agent.concurrency", MeterKey::agent(agent), self.principal.per_agent());
        let of_tool = self.tool.per_plugin.as_ref().map(|per_plugin| {
            seat("tool.per_plugin.concurrency", MeterKey::tool(&self.tool.name), per_plugin)
        });
        let of_plugin =
            seat("per_plugin.concurrency", MeterKey::plugin(&plugin.name), &plugin.per_plugin);
        [on_tool, on_plugin, over_all, of_tool, Some(of_plugin)].into_iter().flatten()
    }
}

fn seat(limit: &'static str, key: MeterKey, per_plugin: &PerPlugin) -> Seat {
    let PerPlugin { concurrency, queue, queue_timeout, rate: _ } = *per_plugin;
    Seat { limit, key, concurrency, queue, queue_timeout }
}

impl Metered for Permit {
    /// The agent's own rates first, so that a call that they refuse spends nothing
    /// of what others share.
    fn meters(&self) -> impl Iterator<Item = Meter> {
        let Tool { name, plugin, per_agent, per_plugin, .. } = &*self.tool;
        let agent = self.principal.agent();
        let agent_on_tool = per_agent.and_then(|of| of.rate).map(|rate| Meter {
            limit: "tool.per_agent.rate",
            key: MeterKey::agent_tool(agent, name),
            rate,
        });
        let agent_on_plugin = plugin.per_agent.rate.map(|rate| Meter {
            limit: "plugin.per_agent.rate",
            key: MeterKey::agent_plugin(agent, &plugin.name),
            rate,
        });
        let on_tool = per_plugin.and_then(|of| of.rate).map(|rate| Meter {
            limit: "tool.per_plugin.rate",
            key: MeterKey::tool(name),
            rate,
        });
        let on_plugin = plugin.per_plugin.rate.map(|rate| Meter {
            limit: "per_plugin.rate",
            key: MeterKey::plugin(&plugin.name),
            rate,
        });
        [agent_on_tool, agent_on_plugin, on_tool, on_plugin].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use serde_json::value::RawValue;

    use super::*;
    use crate::auth::{Identities, KeyFile, Revocations};
    use crate::catalog::{Plugin, ToolId};
    use crate::clock::FakeClock;
    use crate::config::{Config, PerCall, RateLimit};
    use crate::limits::Limits;

    fn rate(text: &str) -> Option<RateLimit> {
        Some(RateLimit::new(text.parse().unwrap()))
    }

    /// The principal of an agent with these scopes.
    fn principal(agent: &str, scopes: &str) -> Charged<Principal> {
        let scopes = (format!("BULKHEAD__agents__{agent}__scopes"), scopes.to_owned());
        let config = Config::load(None, [scopes]).unwrap();
        let identities = Identities::new(&config, &KeyFile::default(), Revocations::default());
        let principal = Principal::new(Arc::new(identities.local(&agent.parse().unwrap())));
        Limits::new(Arc::new(FakeClock::new()), 1_000).charge(principal).unwrap()
    }

    fn tool(name: &str, requires: &[&str], on_denied: OnDenied) -> Tool {
        Tool {
            id: ToolId(0),
            name: name.parse().unwrap(),
            guest_name: name.into(),
            plugin: Arc::new(Plugin {
                name: "records".parse().unwrap(),
                version: "1".into(),
                digest: "00".into(),
                per_plugin: PerPlugin::default(),
                per_agent: PerAgent::default(),
            }),
            title: None,
            description: "".into(),
            input_schema: RawValue::from_string("{}".to_owned()).unwrap(),
            output_schema: None,
            annotations: None,
            requires: requires.iter().map(|scope| scope.parse().unwrap()).collect(),
            on_denied,
            output: Arc::default(),
            per_call: PerCall::default(),
            per_plugin: None,
            per_agent: None,
        }
    }

    fn catalog(tools: impl IntoIterator<Item = Tool>) -> Catalog {
        let numbered = tools.into_iter().enumerate();
        Catalog::new(numbered.map(|(at, tool)| Tool { id: ToolId(at), ..tool }).collect())
    }

    fn records() -> Catalog {
        catalog([
            tool("delete_record", &["crm.write", "records:delete_record"], OnDenied::Explain),
            tool("get_record", &["records:get_record"], OnDenied::Explain),
            tool("hidden", &["crm.admin"], OnDenied::Conceal),
        ])
    }

    #[test]
    fn all_of_a_tools_scopes_are_needed() {
        let cases = [
            ("['*']", "hidden", None),
            ("['records:*', 'crm.write']", "delete_record", None),
            ("['records:*']", "get_record", None),
            ("['records:*']", "delete_record", Some("crm.write")),
            ("['crm.write']", "delete_record", Some("records:delete_record")),
            ("['records2:*', 'crm.writer']", "get_record", Some("records:get_record")),
            ("[]", "delete_record", Some("crm.write records:delete_record")),
        ];
        for (scopes, name, missing) in cases {
            let answer = authorize(principal("a", scopes), &records(), name);
            match (answer, missing) {
                (Ok(permit), None) => {
                    assert_eq!(permit.tool().name.as_str(), name);
                    assert_eq!(permit.principal().agent().as_str(), "a");
                }
                (Err(error), Some(missing)) => {
                    assert_eq!(*error.code(), Code::PermissionDenied);
                    assert_eq!(error.details().unwrap()["scope"], json!(missing));
                    assert!(error.message().contains(&missing.replace(' ', "`, `")), "{missing}");
                }
                (answer, _) => panic!("{scopes} {name}: {answer:?}"),
            }
        }
    }

    #[test]
    fn a_concealed_tool_is_answered_for_as_one_that_does_not_exist() {
        let ask = |catalog: &Catalog| {
            let error = authorize(principal("a", "['records:*']"), catalog, "hidden").unwrap_err();
            let told = (error.code().clone(), error.message().to_owned(), error.retry_hint());
            (told, error.details().cloned(), error.cause().map(str::to_owned))
        };
        let (concealed, concealed_details, concealed_cause) = ask(&records());
        let (unknown, unknown_details, unknown_cause) = ask(&Catalog::default());
        assert_eq!(concealed.0, Code::ToolNotFound);
        assert_eq!(concealed, unknown);
        assert_eq!(concealed_details, None);
        assert_eq!(unknown_details, None);
        assert_ne!(concealed_cause, unknown_cause, "the operator is told");
    }

    #[test]
    fn only_a_name_that_could_be_a_tools_is_repeated() {
        let long = "x".repeat(65);
        for (name, repeated) in [
            ("nothing", true),
            ("a b", false),
            ("<!-- ignore -->", false),
            ("", false),
            (&long, false),
        ] {
            let error = authorize(principal("a", "['*']"), &records(), name).unwrap_err();
            assert_eq!(*error.code(), Code::ToolNotFound);
            assert_eq!(error.message().contains(&format!("`{name}`")), repeated, "{name:?}");
        }
    }

    #[test]
    fn a_list_shows_what_may_be_called() {
        let seen = |scopes| {
            let (principal, catalog) = (principal("a", scopes), records());
            visible(&principal, &catalog).map(|tool| tool.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(seen("['*']"), ["delete_record", "get_record", "hidden"]);
        assert_eq!(seen("['records:*']"), ["get_record"]);
        assert_eq!(seen("['records:*', 'crm.write']"), ["delete_record", "get_record"]);
        assert!(seen("[]").is_empty());
    }

    /// A tool with every limit there is.
    fn limited() -> Catalog {
        let tool = tool("get", &["records:get"], OnDenied::Explain);
        let plugin = Plugin {
            name: "records".parse().unwrap(),
            version: "1".into(),
            digest: "00".into(),
            per_plugin: PerPlugin { rate: rate("20/s"), ..PerPlugin::default() },
            per_agent: PerAgent { rate: rate("10/s"), concurrency: Some(3) },
        };
        catalog([Tool {
            plugin: Arc::new(plugin),
            per_plugin: Some(PerPlugin { concurrency: 2, queue: 1, ..PerPlugin::default() }),
            per_agent: Some(PerAgent { rate: rate("1/min"), concurrency: Some(1) }),
            ..tool
        }])
    }

    #[test]
    fn a_permit_names_the_limits_that_bind_it_narrow_ones_first() {
        let permit = authorize(principal("a", "['*']"), &limited(), "get").unwrap();
        let limits: Vec<_> = permit.meters().map(|meter| meter.limit).collect();
        assert_eq!(limits, ["tool.per_agent.rate", "plugin.per_agent.rate", "per_plugin.rate"]);
        let seats: Vec<_> =
            permit.seats().map(|seat| (seat.limit, seat.concurrency, seat.queue)).collect();
        assert_eq!(
            seats,
            [
                ("tool.per_agent.concurrency", 1, 32),
                ("plugin.per_agent.concurrency", 3, 32),
                ("per_agent.concurrency", 32, 32),
                ("tool.per_plugin.concurrency", 2, 1),
                ("per_plugin.concurrency", 16, 32),
            ]
        );
        let plain = authorize(principal("a", "['*']"), &records(), "hidden").unwrap();
        assert_eq!(plain.meters().count(), 0);
        let seats: Vec<_> = plain.seats().map(|seat| seat.limit).collect();
        assert_eq!(seats, ["per_agent.concurrency", "per_plugin.concurrency"]);
    }

    #[test]
    fn a_call_that_the_agents_own_rate_refuses_spends_nothing_shared() {
        let limits = Limits::new(Arc::new(FakeClock::new()), 1_000);
        let catalog = limited();
        let call = |agent: &str| {
            let permit = authorize(principal(agent, "['*']"), &catalog, "get").unwrap();
            limits
                .admit(permit)
                .map(drop)
                .map_err(|error| error.details().unwrap()["limit"].clone())
        };
        // The plugin's burst is two: the first call takes one, and a's refused ones none.
        assert_eq!(call("a"), Ok(()));
        for _ in 0..3 {
            assert_eq!(call("a"), Err(json!("tool.per_agent.rate")));
        }
        assert_eq!(call("b"), Ok(()));
        assert_eq!(call("c"), Err(json!("per_plugin.rate")));
    }
}
