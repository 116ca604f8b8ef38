//! Shows that something takes its time: a spinner on a terminal, a line elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Something that goes on. Its display ends with it.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Says what begins.
    pub(super) fn begin(what: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            eprintln!("{what} …");
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Says how far it is.
    pub(super) fn tell(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// Says what begins now, instead.
    pub(super) fn start_over(&self, what: &str) {
        self.0.set_message(what.to_owned());
        self.0.reset_elapsed();
    }

    /// Lets somebody else write a line.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        self.0.suspend(write);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
