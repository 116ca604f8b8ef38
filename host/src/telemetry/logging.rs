//! The operator's log, on standard error.
//!
//! For people where standard error is a terminal, one JSON object a line
//! elsewhere. Events about a request carry its id in the field `request_id`.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

/// Sends the process's log to standard error from here on. The first call in a
/// process wins; what was logged before it is lost.
///
/// `level` is for our own events. Libraries speak at warnings and above, and the
/// engine, which is chatty about what is no concern of an operator's, at errors.
pub fn log_to_stderr(level: LevelFilter) {
    let layer = if stderr().is_terminal() {
        fmt::layer().with_writer(stderr).boxed()
    } else {
        fmt::layer().json().flatten_event(true).with_writer(stderr).boxed()
    };
    // An error means that there is a subscriber already.
    let _ = registry().with(layer.with_filter(targets(level))).try_init();
}

fn targets(level: LevelFilter) -> Targets {
    let at_most = |other: LevelFilter| level.min(other);
    Targets::new()
        .with_default(at_most(LevelFilter::WARN))
        .with_target("bulkhead", level)
        .with_target("wasmtime", at_most(LevelFilter::ERROR))
        .with_target("cranelift", at_most(LevelFilter::ERROR))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_are_quieter_than_we_are() {
        let info = targets(LevelFilter::INFO);
        for (target, level, shown) in [
            ("bulkhead::pipeline", Level::INFO, true),
            ("bulkhead", Level::DEBUG, false),
            ("hyper::proto", Level::WARN, true),
            ("hyper::proto", Level::INFO, false),
            ("wasmtime_cranelift::compiler", Level::WARN, false),
            ("cranelift_codegen::timing", Level::ERROR, true),
        ] {
            assert_eq!(info.would_enable(target, &level), shown, "{target} {level}");
        }
        let off = targets(LevelFilter::OFF);
        assert!(!off.would_enable("hyper", &Level::ERROR));
    }
}
