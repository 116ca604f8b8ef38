//! JSON in and out of jq's values.
//!
//! jq's reader takes more than JSON (comments, `NaN`, byte strings) and its writer
//! returns it, so both ends are checked here. Numbers keep their digits.

use bulkhead_sdk::RawValue;
use bulkhead_sdk::prelude::*;
use jaq_json::{Num, Val};
use serde::ser::{Error, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

/// How deep arrays and objects may be nested, in what is read and what is written.
/// Reading and writing recurse, and a guest's stack is small.
const MAX_DEPTH: usize = 128;

/// Reads JSON text that holds any number of values, with white space between them.
///
/// # Errors
/// `INVALID_JSON` with the position.
pub(crate) fn read(text: &str) -> Result<Vec<Val>, ToolError> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    values
        .map(|value| match value {
            Ok(value) => read_one(value),
            Err(error) => Err(invalid(&error)),
        })
        .collect()
}

/// Reads one value whose syntax has been checked.
///
/// # Errors
/// `INVALID_JSON`, where it is nested too deep.
pub(crate) fn read_one(value: &RawValue) -> Result<Val, ToolError> {
    let json = value.get().as_bytes();
    if depth(json) > MAX_DEPTH {
        let message = format!("The JSON is nested deeper than {MAX_DEPTH} levels.");
        return Err(ToolError::new("INVALID_JSON", message));
    }
    jaq_json::read::parse_single(json).map_err(|error| {
        ToolError::new("INVALID_JSON", "The JSON could not be read.").because(error)
    })
}

fn invalid(error: &serde_json::Error) -> ToolError {
    let (line, column) = (error.line(), error.column());
    let what = if error.is_eof() { "it ends too early" } else { "this is not JSON" };
    ToolError::new(
        "INVALID_JSON",
        format!("The text is not valid at line {line} column {column}: {what}."),
    )
    .detail("line", line)
    .detail("column", column)
}

/// The deepest nesting of valid JSON.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                // To the end of the string; an escaped character is skipped.
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => {
                            bytes.next();
                        }
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

/// Writes one value.
///
/// # Errors
/// `QUERY_FAILED`, where the value has no form in JSON or is nested too deep.
pub(crate) fn write(value: &Val) -> Result<Box<RawValue>, ToolError> {
    let json = Json { value, depth: 0 };
    serde_json::value::to_raw_value(&json)
        .map_err(|error| ToolError::new("QUERY_FAILED", format!("A result {error}.")))
}

struct Json<'a> {
    value: &'a Val,
    depth: usize,
}

impl Json<'_> {
    /// The depth of what this array or object holds.
    fn inside<E: Error>(&self) -> Result<usize, E> {
        if self.depth < MAX_DEPTH {
            Ok(self.depth + 1)
        } else {
            let message = format_args!("is nested deeper than {MAX_DEPTH} levels");
            Err(E::custom(message))
        }
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Val::Null => serializer.serialize_unit(),
            Val::Bool(value) => serializer.serialize_bool(*value),
            Val::Num(number) => write_number(number, serializer),
            Val::BStr(text) | Val::TStr(text) => {
                serializer.serialize_str(&String::from_utf8_lossy(text))
            }
            Val::Arr(values) => {
                let depth = self.inside()?;
                let mut array = serializer.serialize_seq(Some(values.len()))?;
                for value in values.iter() {
                    array.serialize_element(&Json { value, depth })?;
                }
                array.end()
            }
            Val::Obj(entries) => {
                let depth = self.inside()?;
                let mut object = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries.iter() {
                    let Val::TStr(key) = key else {
                        return Err(S::Error::custom("has an object key that is not a string"));
                    };
                    object.serialize_key(&String::from_utf8_lossy(key))?;
                    object.serialize_value(&Json { value, depth })?;
                }
                object.end()
            }
        }
    }
}

/// Infinity and NaN become null, as in jq; everything else keeps its digits.
fn write_number<S: Serializer>(number: &Num, serializer: S) -> Result<S::Ok, S::Error> {
    let digits = match number {
        Num::Int(integer) => return serializer.serialize_i64(*integer as i64),
        Num::Float(float) => return serializer.serialize_f64(*float),
        Num::BigInt(integer) => integer.to_string(),
        Num::Dec(decimal) => decimal.to_string(),
    };
    match serde_json::from_str::<&RawValue>(&digits) {
        Ok(number) => number.serialize(serializer),
        // A decimal of jq's that is none of JSON's, such as `+1.0` or `01.0`.
        Err(_) => serializer.serialize_f64(digits.parse().unwrap_or(f64::NAN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_is_read() {
        let check = |text: &str, message: &str| {
            let error = read(text).unwrap_err();
            assert_eq!(error.code, "INVALID_JSON", "{text}");
            assert!(error.message.contains(message), "{error}");
        };
        check("{\"a\": 1,\n}", "line 2 column 1: this is not JSON");
        check("[1, 2", "ends too early");
        check("NaN", "line 1 column 1");
        check("[1] # comment", "column 5");
        check("{'a': 1}", "column 2");
        check("{1: 2}", "column 2");
        assert_eq!(read(" \n").unwrap().len(), 0);
    }

    #[test]
    fn depth_is_bounded_both_ways() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let deepest = read(&nested(MAX_DEPTH)).unwrap().remove(0);
        assert!(write(&deepest).is_ok());
        let deeper = Val::Arr(vec![deepest].into());
        assert!(write(&deeper).unwrap_err().message.contains("nested deeper"));
        assert_eq!(read(&nested(MAX_DEPTH + 1)).unwrap_err().code, "INVALID_JSON");
        assert_eq!(read(&nested(200_000)).unwrap_err().code, "INVALID_JSON");
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        assert_eq!(depth(br#"{"[[[\"[": ["{"]}"#), 2);
    }

    #[test]
    fn decimals_that_json_does_not_know_are_rewritten() {
        let decimal = |digits: &str| write(&Val::Num(Num::Dec(digits.to_owned().into())));
        assert_eq!(decimal("1.50").unwrap().get(), "1.50");
        assert_eq!(decimal("+01.50").unwrap().get(), "1.5");
    }
}
