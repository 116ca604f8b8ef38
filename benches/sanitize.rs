//! What cleaning a text costs, in CPU time: a result as tools return them, text of the
//! world of any size, and text that is made to be slow.
//!
//! `cargo run --release -p benches --bin sanitize`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for its authors")]

use std::borrow::Cow;
use std::hint::black_box;
use std::process::ExitCode;

use bulkhead::config::Output;
use bulkhead::sanitize::{OwnSecrets, Told, ToolNames, clean_string};
use rustix::time::{ClockId, clock_gettime};

fn main() -> ExitCode {
    let names: Vec<_> = ["get_record", "search_records", "delete_record", "count_words"]
        .iter()
        .map(|name| name.parse().unwrap())
        .collect();
    let with = With {
        rules: Output::default(),
        secrets: OwnSecrets::default(),
        names: ToolNames::of(names.iter()),
    };
    println!("{:<34} {:>9} {:>12} {:>9}  copied", "text", "bytes", "ns", "GB/s");
    let record = "The customer asked for the report of March; it’s ready — see “Q1”.\n";
    with.time("a result of 1 KB", &record.repeat(15));
    for (what, text) in [
        ("English", record),
        ("code", "fn main() { println!(\"hello, {}\", name); } // a comment\r\n"),
        ("German", "Größe und Maß: die Straße führt über Brücken, täglich geöffnet.\n"),
        ("Japanese", "日本語の文章をここに書きます。カタカナと漢字が混ざっています。\n"),
        ("Russian", "Съешь ещё этих мягких французских булок, да выпей чаю.\n"),
        ("Persian, with joiners", "می\u{200c}خواهم کتاب\u{200c}ها را به خانه ببرم.\n"),
        ("Hindi, with joiners", "क्\u{200d}या आप हिन्दी बोलते हैं? नमस्ते दुनिया।\n"),
        ("emoji", "Hello 👩\u{200d}👩\u{200d}👧 ❤\u{fe0f} world ok\n"),
    ] {
        with.time(what, &text.repeat(1_000_000 / text.len()));
    }
    let mut is_linear = true;
    for (what, part) in [
        ("hidden characters", "a\u{200b}"),
        ("escapes", "\u{1b}["),
        ("unfinished escapes", "\u{1b}]x"),
        ("bidirectional openers", "\u{2067}\u{202b}"),
        ("tokens of templates", "<|a|>"),
        ("bars without an end", "<|aaaaaaaaaaaaaaaa"),
        ("links", "](http://a"),
        ("tags without an end", "<img "),
        ("private keys without an end", "-----BEGIN PRIVATE KEY-----"),
        ("the beginnings of secrets", "sk-eyJ"),
        ("what seems to instruct", "ignore all "),
        ("names of tools", "get_record "),
    ] {
        let times = [10_000, 80_000].map(|bytes| with.measured(&part.repeat(bytes / part.len())));
        let [small, large] = times;
        let ratio = large / small;
        // Eight times as much; 64 would be quadratic.
        is_linear &= ratio < 20.0;
        println!("{what:<34} 10 KB {small:>10.0} ns, 80 KB {large:>10.0} ns: {ratio:.1} times");
    }
    if is_linear { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct With {
    rules: Output,
    secrets: OwnSecrets,
    names: ToolNames,
}

impl With {
    fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        clean_string(text, &self.rules, &self.secrets, &self.names, &mut Told::default())
    }

    fn time(&self, what: &str, text: &str) {
        let ns = self.measured(text);
        let bytes = text.len();
        let copied = matches!(self.clean(text), Cow::Owned(_));
        println!("{what:<34} {bytes:>9} {ns:>12.0} {:>9.2}  {copied}", bytes as f64 / ns);
    }

    /// CPU time of one, the least of nine rounds, in nanoseconds.
    fn measured(&self, text: &str) -> f64 {
        let times = (2_000_000 / text.len().max(1)).clamp(1, 2_000);
        let round = || {
            let begun = cpu();
            for _ in 0..times {
                black_box(self.clean(black_box(text)));
            }
            (cpu() - begun) / times as f64
        };
        (0..9).map(|_| round()).fold(f64::MAX, f64::min)
    }
}

fn cpu() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}
