//! Lies about its own memory: hands its host pointers and lengths that no compiler
//! would write.

use guests::bindings::exports::bulkhead::plugin::tools;
use guests::{Error, Guest, Outcome, Tool, tool};

// `bulkhead:plugin/call`, as it is lowered.
#[link(wasm_import_module = "bulkhead:plugin/call@0.1.0")]
unsafe extern "C" {
    #[link_name = "log"]
    fn log(level: i32, message: usize, length: usize);
    #[link_name = "can-ask"]
    fn can_ask(method: usize, length: usize) -> i32;
    #[link_name = "agent"]
    fn agent(result: usize);
}

// A pollable, as it is lowered.
#[link(wasm_import_module = "wasi:io/poll@0.2.12")]
unsafe extern "C" {
    #[link_name = "poll"]
    fn poll(list: usize, length: usize, result: usize);
    #[link_name = "[method]pollable.ready"]
    fn ready(handle: i32) -> i32;
    #[link_name = "[resource-drop]pollable"]
    fn drop_pollable(handle: i32);
}

struct Plugin;

impl Guest for Plugin {
    fn list_tools() -> Vec<Tool> {
        vec![tool("forged")]
    }

    fn call_tool(_: String, _: String) -> Result<Outcome, Error> {
        Ok(guests::text("honest"))
    }
}

/// Past the end of every memory that a quota allows.
const NOWHERE: usize = 0xffff_0000;

/// `result<outcome, error>` as it is lowered: `ok(done(output))`, and the list of its
/// blocks.
#[repr(C, align(8))]
struct Returned {
    ok: u32,
    _padding: u32,
    done: u32,
    blocks: usize,
    length: usize,
    rest: [u32; 20],
}

static mut RETURNED: Returned =
    Returned { ok: 0, _padding: 0, done: 0, blocks: 0, length: 0, rest: [0; 20] };

#[unsafe(export_name = "bulkhead:plugin/tools@0.1.0#list-tools")]
unsafe extern "C" fn list_tools() -> *mut u8 {
    // SAFETY: it is what the bindings would export.
    unsafe { tools::_export_list_tools_cabi::<Plugin>() }
}

#[unsafe(export_name = "bulkhead:plugin/tools@0.1.0#call-tool")]
unsafe extern "C" fn call_tool(
    name: *mut u8,
    name_length: usize,
    arguments: *mut u8,
    length: usize,
) -> *mut u8 {
    // SAFETY: the host wrote the arguments there. Everything after that is unsound, and
    // meant to be: it can only hurt this instance.
    unsafe {
        let text = std::slice::from_raw_parts(arguments, length).to_owned();
        let how = String::from_utf8_lossy(&text).into_owned();
        let asks = |what: &str| how.contains(what);
        if asks("log-nowhere") {
            log(0, NOWHERE, 16);
        } else if asks("log-wraps") {
            log(0, 16, usize::MAX);
        } else if asks("log-level") {
            log(99, arguments as usize, 1);
        } else if asks("log-bytes") {
            static NOT_UTF8: [u8; 4] = [0xff, 0xfe, 0xc0, 0x80];
            log(0, (&raw const NOT_UTF8) as usize, 4);
        } else if asks("ask-nowhere") {
            can_ask(NOWHERE, 1);
        } else if asks("result-nowhere") {
            agent(NOWHERE);
        } else if asks("result-crooked") {
            agent(arguments as usize | 1);
        } else if asks("poll-endless") {
            poll(16, 0x3fff_ffff, 16);
        } else if asks("poll-nothing") {
            poll(16, 0, 16);
        } else if asks("handle-forged") {
            ready(4_711);
        } else if asks("drop-forged") {
            drop_pollable(4_711);
        } else if asks("return-nowhere") {
            return NOWHERE as *mut u8;
        } else if asks("return-endless") {
            RETURNED.blocks = 16;
            RETURNED.length = 0x0fff_ffff;
            return (&raw mut RETURNED).cast();
        } else if asks("return-many") {
            // Fits into memory, so that only what it costs the host can end it.
            RETURNED.blocks = 0;
            RETURNED.length = 5_000;
            return (&raw mut RETURNED).cast();
        } else if asks("return-case") {
            RETURNED.ok = 7;
            return (&raw mut RETURNED).cast();
        }
        tools::_export_call_tool_cabi::<Plugin>(name, name_length, arguments, length)
    }
}
