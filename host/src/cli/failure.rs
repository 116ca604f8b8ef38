//! Why a command did not do what it was asked: what to do next, and an exit code.

use std::fmt;
use std::process::ExitCode;

/// An exit code of `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exit(u8);

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.0)
    }
}

/// `EX_USAGE`: the command line is wrong.
pub(super) const USAGE: Exit = Exit(64);
/// `EX_DATAERR`: a file that was named is not what it should be.
pub(super) const DATA: Exit = Exit(65);
/// `EX_UNAVAILABLE`: something that is needed is not there.
pub(super) const UNAVAILABLE: Exit = Exit(69);
/// `EX_SOFTWARE`: our own fault.
pub(super) const SOFTWARE: Exit = Exit(70);
/// `EX_IOERR`: a file or socket failed.
pub(super) const IO: Exit = Exit(74);
/// `EX_CONFIG`: the configuration is wrong.
pub(super) const CONFIG: Exit = Exit(78);

/// What shells report of a process that was interrupted.
pub(super) const AT_ONCE: i32 = 130;

/// A message for a person, and an exit code for a script.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    code: Exit,
}

impl Failure {
    pub(super) fn new(code: Exit, message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code }
    }

    pub(super) fn code(&self) -> Exit {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
