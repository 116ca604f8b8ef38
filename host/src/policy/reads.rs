//! What a policy reads of a call, so that nothing else is built for it; and what it
//! reads that no call has.
//!
//! Invariant: whatever a policy could read at run time is found here, or everything is
//! taken to be read. An argument that was missed would read as one that is not there,
//! and a `forbid` over it would never apply. So any use of `context` that is not a plain
//! access counts as a use of all of it. Pinned by `what_is_not_a_plain_access_reads_all`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::arguments::Names;
use crate::config::nearest;

/// What an agent has.
pub(super) const PRINCIPAL: [&str; 4] = ["credential", "scopes", "subject", "tenant"];

/// What a tool has.
pub(super) const RESOURCE: [&str; 5] =
    ["destructive", "idempotent", "open_world", "plugin", "read_only"];

/// What comes with a call.
pub(super) const CONTEXT: [&str; 5] = ["arguments", "hour", "minute", "now", "weekday"];

/// The kinds of entities that there are.
pub(super) const TYPES: [&str; 5] = ["Action", "Agent", "Plugin", "Role", "Tool"];

/// How deep an expression may nest; a chain of `||` nests once for each. Evaluating
/// recurses, on threads with two MiB of stack.
const DEEPEST: usize = 250;

/// What one policy, or several, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reads {
    pub(super) principal: BTreeSet<&'static str>,
    pub(super) resource: BTreeSet<&'static str>,
    pub(super) context: BTreeSet<&'static str>,
    pub(super) arguments: Names,
}

impl Reads {
    /// Adds what `other` reads.
    pub(super) fn add(&mut self, other: &Self) {
        self.principal.extend(&other.principal);
        self.resource.extend(&other.resource);
        self.context.extend(&other.context);
        self.arguments.add(&other.arguments);
    }
}

/// Something that a policy names and that no call has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// As it is likely to stand in the policy, to find the place.
    pub(super) written: String,
    pub(super) message: String,
    pub(super) meant: Option<&'static str>,
}

/// Looks through a policy in Cedar's JSON form.
///
/// # Errors
/// When it nests too deep.
pub(super) fn of_policy(policy: &Value) -> Result<(Reads, Vec<Unknown>), String> {
    let mut walk = Walk::default();
    let conditions = policy.get("conditions").and_then(Value::as_array);
    for condition in conditions.into_iter().flatten() {
        if let Some(body) = condition.get("body") {
            walk.expression(body, DEEPEST)?;
        }
    }
    Ok((walk.reads, walk.unknown))
}

/// What is asked of an attribute.
#[derive(Clone, Copy)]
enum Access {
    Value,
    Presence,
}

#[derive(Default)]
struct Walk {
    reads: Reads,
    unknown: Vec<Unknown>,
}

impl Walk {
    /// An expression is an object with one key, which says what it is.
    fn expression(&mut self, expression: &Value, left: usize) -> Result<(), String> {
        let too_deep = || format!("it nests more than {DEEPEST} operations: split it in several");
        let left = left.checked_sub(1).ok_or_else(too_deep)?;
        let Some((kind, inside)) = expression.as_object().and_then(|object| object.iter().next())
        else {
            return Ok(());
        };
        match (kind.as_str(), inside) {
            ("Value", _) => {}
            ("Var", Value::String(name)) if name == "context" => self.all_of_context(),
            ("Record", Value::Object(fields)) => self.each(fields.values(), left)?,
            (".", Value::Object(access)) => self.access(access, Access::Value, left)?,
            ("has", Value::Object(access)) => self.access(access, Access::Presence, left)?,
            ("is", Value::Object(test)) => {
                if let Some(name) = test.get("entity_type").and_then(Value::as_str) {
                    self.entity_type(name);
                }
                self.each(test.values(), left)?;
            }
            (_, Value::Object(operands)) => self.each(operands.values(), left)?,
            (_, Value::Array(items)) => self.each(items.iter(), left)?,
            (_, _) => {}
        }
        Ok(())
    }

