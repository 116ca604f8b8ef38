//! Schemas, compiled once at load, and the check of a call's arguments against them.
//!
//! A schema comes from a plugin and is hostile: its size is bounded, it cannot
//! reach the network or a file, and its regular expressions cannot backtrack.
//! Violations name the place and the rule, and never repeat a value: an argument
//! may be a secret, and a model does not need to read it twice.
//!
//! Arguments, and structured results, are read into a tree (`tree.rs`) that borrows them and
//! keeps numbers as they are written. Arguments reach the guest byte for byte, unless the operator had them
//! repaired (`coerce.rs`). `docs/input.md` says what users see of this.

mod bounds;
mod closed;
mod coerce;
mod nodes;
mod number;
mod schema;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
mod tree;
mod violations;

use std::sync::Arc;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::auth::Permit;
use crate::catalog::ToolId;
use crate::config::{Input, UnknownProperties};
use crate::error::Error;
use crate::json::JsonFault;
use crate::limits::Admitted;
use nodes::Exact;
use tree::Tree;
use violations::{invalid, violation};

pub use coerce::Coercion;
pub use schema::MAX_SCHEMA_BYTES;

/// A tool's compiled schemas, and how its arguments are taken.
#[derive(Debug)]
pub struct Schemas {
    input: Validator<Exact>,
    /// The input schema as it is compiled, for hints.
    wanted: Value,
    coerces: bool,
    output: Option<Validator<Exact>>,
}

impl Schemas {
    /// Compiles a tool's input schema and, where it has one, its output schema. The rules
    /// are about the input alone.
    ///
    /// # Errors
    /// Says which schema was refused, and why.
    pub fn compile(input: &str, output: Option<&str>, rules: Input) -> Result<Self, String> {
        let of_input = |why| format!("its input schema {why}");
        let declared = schema::read(input).map_err(of_input)?;
        if declared.get("type") != Some(&json!("object")) {
            return Err("its input schema must have \"type\": \"object\" at its root".to_owned());
        }
        let wanted = match rules.unknown_properties {
            UnknownProperties::AsSchema => declared,
            UnknownProperties::Refuse => closed::close(&declared).map_err(of_input)?,
        };
        Ok(Self {
            input: schema::compile(&wanted).map_err(of_input)?,
            wanted,
            coerces: rules.coerce,
            output: output
                .map(|text| schema::read(text).and_then(|schema| schema::compile(&schema)))
                .transpose()
                .map_err(|why| format!("its output schema {why}"))?,
        })
    }

