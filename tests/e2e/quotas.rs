//! The whole vector of quotas: each key set to one below what a call needs, and to
//! what it needs. One is refused under the quota's name, the other is served.

use bulkhead_tests::{Answer, Client, Host};
use serde_json::{Value, json};

/// Where a quota is written.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// `bulkhead.toml`.
    Server,
    /// The plugin's sidecar.
    Plugin,
    /// The sidecar's rules for the tool.
    Tool,
}

/// What needs the quota.
#[derive(Clone, Debug)]
enum Load {
    /// One call with these arguments.
    Call(Value),
    /// A second call right after the first.
    Again(Value),
    /// A call of this length, in milliseconds, beside one of half a second.
    Beside(u64),
}

/// A key, and two values of it with whatever has to stand beside them.
#[derive(Clone, Debug)]
struct Row {
    places: &'static [Place],
    tool: &'static str,
    load: Load,
    /// What else is written, for the whole server or the whole plugin.
    beside: &'static str,
    below: String,
    enough: String,
    code: &'static str,
    /// What the refusal names; the levels of a rate have names of their own.
    named: &'static [&'static str],
}

impl Row {
    /// A server with this setting in one place, and a client of it.
    async fn serve(&self, place: Place, setting: &str) -> (Host, Client) {
        let (tool, beside) = (self.tool, self.beside);
        let setup = Host::test().plugin(tool);
        let setup = match place {
            Place::Server => setup.config(beside).config(setting),
            Place::Plugin => setup.sidecar(tool, &format!("{beside}\n{setting}")),
            Place::Tool => {
                let lines = setting.lines().map(|line| format!("tools.{tool}.{line}\n"));
                let lines: String = lines.collect();
                setup.sidecar(tool, &format!("{beside}\n{lines}"))
            }
        };
        let host = setup.agent("alice", &["*"]).start().await;
        let alice = host.client("alice").await;
        (host, alice)
    }

    /// Puts the load on the server, and returns the answer that the quota decides.
    async fn decided(&self, host: &Host, alice: &Client) -> Answer {
        match &self.load {
            Load::Call(arguments) => alice.call(self.tool, arguments.clone()).await,
            Load::Again(arguments) => {
                alice.call(self.tool, arguments.clone()).await.expect_ok();
                alice.call(self.tool, arguments.clone()).await
            }
            Load::Beside(ms) => {
                let mut running = alice.open("slow", json!({ "ms": 500 })).await;
                running.next().await.expect("it has begun");
                let answer = alice.call("slow", json!({ "ms": ms })).await;
                running.finish().await.expect_ok();
                // Whoever got its answer may still hold its place.
                host.until_in_flight(0).await;
                answer
            }
        }
    }

    async fn holds(&self) {
        for (place, named) in self.places.iter().zip(self.named) {
            let about = format!("{named} in {place:?}");
            let (host, alice) = self.serve(*place, &self.below).await;
            let refused = self.decided(&host, &alice).await;
            let error = refused.expect_code(self.code);
            assert_eq!(name(error), *named, "{about}: {error}");
            let record = host.record(refused.request_id()).await;
            assert_eq!(record["code"], self.code, "{about}: {record}");

            let (host, alice) = self.serve(*place, &self.enough).await;
            let served = self.decided(&host, &alice).await;
            assert!(served.result()["isError"] != true, "{about}: {}", served.text);
        }
    }
}

/// Which quota or limit an error names.
fn name(error: &Value) -> &str {
    let details = &error["details"];
    let named = [&details["quota"], &details["limit"], &details["violations"][0]["rule"]];
    named.into_iter().find_map(Value::as_str).unwrap_or_default()
}

/// What a call costs when nothing stops it, the same each time.
async fn need(tool: &str, arguments: &Value, field: &str) -> u64 {
    let host = Host::test().plugin(tool).agent("alice", &["*"]).start().await;
    let alice = host.client("alice").await;
    let mut needs = Vec::new();
    for _ in 0..2 {
        let answer = alice.call(tool, arguments.clone()).await;
        answer.expect_ok();
        needs.push(host.record(answer.request_id()).await[field].as_u64().expect("a number"));
    }
    assert_eq!(needs[0], needs[1], "{field} of {tool} is the same each time");
    needs[0]
}

const EVERYWHERE: &[Place] = &[Place::Server, Place::Plugin, Place::Tool];
const ONE_CALL: &[Place] = EVERYWHERE;