    fn each<'v>(
        &mut self,
        values: impl Iterator<Item = &'v Value>,
        left: usize,
    ) -> Result<(), String> {
        for value in values {
            match value.as_array() {
                Some(items) => items.iter().try_for_each(|item| self.expression(item, left))?,
                None => self.expression(value, left)?,
            }
        }
        Ok(())
    }

    /// `LEFT.NAME`, or `LEFT has NAME.NAME`.
    fn access(
        &mut self,
        access: &Map<String, Value>,
        asked: Access,
        left: usize,
    ) -> Result<(), String> {
        let names: Vec<&str> = match access.get("attr") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(_) | None => Vec::new(),
        };
        let (Some(of), Some((first, rest))) = (access.get("left"), names.split_first()) else {
            self.all_of_context();
            return Ok(());
        };
        if let Some(variable) = variable(of) {
            self.attribute(variable, first);
            if variable == "context" && *first == "arguments" {
                match (rest.first(), asked) {
                    (Some(name), _) => self.argument(name),
                    (None, Access::Presence) => {}
                    // Not the left side of an access, which is looked at below.
                    (None, Access::Value) => self.reads.arguments = Names::All,
                }
            }
            return Ok(());
        }
        if is_arguments(of) {
            self.reads.context.insert("arguments");
            self.argument(first);
            return Ok(());
        }
        // An entity that an expression chooses, or a record in an argument.
        self.reads.principal.extend(PRINCIPAL.iter().find(|known| *known == first));
        self.reads.resource.extend(RESOURCE.iter().find(|known| *known == first));
        self.expression(of, left)
    }

    fn argument(&mut self, name: &str) {
        if let Names::Some(names) = &mut self.reads.arguments {
            names.insert(name.into());
        }
    }

    fn attribute(&mut self, variable: &str, name: &str) {
        let (known, read): (&[&'static str], _) = match variable {
            "principal" => (&PRINCIPAL, &mut self.reads.principal),
            "resource" => (&RESOURCE, &mut self.reads.resource),
            "context" => (&CONTEXT, &mut self.reads.context),
            _ => (&[], &mut self.reads.context),
        };
        match known.iter().find(|known| **known == name) {
            Some(known) => {
                read.insert(known);
            }
            None => {
                let all: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
                let has = if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
                let shown = crate::config::shown(name);
                let meant = nearest(name, known.iter().copied());
                self.unknown.push(Unknown {
                    written: format!("{variable}.{name}"),
                    message: format!("there is no `{variable}.{shown}`; `{variable}` has {has}"),
                    meant: meant
                        .and_then(|meant| known.iter().find(|known| **known == meant).copied()),
                });
            }
        }
    }

    fn all_of_context(&mut self) {
        self.reads.context.extend(CONTEXT);
        self.reads.arguments = Names::All;
    }

    /// Notes a type of entities that no call has.
    pub(super) fn entity_type(&mut self, name: &str) {
        self.unknown.extend(unknown_type(name));
    }
}

/// What is wrong with a type of entities, unless there are such.
pub(super) fn unknown_type(name: &str) -> Option<Unknown> {
    if TYPES.contains(&name) {
        return None;
    }
    let meant = nearest(name, TYPES);
    Some(Unknown {
        written: name.to_owned(),
        message: format!(
            "there are no entities of type `{}`; there are `Agent`, `Role`, `Action`, `Tool` and \
             `Plugin`",
            crate::config::shown(name)
        ),
        meant: meant.and_then(|meant| TYPES.into_iter().find(|known| *known == meant)),
    })
}

/// The variable that an expression is, if it is one.
fn variable(expression: &Value) -> Option<&str> {
    expression.get("Var")?.as_str()
}

/// Whether an expression is `context.arguments`.
fn is_arguments(expression: &Value) -> bool {
    let Some(access) = expression.get(".") else { return false };
    access.get("attr").and_then(Value::as_str) == Some("arguments")
        && access.get("left").and_then(variable) == Some("context")
}

#[cfg(test)]
mod tests {
    use cedar_policy::Policy;

