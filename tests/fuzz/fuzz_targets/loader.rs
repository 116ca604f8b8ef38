//! What a server reads of a plugin in its own process: the component's bytes, the
//! manifest in it, and the sidecar.
//!
//! The first byte of an input says which of them the rest is. A crash is a panic, an
//! abort, a broken promise that is asserted here, or an input beyond libFuzzer's limits
//! of time and memory.
//!
//! Deliberately absent: the compiler and the guest's own code. A server runs the first
//! in a process with limits, and the second in the sandbox. What the guest returns is
//! for `schemas` and `sanitizer`.

#![no_main]

use std::sync::LazyLock;

use bulkhead::config::{Ceilings, Config, Manifest, Problems, Sidecar};
use bulkhead::runtime::{LoadError, Source, embed_manifest, inspect};
use bulkhead::text::clean_line;
use libfuzzer_sys::fuzz_target;

/// As `bulkhead.toml` sets them when it is empty.
static CEILINGS: LazyLock<Ceilings> =
    LazyLock::new(|| Config::load(None, []).expect("the defaults are valid").ceilings);

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    match kind {
        b'c' => component(rest),
        b'e' => embedded(&text),
        b'm' => manifest(&text),
        _ => sidecar(&text),
    }
});

fn component(bytes: &[u8]) {
    match Source::new(bytes.to_vec()) {
        Ok(source) => {
            for name in source.inspection().ungranted() {
                line(name);
            }
            if let Some(text) = &source.inspection().manifest {
                manifest(text);
            }
            assert_eq!(source.bytes(), bytes);
        }
        Err(error) => one_sentence(&error),
    }
}

/// A manifest that is appended to a component is read as it was written.
fn embedded(text: &str) {
    let component = embed_manifest(b"\0asm\x0d\0\x01\0", text).expect("it carries none");
    let read = inspect(&component).expect("it is valid").manifest;
    assert!(text.len() > Manifest::LONGEST.as_usize() || read.as_deref() == Some(text));
    embed_manifest(&component, text).expect_err("it carries one");
    manifest(text);
}

fn manifest(text: &str) {
    match Manifest::parse("fuzzed.plugin.toml", text) {
        Ok(manifest) => {
            assert!(!manifest.version.contains(char::is_control));
            assert!(!manifest.wants.all().iter().any(|want| want.contains(char::is_control)));
        }
        Err(problems) => listed(&problems),
    }
}

fn sidecar(text: &str) {
    match Sidecar::parse("fuzzed.toml", text, &CEILINGS) {
        Ok(sidecar) => {
            assert!(sidecar.per_call.memory.is_none_or(|memory| memory <= CEILINGS.memory.most));
            assert!(sidecar.per_call.fuel.is_none_or(|fuel| fuel <= CEILINGS.fuel.most));
        }
        Err(problems) => listed(&problems),
    }
}

fn one_sentence(error: &LoadError) {
    line(&error.to_string());
}

fn listed(problems: &Problems) {
    problems.to_string().lines().for_each(line);
}

fn line(text: &str) {
    let clean = clean_line(text, 200);
    assert!(!clean.contains(char::is_control), "{clean:?}");
    assert!(clean.chars().count() <= 201);
}