/// The rows of `per_call`.
async fn per_call() -> Vec<Row> {
    // More than the list of tools costs, which the same quota bounds.
    let numbers = json!({ "depth": 25 });
    let fuel = need("recursion", &numbers, "fuel").await;
    let appetite = json!({ "mib": 4 });
    let memory = need("hog", &appetite, "peak_memory_bytes").await;
    let message = json!({ "message": "x".repeat(100) });
    let input = message.to_string().len();
    let row = |key: &str, tool, load, below: String, enough: String, code, named| Row {
        places: ONE_CALL,
        tool,
        load: Load::Call(load),
        beside: "",
        below: format!("per_call.{key} = {below}"),
        enough: format!("per_call.{key} = {enough}"),
        code,
        named,
    };
    let text = |value: u64, unit: &str| format!("'{value}{unit}'");
    vec![
        // The engine looks at its meter where functions and loops begin: the last few
        // instructions of a call are burned before it does.
        row(
            "fuel",
            "recursion",
            numbers,
            (fuel - 1_000).to_string(),
            fuel.to_string(),
            "FUEL_EXHAUSTED",
            &["per_call.fuel"; 3],
        ),
        row(
            "memory",
            "hog",
            appetite,
            text(memory - 1, "B"),
            text(memory, "B"),
            "MEMORY_EXCEEDED",
            &["per_call.memory"; 3],
        ),
        row(
            "deadline",
            "slow",
            json!({ "ms": 1_000 }),
            text(999, "ms"),
            text(20, "s"),
            "DEADLINE_EXCEEDED",
            &["per_call.deadline"; 3],
        ),
        row(
            "max_input",
            "echo",
            message,
            text(input as u64 - 1, "B"),
            text(input as u64, "B"),
            "INVALID_ARGUMENTS",
            &["max_input"; 3],
        ),
        row(
            "max_output",
            "loud",
            json!({ "bytes": 1_000 }),
            text(999, "B"),
            text(1_000, "B"),
            "OUTPUT_TOO_LARGE",
            &["per_call.max_output"; 3],
        ),
        row(
            "host_calls",
            "chatty",
            json!({ "lines": 5, "reports": 5 }),
            "9".into(),
            "10".into(),
            "FUEL_EXHAUSTED",
            &["per_call.host_calls"; 3],
        ),
        row(
            "log_lines",
            "chatty",
            json!({ "lines": 5, "reports": 5 }),
            "4".into(),
            "5".into(),
            "FUEL_EXHAUSTED",
            &["per_call.log_lines"; 3],
        ),
    ]
}

/// The rows of everything that several calls share.
fn shared() -> Vec<Row> {
    let slots = |beside, below: &str, enough: &str, named| Row {
        places: EVERYWHERE,
        tool: "slow",
        load: Load::Beside(1),
        beside,
        below: below.to_owned(),
        enough: enough.to_owned(),
        code: "UNAVAILABLE",
        named,
    };
    let again = |below: &str, enough: &str, named| Row {
        tool: "loud",
        load: Load::Again(json!({ "bytes": 1 })),
        code: "RATE_LIMITED",
        ..slots("", below, enough, named)
    };
    let plugin: &[&str; 3] =
        &["per_plugin.concurrency", "per_plugin.concurrency", "tool.per_plugin.concurrency"];
    let plugin_rate: &[&str; 3] = &["per_plugin.rate", "per_plugin.rate", "tool.per_plugin.rate"];
    let agent: &[&str; 3] =
        &["per_agent.concurrency", "plugin.per_agent.concurrency", "tool.per_agent.concurrency"];
    let agent_rate: &[&str; 3] =
        &["per_agent.rate", "plugin.per_agent.rate", "tool.per_agent.rate"];
    vec![
        slots(
            "per_plugin.queue = 0",
            "per_plugin.concurrency = 1",
            "per_plugin.concurrency = 2",
            plugin,
        ),
        slots(
            "per_plugin.concurrency = 1\nper_plugin.queue_timeout = '30s'",
            "per_plugin.queue = 0",
            "per_plugin.queue = 1",
            plugin,
        ),
        slots(
            "per_plugin.concurrency = 1",
            "per_plugin.queue_timeout = '50ms'",
            "per_plugin.queue_timeout = '30s'",
            plugin,
        ),
        again("per_plugin.rate = '1/h'", "per_plugin.rate = '20/h'", plugin_rate),
        again(
            "per_plugin.rate = '20/h'\nper_plugin.burst = 1",
            "per_plugin.rate = '20/h'\nper_plugin.burst = 2",
            plugin_rate,
        ),
        slots(
            "per_plugin.queue = 0",
            "per_agent.concurrency = 1",
            "per_agent.concurrency = 2",
            agent,
        ),
        again("per_agent.rate = '1/h'", "per_agent.rate = '20/h'", agent_rate),
        again(
            "per_agent.rate = '20/h'\nper_agent.burst = 1",
            "per_agent.rate = '20/h'\nper_agent.burst = 2",
            agent_rate,
        ),
    ]
}

