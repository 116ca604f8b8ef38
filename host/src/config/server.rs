//! The server's own tables: where it listens, where it keeps things, what it
//! writes down.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::address::{host, origin, public_url, socket_address};
use super::document::Node;
use super::tls::Tls;
use super::walk::{Section, Wrong, boolean, byte_count, choice, count, duration, path};
use crate::machine::{MAX_CALLS, Machine};
use crate::names::ByteCount;

/// `[server]`: the public listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where `POST /mcp` is answered, `IP:PORT`; port 0 takes any free one. An address
    /// that is not loopback needs `tls` or `behind_tls_proxy`. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// The resource identifier that clients know the server by: an absolute
    /// `http` or `https` URL of at most 2,048 bytes without a fragment (RFC 9728
    /// §1.2). None by default.
    pub public_url: Option<String>,
    /// Browser origins that may call, in lower case and without a default port;
    /// CORS answers follow it. None by default.
    pub allowed_origins: Vec<String>,
    /// `Host` values that are accepted besides loopback's and `public_url`'s,
    /// `NAME` or `NAME:PORT` in lower case. None by default.
    pub allowed_hosts: Vec<String>,
    /// The largest request body. `1KiB` to `64MiB`; default `1MiB`.
    pub max_body: ByteCount,
    /// Open connections. `1` to `1_000_000`; default `10_000`.
    pub max_connections: u32,
    /// After SIGTERM: how long to answer not-ready and keep serving, so that
    /// load balancers catch up. `0s` to `10min`; default `0s`.
    pub shutdown_delay: Duration,
    /// Then: how long calls may take to finish. `0s` to `1h`; default `20s`.
    pub drain_timeout: Duration,
    /// TLS in the server itself; without it, plain HTTP.
    pub tls: Option<Tls>,
    /// A proxy in front terminates TLS, so plain HTTP may be served on an address that
    /// is not loopback; not beside `tls`. Default `false`.
    pub behind_tls_proxy: bool,
}

/// `[health]`: the listener for probes and scrapers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Where `/healthz`, `/readyz` and `/metrics` are answered, `IP:PORT`; port 0
    /// takes any free one. Default `127.0.0.1:8081`.
    pub listen: SocketAddr,
}

/// `[admin]`: live control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The Unix socket. Relative to the state folder; default `admin.sock`.
    pub socket: PathBuf,
}

/// `[state]`: where the server keeps what it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The state folder. Default: what systemd names in `$STATE_DIRECTORY`, or
    /// `.bulkhead`.
    pub dir: PathBuf,
}

/// `[plugins]`: what is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugins {
    /// The drop folder. Default `plugins`.
    pub dir: PathBuf,
    /// What has to happen before a dropped plugin is served.
    pub trust: Trust,
}

/// What has to happen before a dropped plugin is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Nothing: whoever writes to the folder decides. The default.
    #[default]
    Any,
}

/// `[compiler]`: what compiling one component may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// CPU time of all its threads together, rounded up to whole seconds. `1s` to `1h`;
    /// default `2min`.
    pub cpu: Duration,
    /// Memory that it may write. `64MiB` to `64GiB`; default `2GiB`.
    pub memory: ByteCount,
    /// Wall clock: more than CPU time, since calls go first. `1s` to `1h`; default
    /// `10min`.
    pub timeout: Duration,
}

/// `[sandbox]`: what all calls together may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Calls in flight at once, running or waiting for a place. `1` to what the
    /// machine has room for, at most `10_000`; by default all of that.
    pub calls: u32,
    /// The memories and tables of all running calls together. `1MiB` to `16TiB`; by
    /// default half of what the machine, or the process's control group, has.
    pub memory: ByteCount,
}

/// `[audit]`: the record of every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The log. Relative to the state folder; default `audit.jsonl`.
    pub path: PathBuf,
    /// What happens to calls when the log cannot be written.
    pub on_failure: OnFailure,
}

/// What happens to calls when the audit log cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// They are refused. The default.
    #[default]
    Refuse,
    /// They run, unrecorded.
    Continue,
}

/// `[telemetry]`: what the operator reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// The log's level: `off`, `error`, `warn`, `info`, `debug` or `trace`;
    /// default `info`.
    pub log: LevelFilter,
}

