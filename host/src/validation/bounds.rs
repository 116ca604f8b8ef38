//! The keywords that compare numbers, exactly: `minimum`, `maximum`, their exclusive
//! siblings, and `multipleOf`.
//!
//! The library's own compare doubles where a machine integer does not hold the number.

use std::cmp::Ordering;

use jsonschema::json::{Json, JsonNumber, Node};
use jsonschema::paths::Location;
use jsonschema::{Keyword, ValidationError, ValidationOptions};
use serde_json::{Map, Value};

use super::number::Decimal;

/// One of the keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Minimum,
    Maximum,
    ExclusiveMinimum,
    ExclusiveMaximum,
    MultipleOf,
}

const RULES: [(&str, Rule); 5] = [
    ("minimum", Rule::Minimum),
    ("maximum", Rule::Maximum),
    ("exclusiveMinimum", Rule::ExclusiveMinimum),
    ("exclusiveMaximum", Rule::ExclusiveMaximum),
    ("multipleOf", Rule::MultipleOf),
];

/// Takes the library's keywords over.
pub(super) fn exact<R, F: Json>(
    options: ValidationOptions<'_, R, F>,
) -> ValidationOptions<'_, R, F> {
    RULES.into_iter().fold(options, |options, (name, rule)| {
        options.with_keyword(name, move |_: &Map<String, Value>, limit: &Value, _: Location| {
            let Value::Number(limit) = limit else {
                return Err(ValidationError::custom("is no number"));
            };
            let bound = Bound {
                rule,
                small: limit.as_i64(),
                limit: Decimal::read(&limit.to_string()),
                text: limit.to_string().into(),
            };
            if rule == Rule::MultipleOf && Decimal::read("0").is_multiple_of(&bound.limit).is_none()
            {
                return Err(ValidationError::custom("divides by more than 18 digits"));
            }
            Ok(Box::new(bound))
        })
    })
}

/// A keyword with its limit.
#[derive(Debug)]
struct Bound {
    rule: Rule,
    small: Option<i64>,
    limit: Decimal,
    text: Box<str>,
}

impl Bound {
    fn admits(&self, number: &impl JsonNumber) -> bool {
        let order = || match (number.as_i64(), self.small) {
            (Some(number), Some(limit)) => number.cmp(&limit),
            _ => Decimal::read(&number.as_str()).cmp(&self.limit),
        };
        match self.rule {
            Rule::Minimum => order() != Ordering::Less,
            Rule::Maximum => order() != Ordering::Greater,
            Rule::ExclusiveMinimum => order() == Ordering::Greater,
            Rule::ExclusiveMaximum => order() == Ordering::Less,
            Rule::MultipleOf => match (number.as_i64(), self.small) {
                (Some(number), Some(limit)) => number.checked_rem(limit) == Some(0),
                _ => Decimal::read(&number.as_str()).is_multiple_of(&self.limit) == Some(true),
            },
        }
    }

    fn wanted(&self) -> String {
        let Self { rule, text, .. } = self;
        match rule {
            Rule::Minimum => format!("must be at least {text}"),
            Rule::Maximum => format!("must be at most {text}"),
            Rule::ExclusiveMinimum => format!("must be more than {text}"),
            Rule::ExclusiveMaximum => format!("must be less than {text}"),
            Rule::MultipleOf => format!("must be a multiple of {text}"),
        }
    }
}

impl<'i, F: Json> Keyword<'i, F> for Bound {
    fn validate(&self, instance: F::Node<'i>) -> Result<(), ValidationError<'i>> {
        if Keyword::<F>::is_valid(self, instance) {
            Ok(())
        } else {
            Err(ValidationError::custom(self.wanted()))
        }
    }

    fn is_valid(&self, instance: F::Node<'i>) -> bool {
        instance.as_number().is_none_or(|number| self.admits(&number))
    }
}
