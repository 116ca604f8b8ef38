//! The hostile guests, as data: what each is given, how it has to end, and what it
//! may have cost by then.

use std::time::Duration;

/// One call of a guest's tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attack {
    /// The plugin: the stem of its file.
    pub(crate) plugin: &'static str,
    /// What it was written in.
    pub(crate) language: &'static str,
    /// The tool.
    pub(crate) tool: &'static str,
    /// A tool of the same plugin that echoes: whoever calls next.
    pub(crate) echo: &'static str,
    /// Its arguments, a JSON object.
    pub(crate) arguments: &'static str,
    /// The code that its caller gets; empty where the call has to succeed.
    pub(crate) code: &'static str,
    /// What the result or the error has to contain.
    pub(crate) says: &'static str,
    /// Its quota `per_call.fuel`, in millions.
    pub(crate) fuel_m: u64,
    /// Its quota `per_call.memory`, in MiB.
    pub(crate) memory_mib: u64,
    /// Its quota `per_call.deadline`.
    pub(crate) deadline: Duration,
}

impl Attack {
    /// With so much fuel that nothing burns it before its other quotas.
    const fn endless(self) -> Self {
        Self { fuel_m: 1_000_000, ..self }
    }

    /// Ended by the clock, before anybody has to wait for it.
    const fn soon(self) -> Self {
        Self { deadline: Duration::from_millis(300), ..self }
    }
}

/// A program in Rust. What most attacks run with is a meter that ends every loop soon,
/// and a clock that ends nothing before it, however busy the machine is.
const fn rust(
    plugin: &'static str,
    tool: &'static str,
    arguments: &'static str,
    code: &'static str,
    says: &'static str,
) -> Attack {
    Attack {
        plugin,
        language: "Rust",
        tool,
        echo: "echo",
        arguments,
        code,
        says,
        fuel_m: 100,
        memory_mib: 64,
        deadline: Duration::from_secs(60),
    }
}

/// A tool of `python/app.py`. An interpreter burns more fuel for the same attack.
const fn py(
    tool: &'static str,
    arguments: &'static str,
    code: &'static str,
    says: &'static str,
) -> Attack {
    let attack = rust("attacks_py", tool, arguments, code, says);
    Attack { language: "Python", echo: "py_echo", fuel_m: 500, ..attack }
}

/// A tool of `javascript/app.js`.
const fn js(
    tool: &'static str,
    arguments: &'static str,
    code: &'static str,
    says: &'static str,
) -> Attack {
    let attack = rust("attacks_js", tool, arguments, code, says);
    Attack { language: "JavaScript", echo: "js_echo", fuel_m: 500, ..attack }
}

/// No arguments.
const NONE: &str = "{}";
/// What `echo` is given.
pub(crate) const HELLO: &str = r#"{"message":"hello"}"#;

// How a call ends.
const OK: &str = "";
const FUEL: &str = "FUEL_EXHAUSTED";
const MEMORY: &str = "MEMORY_EXCEEDED";
const DEADLINE: &str = "DEADLINE_EXCEEDED";
const CRASH: &str = "TOOL_CRASHED";
const LARGE: &str = "OUTPUT_TOO_LARGE";
const REJECTED: &str = "OUTPUT_REJECTED";
const ERROR: &str = "TOOL_ERROR";

