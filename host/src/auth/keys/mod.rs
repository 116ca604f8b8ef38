//! API keys: their text, what is kept of them, and the files that keep it.
//!
//! [`text`] is what a caller holds; [`key`] what is kept of it, from which no text can
//! be made; [`form`] how that stands in a file; [`store`] reads a file or a folder of
//! them; [`change`] makes keys and replaces them. What was revoked stands elsewhere, in
//! [`super::revocations`], so that an old copy of a key file brings nothing back.

mod change;
mod form;
mod key;
mod store;
mod text;

pub use change::{NewKey, Rotated, Rotation, create, rotate};
pub use key::Key;
pub(super) use key::SecretDigest;
pub(super) use store::MOST_KEYS;
pub use store::{BadKeyFile, KeyFile};
pub(super) use text::KeyText;
#[cfg(test)]
pub(super) use text::random_secret;
pub use text::{MISTYPED, is_mistyped};