/// The rows of what the whole sandbox has, which only the server's configuration sets.
async fn sandbox() -> Vec<Row> {
    let memory = need("slow", &json!({ "ms": 1 }), "peak_memory_bytes").await;
    let row = |below: String, enough: String, named| Row {
        places: &[Place::Server],
        tool: "slow",
        load: Load::Beside(1),
        beside: "",
        below,
        enough,
        code: "UNAVAILABLE",
        named,
    };
    vec![
        row("sandbox.calls = 1".into(), "sandbox.calls = 2".into(), &["sandbox.calls"]),
        row(
            format!("sandbox.memory = '{}B'", 2 * memory - 1),
            format!("sandbox.memory = '{}B'", 2 * memory),
            &["sandbox.memory"],
        ),
    ]
}

#[tokio::test]
async fn each_quota_bites_one_below_what_is_needed_and_not_at_it() {
    let rows = [per_call().await, shared(), sandbox().await].concat();
    for row in rows {
        row.holds().await;
    }
}

/// A key, a ceiling, and a value right above it.
const CEILINGS: [(&str, &str, &str); 10] = [
    ("per_call.fuel", "'10M'", "10_000_001"),
    ("per_call.memory", "'16MiB'", "'16777217B'"),
    ("per_call.deadline", "'2s'", "'2001ms'"),
    ("per_call.max_input", "'1KiB'", "'1025B'"),
    ("per_call.max_output", "'1KiB'", "'1025B'"),
    ("per_call.host_calls", "10", "11"),
    ("per_call.log_lines", "10", "11"),
    ("per_plugin.concurrency", "4", "5"),
    ("per_plugin.queue", "4", "5"),
    ("per_plugin.queue_timeout", "'1s'", "'1001ms'"),
];

#[tokio::test]
async fn no_sidecar_and_no_tool_gets_above_a_ceiling() {
    let echo = std::fs::read(bulkhead_tests::component("echo")).unwrap();
    let mut setup = Host::test();
    let (mut ceilings, mut all) = (String::new(), String::new());
    let mut expected = Vec::new();
    for (at, (key, most, above)) in CEILINGS.into_iter().enumerate() {
        ceilings += &format!("ceiling.{key} = {most}\n");
        all += &format!("{key} = {most}\n");
        for (level, rule) in [("plugin", ""), ("tool", "tools.echo.")] {
            let name = format!("{level}-{at}");
            setup = setup.file(&format!("{name}.wasm"), &echo);
            setup = setup.sidecar(&name, &format!("{rule}{key} = {above}"));
            expected.push((name, format!("ceiling.{key}")));
        }
    }
    let setup = setup.plugin("echo").sidecar("echo", &all);
    let host = setup.config(&ceilings).agent("alice", &["*"]).start().await;
    for (name, reason) in expected {
        let told = host.until_told(&name).await;
        assert!(told.contains("was not loaded") && told.contains(&reason), "{name}: {told}");
    }
    let alice = host.client("alice").await;
    assert_eq!(alice.tool_names().await, ["echo"], "at its ceilings, it is served");
    let hello = json!({ "message": "hello" });
    assert_eq!(alice.call("echo", hello.clone()).await.structured(), &hello);
}

#[tokio::test]
async fn no_default_gets_above_a_ceiling() {
    for (key, most, above) in CEILINGS {
        for (value, accepted) in [(most, true), (above, false)] {
            let config = format!("ceiling.{key} = {most}\n{key} = {value}\n");
            let folder = Host::test().config(&config).folder();
            let output = folder.cli(&["config", "check"]).await;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(if accepted { 0 } else { 78 }), "{key}: {said}");
            assert_eq!(said.contains(&format!("ceiling.{key}")), !accepted, "{key}: {said}");
        }
    }
}
