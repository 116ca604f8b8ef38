//! Calls what every program may call, over and over: each call costs the host more
//! than the guest.

use std::hint::black_box;

use bulkhead_sdk::prelude::*;
use serde::Deserialize;
use wasip2::{cli, clocks, filesystem, io, random, sockets};

plugin!(nagging);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nagging {
    /// What to call.
    what: What,
    /// How often; without it, without end.
    times: Option<u64>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum What {
    WallClock,
    MonotonicClock,
    Timer,
    Poll,
    Random,
    InsecureRandom,
    Environment,
    Arguments,
    Input,
    Output,
    Folders,
    Terminal,
    Socket,
    Lookup,
    Caller,
    Fuel,
}

/// Calls it.
#[tool(read_only)]
fn nagging(args: Nagging) -> String {
    let mut called = 0_u64;
    while args.times.is_none_or(|times| called < times) {
        args.what.call();
        called += 1;
    }
    format!("called {called} times")
}

impl What {
    fn call(self) {
        match self {
            Self::WallClock => drop(black_box(clocks::wall_clock::now())),
            Self::MonotonicClock => drop(black_box(clocks::monotonic_clock::now())),
            Self::Timer => drop(clocks::monotonic_clock::subscribe_duration(u64::MAX)),
            Self::Poll => {
                let timer = clocks::monotonic_clock::subscribe_duration(0);
                drop(black_box(io::poll::poll(&[&timer])));
            }
            Self::Random => drop(black_box(random::random::get_random_bytes(4_096))),
            Self::InsecureRandom => {
                drop(black_box(random::insecure::get_insecure_random_bytes(4_096)));
            }
            Self::Environment => drop(black_box(cli::environment::get_environment())),
            Self::Arguments => drop(black_box(cli::environment::get_arguments())),
            Self::Input => drop(black_box(cli::stdin::get_stdin().read(1 << 40))),
            Self::Output => drop(black_box(cli::stdout::get_stdout().check_write())),
            Self::Folders => drop(black_box(filesystem::preopens::get_directories())),
            Self::Terminal => drop(black_box(cli::terminal_stdout::get_terminal_stdout())),
            Self::Socket => drop(black_box(sockets::tcp_create_socket::create_tcp_socket(
                sockets::network::IpAddressFamily::Ipv4,
            ))),
            Self::Lookup => {
                let network = sockets::instance_network::instance_network();
                drop(black_box(sockets::ip_name_lookup::resolve_addresses(&network, "localhost")));
            }
            Self::Caller => drop(black_box(call::agent())),
            Self::Fuel => drop(black_box(call::remaining_fuel())),
        }
    }
}