/// Every attack, in the order of the table.
#[rustfmt::skip]
pub(crate) const ATTACKS: &[Attack] = &[
    rust("recursion", "recursion", r#"{"depth":90}"#, FUEL, "per_call.fuel"),
    rust("spin", "spin", NONE, DEADLINE, "per_call.deadline").endless().soon(),
    rust("slow", "slow", r#"{"ms":3600000}"#, DEADLINE, "per_call.deadline").soon(),
    rust("drip", "drip", NONE, DEADLINE, "per_call.deadline").soon(),
    rust("deep", "deep", r#"{"depth":4294967295,"arrays":false}"#, CRASH, ""),
    rust("deep", "deep", r#"{"depth":4294967295,"arrays":true}"#, CRASH, ""),
    rust("panics", "panics", NONE, CRASH, ""),
    rust("exits", "exits", r#"{"status":0}"#, CRASH, ""),
    rust("after_return", "after_return", r#"{"then":"log"}"#, CRASH, ""),
    rust("after_return", "after_return", r#"{"then":"crash"}"#, CRASH, ""),
    rust("after_return", "after_return", r#"{"then":"spin"}"#, FUEL, ""),
    rust("forged", "forged", r#"{"how":"log-nowhere"}"#, CRASH, ""),
    rust("forged", "forged", r#"{"how":"log-wraps"}"#, CRASH, ""),
    rust("forged", "forged", r#"{"how":"result-nowhere"}"#, CRASH, ""),
    rust("forged", "forged", r#"{"how":"poll-endless"}"#, CRASH, ""),
    rust("forged", "forged", r#"{"how":"handle-forged"}"#, CRASH, ""),
    rust("forged", "forged", r#"{"how":"return-endless"}"#, CRASH, ""),
    rust("hog", "hog", NONE, MEMORY, "per_call.memory"),
    rust("growth", "growth", r#"{"step":1,"then":"crash"}"#, MEMORY, "per_call.memory"),
    rust("growth", "growth", r#"{"step":65535,"then":"crash"}"#, MEMORY, "per_call.memory"),
    rust("growth", "growth", r#"{"step":1,"then":"insist"}"#, MEMORY, "per_call.memory"),
    rust("growth", "growth", r#"{"step":1,"then":"cope"}"#, OK, "granted"),
    rust("counter", "counter", NONE, OK, r#""calls":1"#),
    rust("loud", "loud", r#"{"bytes":16777216}"#, LARGE, "per_call.max_output"),
    rust("lengthy", "crowd", r#"{"count":100000}"#, LARGE, ""),
    rust("lengthy", "excuse", r#"{"count":2097152}"#, LARGE, ""),
    rust("lengthy", "lengthy", r#"{"to":"log","bytes":33554432}"#, LARGE, ""),
    rust("lengthy", "lengthy", r#"{"to":"progress","bytes":33554432}"#, LARGE, ""),
    rust("lengthy", "lengthy", r#"{"to":"output","bytes":33554432}"#, LARGE, ""),
    rust("lengthy", "lengthy", r#"{"to":"lookup","bytes":33554432}"#, LARGE, ""),
    rust("chatty", "chatty", r#"{"lines":0,"reports":5000}"#, FUEL, "per_call.host_calls"),
    rust("chatty", "chatty", r#"{"lines":5000,"reports":0}"#, FUEL, "per_call.log_lines"),
    rust("printer", "printer", r#"{"bytes":8000}"#, FUEL, "per_call.fuel"),
    rust("printer", "zeroes", r#"{"count":1099511627776,"wait":true}"#, CRASH, ""),
    rust("nagging", "nagging", r#"{"what":"monotonic_clock"}"#, FUEL, "per_call.fuel"),
    rust("nagging", "nagging", r#"{"what":"poll"}"#, FUEL, "per_call.fuel"),
    rust("nagging", "nagging", r#"{"what":"random"}"#, FUEL, "per_call.fuel"),
    rust("nagging", "nagging", r#"{"what":"input"}"#, FUEL, "per_call.fuel"),
    rust("nagging", "nagging", r#"{"what":"socket"}"#, FUEL, "per_call.fuel"),
    rust("nagging", "nagging", r#"{"what":"lookup"}"#, FUEL, "per_call.fuel"),
    rust("nagging", "nagging", r#"{"what":"caller"}"#, FUEL, "per_call.fuel"),
    rust("dice", "dice", r#"{"bytes":1099511627776,"insecure":false}"#, FUEL, "random_bytes"),
    rust("handles", "handles", r#"{"kind":"timer"}"#, MEMORY, "handles"),
    rust("handles", "handles", r#"{"kind":"subscription"}"#, MEMORY, "handles"),
    rust("handles", "crowded_poll", r#"{"length":1000000}"#, LARGE, ""),
    rust("probe", "probe", r#"{"port":9}"#, OK, r#""reached":{}"#),
    rust("fails", "fails", r#"{"code":"FUEL_EXHAUSTED"}"#, ERROR, ""),
    rust("mismatch", "mismatch", NONE, REJECTED, ""),

    py("py_echo", HELLO, OK, "hello"),
    py("py_spin", NONE, FUEL, "per_call.fuel"),
    py("py_recurse", NONE, MEMORY, "per_call.memory").endless(),
    // Deep enough to run out of fuel before the stack ends.
    py("py_recurse_native", r#"{"depth":100000}"#, FUEL, "per_call.fuel"),
    py("py_hog_steps", NONE, MEMORY, "per_call.memory"),
    py("py_hog_huge", r#"{"mib":1024}"#, MEMORY, "per_call.memory"),
    py("py_cope", NONE, OK, "coped after some MiB"),
    py("py_throw", NONE, CRASH, ""),
    py("py_leave", NONE, OK, r#""1""#),
    py("py_sleep", r#"{"seconds":3600}"#, DEADLINE, "per_call.deadline").soon(),
    py("py_loud", r#"{"bytes":16000000}"#, LARGE, "per_call.max_output"),
    py("py_many_blocks", r#"{"blocks":20000}"#, LARGE, "per_call.max_output"),
    py("py_deep_json", r#"{"depth":100000}"#, REJECTED, ""),
    py("py_log_flood", r#"{"times":5000}"#, FUEL, "per_call.log_lines"),
    py("py_progress_flood", r#"{"times":5000}"#, FUEL, "per_call.host_calls"),
    py("py_long_log", r#"{"bytes":10000000}"#, LARGE, ""),
    py("py_long_progress", r#"{"bytes":10000000}"#, LARGE, ""),
    py("py_long_question", r#"{"bytes":10000000}"#, LARGE, ""),
    py("py_clock_flood", NONE, FUEL, "per_call.fuel"),
    py("py_random_flood", NONE, FUEL, "per_call.fuel"),
    py("py_random_huge", r#"{"bytes":2000000000}"#, MEMORY, "per_call.memory"),
    py("py_print_flood", r#"{"times":5000}"#, OK, "printed it all"),
    py("py_quit", r#"{"status":0}"#, CRASH, ""),
    py("py_quit_at_once", r#"{"status":0}"#, CRASH, ""),
    py("py_fail_as_host", NONE, ERROR, ""),
    py("py_probe", r#"{"port":9}"#, OK, r#""{}""#),

    js("js_echo", HELLO, OK, "hello"),
    js("js_spin", NONE, FUEL, "per_call.fuel"),
    js("js_recurse", NONE, CRASH, ""),
    js("js_recurse_caught", NONE, CRASH, ""),
    js("js_nest", r#"{"depth":1000000}"#, CRASH, ""),
    js("js_backtrack", NONE, FUEL, "per_call.fuel"),
    js("js_hog_steps", NONE, MEMORY, "per_call.memory"),
    js("js_hog_objects", NONE, MEMORY, "per_call.memory").endless(),
    js("js_hog_huge", r#"{"mib":1024}"#, MEMORY, "per_call.memory"),
    js("js_cope", NONE, OK, "coped after some MiB"),
    js("js_throw", NONE, CRASH, ""),
    js("js_leave", NONE, OK, "1 1 1"),
    js("js_sleep", r#"{"seconds":3600}"#, DEADLINE, "per_call.deadline").soon(),
    js("js_loud", r#"{"bytes":4000000}"#, LARGE, "per_call.max_output"),
    js("js_many_blocks", r#"{"blocks":20000}"#, LARGE, "per_call.max_output"),
    js("js_deep_json", r#"{"depth":100000}"#, REJECTED, ""),
    js("js_log_flood", r#"{"times":5000}"#, FUEL, "per_call.log_lines"),
    js("js_progress_flood", r#"{"times":5000}"#, FUEL, "per_call.host_calls"),
    js("js_long_log", r#"{"bytes":2000000}"#, LARGE, ""),
    js("js_long_progress", r#"{"bytes":2000000}"#, LARGE, ""),
    js("js_long_question", r#"{"bytes":2000000}"#, LARGE, ""),
    js("js_clock_flood", NONE, FUEL, "per_call.fuel"),
    js("js_date_flood", NONE, FUEL, "per_call.fuel"),
    js("js_random_flood", NONE, FUEL, "per_call.fuel"),
    js("js_random_huge", r#"{"bytes":2000000000}"#, FUEL, "random_bytes"),
    js("js_hoard", r#"{"handles":100000}"#, MEMORY, "handles"),
    js("js_jobs_forever", NONE, OK, "answered"),
    js("js_promise_nothing", NONE, CRASH, ""),
    js("js_half_text", NONE, CRASH, ""),
    js("js_wrong_type", NONE, CRASH, ""),
    js("js_probe", NONE, OK, r#""[]""#),
];

/// Guests that are not served, and why.
pub(crate) const REFUSED: &[(&str, &str)] = &[
    ("bad_name", "1 to 64 letters"),
    ("bad_schema", "its input schema is not a JSON Schema"),
    ("fickle_list", "it lists different tools each time it is asked"),
    ("stuck_list", "FUEL_EXHAUSTED"),
    ("trap_list", "TOOL_CRASHED"),
    ("twin_names", "it lists two tools named `twin`"),
];

/// Modules that are added to a guest, which is not served then, and why.
pub(crate) const REFUSED_MODULES: &[(&str, &str)] = &[
    ("trap_start", "TOOL_CRASHED"),
    ("stuck_start", "FUEL_EXHAUSTED"),
    ("endless_table", "MEMORY_EXCEEDED"),
    ("huge_memory", "MEMORY_EXCEEDED"),
    ("huge_table", "table"),
    ("wide_memory", "memory"),
];