const MAX_BODY: RangeInclusive<ByteCount> = ByteCount(1 << 10)..=ByteCount(64 << 20);
const MAX_CONNECTIONS: RangeInclusive<u32> = 1..=1_000_000;
const COMPILER_TIME: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
/// Below the lower end, the compiler's own threads do not start.
const COMPILER_MEMORY: RangeInclusive<ByteCount> = ByteCount(64 << 20)..=ByteCount(64 << 30);
const TOTAL_MEMORY: RangeInclusive<ByteCount> = ByteCount(1 << 20)..=ByteCount(16 << 40);
const SHUTDOWN_DELAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(600);
const DRAIN_TIMEOUT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3_600);

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl Server {
    /// The resource identifier of this server (RFC 8707 §2): what tokens are issued for,
    /// and what clients are told. None where nobody outside could know it.
    pub fn resource(&self) -> Option<String> {
        let local = self.listen.ip().is_loopback() && self.listen.port() != 0;
        let own = || local.then(|| format!("{}://{}/mcp", self.scheme(), self.listen));
        self.public_url.clone().or_else(own)
    }

    /// What the public listener speaks: `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    pub(super) fn read(section: &mut Section<'_>, base: &Path) -> Self {
        let server = Self::read_keys(section, base);
        server.refuse_secrets_in_the_open(section);
        server
    }

    /// Credentials over plain HTTP are for whoever is on the way.
    fn refuse_secrets_in_the_open(&self, section: &mut Section<'_>) {
        match (&self.tls, self.behind_tls_proxy) {
            (Some(_), true) => {
                let why = "allows plain HTTP, and with [server.tls] none is served; leave one of \
                           the two out";
                section.refuse("behind_tls_proxy", why);
            }
            (None, false) if !self.listen.ip().to_canonical().is_loopback() => {
                let why = "is open to other machines, and credentials over plain HTTP to whoever \
                           is on the way; add a `certificate` and its `key` in [server.tls], or \
                           set `behind_tls_proxy = true` in [server] if a proxy terminates TLS";
                section.refuse("listen", why);
            }
            (Some(_) | None, _) => {}
        }
    }

    fn read_keys(section: &mut Section<'_>, base: &Path) -> Self {
        Self {
            listen: section.get("listen", socket_address).unwrap_or(loopback(8080)),
            public_url: section.get("public_url", public_url),
            allowed_origins: section.list("allowed_origins", origin).unwrap_or_default(),
            allowed_hosts: section.list("allowed_hosts", host).unwrap_or_default(),
            max_body: section.get("max_body", byte_count(MAX_BODY)).unwrap_or(ByteCount(1 << 20)),
            max_connections: section
                .get("max_connections", count(MAX_CONNECTIONS))
                .unwrap_or(10_000),
            shutdown_delay: section
                .get("shutdown_delay", duration(SHUTDOWN_DELAY))
                .unwrap_or_default(),
            drain_timeout: section
                .get("drain_timeout", duration(DRAIN_TIMEOUT))
                .unwrap_or(Duration::from_secs(20)),
            tls: section.optional_table("tls", |section| Tls::read(section, base)),
            behind_tls_proxy: section.get("behind_tls_proxy", boolean).unwrap_or_default(),
        }
    }
}

impl Health {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self { listen: section.get("listen", socket_address).unwrap_or(loopback(8081)) }
    }
}

impl Admin {
    pub(super) fn read(section: &mut Section<'_>, state: &State) -> Self {
        Self { socket: state.under(section, "socket", "admin.sock") }
    }
}

impl State {
    /// `default` is the folder where the key is absent; a relative one is in `base`.
    pub(super) fn read(section: &mut Section<'_>, base: &Path, default: &str) -> Self {
        section.unserved("url");
        Self { dir: base.join(section.get("dir", path).unwrap_or_else(|| default.into())) }
    }

    /// The path that `key` names, under the state folder unless it is absolute.
    pub(super) fn under(
        &self,
        section: &mut Section<'_>,
        key: &'static str,
        default: &str,
    ) -> PathBuf {
        self.dir.join(section.get(key, path).unwrap_or_else(|| default.into()))
    }
}

impl Plugins {
    pub(super) fn read(section: &mut Section<'_>, base: &Path) -> Self {
        Self {
            dir: base.join(section.get("dir", path).unwrap_or_else(|| "plugins".into())),
            trust: section.get("trust", trust).unwrap_or_default(),
        }
    }
}

fn trust(node: &Node) -> Result<Trust, Wrong> {
    /// Later versions' words, so that they get a better answer than a typo.
    const WORDS: &[(&str, Option<Trust>)] =
        &[("any", Some(Trust::Any)), ("first-use", None), ("locked", None)];
    choice(WORDS)(node)?
        .ok_or_else(|| Wrong::new("this version serves no trust but `any`: it keeps no lock file"))
}

impl Default for Compiler {
    fn default() -> Self {
        let (cpu, timeout) = (Duration::from_secs(120), Duration::from_secs(600));
        Self { cpu, memory: ByteCount(2 << 30), timeout }
    }
}

impl Compiler {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let Self { cpu, memory, timeout } = Self::default();
        Self {
            cpu: section.get("cpu", duration(COMPILER_TIME)).unwrap_or(cpu),
            memory: section.get("memory", byte_count(COMPILER_MEMORY)).unwrap_or(memory),
            timeout: section.get("timeout", duration(COMPILER_TIME)).unwrap_or(timeout),
        }
    }
}

impl Totals {
    /// Reads what was written; `machine` decides the rest.
    pub(super) fn read(section: &mut Section<'_>, machine: &Machine) -> Self {
        let most = machine.most_calls();
        let half = ByteCount((machine.memory.0 / 2).max(TOTAL_MEMORY.start().0));
        let calls = section.get("calls", count(1..=MAX_CALLS)).unwrap_or(most);
        if calls > most {
            let why = format!(
                "this machine has room for {most} calls at once; raise `vm.max_map_count` ({} now) for more",
                machine.max_mappings
            );
            section.refuse("calls", &why);
        }
        Self { calls, memory: section.get("memory", byte_count(TOTAL_MEMORY)).unwrap_or(half) }
    }
}

impl Audit {
    pub(super) fn read(section: &mut Section<'_>, state: &State) -> Self {
        const ON_FAILURE: &[(&str, OnFailure)] =
            &[("refuse", OnFailure::Refuse), ("continue", OnFailure::Continue)];
        Self {
            path: state.under(section, "path", "audit.jsonl"),
            on_failure: section.get("on_failure", choice(ON_FAILURE)).unwrap_or_default(),
        }
    }
}

impl Telemetry {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        const LEVELS: &[(&str, LevelFilter)] = &[
            ("off", LevelFilter::OFF),
            ("error", LevelFilter::ERROR),
            ("warn", LevelFilter::WARN),
            ("info", LevelFilter::INFO),
            ("debug", LevelFilter::DEBUG),
            ("trace", LevelFilter::TRACE),
        ];
        Self { log: section.get("log", choice(LEVELS)).unwrap_or(LevelFilter::INFO) }
    }
}
