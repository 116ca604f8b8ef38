//! Lists the guests, so that one without a test does not compile.

#![allow(clippy::expect_used, reason = "a build that cannot look at its guests has to end")]

use std::fmt::Write;
use std::path::Path;

const GUESTS: &str = "guests/examples";

fn main() {
    println!("cargo::rerun-if-changed={GUESTS}");
    let sources = std::fs::read_dir(GUESTS).expect("the guests are beside this script");
    let sources = sources.map(|source| source.expect("it can be listed").path());
    let mut guests: Vec<_> =
        sources.filter(|path| path.extension().is_some_and(|end| end == "rs")).collect();
    guests.sort();
    let mut code =
        String::from("/// One test for each guest, by its name.\nconst _: &[fn()] = &[\n");
    for guest in guests {
        let name = guest.file_stem().expect("it has an ending").to_string_lossy();
        writeln!(code, "    self::{name},").expect("a string can be written to");
    }
    code.push_str("];\n");
    let out = std::env::var_os("OUT_DIR").expect("cargo says where");
    std::fs::write(Path::new(&out).join("guests.rs"), code).expect("it can be written");
}
