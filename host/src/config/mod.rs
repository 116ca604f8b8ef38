//! What the operator and the authors wrote down: `bulkhead.toml`, a plugin's
//! sidecar, a plugin's manifest.
//!
//! A file becomes a typed value or a complete list of [`Problems`]; nothing is
//! half read. Every key has a default and a documented range, an unknown key is
//! a problem, and so is a key that this version does not serve: nobody relies on
//! a limit that is not there.

mod address;
mod agents;
mod auth;
mod ceiling;
mod containment;
mod document;
mod input;
mod issuers;
mod manifest;
mod output;
mod overrides;
mod places;
mod problems;
mod quota;
mod server;
mod sidecar;
mod tls;
mod url;
mod walk;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub use agents::{Agent, Grant};
pub use auth::{Auth, REVOCATIONS};
pub use ceiling::{Ceiling, Ceilings};
pub use containment::{Containment, Protection};
pub use input::{Input, InputPatch, UnknownProperties};
pub use issuers::{Introspection, Issuer, KeySource};
pub use manifest::{
    About, Argument, Command, Hints, MAX_DESCRIPTION_BYTES, MAX_TITLE_BYTES, Manifest, Stdin,
    Stdout, Wants,
};
pub use output::{
    HostPattern, Injection, Links, MEDIA_TYPES, MediaType, Output, OutputPatch, Secrets,
};
pub use places::{Found, Places};
pub use problems::{Position, Problem, Problems, Written, nearest, shown};
pub use quota::{
    PerAgent, PerAgentPatch, PerCall, PerCallPatch, PerPlugin, PerPluginPatch, RateLimit,
};
pub use server::{
    Admin, Audit, Compiler, Health, OnFailure, Plugins, Server, State, Telemetry, Totals, Trust,
};
pub use sidecar::{OnDenied, Sidecar, ToolRules};
pub use tls::Tls;
pub use url::Url;

use crate::machine::Machine;
use crate::names::{AgentName, ByteCount};
use document::Place;
use problems::Sink;
use walk::Section;

/// The server's configuration: `bulkhead.toml`, the environment, and defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The public listener.
    pub server: Server,
    /// The listener for probes and scrapers.
    pub health: Health,
    /// Live control.
    pub admin: Admin,
    /// Where the server keeps what it writes.
    pub state: State,
    /// What is served.
    pub plugins: Plugins,
    /// What compiling one plugin may take.
    pub compiler: Compiler,
    /// How callers prove who they are.
    pub auth: Auth,
    /// Who may call what.
    pub agents: BTreeMap<AgentName, Agent>,
    /// What all calls together may use.
    pub sandbox: Totals,
    /// The most that any quota may be set to.
    pub ceilings: Ceilings,
    /// What one call may spend, unless a sidecar says otherwise.
    pub per_call: PerCall,
    /// How results are made fit for a model, unless a sidecar says otherwise.
    pub output: Output,
    /// What all calls of one plugin may spend, unless a sidecar says otherwise.
    pub per_plugin: PerPlugin,
    /// What each agent may do over all tools, unless its entry says otherwise.
    pub per_agent: PerAgent,
    /// How arguments are taken, unless a sidecar says otherwise.
    pub input: Input,
    /// How often each subject may call, over all agents and tools; no limit by default.
    pub per_subject: Option<RateLimit>,
    /// The record of every call.
    pub audit: Audit,
    /// What the operator reads.
    pub telemetry: Telemetry,
    /// What holds the process itself.
    pub containment: Containment,
}

/// The largest `bulkhead.toml`: tens of thousands of agents.
const LONGEST: ByteCount = ByteCount(4 << 20);

/// Where systemd says that a service keeps its state (`systemd.exec`(5)).
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

