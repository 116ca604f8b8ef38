//! Who calls, and what they may call: API keys, agents, scopes.
//!
//! [`Principal`] and [`Permit`] are evidence: their fields are private, and the
//! function that decides is their one constructor. So nobody is who they say
//! without [`authenticate`], and nothing is called without [`authorize`]:
//!
//! ```compile_fail
//! use bulkhead::auth::Principal;
//! let forged = |identity| Principal(identity);
//! ```
//! ```compile_fail
//! use bulkhead::auth::{Permit, Principal};
//! let forged = |principal: Principal, tool| Permit { principal, tool };
//! ```
//!
//! What [`authorize`] takes is a principal whose rate was charged, so a flood of
//! calls to tools that it may not call spends its own rate:
//!
//! ```
//! # use std::sync::Arc;
//! # use bulkhead::auth::{Identities, KeyFile, Revocations, Tokens, authenticate, authorize};
//! # use bulkhead::catalog::Catalog;
//! # use bulkhead::clock::{Clock, SystemClock};
//! # use bulkhead::config::Config;
//! # use bulkhead::limits::Limits;
//! # use bulkhead::transport::{Channel, Head, Presented};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let catalog = Catalog::default();
//! # let limits = Limits::new(Arc::new(SystemClock), 1_000);
//! # let config = Config::load(None, [])?;
//! # let keys = KeyFile::default();
//! # let identities = arc_swap::ArcSwap::from_pointee(Identities::new(&config, &keys, Revocations::default()));
//! # let clock: Arc<dyn Clock> = Arc::new(SystemClock);
//! # let tokens = Tokens::new(&config, &clock)?;
//! # let head = Head::without_headers(Channel::Local, Presented::Local("me".parse()?), None);
//! let principal = authenticate(&identities, &tokens, &head, &SystemClock).await;
//! let Ok(principal) = principal else { return Ok(()) };
//! let Ok(principal) = limits.charge(principal) else { return Ok(()) };
//! let permit = authorize(principal, &catalog, "get_record");
//! # assert!(permit.is_err());
//! # Ok(())
//! # }
//! ```
//! ```compile_fail
//! # use std::sync::Arc;
//! # use bulkhead::auth::{Identities, KeyFile, Revocations, Tokens, authenticate, authorize};
//! # use bulkhead::catalog::Catalog;
//! # use bulkhead::clock::{Clock, SystemClock};
//! # use bulkhead::config::Config;
//! # use bulkhead::limits::Limits;
//! # use bulkhead::transport::{Channel, Head, Presented};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let catalog = Catalog::default();
//! # let limits = Limits::new(Arc::new(SystemClock), 1_000);
//! # let config = Config::load(None, [])?;
//! # let keys = KeyFile::default();
//! # let identities = arc_swap::ArcSwap::from_pointee(Identities::new(&config, &keys, Revocations::default()));
//! # let clock: Arc<dyn Clock> = Arc::new(SystemClock);
//! # let tokens = Tokens::new(&config, &clock)?;
//! # let head = Head::without_headers(Channel::Local, Presented::Local("me".parse()?), None);
//! let principal = authenticate(&identities, &tokens, &head, &SystemClock).await;
//! let Ok(principal) = principal else { return Ok(()) };
//! let permit = authorize(principal, &catalog, "get_record");
//! # assert!(permit.is_err());
//! # Ok(())
//! # }
//! ```

mod authenticate;
mod authorize;
mod identities;
mod keys;
mod last_use;
mod owner_only;
mod principal;
mod revocations;
mod tokens;

pub use authenticate::{authenticate, turned_away};
pub use authorize::{Permit, authorize, visible};
pub use identities::Identities;
pub use keys::{
    BadKeyFile, Key, KeyFile, MISTYPED, NewKey, Rotated, Rotation, create, is_mistyped, rotate,
};
pub use last_use::LastUse;
pub use principal::{Credential, Principal};
pub use revocations::{
    BadJournal, Change, Entry, InForce, Reason, Revocations, Selector, TokenText, record,
};
pub use tokens::{BadIssuer, Tokens};
