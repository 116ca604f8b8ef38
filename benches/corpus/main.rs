//! Counts how much of a corpus of good text is changed by cleaning it.
//!
//! Each file has one JSON string a line. Up to one in five thousand may be changed: in the
//! largest corpora there are doubled joiners and leftovers of editors, which nobody
//! sees. `benches/corpus/run` gets the files. With `--code` first, as for a tool that returns code.
//!
//! With `--rates TOOLS` first it only tells what was found, of attacks too: how many strings
//! are signaled, and as what; how many are changed, and how. TOOLS lists the tools that are
//! served. `benches/corpus/attacks` gets these files.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "it prints, and fails loudly")]

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;

use bulkhead::config::Output;
use bulkhead::sanitize::{OwnSecrets, Told, ToolNames, clean_string};

/// How many strings may be changed for each that is.
const AT_LEAST_KEPT: usize = 5_000;

/// How many of those that are changed are shown, and the longest of them.
const SHOWN: usize = 20;
const SHOWN_BYTES: usize = 400;

fn main() -> ExitCode {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    if let [first, tools, files @ ..] = files.as_slice()
        && first == "--rates"
    {
        let names = strings(tools).map(|name| name.parse().expect("a tool's name"));
        let names = ToolNames::of(names.collect::<Vec<_>>().iter());
        println!("| corpus | strings | bytes | signaled | as | changed | as |");
        println!("|---|--:|--:|--:|---|--:|---|");
        files.iter().for_each(|file| tell_rates(file, &names));
        return ExitCode::SUCCESS;
    }
    let code = files.first().is_some_and(|first| first == "--code");
    let rules = Output { code, ..Output::default() };
    let good: Vec<bool> =
        files.drain(usize::from(code)..).map(|file| is_kept(&file, &rules)).collect();
    assert!(!good.is_empty(), "name a file");
    if good.iter().all(|good| *good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The strings of a file, one a line.
fn strings(file: &str) -> impl Iterator<Item = String> {
    let lines = fs::read_to_string(file).expect("a file");
    let text = |line: &str| serde_json::from_str(line).expect("a JSON string a line");
    lines.lines().map(text).collect::<Vec<String>>().into_iter()
}

/// Prints a line of a table.
fn tell_rates(file: &str, names: &ToolNames) {
    let (rules, secrets) = (Output::default(), OwnSecrets::default());
    let (mut all, mut bytes, mut signaled, mut changed) = (0, 0, 0, 0);
    let (mut signals, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    for text in strings(file) {
        let mut told = Told::default();
        clean_string(&text, &rules, &secrets, names, &mut told);
        let found = told.signals.found();
        found.iter().for_each(|signal| *signals.entry(signal.as_str()).or_insert(0) += 1);
        let what = told.changes.named().into_iter().filter(|(_, count)| *count > 0);
        what.for_each(|(kind, _)| *kinds.entry(kind).or_insert(0) += 1);
        all += 1;
        bytes += text.len();
        signaled += usize::from(!found.is_empty());
        changed += usize::from(!told.changes.is_nothing());
    }
    let share = |count: usize| format!("{count}, {:.2} %", 100.0 * count as f64 / all as f64);
    let (signaled, changed) = (share(signaled), share(changed));
    println!("| {file} | {all} | {bytes} | {signaled} | {signals:?} | {changed} | {kinds:?} |");
}

fn is_kept(file: &str, rules: &Output) -> bool {
    let (secrets, names) = (OwnSecrets::default(), ToolNames::default());
    let (mut all, mut bytes, mut changed, mut signals) = (0, 0, 0, 0);
    let mut kinds = BTreeMap::new();
    for text in strings(file) {
        let mut told = Told::default();
        let clean = clean_string(&text, rules, &secrets, &names, &mut told);
        if clean != text {
            changed += 1;
            let what = told.changes.named().into_iter().filter(|(_, count)| *count > 0);
            let what: Vec<&str> = what.map(|(kind, _)| kind).collect();
            what.iter().for_each(|kind| *kinds.entry(*kind).or_insert(0) += 1);
            if changed <= SHOWN && text.len() < SHOWN_BYTES {
                println!("  {}: {}", what.join(", "), text.escape_default());
            }
        }
        all += 1;
        bytes += text.len();
        signals += usize::from(!told.signals.found().is_empty());
    }
    println!(
        "{file}: {all} strings, {bytes} bytes; {changed} changed {kinds:?}, {signals} signaled"
    );
    all > 0 && changed * AT_LEAST_KEPT <= all
}