impl Config {
    /// Reads `bulkhead.toml` at `path`, if one is given, and lays the environment
    /// over it: `BULKHEAD__SERVER__LISTEN=…` sets any key, read as TOML where it
    /// is, and as a string where not.
    ///
    /// Relative paths stand for places beside the file; without a file, in the
    /// working folder. [`Auth::keys`], [`Admin::socket`] and [`Audit::path`] stand
    /// for places in the state folder.
    ///
    /// # Errors
    /// Everything that is wrong with the file and with the variables.
    pub fn load(
        path: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let Some(path) = path else {
            return Self::parse("", "", Path::new(""), variables);
        };
        let file = path.display().to_string();
        let base = path.parent().unwrap_or(Path::new(""));
        match read_bounded(path) {
            Ok(text) => Self::parse(&file, &text, base, variables),
            Err(error) => {
                let mut sink = Sink::new(&file, "");
                sink.report(&Place::Byte(0), format!("cannot be read: {error}"), None);
                Err(sink.into_problems())
            }
        }
    }

    fn parse(
        file: &str,
        text: &str,
        base: &Path,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let variables: Vec<_> = variables.into_iter().collect();
        let state_folder = state_folder(&variables);
        let mut sink = Sink::new(file, text);
        let mut table = document::parse(text, LONGEST, &mut sink);
        overrides::apply(&mut table, variables, &mut sink);
        let config = walk::root(&table, &mut sink, |root| Self::read(root, base, &state_folder));
        sink.finish(config)
    }

    fn read(root: &mut Section<'_>, base: &Path, state_folder: &str) -> Self {
        let state = root.table("state", |section| State::read(section, base, state_folder));
        let server = root.table("server", |section| Server::read(section, base));
        let sandbox = root.table("sandbox", |section| Totals::read(section, &Machine::look()));
        let ceilings = root.table("ceiling", |section| Ceilings::read(section, &server, &sandbox));
        let per_call = root.table("per_call", |section| PerCallPatch::read(section, &ceilings));
        let per_plugin =
            root.table("per_plugin", |section| PerPluginPatch::read(section, &ceilings));
        let per_agent = root
            .table("per_agent", |section| PerAgentPatch::read(section, &ceilings))
            .over(PerAgent::over_all_tools(&ceilings));
        let agents = agents::read(root, per_agent, &ceilings);
        let auth =
            root.table("auth", |section| Auth::read(section, &state, base, &server, &agents));
        Self {
            server,
            health: root.table("health", Health::read),
            admin: root.table("admin", |section| Admin::read(section, &state)),
            plugins: root.table("plugins", |section| Plugins::read(section, base)),
            compiler: root.table("compiler", Compiler::read),
            auth,
            agents,
            sandbox,
            per_call: per_call.over(ceilings.default_per_call()),
            output: root.table("output", OutputPatch::read).over(&Output::default()),
            per_plugin: per_plugin.over(ceilings.default_per_plugin()),
            ceilings,
            per_agent,
            input: root.table("input", InputPatch::read).over(Input::default()),
            per_subject: root.table("per_subject", quota::rate_limit),
            audit: root.table("audit", |section| Audit::read(section, &state)),
            telemetry: root.table("telemetry", Telemetry::read),
            containment: root.table("containment", Containment::read),
            state,
        }
    }
}

/// The first folder of `$STATE_DIRECTORY`, which may list several, or `.bulkhead`.
fn state_folder(variables: &[(String, String)]) -> String {
    let named = variables.iter().find(|(name, _)| name == STATE_DIRECTORY);
    let first = named.and_then(|(_, folders)| folders.split(':').next());
    first.filter(|folder| !folder.is_empty()).unwrap_or(".bulkhead").to_owned()
}

