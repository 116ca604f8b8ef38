//! The served plugins: loading them, keeping them current, and the one snapshot
//! that each call sees.
//!
//! A call takes the current [`Snapshot`] once and works with it to its end, so it
//! sees one consistent world however often the folder changes meanwhile. A change
//! that cannot be loaded is reported, and what was served before stays served.

mod folder;
mod load;
#[cfg(test)]
mod mutations;
mod snapshot;
mod watch;

pub use folder::{Change, Plugins, PluginsConfig, Summary};
pub use snapshot::Snapshot;
pub use watch::{follow, follow_file};
