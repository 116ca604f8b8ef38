//! From a call's arguments to values.
//!
//! The arguments match their schema already. This reads their text, and not what a
//! general reader made of it, so that a number is exactly what it says: an integer of 64
//! bits is not rounded to a double, and a double not read twice.
//!
//! A value takes more memory than its text, a record of absent options hundreds of times
//! as much: what is made is bounded.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::value::RawValue;
use wasmtime::component::Val;

use super::numbers::{number, whole};
use super::shape::{Case, Field, Shape};

/// The memory that the values of one call may take, in bytes: 300,000 numbers, or 400 KiB
/// in base64. More than a call may bring unless its operator allows more.
const MAX_BYTES: usize = 16 << 20;

/// What a value takes apart from its text: itself, and what the allocator adds.
const EACH: usize = size_of::<Val>() + 16;

/// The padding's bits say nothing: the schema allows any.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Why arguments are not taken: where, and what must hold there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// Names from the schema and places in lists, the innermost first.
    way: Vec<String>,
    rule: &'static str,
}

impl Refused {
    fn at(mut self, step: impl ToString) -> Self {
        self.way.push(step.to_string());
        self
    }

    /// One sentence, which repeats no value.
    pub(super) fn sentence(&self) -> String {
        let way: Vec<&str> = self.way.iter().rev().map(String::as_str).collect();
        match way.is_empty() {
            true => format!("The arguments {}.", self.rule),
            false => format!("The argument /{} {}.", way.join("/"), self.rule),
        }
    }
}

/// Reads a call's arguments, a JSON object with a property for each parameter. With them
/// comes what they take of memory, in bytes.
pub(super) fn arguments(parameters: &[Field], text: &str) -> Result<(Vec<Val>, u64), Refused> {
    let mut reader = Reader { left: MAX_BYTES };
    let fields = reader.object(parameters, text)?;
    let values = fields.into_iter().map(|(_, value)| value).collect();
    Ok((values, (MAX_BYTES - reader.left) as u64))
}

struct Reader {
    left: usize,
}

impl Reader {
    /// A value. Its depth is that of the shape, which is bounded.
    fn value(&mut self, text: &str, shape: &Shape) -> Result<Val, Refused> {
        self.take(EACH)?;
        Ok(match shape {
            Shape::Bool => Val::Bool(read(text, "must be true or false")?),
            Shape::Integer(integer) => whole(text)
                .and_then(|number| integer.val(number))
                .ok_or(refuse("must be an integer in range"))?,
            Shape::Float32 => Val::Float32(
                number(text)
                    .and_then(|text| text.parse().ok())
                    .filter(|number: &f32| number.is_finite())
                    .ok_or(refuse("must be a number in range"))?,
            ),
            Shape::Float64 => Val::Float64(
                number(text)
                    .and_then(|text| text.parse().ok())
                    .filter(|number: &f64| number.is_finite())
                    .ok_or(refuse("must be a number in range"))?,
            ),
            Shape::Char => {
                let text = self.string(text)?;
                let mut characters = text.chars();
                match (characters.next(), characters.next()) {
                    (Some(one), None) => Val::Char(one),
                    _ => return Err(refuse("must be one character")),
                }
            }
            Shape::String => Val::String(self.string(text)?),
            Shape::Bytes => {
                let text = self.string(text)?;
                self.take((text.len() / 4).saturating_mul(3 * size_of::<Val>()))?;
                let bytes = BASE64.decode(text).map_err(|_| refuse("must be base64"))?;
                Val::List(bytes.into_iter().map(Val::U8).collect())
            }
            Shape::List(element) => {
                let items: Vec<&RawValue> = read(text, "must be an array")?;
                let mut values = Vec::new();
                for (at, item) in items.into_iter().enumerate() {
                    let value = self.value(item.get(), element);
                    values.push(value.map_err(|refused| refused.at(at))?);
                }
                Val::List(values)
            }
            Shape::Tuple(shapes) => {
                let items: Vec<&RawValue> = read(text, "must be an array")?;
                if items.len() != shapes.len() {
                    return Err(refuse("must have as many items as its schema"));
                }
                let mut values = Vec::new();
                for (at, (item, shape)) in items.into_iter().zip(shapes).enumerate() {
                    let value = self.value(item.get(), shape);
                    values.push(value.map_err(|refused| refused.at(at))?);
                }
                Val::Tuple(values)
            }
            Shape::Record { fields, .. } => Val::Record(self.object(fields, text)?),
            Shape::Variant { cases, .. } => self.variant(text, cases)?,
            Shape::Enum { cases, .. } => {
                let name = self.string(text)?;
                match cases.iter().any(|case| case.name == name) {
                    true => Val::Enum(name),
                    false => return Err(refuse("must be one of the names in its schema")),
                }
            }
            Shape::Flags { cases, .. } => {
                let mut names: Vec<String> = read(text, "must be an array of names")?;
                self.take(names.iter().map(|name| EACH + name.len()).sum())?;
                let known = |name: &String| cases.iter().any(|case| case.name == *name);
                if !names.iter().all(known) {
                    return Err(refuse("must hold only names in its schema"));
                }
                let given = names.len();
                names.sort();
                names.dedup();
                if names.len() != given {
                    return Err(refuse("must not hold an item twice"));
                }
                let given = |case: &&Case| names.contains(&case.name);
                Val::Flags(cases.iter().filter(given).map(|case| case.name.clone()).collect())
            }
            Shape::Option(_) if text == "null" => Val::Option(None),
            Shape::Option(inner) if inner.is_option() => {
                let (name, value) = single(text)?;
                match name.as_str() {
                    "some" => self.some(value, inner).map_err(|refused| refused.at("some"))?,
                    _ => return Err(refuse("must be null or an object with the property `some`")),
                }
            }
            Shape::Option(inner) => self.some(text, inner)?,
            Shape::Result(ok, error) => {
                let (name, value) = single(text)?;
                match name.as_str() {
                    "ok" => Val::Result(Ok(self.arm(value, ok).map_err(|at| at.at("ok"))?)),
                    "error" => {
                        Val::Result(Err(self.arm(value, error).map_err(|at| at.at("error"))?))
                    }
                    _ => return Err(refuse("must be an object with `ok` or `error`")),
                }
            }
        })
    }