/// Reads a file up to one byte more than [`LONGEST`], which the parser refuses.
fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST.0 + 1).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use proptest::prelude::*;
    use tracing::level_filters::LevelFilter;

    use super::*;
    use crate::names::{Fuel, Rate, Scope};

    fn variables(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn parse(text: &str, all: &[(&str, &str)]) -> Result<Config, Problems> {
        Config::parse("b.toml", text, Path::new("/etc/bulkhead"), variables(all))
    }

    fn problems(text: &str, all: &[(&str, &str)]) -> String {
        parse(text, all).unwrap_err().to_string()
    }

    fn limit(cells: u32, seconds: u64, burst: u32) -> Option<RateLimit> {
        let rate =
            Rate { cells: NonZeroU32::new(cells).unwrap(), per: Duration::from_secs(seconds) };
        Some(RateLimit { rate, burst: NonZeroU32::new(burst).unwrap() })
    }

    #[test]
    fn everything_has_a_default() {
        let config = Config::load(None, []).unwrap();
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.health.listen.to_string(), "127.0.0.1:8081");
        assert_eq!(config.admin.socket, Path::new(".bulkhead/admin.sock"));
        assert_eq!(config.auth.keys, Path::new(".bulkhead/keys.toml"));
        assert_eq!(config.audit.path, Path::new(".bulkhead/audit.jsonl"));
        assert_eq!(config.plugins.dir, Path::new("plugins"));
        assert_eq!(config.compiler, Compiler::default());
        assert_eq!(config.per_call, PerCall::default());
        assert_eq!(config.input, Input::default());
        assert_eq!(config.sandbox.memory, ByteCount(Machine::look().memory.0 / 2));
        assert_eq!(config.per_plugin, PerPlugin::default());
        assert_eq!(config.per_agent, PerAgent { rate: limit(600, 60, 60), concurrency: Some(32) });
        assert_eq!(config.telemetry.log, LevelFilter::INFO);
        assert_eq!(config.containment.without, []);
        assert!(config.agents.is_empty());
    }

    #[test]
    fn every_key_is_read() {
        let config = parse(
            r#"
            [server]
            listen = "[::1]:0"
            public_url = "https://tools.example.com/mcp"
            allowed_origins = ["https://App.example.com:443"]
            allowed_hosts = ["Tools.example.com:8080"]
            max_body = "2MiB"
            max_connections = 5
            shutdown_delay = "3s"
            drain_timeout = "1min"
            [health]
            listen = "0.0.0.0:9000"
            [admin]
            socket = "/run/bulkhead.sock"
            [state]
            dir = "state"
            [plugins]
            dir = "/srv/plugins"
            trust = "any"
            [compiler]
            cpu = "1s"
            memory = "64MiB"
            timeout = "1h"
            [auth]
            keys = "secret/keys.toml"
            [sandbox]
            calls = 16
            memory = "2MiB"
            [ceiling.per_call]
            fuel = "1M"
            [ceiling.per_plugin]
            queue = 3
            [per_call]
            fuel = 2_000
            memory = "128KiB"
            deadline = "10ms"
            max_input = "64B"
            max_output = 128
            host_calls = 0
            log_lines = 0
            [per_plugin]
            concurrency = 1
            queue = 0
            queue_timeout = "1s"
            rate = "5/s"
            [per_agent]
            rate = "90/h"
            burst = 3
            concurrency = 2
            [input]
            unknown_properties = "refuse"
            coerce = true
            [per_subject]
            rate = "30/min"
            [audit]
            path = "log/audit.jsonl"
            on_failure = "continue"
            [telemetry]
            log = "debug"
            [containment]
            without = ["landlock", "seccomp", "no-new-privileges"]
            "#,
            &[],
        )
        .unwrap();
        assert_eq!(
            config.server,
            Server {
                listen: "[::1]:0".parse().unwrap(),
                public_url: Some("https://tools.example.com/mcp".to_owned()),
                allowed_origins: vec!["https://app.example.com".to_owned()],
                allowed_hosts: vec!["tools.example.com:8080".to_owned()],
                max_body: ByteCount(2 << 20),
                max_connections: 5,
                shutdown_delay: Duration::from_secs(3),
                drain_timeout: Duration::from_secs(60),
                tls: None,
                behind_tls_proxy: false,
            }
        );
        assert_eq!(config.health.listen.to_string(), "0.0.0.0:9000");
        assert_eq!(config.admin.socket, Path::new("/run/bulkhead.sock"));
        assert_eq!(config.state.dir, Path::new("/etc/bulkhead/state"));
        assert_eq!(config.plugins.dir, Path::new("/srv/plugins"));
        assert_eq!(
            config.compiler,
            Compiler {
                cpu: Duration::from_secs(1),
                memory: ByteCount(64 << 20),
                timeout: Duration::from_secs(3_600),
            }
        );
        assert_eq!(config.auth.keys, Path::new("/etc/bulkhead/state/secret/keys.toml"));
        assert_eq!(config.sandbox, Totals { calls: 16, memory: ByteCount(2 << 20) });
        let fuel = Ceiling { most: Fuel(1_000_000), set_by: "ceiling.per_call.fuel" };
        assert_eq!(config.ceilings.fuel, fuel);
        let queue = Ceiling { most: 3, set_by: "ceiling.per_plugin.queue" };
        assert_eq!(config.ceilings.queue, queue);
        assert_eq!(
            config.per_call,
            PerCall {
                fuel: Fuel(2_000),
                memory: ByteCount(128 << 10),
                deadline: Duration::from_millis(10),
                max_input: ByteCount(64),
                max_output: ByteCount(128),
                host_calls: 0,
                log_lines: 0,
            }
        );
        assert_eq!(
            config.per_plugin,
            PerPlugin {
                concurrency: 1,
                queue: 0,
                queue_timeout: Duration::from_secs(1),
                rate: limit(5, 1, 1),
            }
        );
        assert_eq!(config.per_agent, PerAgent { rate: limit(90, 3_600, 3), concurrency: Some(2) });
        let input = Input { unknown_properties: UnknownProperties::Refuse, coerce: true };
        assert_eq!(config.input, input);
        assert_eq!(config.per_subject, limit(30, 60, 3));
        assert_eq!(config.audit.path, Path::new("/etc/bulkhead/state/log/audit.jsonl"));
        assert_eq!(config.audit.on_failure, OnFailure::Continue);
        assert_eq!(config.telemetry.log, LevelFilter::DEBUG);
        assert_eq!(
            config.containment.without,
            [Protection::Landlock, Protection::Seccomp, Protection::NoNewPrivileges]
        );
    }

    /// Every quota, one above its ceiling and at it.
    #[test]
    fn no_quota_is_above_its_ceiling() {
        let ceilings = r#"
            [sandbox]
            calls = 20
            memory = "32MiB"
            [ceiling.per_call]
            fuel = "2M"
            deadline = "3s"
            max_output = "2KiB"
            host_calls = 5
            log_lines = 6
            [ceiling.per_plugin]
            queue = 7
            queue_timeout = "8s"
        "#;
        let defaults = parse(ceilings, &[]).unwrap();
        assert_eq!(defaults.per_call.fuel, Fuel(2_000_000), "defaults give way");
        assert_eq!(defaults.per_call.memory, ByteCount(32 << 20));
        assert_eq!(defaults.per_plugin.queue, 7);
        assert_eq!(defaults.per_agent.concurrency, Some(20));
        for (key, most, above, set_by) in [
            ("per_call.fuel", "2M", "2_000_001", "ceiling.per_call.fuel"),
            ("per_call.memory", "32MiB", "33_554_433", "sandbox.memory"),
            ("per_call.deadline", "3000ms", "3001ms", "ceiling.per_call.deadline"),
            ("per_call.max_input", "1MiB", "1_048_577", "server.max_body"),
            ("per_call.max_output", "2KiB", "2_049", "ceiling.per_call.max_output"),
            ("per_call.host_calls", "5", "6", "ceiling.per_call.host_calls"),
            ("per_call.log_lines", "6", "7", "ceiling.per_call.log_lines"),
            ("per_plugin.concurrency", "20", "21", "sandbox.calls"),
            ("per_plugin.queue", "7", "8", "ceiling.per_plugin.queue"),
            ("per_plugin.queue_timeout", "8000ms", "8001ms", "ceiling.per_plugin.queue_timeout"),
            ("per_agent.concurrency", "20", "21", "sandbox.calls"),
        ] {
            let set = |value: &str| {
                let number = value.bytes().all(|b| b.is_ascii_digit() || b == b'_');
                let quote = if number { "" } else { "'" };
                format!("{key} = {quote}{value}{quote}\n")
            };
            let why = format!("is above the server's ceiling of {most} (`{set_by}`)");
            let at = format!("{}{ceilings}", set(most));
            let over = format!("{}{ceilings}", set(above));
            assert!(parse(&at, &[]).is_ok(), "{at}");
            let listed = problems(&over, &[]);
            assert!(listed.ends_with(&format!("`{key}`: {why}")), "{listed}");

            let all = parse(ceilings, &[]).unwrap().ceilings;
            assert!(Sidecar::parse("s", &set(most), &all).is_ok(), "{key}");
            for scope in ["", "tools.x."] {
                let over = format!("{scope}{}", set(above));
                let listed = Sidecar::parse("s", &over, &all).unwrap_err().to_string();
                assert!(listed.ends_with(&format!("`{scope}{key}`: {why}")), "{listed}");
            }
        }
    }

    #[test]
    fn the_machine_bounds_how_many_calls_there_is_room_for() {
        let most = Machine::look().most_calls();
        assert!(parse(&format!("sandbox.calls = {most}"), &[]).is_ok());
        assert_eq!(parse("", &[]).unwrap().sandbox.calls, most);
        if most < crate::machine::MAX_CALLS {
            let listed = problems(&format!("sandbox.calls = {}", most + 1), &[]);
            assert!(listed.contains(&format!("room for {most} calls at once")), "{listed}");
        }
        let listed = problems("sandbox.calls = 10_001", &[]);
        assert!(listed.contains("`sandbox.calls`: must be 1 to 10000"), "{listed}");
    }

    #[test]
    fn agents_get_their_roles_and_the_defaults() {
        let config = parse(
            r#"
            [roles.reader]
            scopes = ["records:get_record", "text:*"]
            [roles.writer]
            scopes = ["records:put_record"]
            [agents.reporting]
            roles = ["reader", "writer"]
            scopes = ["text:*", "crm.read"]
            per_agent.rate = "120/min"
            [agents.idle]
            "#,
            &[],
        )
        .unwrap();
        let reporting = &config.agents["reporting"];
        let scopes: Vec<_> = reporting.scopes.iter().map(Scope::as_str).collect();
        assert_eq!(scopes, ["crm.read", "records:get_record", "records:put_record", "text:*"]);
        assert_eq!(
            reporting.per_agent,
            PerAgent { rate: limit(120, 60, 12), concurrency: Some(32) }
        );
        let idle = &config.agents["idle"];
        assert_eq!((idle.scopes.as_slice(), idle.per_agent), (&[][..], config.per_agent));
    }

    #[test]
    fn each_kind_of_problem_says_where_and_what() {
        let cases = [
            ("[servre]", "b.toml:1:2: unknown key `servre`; did you mean `server`?"),
            (
                "[server]\nlisen = 1",
                "b.toml:2:1: unknown key `server.lisen`; did you mean `listen`?",
            ),
            ("[server]\ncompletely_else = 1", "b.toml:2:1: unknown key `server.completely_else`"),
            ("server = 5", "b.toml:1:10: `server`: expected a table, found a whole number"),
            (
                "[server]\nlisten = \"localhost:80\"",
                "b.toml:2:10: `server.listen`: expected `IP:PORT`, as `127.0.0.1:8080`",
            ),
            (
                "[server]\nmax_connections = \"many\"",
                "b.toml:2:19: `server.max_connections`: expected a whole number, found a string",
            ),
            (
                "[server]\nmax_connections = 0",
                "b.toml:2:19: `server.max_connections`: must be 1 to 1000000",
            ),
            (
                "[server]\nmax_connections = 99999999999999999999999",
                "b.toml:2:19: `server.max_connections`: must be 1 to 1000000",
            ),
            (
                "[server]\nmax_body = 0.5",
                "b.toml:2:12: `server.max_body`: expected a string, found a number with a point",
            ),
            (
                "[server]\nmax_body = \"1GiB\"",
                "b.toml:2:12: `server.max_body`: must be 1KiB to 64MiB",
            ),
            (
                "[server]\nallowed_origins = [\"https://a.example\", \"*\"]",
                "b.toml:2:41: `server.allowed_origins`: expected an origin, as \
                 `https://app.example.com`, without a path",
            ),
            ("[per_call]\nfuel = \"1\"", "b.toml:2:8: `per_call.fuel`: must be 1k to 1T"),
            (
                "[per_call]\ndeadline = 5",
                "b.toml:2:12: `per_call.deadline`: a time is a whole number with ms, s, min, h \
                 or d, as `5s`",
            ),
            (
                "[per_call]\ndeadline = \"1h\"",
                "b.toml:2:12: `per_call.deadline`: must be 1ms to 600s",
            ),
            (
                "[per_plugin]\nrate = \"1_000_001/s\"",
                "b.toml:2:8: `per_plugin.rate`: a rate is at most 1_000_000/s",
            ),
            (
                "[per_plugin]\nburst = 5",
                "b.toml:2:9: `per_plugin.burst`: a burst needs a `rate` beside it",
            ),
            ("[compiler]\ncpu = \"999ms\"", "b.toml:2:7: `compiler.cpu`: must be 1s to 3600s"),
            (
                "[compiler]\nmemory = \"63MiB\"",
                "b.toml:2:10: `compiler.memory`: must be 64MiB to 64GiB",
            ),
            (
                "[compiler]\ntimeout = \"61min\"",
                "b.toml:2:11: `compiler.timeout`: must be 1s to 3600s",
            ),
            (
                "[plugins]\ntrust = \"first-use\"",
                "b.toml:2:9: `plugins.trust`: this version serves no trust but `any`: it keeps \
                 no lock file",
            ),
            (
                "[audit]\non_failure = \"refused\"",
                "b.toml:2:14: `audit.on_failure`: expected `refuse` or `continue`, found \
                 `refused`; did you mean `refuse`?",
            ),
            ("[admin]\nsocket = \"\"", "b.toml:2:10: `admin.socket`: a path cannot be empty"),
            (
                "[containment]\nwithout = [\"seccomp\", \"landlok\"]",
                "b.toml:2:23: `containment.without`: expected `no-new-privileges` or `seccomp` or \
                 `landlock`, found `landlok`; did you mean `landlock`?",
            ),
            (
                "[containment]\nwithout = [\"no-new-privileges\", \"landlock\"]",
                "b.toml:2:11: `containment.without`: seccomp and landlock need \
                 `no-new-privileges`; list all three, or leave it on",
            ),
            (
                "server.listen = \"127.0.0.1:0\"\n[[auth.issuers]]\nissuer = \"https://idp.example.com\"",
                "b.toml:2:1: `auth.issuers`: tokens are issued for a resource: set \
                 `server.public_url` to the URL that clients use",
            ),
            (
                "[auth]\nanonymous = \"visitor\"",
                "b.toml:2:13: `auth.anonymous`: says what everybody may call: add \
                 [agents.visitor] with its scopes",
            ),
            (
                "[state]\nurl = \"redis://127.0.0.1\"",
                "b.toml:2:1: `state.url` is not served by this version",
            ),
            (
                "[per_agent]\nfuel = \"50G/min\"",
                "b.toml:2:1: `per_agent.fuel` is not served by this version",
            ),
            (
                "[per_call]\nhttp_bytes = \"8MiB\"",
                "b.toml:2:1: `per_call.http_bytes` is not served by this version",
            ),
            (
                "[roles.reader]\n[agents.a]\nroles = [\"raeder\"]",
                "b.toml:3:10: `agents.a.roles`: there is no role `raeder`; did you mean `reader`?",
            ),
            (
                "[agents.\"a b\"]",
                "b.toml:1:9: `agents.a b`: a name has 1 to 64 letters, digits, `_`, `-` or `.`",
            ),
            (
                "[agents.a]\nscopes = [\"x y\"]",
                "b.toml:2:11: `agents.a.scopes`: a scope is `PLUGIN:TOOL`, `PLUGIN:*`, `*`, or \
                 a word of your own without spaces or quotes",
            ),
            (
                "[telemetry]\n\"l\\u001b[31m\" = 1",
                "b.toml:2:1: unknown key `telemetry.l\\u{1b}[31m`",
            ),
            (
                "[server]\nlisten = ",
                "b.toml:2:10: string values must be quoted, expected literal string",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(problems(text, &[]), expected, "{text}");
        }
    }

    #[test]
    fn all_problems_are_listed_in_order() {
        let text = "[server]\nmax_body = 1\nport = 2\n[agents.a]\nroles = [\"x\", 5]\n[helth]\n";
        let listed = problems(text, &[("BULKHEAD__AUDIT__PTH", "x")]);
        let expected = [
            "b.toml:2:12: `server.max_body`: must be 1KiB to 64MiB",
            "b.toml:3:1: unknown key `server.port`",
            "b.toml:5:10: `agents.a.roles`: there is no role `x`",
            "b.toml:5:15: `agents.a.roles`: expected a string, found a whole number",
            "b.toml:6:2: unknown key `helth`; did you mean `health`?",
            "BULKHEAD__AUDIT__PTH: unknown key `audit.pth`; did you mean `path`?",
        ];
        assert_eq!(listed, expected.join("\n"));
    }

    #[test]
    fn a_line_that_is_not_toml_is_one_problem_and_the_rest_is_still_read() {
        let listed = problems("[server]\nlisten = nowhere\nmax_connections = 0\n", &[]);
        let lines: Vec<_> = listed.lines().collect();
        assert_eq!(lines.len(), 2, "{listed}");
        assert!(lines[0].starts_with("b.toml:2:10: "), "{listed}");
        assert!(lines[1].starts_with("b.toml:3:19: "), "{listed}");
    }

    #[test]
    fn what_is_too_much_to_list_is_cut() {
        let text: String = (0..5_000).map(|n| format!("key_{n} = 1\n")).collect();
        let listed = parse(&text, &[]).unwrap_err();
        assert_eq!(listed.iter().count(), 100);
        assert!(listed.to_string().ends_with("There is more than these."));
    }

    #[test]
    fn the_environment_overrides_any_key() {
        let config = parse(
            "[server]\nlisten = \"127.0.0.1:1\"\nmax_connections = 7\n[agents.Billing]\n",
            &[
                ("BULKHEAD__SERVER__LISTEN", "0.0.0.0:2"),
                ("BULKHEAD__SERVER__BEHIND_TLS_PROXY", "true"),
                ("BULKHEAD__SERVER__MAX_BODY", "'2MiB'"),
                ("BULKHEAD__SERVER__ALLOWED_HOSTS", "['a.example']"),
                ("BULKHEAD__HEALTH", "{ listen = '0.0.0.0:3' }"),
                ("BULKHEAD__AUDIT__PATH", "8"),
                ("BULKHEAD__PER_CALL__FUEL", "1_000"),
                ("BULKHEAD__AGENTS__Billing__SCOPES", "['crm.write']"),
                ("BULKHEAD__AGENTS__OTHER__PER_AGENT__RATE", "1/s"),
                ("BULKHEAD_CONFIG", "elsewhere"),
                ("PATH", "/bin"),
            ],
        )
        .unwrap();
        assert_eq!(config.server.listen.to_string(), "0.0.0.0:2");
        assert_eq!(config.server.max_connections, 7);
        assert_eq!(config.server.max_body, ByteCount(2 << 20));
        assert_eq!(config.server.allowed_hosts, ["a.example"]);
        assert_eq!(config.health.listen.to_string(), "0.0.0.0:3");
        assert_eq!(config.audit.path, Path::new("/etc/bulkhead/.bulkhead/8"));
        assert_eq!(config.per_call.fuel, Fuel(1_000));
        assert_eq!(config.agents["Billing"].scopes, ["crm.write".parse().unwrap()]);
        assert_eq!(config.agents["other"].per_agent.rate, limit(1, 1, 1));
    }

    #[test]
    fn what_is_wrong_with_a_variable_names_the_variable() {
        let form = "expected the levels of a key with two underscores between them; as in \
                    `BULKHEAD__SERVER__LISTEN`";
        let cases = [
            (
                "BULKHEAD__SERVER__LISEN",
                "1",
                "unknown key `server.lisen`; did you mean `listen`?".to_owned(),
            ),
            (
                "BULKHEAD__SERVER",
                "{ listen = 1, max_connections = 0 }",
                "`server.listen`: expected a string, found a whole number\nBULKHEAD__SERVER: \
                 `server.max_connections`: must be 1 to 1000000"
                    .to_owned(),
            ),
            ("BULKHEAD__SERVER", "on", "`server`: expected a table, found a string".to_owned()),
            ("BULKHEAD__SERVER__", "1", form.to_owned()),
            ("BULKHEAD__", "1", form.to_owned()),
            ("BULKHEAD__A__B__C__D__E__F__G__H__I", "1", form.to_owned()),
            ("BULKHEAD__TEXT__LOG", "1", "`text` is not a table".to_owned()),
            (
                "BULKHEAD__SERVER__MAX_CONNECTIONS",
                "many",
                "`server.max_connections`: expected a whole number, found a string".to_owned(),
            ),
        ];
        for (name, value, expected) in cases {
            let text = if name.contains("TEXT") { "text = 1" } else { "" };
            let listed = problems(text, &[(name, value)]);
            assert!(listed.ends_with(&format!("{name}: {expected}")), "{listed}");
        }
    }

    #[test]
    fn the_state_folder_is_systemds_unless_something_says_otherwise() {
        let systemd = ("STATE_DIRECTORY", "/var/lib/a:/var/lib/b");
        let overridden = ("BULKHEAD__STATE__DIR", "/tmp/c");
        let dir = |text, all: &[_]| parse(text, all).unwrap().state.dir;
        assert_eq!(dir("", &[systemd]), Path::new("/var/lib/a"));
        assert_eq!(dir("", &[("STATE_DIRECTORY", "")]), Path::new("/etc/bulkhead/.bulkhead"));
        assert_eq!(dir("state.dir = '/srv'", &[systemd]), Path::new("/srv"));
        assert_eq!(dir("state.dir = '/srv'", &[systemd, overridden]), Path::new("/tmp/c"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_problem() {
        let path = Path::new("/nonexistent/bulkhead.toml");
        let listed = Config::load(Some(path), []).unwrap_err().to_string();
        assert!(listed.starts_with("/nonexistent/bulkhead.toml:1:1: cannot be read: "), "{listed}");
    }

    proptest! {
        #[test]
        fn no_text_panics(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "[", "]", "{", "}", "=", "\"", "'", "\n", ".", ",", "#", "a", "server",
                    "agents", "tools", "listen", "1", "-", "99999999999999999999", "0x", "é",
                    "\u{202e}", "\u{0}", "\\u", "2020-01-01", "inf", " ", "\"\"\"", "scopes",
                ]),
                0..60,
            )
        ) {
            let text = pieces.concat();
            let _ = parse(&text, &[("BULKHEAD__SERVER", &text), ("BULKHEAD__AGENTS__A", &text)]);
            let _ = Sidecar::parse("s", &text, &Ceilings::none());
            let _ = Manifest::parse("m", &text);
        }
    }
}
