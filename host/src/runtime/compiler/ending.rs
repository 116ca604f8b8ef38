//! How a compiler ended, and what that says to its plugin's operator.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::Signal;

use super::child::MAX_FILE;
use crate::config;

/// `EX_DATAERR`: the component does not compile.
pub(super) const INVALID: u8 = 65;
/// `EX_OSERR`: there is not enough memory.
pub(super) const MEMORY: u8 = 71;
/// `EX_IOERR`: the code cannot be kept.
pub(super) const CACHE: u8 = 74;
/// `EX_UNAVAILABLE`: the process could not begin.
pub(super) const SYSTEM: u8 = 69;

/// What Rust, or the compiler's own containers, say before a process ends that gets no
/// more memory: the first by an abort, the second by a panic, or by both.
const NO_MEMORY: [&str; 2] = ["memory allocation of ", "out of memory"];

/// What a panic of Rust's exits with.
const PANICKED: i32 = 101;

/// How a compiler ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// By itself, or by a signal.
    Ended { status: ExitStatus, said: String },
    /// By us, at the end of its time.
    TooLate,
}

impl Ending {
    /// Whether there is code; if not, why, as a sentence that completes "PLUGIN was not
    /// loaded: ".
    pub(super) fn judge(&self, limits: &config::Compiler) -> Result<(), String> {
        let config::Compiler { cpu, memory, timeout } = limits;
        let out_of_memory = || {
            Err(format!("it took the compiler more than {memory} of memory (`compiler.memory`)"))
        };
        let (status, said) = match self {
            Self::TooLate => {
                return Err(format!(
                    "it took the compiler longer than {timeout:?} (`compiler.timeout`)"
                ));
            }
            Self::Ended { status, said } => (status, one_line(said)),
        };
        let said = said.trim();
        let signal = status.signal();
        if signal == Some(Signal::XCPU.as_raw()) {
            return Err(format!(
                "it took the compiler more than {cpu:?} of CPU time (`compiler.cpu`)"
            ));
        }
        if signal == Some(Signal::XFSZ.as_raw()) {
            return Err(format!("its compiled code is larger than {MAX_FILE}"));
        }
        let broke = signal == Some(Signal::ABORT.as_raw()) || status.code() == Some(PANICKED);
        if broke && NO_MEMORY.iter().any(|sign| said.contains(sign)) {
            return out_of_memory();
        }
        match status.code().map(u8::try_from) {
            Some(Ok(0)) => Ok(()),
            Some(Ok(INVALID)) => Err(format!("it does not compile: {said}")),
            Some(Ok(MEMORY)) => out_of_memory(),
            Some(Ok(CACHE)) => Err(format!("its compiled code cannot be kept: {said}")),
            _ => Err(format!("the compiler failed ({status}): {said}")),
        }
    }
}

/// What a compiler said, which quotes the component, as one line of a log.
fn one_line(said: &str) -> String {
    said.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::names::ByteCount;

    const LIMITS: config::Compiler = config::Compiler {
        cpu: Duration::from_secs(1),
        memory: ByteCount(64 << 20),
        timeout: Duration::from_millis(1_500),
    };

    fn exited(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    fn killed(signal: Signal) -> ExitStatus {
        ExitStatus::from_raw(signal.as_raw())
    }

    #[test]
    fn each_ending_says_what_to_change() {
        let oom = "memory allocation of 4096 bytes failed\n";
        let memory = Err("it took the compiler more than 64MiB of memory (`compiler.memory`)");
        let cases = [
            (exited(0), "", Ok(())),
            (exited(65), "unknown import\n", Err("it does not compile: unknown import")),
            (
                exited(65),
                "`a\nINFO b is served\u{1b}[m` is no name\n",
                Err("it does not compile: `a INFO b is served [m` is no name"),
            ),
            (exited(71), "not enough memory", memory),
            (killed(Signal::ABORT), oom, memory),
            (killed(Signal::ABORT), "panicked at map.rs: out of memory (524320 bytes)", memory),
            (exited(101), "panicked at map.rs: out of memory (524320 bytes)", memory),
            (
                exited(74),
                "/c cannot be written",
                Err("its compiled code cannot be kept: /c cannot be written"),
            ),
            (
                killed(Signal::XCPU),
                "",
                Err("it took the compiler more than 1s of CPU time (`compiler.cpu`)"),
            ),
            (killed(Signal::XFSZ), "", Err("its compiled code is larger than 256MiB")),
            (
                killed(Signal::ABORT),
                "thread 'main' has overflowed its stack",
                Err(
                    "the compiler failed (signal: 6 (SIGABRT)): thread 'main' has overflowed its stack",
                ),
            ),
            // A message of the component's own, and no abort, is no lack of memory.
            (exited(65), oom, Err("it does not compile: memory allocation of 4096 bytes failed")),
            (killed(Signal::KILL), "", Err("the compiler failed (signal: 9 (SIGKILL)): ")),
            (exited(69), "EOF", Err("the compiler failed (exit status: 69): EOF")),
            (exited(101), "panicked", Err("the compiler failed (exit status: 101): panicked")),
        ];
        for (status, said, expected) in cases {
            let ending = Ending::Ended { status, said: said.to_owned() };
            assert_eq!(ending.judge(&LIMITS), expected.map_err(str::to_owned), "{status}");
        }
        let late = Err("it took the compiler longer than 1.5s (`compiler.timeout`)".to_owned());
        assert_eq!(Ending::TooLate.judge(&LIMITS), late);
    }
}
