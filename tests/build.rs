//! Lists the guests, so that one without a test does not compile.

#![allow(clippy::expect_used, reason = "a build that cannot look at its guests has to end")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Where guests are, and how their files end: programs, and modules that are added to
/// a program.
const GUESTS: [(&str, &str); 2] = [("guests/examples", "rs"), ("guests/modules", "wat")];

fn main() {
    let mut guests: Vec<PathBuf> = GUESTS.iter().flat_map(|(dir, end)| files(dir, end)).collect();
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

fn files(dir: &str, end: &str) -> Vec<PathBuf> {
    println!("cargo::rerun-if-changed={dir}");
    let listing = std::fs::read_dir(dir).expect("the guests are beside this script");
    let paths = listing.map(|entry| entry.expect("it can be listed").path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == end)).collect()
}
