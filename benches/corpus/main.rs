//! Counts how much of a corpus of good text is changed by cleaning it.
//!
//! Each file has one JSON string a line. Up to one in five thousand may be changed: in the
//! largest corpora there are are doubled joiners and leftovers of editors, which nobody
//! sees. `benches/corpus/run` gets the files. With `--code` first, as for a tool that returns code.

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
    let code = files.first().is_some_and(|first| first == "--code");
    let rules = Output { code, ..Output::default() };
    let good: Vec<bool> =
        files.drain(usize::from(code)..).map(|file| is_kept(&file, &rules)).collect();
    assert!(!good.is_empty(), "name a file");
    if good.iter().all(|good| *good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn is_kept(file: &str, rules: &Output) -> bool {
    let (secrets, names) = (OwnSecrets::default(), ToolNames::default());
    let lines = fs::read_to_string(file).expect("a file");
    let (mut strings, mut bytes, mut changed, mut signals) = (0, 0, 0, 0);
    let mut kinds = BTreeMap::new();
    for line in lines.lines() {
        let text: String = serde_json::from_str(line).expect("a JSON string a line");
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
        strings += 1;
        bytes += text.len();
        signals += usize::from(!told.signals.found().is_empty());
    }
    println!(
        "{file}: {strings} strings, {bytes} bytes; {changed} changed {kinds:?}, {signals} signaled"
    );
    strings > 0 && changed * AT_LEAST_KEPT <= strings
}
