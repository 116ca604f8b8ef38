//! Crashes when it is asked for its tools.

#[expect(clippy::panic, reason = "it is what this guest is for")]
mod plugin {
    guests::lists!(panic!("no tools today"));
}
