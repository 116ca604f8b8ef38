//! Lies about its own memory: hands its host pointers and lengths that no compiler
//! would write.

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

/// Past the end of every memory that a quota allows.
const NOWHERE: usize = 0xffff_0000;

struct Plugin;

impl Guest for Plugin {
    fn list_tools() -> Vec<Tool> {
        vec![tool("forged")]
    }

    fn call_tool(_: String, arguments: String) -> Result<Outcome, Error> {
        let here = arguments.as_ptr() as usize;
        let asks = |what: &str| arguments.contains(what);
        // SAFETY: there is none, which is what this guest is for: it can only hurt its
        // own instance.
        unsafe {
            if asks("log-nowhere") {
                log(0, NOWHERE, 16);
            } else if asks("log-wraps") {
                log(0, 16, usize::MAX);
            } else if asks("log-level") {
                log(99, here, 1);
            } else if asks("log-bytes") {
                log(0, [0xff_u8, 0xfe, 0xc0, 0x80].as_ptr() as usize, 4);
            } else if asks("ask-nowhere") {
                can_ask(NOWHERE, 1);
            } else if asks("result-nowhere") {
                agent(NOWHERE);
            } else if asks("result-crooked") {
                agent(here | 1);
            } else if asks("poll-endless") {
                poll(16, 0x3fff_ffff, here);
            } else if asks("poll-nothing") {
                poll(16, 0, here & !3);
            } else if asks("handle-forged") {
                ready(4_711);
            } else if asks("drop-forged") {
                drop_pollable(4_711);
            } else if asks("return-nowhere") {
                return Ok(guests::text(forged_text(NOWHERE, 16)));
            } else if asks("return-endless") {
                return Ok(guests::text(forged_text(here, 0x7fff_ffff)));
            } else if asks("return-bytes") {
                return Ok(guests::text(String::from_utf8_unchecked(vec![0xff; 16])));
            }
        }
        Ok(guests::text("honest"))
    }
}

/// A text that is not there.
unsafe fn forged_text(at: usize, length: usize) -> String {
    // SAFETY: see the caller.
    unsafe { String::from_raw_parts(at as *mut u8, length, length) }
}

guests::bindings::export!(Plugin with_types_in guests::bindings);
