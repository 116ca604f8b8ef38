//! Looks for a way out: everything that a program can reach without asking.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use bulkhead_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::{
    instance_network::instance_network, tcp_create_socket::create_tcp_socket,
    udp_create_socket::create_udp_socket,
};
use wasip2::{cli, filesystem, io as wasi_io};

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
    let attempts: [(&str, Option<String>); 25] = [
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
        ("a link", opened(fs::hard_link("/etc/passwd", "passwd"))),
        ("the host's processes", opened(fs::read("/proc/self/environ"))),
        ("a working folder's name", cli::environment::initial_cwd()),
        ("preopened folders", some(preopened())),
        ("a terminal to read", shown(cli::terminal_stdin::get_terminal_stdin())),
        ("a terminal to write", shown(cli::terminal_stdout::get_terminal_stdout())),
        ("a terminal for errors", shown(cli::terminal_stderr::get_terminal_stderr())),
        ("many sockets", some(sockets())),
        ("a datagram's way", datagram(args.port)),
        ("waiting for input", waited()),
    ];
    let tried = attempts.len();
    let reached = attempts.into_iter().filter_map(|(door, what)| Some((door, what?))).collect();
    Findings { reached, tried }
}

fn some(found: Vec<String>) -> Option<String> {
    (!found.is_empty()).then(|| found.join(" "))
}

fn shown<T: std::fmt::Debug>(found: Option<T>) -> Option<String> {
    found.map(|what| format!("{what:?}"))
}

fn preopened() -> Vec<String> {
    let folders = filesystem::preopens::get_directories();
    folders.into_iter().map(|(_, name)| name).collect()
}

/// Sockets without an address, more than the host may have files open.
fn sockets() -> Vec<String> {
    let family = |at| if at % 2 == 0 { IpAddressFamily::Ipv4 } else { IpAddressFamily::Ipv6 };
    let tcp = (0..2_000).filter_map(|at| create_tcp_socket(family(at)).ok());
    let held: Vec<_> = tcp.collect();
    held.iter().map(|socket| format!("{socket:?}")).collect()
}

fn datagram(port: u16) -> Option<String> {
    let socket = create_udp_socket(IpAddressFamily::Ipv4).ok()?;
    let to = Ipv4SocketAddress { port, address: (127, 0, 0, 1) };
    let any = Ipv4SocketAddress { port: 0, address: (0, 0, 0, 0) };
    let bound = socket.start_bind(&instance_network(), IpSocketAddress::Ipv4(any));
    let streams = socket.stream(Some(IpSocketAddress::Ipv4(to)));
    Some(format!("{bound:?} {}", streams.is_ok()))
}

/// What a program that waits for input finds, which is its end at once.
fn waited() -> Option<String> {
    let input = cli::stdin::get_stdin();
    input.subscribe().block();
    match input.blocking_read(1 << 40) {
        Err(wasi_io::streams::StreamError::Closed) => None,
        other => Some(format!("{other:?}")),
    }
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
