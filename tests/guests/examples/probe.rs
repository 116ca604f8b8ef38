//! Looks for a way out: everything that a program can reach without asking.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use bulkhead_sdk::prelude::*;
use serde::{Deserialize, Serialize};

plugin!(probe);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Target {
    /// A port on loopback where somebody listens.
    port: u16,
}

#[derive(Serialize, JsonSchema)]
struct Findings {
    /// What led somewhere, and where.
    reached: BTreeMap<&'static str, String>,
    /// How many doors were tried.
    tried: usize,
}

/// Tries every door, and says which of them opened.
#[tool(read_only)]
fn probe(args: Target) -> Findings {
    let loopback = ("127.0.0.1", args.port);
    let attempts: [(&str, Option<String>); 15] = [
        ("environment", some(std::env::vars().map(|(name, _)| name).collect())),
        ("arguments", some(std::env::args().collect())),
        ("input", input()),
        ("working folder", some(list("."))),
        ("root folder", some(list("/"))),
        ("a file", opened(fs::read("/etc/passwd"))),
        ("a file above", opened(fs::read("../../../../etc/passwd"))),
        ("a device", opened(fs::read("/dev/urandom"))),
        ("a new file", opened(fs::write("/tmp/escaped", "x"))),
        ("a new folder", opened(fs::create_dir("/tmp/escaped.d"))),
        ("connecting", opened(TcpStream::connect(loopback))),
        ("listening", opened(TcpListener::bind(("127.0.0.1", 0)))),
        (
            "sending",
            opened(UdpSocket::bind(("127.0.0.1", 0)).and_then(|udp| udp.send_to(b"x", loopback))),
        ),
        ("resolving localhost", opened("localhost:80".to_socket_addrs().map(Vec::from_iter))),
        ("resolving a name", opened("example.com:80".to_socket_addrs().map(Vec::from_iter))),
    ];
    let tried = attempts.len();
    let reached = attempts.into_iter().filter_map(|(door, what)| Some((door, what?))).collect();
    Findings { reached, tried }
}

fn some(found: Vec<String>) -> Option<String> {
    (!found.is_empty()).then(|| found.join(" "))
}

fn opened<T: std::fmt::Debug>(result: io::Result<T>) -> Option<String> {
    result.ok().map(|what| format!("{what:?}"))
}

fn list(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

fn input() -> Option<String> {
    let mut input = String::new();
    let _ = io::stdin().read_to_string(&mut input);
    some(input.lines().map(str::to_owned).collect())
}
