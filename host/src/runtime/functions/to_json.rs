//! From a result's values to JSON text.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wasmtime::component::Val;

use super::shape::Shape;

/// Why there is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Untold {
    /// It holds a number that is not finite, for which JSON has no text.
    NotFinite,
    /// It is longer than it may be.
    TooLong,
    /// It is not of its shape, which the engine rules out.
    Misshapen,
}

/// The text of a value, at most some `most` bytes of it.
pub(super) fn text(value: &Val, shape: &Shape, most: usize) -> Result<String, Untold> {
    let mut writer = Writer { text: String::new(), most };
    writer.value(value, shape)?;
    Ok(writer.text)
}

struct Writer {
    text: String,
    most: usize,
}

impl Writer {
    /// Writes a value. Its depth is that of the shape, which is bounded.
    fn value(&mut self, value: &Val, shape: &Shape) -> Result<(), Untold> {
        match (shape, value) {
            (Shape::Bool, Val::Bool(value)) => self.show(value),
            (Shape::Integer(_), Val::S8(value)) => self.show(value),
            (Shape::Integer(_), Val::U8(value)) => self.show(value),
            (Shape::Integer(_), Val::S16(value)) => self.show(value),
            (Shape::Integer(_), Val::U16(value)) => self.show(value),
            (Shape::Integer(_), Val::S32(value)) => self.show(value),
            (Shape::Integer(_), Val::U32(value)) => self.show(value),
            (Shape::Integer(_), Val::S64(value)) => self.show(value),
            (Shape::Integer(_), Val::U64(value)) => self.show(value),
            (Shape::Float32, Val::Float32(value)) if value.is_finite() => self.json(value),
            (Shape::Float64, Val::Float64(value)) if value.is_finite() => self.json(value),
            (Shape::Float32, Val::Float32(_)) | (Shape::Float64, Val::Float64(_)) => {
                Err(Untold::NotFinite)
            }
            (Shape::Char, Val::Char(value)) => self.json(value),
            (Shape::String, Val::String(value)) => self.string(value),
            (Shape::Bytes, Val::List(items)) => self.bytes(items),
            (Shape::List(element), Val::List(items)) => {
                self.items(items.iter().map(|item| (item, &**element)))
            }
            (Shape::Tuple(shapes), Val::Tuple(items)) if shapes.len() == items.len() => {
                self.items(items.iter().zip(shapes))
            }
            (Shape::Record { fields, .. }, Val::Record(values)) if fields.len() == values.len() => {
                let mut before = "{";
                for (field, (_, value)) in fields.iter().zip(values) {
                    // An absent option is left out, as it may be in arguments.
                    if matches!(value, Val::Option(None)) {
                        continue;
                    }
                    self.raw(before)?;
                    self.string(&field.name)?;
                    self.raw(":")?;
                    self.value(value, &field.shape)?;
                    before = ",";
                }
                self.raw(if before == "{" { "{}" } else { "}" })
            }
            (Shape::Variant { cases, .. }, Val::Variant(name, payload)) => {
                let case = cases.iter().find(|case| case.name == *name);
                match (case.ok_or(Untold::Misshapen)?.payload.as_ref(), payload) {
                    (Some(shape), Some(value)) => self.only(name, Some((value, shape))),
                    (None, None) => self.string(name),
                    _ => Err(Untold::Misshapen),
                }
            }
            (Shape::Enum { .. }, Val::Enum(name)) => self.string(name),
            (Shape::Flags { .. }, Val::Flags(names)) => {
                let mut before = "[";
                for name in names {
                    self.raw(before)?;
                    self.string(name)?;
                    before = ",";
                }
                self.raw(if before == "[" { "[]" } else { "]" })
            }
            (Shape::Option(_), Val::Option(None)) => self.raw("null"),
            (Shape::Option(inner), Val::Option(Some(value))) if inner.is_option() => {
                self.only("some", Some((value, inner)))
            }
            (Shape::Option(inner), Val::Option(Some(value))) => self.value(value, inner),
            (Shape::Result(shape, _), Val::Result(Ok(value))) => self.arm("ok", shape, value),
            (Shape::Result(_, shape), Val::Result(Err(value))) => self.arm("error", shape, value),
            _ => Err(Untold::Misshapen),
        }
    }

    fn arm(
        &mut self,
        name: &str,
        shape: &Option<Box<Shape>>,
        value: &Option<Box<Val>>,
    ) -> Result<(), Untold> {
        match (shape, value) {
            (Some(shape), Some(value)) => self.only(name, Some((value, shape))),
            (None, None) => self.only(name, None),
            _ => Err(Untold::Misshapen),
        }
    }

    /// An object with one property.
    fn only(&mut self, name: &str, value: Option<(&Val, &Shape)>) -> Result<(), Untold> {
        self.raw("{")?;
        self.string(name)?;
        self.raw(":")?;
        match value {
            Some((value, shape)) => self.value(value, shape)?,
            None => self.raw("null")?,
        }
        self.raw("}")
    }

    fn items<'a>(
        &mut self,
        items: impl Iterator<Item = (&'a Val, &'a Shape)>,
    ) -> Result<(), Untold> {
        self.raw("[")?;
        for (at, (value, shape)) in items.enumerate() {
            if at > 0 {
                self.raw(",")?;
            }
            self.value(value, shape)?;
        }
        self.raw("]")
    }

    fn bytes(&mut self, items: &[Val]) -> Result<(), Untold> {
        self.room_for(items.len())?;
        let byte = |item: &Val| if let Val::U8(byte) = item { Some(*byte) } else { None };
        let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
        let encoded = STANDARD.encode(bytes.ok_or(Untold::Misshapen)?);
        self.string(&encoded)
    }

    fn string(&mut self, text: &str) -> Result<(), Untold> {
        // Before its escapes, of which there may be six for one.
        self.room_for(text.len())?;
        self.json(text)
    }

    fn json(&mut self, value: &(impl serde::Serialize + ?Sized)) -> Result<(), Untold> {
        let text = serde_json::to_string(value).map_err(|_| Untold::Misshapen)?;
        self.raw(&text)
    }

    fn show(&mut self, value: &impl std::fmt::Display) -> Result<(), Untold> {
        self.room_for(0)?;
        write!(self.text, "{value}").map_err(|_| Untold::Misshapen)
    }

    fn raw(&mut self, text: &str) -> Result<(), Untold> {
        self.room_for(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    fn room_for(&self, more: usize) -> Result<(), Untold> {
        match self.text.len().saturating_add(more) > self.most {
            true => Err(Untold::TooLong),
            false => Ok(()),
        }
    }
}