    /// Checks a structured result. A tool that declares nothing may return any JSON.
    ///
    /// # Errors
    /// When it is not JSON that everybody reads alike, or not what the tool declares.
    pub fn check_output(&self, structured: &str) -> Result<(), OutputFault> {
        let tree = Tree::read(structured).map_err(OutputFault::NotJson)?;
        match &self.output {
            Some(schema) if !schema.is_valid(&tree) => {
                let first = schema.validate(&tree).err();
                Err(OutputFault::NoMatch(
                    first.map(|first| violations::place(&first)).unwrap_or_default(),
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the tool declares a structured result, and so owes one.
    pub fn declares_output(&self) -> bool {
        self.output.is_some()
    }

    /// Checks arguments, and repairs them where that is allowed and needed.
    ///
    /// # Errors
    /// `INVALID_ARGUMENTS` with up to eight `violations`: of the repaired arguments, where
    /// something was repaired.
    pub fn check_input(&self, arguments: &str, most_bytes: usize) -> Result<Checked, Error> {
        let tree = Tree::read(arguments).map_err(|_| unreadable())?;
        if self.input.is_valid(&tree) {
            return Ok(Checked::AsSent);
        }
        let refuse = |text: &str, tree: &Tree<'_>| {
            Err(violations::refusal(text, tree, &self.input, &self.wanted))
        };
        if !self.coerces || arguments.len() > violations::MAX_EXPLAINED_BYTES {
            return refuse(arguments, &tree);
        }
        let Some((repaired, coercions)) = coerce::repair(arguments, most_bytes, &self.input) else {
            return refuse(arguments, &tree);
        };
        let tree = Tree::read(&repaired).map_err(|_| unreadable())?;
        if !self.input.is_valid(&tree) {
            return refuse(&repaired, &tree);
        }
        Ok(Checked::Repaired { arguments: repaired.into(), coercions: coercions.into() })
    }
}

/// Why a structured result is not what its tool declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputFault {
    /// It is not JSON that everybody reads alike.
    NotJson(JsonFault),
    /// It does not match the output schema: where first, as a JSON pointer, and which rule.
    NoMatch((String, String)),
}

/// Arguments that match their schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// As they were sent.
    AsSent,
    /// Once they were repaired.
    Repaired {
        /// The arguments that match.
        arguments: Arc<str>,
        /// What was repaired; not empty.
        coercions: Arc<[Coercion]>,
    },
}

fn unreadable() -> Error {
    let message = "the arguments are not JSON that everybody reads alike";
    invalid(vec![violation("", "json", message)])
}

/// The compiled schemas of a snapshot's tools.
#[derive(Debug, Default)]
pub struct Validators(Vec<Arc<Schemas>>);

impl Validators {
    /// Takes the schemas in the order of the catalog that they belong to.
    pub fn new(schemas: Vec<Arc<Schemas>>) -> Self {
        Self(schemas)
    }

    /// The schemas of a tool of the same snapshot's catalog.
    pub fn of(&self, tool: ToolId) -> Option<&Schemas> {
        self.0.get(tool.0).map(|schemas| &**schemas)
    }
}

/// Evidence that a call's arguments match its tool's input schema.
///
/// ```compile_fail
/// # use bulkhead::{auth::Permit, limits::Admitted, validation::ValidCall};
/// # fn forge(permit: Admitted<Permit>, arguments: std::sync::Arc<str>) {
/// ValidCall { permit, arguments, coercions: [].into() };
/// # }
/// ```
#[derive(Debug)]
pub struct ValidCall {
    permit: Admitted<Permit>,
    arguments: Arc<str>,
    coercions: Arc<[Coercion]>,
}

impl ValidCall {
    /// Who calls which tool.
    pub fn permit(&self) -> &Permit {
        self.permit.get()
    }

    /// The arguments: a JSON object, byte for byte as the client sent it where nothing was
    /// [repaired](Self::coercions).
    pub fn arguments(&self) -> &Arc<str> {
        &self.arguments
    }

    /// What was repaired in the arguments.
    pub fn coercions(&self) -> &Arc<[Coercion]> {
        &self.coercions
    }
}

/// Checks a call's arguments against the schema of the tool that was permitted.
///
/// ```compile_fail
/// # fn skip(validators: &bulkhead::validation::Validators, permit: bulkhead::auth::Permit) {
/// // A permit that was not admitted cannot be checked.
/// bulkhead::validation::check(validators, permit, "{}".into());
/// # }
/// ```
/// ```
/// # fn take(validators: &bulkhead::validation::Validators, permit: bulkhead::limits::Admitted<bulkhead::auth::Permit>) {
/// let _ = bulkhead::validation::check(validators, permit, "{}".into());
/// # }
/// ```
///
/// # Errors
/// `INVALID_ARGUMENTS` with up to eight `violations`.
pub fn check(
    validators: &Validators,
    permit: Admitted<Permit>,
    arguments: Arc<str>,
) -> Result<ValidCall, Error> {
    let tool = permit.get().tool();
    let max_input = tool.per_call.max_input;
    if arguments.len() > max_input.as_usize() {
        let message = format!("the arguments are longer than the {max_input} that this tool takes");
        return Err(invalid(vec![violation("", "max_input", &message)]));
    }
    let schemas = validators
        .of(tool.id)
        .ok_or_else(|| Error::internal("a tool without schemas in its snapshot"))?;
    Ok(match schemas.check_input(&arguments, max_input.as_usize())? {
        Checked::AsSent => ValidCall { permit, arguments, coercions: Arc::default() },
        Checked::Repaired { arguments, coercions } => ValidCall { permit, arguments, coercions },
    })
}
