//! Where a guest was when it failed: the functions on its stack, for the operator.
//!
//! A name comes from the component, and is a stranger's text: it is cut, and what is not
//! plain ASCII is replaced. The engine prints its own backtraces with the names of C++
//! demangled, which takes a memory that a name decides; so none is ever printed.

use std::fmt::{self, Write};
use std::num::NonZeroUsize;

use wasmtime::{FrameInfo, WasmBacktrace};

/// How many frames are kept, the innermost first. A Rust panic's own are ten.
pub(super) const MAX_FRAMES: NonZeroUsize = NonZeroUsize::new(32).unwrap();

/// How much of a function's name is kept, in characters.
const MAX_NAME_CHARS: usize = 120;

/// The longest name that is demangled, in bytes: what nobody mangled is short, too.
const MAX_MANGLED_BYTES: usize = 1_024;

/// How the engine begins a backtrace.
const HEADING: &str = "error while executing at wasm backtrace";

/// The functions on the guest's stack when it failed, the innermost first; none where it
/// did not run.
pub(super) fn frames(error: &wasmtime::Error) -> Vec<String> {
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    backtrace.map_or_else(Vec::new, |trace| trace.frames().iter().map(named).collect())
}

/// What the engine says of an error, cause by cause, without the backtrace.
pub(super) fn causes(error: &wasmtime::Error) -> impl Iterator<Item = String> {
    error.chain().filter_map(|cause| {
        let mut text = UnlessBacktrace(String::new());
        write!(text, "{cause}").ok().map(|()| text.0)
    })
}

/// Text that refuses to become a backtrace, at its first words.
struct UnlessBacktrace(String);

impl Write for UnlessBacktrace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(text);
        if self.0.starts_with(HEADING) { Err(fmt::Error) } else { Ok(()) }
    }
}

fn named(frame: &FrameInfo) -> String {
    match frame.func_name() {
        Some(name) => readable(name),
        None => format!("function {}", frame.func_index()),
    }
}

/// A function's name as its author wrote it.
fn readable(name: &str) -> String {
    let mut short = Short(String::new());
    let demangled = (name.len() <= MAX_MANGLED_BYTES).then(|| rustc_demangle::try_demangle(name));
    // An error only says that there is more than is kept.
    let _ = match demangled {
        Some(Ok(demangled)) => write!(short, "{demangled:#}"),
        Some(Err(_)) | None => short.write_str(name),
    };
    short.0
}

/// A text that ends where no more is kept.
struct Short(String);

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            // One character is one byte here.
            if self.0.len() == MAX_NAME_CHARS {
                return Err(fmt::Error);
            }
            self.0.push(if c.is_ascii_graphic() || c == ' ' { c } else { '?' });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::{Engine, Instance, Module, Store};

    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        for (name, readable_as) in [
            ("plain", "plain"),
            ("_ZN7records13delete_record17h0123456789abcdefE", "records::delete_record"),
            ("_RNvC7mycrate3foo", "mycrate::foo"),
            ("_Znot mangled", "_Znot mangled"),
            ("a\u{1b}[31m\nb\u{202e}", "a?[31m?b?"),
        ] {
            assert_eq!(readable(name), readable_as);
        }
        assert_eq!(readable(&"x".repeat(5_000)), "x".repeat(MAX_NAME_CHARS));
    }

    fn trap(text: &str) -> wasmtime::Error {
        let mut config = wasmtime::Config::new();
        config.wasm_backtrace_max_frames(Some(MAX_FRAMES)).generate_address_map(false);
        let engine = Engine::new(&config).unwrap();
        let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let run = instance.get_typed_func::<(), ()>(&mut store, "run").unwrap();
        run.call(&mut store, ()).unwrap_err()
    }

    #[test]
    fn a_trap_names_its_functions_and_says_nothing_of_them_itself() {
        let error = trap(
            r#"(module (func $outer (export "run") call $inner)
                (func $inner call 2) (func unreachable))"#,
        );
        assert_eq!(frames(&error), ["function 2", "inner", "outer"]);
        let said: Vec<String> = causes(&error).collect();
        assert_eq!(said, ["wasm trap: wasm `unreachable` instruction executed"]);
    }

    #[test]
    fn no_more_frames_are_kept_than_may_be() {
        let error = trap(r#"(module (func $again (export "run") call $again))"#);
        assert_eq!(frames(&error), vec!["again"; MAX_FRAMES.get()]);
        assert!(frames(&wasmtime::Error::msg("it never ran")).is_empty());
    }
}