    fn some(&mut self, text: &str, shape: &Shape) -> Result<Val, Refused> {
        Ok(Val::Option(Some(Box::new(self.value(text, shape)?))))
    }

    fn arm(&mut self, text: &str, arm: &Option<Box<Shape>>) -> Result<Option<Box<Val>>, Refused> {
        match arm {
            Some(shape) => Ok(Some(Box::new(self.value(text, shape)?))),
            None if text == "null" => Ok(None),
            None => Err(refuse("must be null")),
        }
    }

    fn variant(&mut self, text: &str, cases: &[Case]) -> Result<Val, Refused> {
        const FORM: &str = "must be a case of its schema";
        let find = |name: &str| cases.iter().find(|case| case.name == name).ok_or(refuse(FORM));
        if text.starts_with('"') {
            let name = self.string(text)?;
            return match find(&name)?.payload {
                None => Ok(Val::Variant(name, None)),
                Some(_) => Err(refuse(FORM)),
            };
        }
        let (name, value) = single(text)?;
        let case = find(&name)?;
        let payload = case.payload.as_ref().ok_or(refuse(FORM))?;
        let value = self.value(value, payload).map_err(|refused| refused.at(&case.name))?;
        Ok(Val::Variant(name, Some(Box::new(value))))
    }

    fn object(&mut self, fields: &[Field], text: &str) -> Result<Vec<(String, Val)>, Refused> {
        let mut given: BTreeMap<String, &RawValue> = read(text, "must be an object")?;
        let mut values = Vec::new();
        for field in fields {
            self.take(size_of::<String>() + field.name.len())?;
            let value = match (given.remove(&field.name), &field.shape) {
                (Some(value), shape) => self.value(value.get(), shape),
                (None, Shape::Option(_)) => self.take(EACH).map(|()| Val::Option(None)),
                (None, _) => Err(refuse("is required")),
            };
            let value = value.map_err(|refused| refused.at(&field.name))?;
            values.push((field.name.clone(), value));
        }
        match given.is_empty() {
            true => Ok(values),
            false => Err(refuse("must have no other properties than those of its schema")),
        }
    }

    fn string(&mut self, text: &str) -> Result<String, Refused> {
        self.take(text.len())?;
        read(text, "must be a string")
    }

    fn take(&mut self, bytes: usize) -> Result<(), Refused> {
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => return Err(refuse("must come to less: laid out, it is larger than 16 MiB")),
        }
        Ok(())
    }
}

fn refuse(rule: &'static str) -> Refused {
    Refused { way: Vec::new(), rule }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str, rule: &'static str) -> Result<T, Refused> {
    serde_json::from_str(text).map_err(|_| refuse(rule))
}

/// The only property of an object.
fn single(text: &str) -> Result<(String, &str), Refused> {
    const FORM: &str = "must be an object with one property";
    let given: BTreeMap<String, &RawValue> = read(text, FORM)?;
    let mut entries = given.into_iter();
    match (entries.next(), entries.next()) {
        (Some((name, value)), None) => Ok((name, value.get())),
        _ => Err(refuse(FORM)),
    }
}