    use super::*;

    fn look(condition: &str) -> (Reads, Vec<Unknown>) {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        of_policy(&Policy::parse(None, text).unwrap().to_json().unwrap()).unwrap()
    }

    fn named(condition: &str) -> Vec<String> {
        match look(condition).0.arguments {
            Names::All => vec!["*".to_owned()],
            Names::Some(names) => names.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn plain_accesses_are_told_apart() {
        for (condition, names) in [
            ("true", &[][..]),
            ("context.arguments.a == 1", &["a"]),
            ("context[\"arguments\"][\"a b\"] == 1", &["a b"]),
            ("context.arguments has a && context.arguments.b.c.d", &["a", "b"]),
            ("context has arguments.a && context.arguments has b.c", &["a", "b"]),
            ("context has arguments", &[]),
            (
                "if context.arguments.a then [context.arguments.b].contains(1) else true",
                &["a", "b"],
            ),
            ("decimal(\"1.0\").lessThan(context.arguments.a)", &["a"]),
            ("ip(context.arguments.a).isInRange(ip(\"::1\"))", &["a"]),
            ("context.arguments.a like \"x*\" && principal is Agent in Role::\"r\"", &["a"]),
            ("{\"Value\": context.arguments.a}.Value", &["a"]),
            ("{\"Var\": \"context\"} == {\"a\": context.arguments.a}", &["a"]),
            ("(principal in [Role::\"r\"]) == (-context.arguments.a > 1)", &["a"]),
        ] {
            assert_eq!(named(condition), names, "{condition}");
        }
    }

    #[test]
    fn what_is_not_a_plain_access_reads_all() {
        for condition in [
            "context.arguments == {\"a\": 1}",
            "[context.arguments].contains({})",
            "{\"a\": context.arguments}.a.b",
            "(if true then context else {}).arguments.a",
            "(if true then context.arguments else {}).a",
            "context == {}",
            "[context] == []",
        ] {
            assert_eq!(named(condition), ["*"], "{condition}");
            assert!(look(condition).0.context.contains("arguments"), "{condition}");
        }
        let (reads, _) = look("context == {}");
        assert_eq!(reads.context, CONTEXT.into());
    }

    #[test]
    fn attributes_are_found_however_they_are_reached() {
        let (reads, unknown) = look(
            "principal has subject && resource.plugin == \"x\" && context.hour < 5 && \
             Agent::\"a\".tenant == (if true then principal else resource).read_only",
        );
        assert_eq!(unknown, []);
        assert_eq!(reads.principal, ["subject", "tenant"].into());
        assert_eq!(reads.resource, ["plugin", "read_only"].into());
        assert_eq!(reads.context, ["hour"].into());
    }

    #[test]
    fn what_no_call_has_is_unknown_with_a_suggestion() {
        for (condition, written, meant) in [
            ("principal.tennant == 1", "principal.tennant", Some("tenant")),
            ("principal has scope", "principal.scope", Some("scopes")),
            ("resource.destructiv", "resource.destructiv", Some("destructive")),
            ("context.arguements.a", "context.arguements", Some("arguments")),
            ("context has nowhere.a", "context.nowhere", None),
            ("action.name == 1", "action.name", None),
            ("principal is User", "User", None),
            ("principal is Agents", "Agents", Some("Agent")),
        ] {
            let (_, unknown) = look(condition);
            let [unknown] = unknown.as_slice() else { panic!("{condition}: {unknown:?}") };
            assert_eq!((unknown.written.as_str(), unknown.meant), (written, meant), "{condition}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let chain = |length: usize| {
            let text = vec!["context.hour == 1"; length].join(" || ");
            let text = format!("permit(principal, action, resource) when {{ {text} }};");
            of_policy(&Policy::parse(None, text).unwrap().to_json().unwrap()).map(|_| ())
        };
        assert_eq!(chain(DEEPEST - 3), Ok(()));
        assert!(chain(DEEPEST + 3).unwrap_err().contains("250"));
    }
}
