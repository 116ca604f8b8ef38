//! Goes on after its answer: in the function that frees what it returned.

use std::sync::atomic::{AtomicU32, Ordering};

use guests::bindings::exports::bulkhead::plugin::tools;
use guests::{Error, Guest, Outcome, Tool, tool};

#[link(wasm_import_module = "bulkhead:plugin/call@0.1.0")]
unsafe extern "C" {
    #[link_name = "log"]
    fn log(level: i32, message: *const u8, length: usize);
}

/// What to do after the answer.
static THEN: AtomicU32 = AtomicU32::new(NOTHING);
const NOTHING: u32 = 0;
const LOG: u32 = 1;
const CRASH: u32 = 2;
const SPIN: u32 = 3;

struct Plugin;

impl Guest for Plugin {
    fn list_tools() -> Vec<Tool> {
        vec![tool("after_return")]
    }

    fn call_tool(_: String, arguments: String) -> Result<Outcome, Error> {
        let then = ["nothing", "log", "crash", "spin"];
        let asked = then.iter().position(|then| arguments.contains(then));
        THEN.store(asked.unwrap_or_default() as u32, Ordering::Relaxed);
        Ok(guests::text("answered"))
    }
}

#[unsafe(export_name = "bulkhead:plugin/tools@0.1.0#list-tools")]
unsafe extern "C" fn list_tools() -> *mut u8 {
    // SAFETY: it is what the bindings would export.
    unsafe { tools::_export_list_tools_cabi::<Plugin>() }
}

#[unsafe(export_name = "bulkhead:plugin/tools@0.1.0#call-tool")]
unsafe extern "C" fn call_tool(
    name: *mut u8,
    length: usize,
    text: *mut u8,
    bytes: usize,
) -> *mut u8 {
    // SAFETY: it is what the bindings would export.
    unsafe { tools::_export_call_tool_cabi::<Plugin>(name, length, text, bytes) }
}

#[unsafe(export_name = "cabi_post_bulkhead:plugin/tools@0.1.0#call-tool")]
unsafe extern "C" fn after(_: *mut u8) {
    match THEN.load(Ordering::Relaxed) {
        // SAFETY: the text is static.
        LOG => unsafe { log(4, c"said after the answer".as_ptr().cast(), 21) },
        CRASH => core::arch::wasm32::unreachable(),
        SPIN => while THEN.load(Ordering::Relaxed) == SPIN {},
        _ => {}
    }
}
