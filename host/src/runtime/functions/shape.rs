//! What a WIT type is in JSON: the one form that the schema, the reader of arguments and
//! the writer of results agree on.

use std::sync::Arc;

use wasmtime::component::Val;

/// A type, with what its author wrote about it.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Bool,
    Integer(Integer),
    Float32,
    Float64,
    Char,
    String,
    /// `list<u8>`, in base64.
    Bytes,
    List(Box<Shape>),
    Tuple(Vec<Shape>),
    Record {
        doc: Option<Arc<str>>,
        fields: Vec<Field>,
    },
    Variant {
        doc: Option<Arc<str>>,
        cases: Vec<Case>,
    },
    /// Its cases have no payload.
    Enum {
        doc: Option<Arc<str>>,
        cases: Vec<Case>,
    },
    /// Its cases have no payload.
    Flags {
        doc: Option<Arc<str>>,
        cases: Vec<Case>,
    },
    Option(Box<Shape>),
    /// What it holds when it is well, and when it is not.
    Result(Option<Box<Shape>>, Option<Box<Shape>>),
}

impl Shape {
    /// Whether `null` is one of its values, so that an option of it needs a wrapper.
    pub(super) fn is_option(&self) -> bool {
        matches!(self, Self::Option(_))
    }

    /// Whether it is, or holds, a shape that `wanted` tells. Bounded by its depth.
    pub(super) fn any(&self, wanted: fn(&Self) -> bool) -> bool {
        wanted(self)
            || match self {
                Self::Bool
                | Self::Integer(_)
                | Self::Float32
                | Self::Float64
                | Self::Char
                | Self::String
                | Self::Bytes
                | Self::Enum { .. }
                | Self::Flags { .. } => false,
                Self::List(inner) | Self::Option(inner) => inner.any(wanted),
                Self::Tuple(items) => items.iter().any(|item| item.any(wanted)),
                Self::Record { fields, .. } => fields.iter().any(|field| field.shape.any(wanted)),
                Self::Variant { cases, .. } => cases
                    .iter()
                    .any(|case| case.payload.as_ref().is_some_and(|shape| shape.any(wanted))),
                Self::Result(ok, error) => [ok, error]
                    .into_iter()
                    .any(|arm| arm.as_ref().is_some_and(|shape| shape.any(wanted))),
            }
    }
}

/// A field of a record, or a parameter of a function.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) doc: Option<Arc<str>>,
    pub(super) shape: Shape,
}

/// A case of a variant or of an enum, or one of some flags.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) doc: Option<Arc<str>>,
    pub(super) payload: Option<Shape>,
}

/// The integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Integer {
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
}

impl Integer {
    /// The least and the greatest, inclusive.
    pub(super) fn range(self) -> (i64, u64) {
        match self {
            Self::S8 => (i8::MIN.into(), 0x7f),
            Self::U8 => (0, u8::MAX.into()),
            Self::S16 => (i16::MIN.into(), 0x7fff),
            Self::U16 => (0, u16::MAX.into()),
            Self::S32 => (i32::MIN.into(), 0x7fff_ffff),
            Self::U32 => (0, u32::MAX.into()),
            Self::S64 => (i64::MIN, 0x7fff_ffff_ffff_ffff),
            Self::U64 => (0, u64::MAX),
        }
    }

    /// A number as a value of this type, if it is one.
    pub(super) fn val(self, number: i128) -> Option<Val> {
        Some(match self {
            Self::S8 => Val::S8(number.try_into().ok()?),
            Self::U8 => Val::U8(number.try_into().ok()?),
            Self::S16 => Val::S16(number.try_into().ok()?),
            Self::U16 => Val::U16(number.try_into().ok()?),
            Self::S32 => Val::S32(number.try_into().ok()?),
            Self::U32 => Val::U32(number.try_into().ok()?),
            Self::S64 => Val::S64(number.try_into().ok()?),
            Self::U64 => Val::U64(number.try_into().ok()?),
        })
    }
}
