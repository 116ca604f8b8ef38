//! A WASI command that ends in every way that a program can.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command prints")]

use std::io::{Read, Write};

use bulkhead_sdk::prelude::json;

fn main() {
    let mut args = std::env::args();
    let program = args.next().unwrap_or_default();
    let what = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let mut stdout = std::io::stdout();
    match what.as_str() {
        "tell" => {
            let mut input = String::new();
            let _ = std::io::stdin().read_to_string(&mut input);
            let variables = std::env::vars().count();
            let files = std::fs::read_dir("/").map_or(0, Iterator::count);
            let told = json!({
                "program": program, "args": rest, "input": input, "variables": variables, "files": files,
            });
            println!("{told}");
        }
        "nothing" => {}
        "silent" => std::process::exit(1),
        "prose" => {
            eprintln!("wc: no such option\nusage: wc FILE");
            // WASI 0.2 knows only that it is not 0.
            std::process::exit(2);
        }
        "error" => {
            eprintln!(
                "a note\n{{\"code\":\"EMPTY_TEXT\",\"message\":\"No words.\",\"retryable\":true,\"retryAfterMs\":1500,\"details\":{{\"n\":3}}}}"
            );
            std::process::exit(1);
        }
        // Contradicts itself: not worth a retry, after a wait.
        "contradiction" => {
            eprintln!(
                "{{\"code\":\"GONE\",\"message\":\"x\",\"retryable\":false,\"retryAfterMs\":1500}}"
            );
            std::process::exit(1);
        }
        "not_utf8" => {
            let _ = stdout.write_all(b"caf\xe9");
        }
        "megabytes" => {
            for _ in 0..4_096 {
                let _ = stdout.write_all(&[b'x'; 1 << 10]);
            }
        }
        "at_once" => {
            let _ = stdout.write_all(&vec![b'x'; 1 << 20]);
        }
        "reads_at_once" => {
            let mut buffer = vec![0; 1 << 20];
            let read = std::io::stdin().read(&mut buffer).unwrap_or_default();
            println!("read {read} bytes");
        }
        "status_255" => {
            eprintln!("{{\"code\":\"TOO_COLD\",\"message\":\"Not below 0.\"}}");
            std::process::exit(255);
        }
        "noise" => {
            for _ in 0..4_096 {
                eprint!("{}", "y".repeat(1 << 10));
            }
            eprintln!("\n{{\"code\":\"NOISY\",\"message\":\"After four megabytes.\"}}");
            std::process::exit(1);
        }
        "fork" => {
            let started = std::process::Command::new("/bin/sh").arg("-c").arg("true").spawn();
            println!("{}", if started.is_ok() { "a process" } else { "no process" });
        }
        "forever" => loop {
            let _ = std::io::stdin().read(&mut [0]);
        },
        _ => unreachable!("as asked"),
    }
}
