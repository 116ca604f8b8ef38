//! Goes on after its answer: while what it returned is freed, it runs once more.

use std::alloc::{GlobalAlloc, Layout, System};

use guests::{Error, Guest, Outcome, Tool, tool};

#[link(wasm_import_module = "bulkhead:plugin/call@0.1.0")]
unsafe extern "C" {
    #[link_name = "log"]
    fn log(level: i32, message: *const u8, length: usize);
}

/// Answers of these lengths do something when they are freed.
const LOG: usize = 4_001;
const CRASH: usize = 4_002;
const SPIN: usize = 4_003;
const NOTHING: usize = 4_004;

struct Plugin;

impl Guest for Plugin {
    fn list_tools() -> Vec<Tool> {
        vec![tool("after_return")]
    }

    fn call_tool(_: String, arguments: String) -> Result<Outcome, Error> {
        let then = [("log", LOG), ("crash", CRASH), ("spin", SPIN)];
        let asked = then.into_iter().find(|(then, _)| arguments.contains(then));
        Ok(guests::text("x".repeat(asked.map_or(NOTHING, |(_, length)| length))))
    }
}

/// An allocator that is asked to free an answer, and has other plans.
struct Free;

// SAFETY: memory is the system's; the rest only hurts this instance.
unsafe impl GlobalAlloc for Free {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        match layout.size() {
            // SAFETY: the text is static.
            LOG => unsafe { log(4, c"said after the answer".as_ptr().cast(), 21) },
            CRASH => std::process::abort(),
            SPIN => loop {
                std::hint::black_box(memory);
            },
            // SAFETY: as the caller promised.
            _ => unsafe { System.dealloc(memory, layout) },
        }
    }
}

#[global_allocator]
static FREE: Free = Free;

guests::bindings::export!(Plugin with_types_in guests::bindings);
