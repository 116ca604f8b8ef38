//! From what a tool function returns to an [`Output`] and its schema.
//!
//! Three shapes of result are treated apart, and `Result` is taken apart before
//! that. Traits alone cannot say so: a `String` is `Serialize` like any other
//! value, and stable Rust has no specialization. Method lookup can: an inherent
//! method is found before a trait's. So the special shapes are inherent methods
//! of [`Returns`], everything else falls through to [`Infallible`] and
//! [`Fallback`], and the macro, which knows the concrete type, calls by name.
//!
//! The bounds are on the methods and not on the impls, so that a missing one is
//! reported as such and does not select another shape.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{Output, ToolError, schema};

/// Stands for a return type.
pub struct Returns<T>(PhantomData<fn() -> T>);

impl<T> Returns<T> {
    /// A stand-in for the type `T`.
    #[expect(clippy::new_without_default, reason = "only the macro makes one")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T, E> Returns<Result<T, E>> {
    /// What the function returns when it succeeds.
    pub fn success(&self) -> Returns<T> {
        Returns::new()
    }

    /// What it returned, with the author's error as a `ToolError`.
    ///
    /// # Errors
    /// The function's own.
    pub fn value(&self, returned: Result<T, E>) -> Result<T, ToolError>
    where
        E: Into<ToolError>,
    {
        returned.map_err(Into::into)
    }
}

/// Every return type that is not a `Result`.
pub trait Infallible<T> {
    /// The same type: there is nothing to take apart.
    fn success(&self) -> Returns<T>;

    /// What it returned.
    ///
    /// # Errors
    /// None.
    fn value(&self, returned: T) -> Result<T, ToolError>;
}

impl<T> Infallible<T> for Returns<T> {
    fn success(&self) -> Returns<T> {
        Returns::new()
    }

    fn value(&self, returned: T) -> Result<T, ToolError> {
        Ok(returned)
    }
}

macro_rules! text {
    ($($ty:ty),+) => {$(
        impl Returns<$ty> {
            /// Text is not described by a schema.
            pub fn schema(&self) -> Option<Value> {
                None
            }

            /// One block of text.
            ///
            /// # Errors
            /// None.
            pub fn output(&self, text: $ty) -> Result<Output, ToolError> {
                Ok(Output::new().text(text))
            }
        }
    )+};
}

text!(String, &'static str, Cow<'static, str>);

impl Returns<Output> {
    /// What an `Output` holds is not known before it is there.
    pub fn schema(&self) -> Option<Value> {
        None
    }

    /// As it is.
    ///
    /// # Errors
    /// None.
    pub fn output(&self, output: Output) -> Result<Output, ToolError> {
        Ok(output)
    }
}

/// What can be a structured result.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a tool",
    note = "derive what writes and what describes it: `#[derive(Serialize, JsonSchema)]`",
    note = "or return a `String` or an `Output`; each may be inside a `Result`"
)]
pub trait Structured: Serialize + JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + JsonSchema> Structured for T {}

/// Every success that is neither text nor an `Output`.
pub trait Fallback<T> {
    /// The schema of what `T` writes.
    fn schema(&self) -> Option<Value>
    where
        T: Structured;

    /// The value as a structured result.
    ///
    /// # Errors
    /// `INVALID_OUTPUT`, where it has no form in JSON.
    fn output(&self, value: T) -> Result<Output, ToolError>
    where
        T: Structured;
}

impl<T> Fallback<T> for Returns<T> {
    fn schema(&self) -> Option<Value>
    where
        T: Structured,
    {
        Some(schema::of_result::<T>())
    }

    fn output(&self, value: T) -> Result<Output, ToolError>
    where
        T: Structured,
    {
        Output::new().structured(&value)
    }
}
