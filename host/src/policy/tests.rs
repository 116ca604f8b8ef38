//! Decisions, through the examples that users are shown and through what may go wrong.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::config::Config;
use crate::error::Code;
use crate::names::AgentName;

const OWN_REGION: &str = include_str!("examples/own_region.cedar");
const WORKING_HOURS: &str = include_str!("examples/working_hours.cedar");
const AMOUNTS: &str = include_str!("examples/amounts.cedar");

/// A Friday.
const NOON: &str = "2026-11-27T12:34:56Z";

/// A call, as a test says it.
#[derive(Clone, Copy)]
struct Ask {
    agent: &'static str,
    subject: Option<&'static str>,
    tenant: Option<&'static str>,
    tool: &'static str,
    plugin: &'static str,
    effects: Effects,
    arguments: &'static str,
    at: &'static str,
}

const ASK: Ask = Ask {
    agent: "reporting",
    subject: None,
    tenant: None,
    tool: "search_records",
    plugin: "records",
    effects: Effects { read_only: true, destructive: false, idempotent: true, open_world: false },
    arguments: "{}",
    at: NOON,
};

const PAY: Ask = Ask {
    agent: "billing",
    subject: Some("ada"),
    tool: "pay",
    plugin: "bank",
    effects: Effects { read_only: false, destructive: true, idempotent: false, open_world: true },
    ..ASK
};

fn policy(text: &str) -> Policy {
    let roles = "{ roles = ['reader'], scopes = ['*'] }";
    let variables = [
        ("BULKHEAD__ROLES__READER__SCOPES", "['records:*']"),
        ("BULKHEAD__ROLES__OPERATOR__SCOPES", "['*']"),
        ("BULKHEAD__AGENTS__REPORTING", roles),
        ("BULKHEAD__AGENTS__NIGHT", "{ roles = ['operator'] }"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::load(None, variables).unwrap();
    Policy::parse("p.cedar", text, &config.agents).unwrap()
}

fn problems(text: &str) -> String {
    Policy::parse("p.cedar", text, &BTreeMap::new()).unwrap_err().to_string()
}

fn decide<'p>(policy: &'p Policy, ask: Ask) -> Verdict<'p> {
    let agent: AgentName = ask.agent.parse().unwrap();
    let subject = ask.subject.map(|subject| subject.parse().unwrap());
    policy.decide(&Question {
        agent: &agent,
        subject: subject.as_ref(),
        tenant: ask.tenant,
        scopes: &["records:*".parse().unwrap(), "crm".parse().unwrap()],
        credential: "key",
        tool: ask.tool,
        plugin: ask.plugin,
        effects: ask.effects,
        schema: r#"{"properties":{"amount":{"type":"number"}}}"#,
        arguments: ask.arguments,
        at: ask.at.parse().unwrap(),
    })
}

/// `allow` or `deny`, the ids of what decided, and how many errors there were.
fn told(policy: &Policy, ask: Ask) -> (bool, Vec<String>, usize) {
    let verdict = decide(policy, ask);
    let name = |rule: &&Rule| match &rule.id {
        Some(id) => id.to_string(),
        None => rule.line.to_string(),
    };
    (verdict.allowed, verdict.deciding.iter().map(name).collect(), verdict.errors.len())
}

fn allows(text: &str, ask: Ask) -> bool {
    decide(&policy(text), ask).allowed
}

/// Whether a policy that permits where `condition` holds permits.
fn holds(condition: &str, ask: Ask) -> bool {
    allows(&format!("permit(principal, action, resource) when {{ {condition} }};"), ask)
}

#[test]
fn the_reporting_agent_searches_its_own_region_only() {
    let policy = policy(OWN_REGION);
    let with = |arguments| Ask { arguments, ..ASK };
    let allowed = |ask| told(&policy, ask).0;
    assert!(allowed(with(r#"{"region":"emea","query":"x"}"#)));
    for arguments in [
        r#"{"region":"apac"}"#,
        "{}",
        r#"{"region":null}"#,
        r#"{"region":["emea"]}"#,
        r#"{"region":{"emea":true}}"#,
        r#"{"region":"EMEA"}"#,
    ] {
        assert_eq!(told(&policy, with(arguments)).1, ["own-region"], "{arguments}");
    }
    assert!(allowed(Ask { agent: "other", ..ASK }));
    assert!(allowed(Ask { tool: "get_record", ..ASK }));
    let of_acme = Ask { agent: "other", tenant: Some("acme"), ..ASK };
    assert!(allowed(Ask { arguments: r#"{"tenant":"acme"}"#, ..of_acme }));
    assert!(!allowed(Ask { arguments: r#"{"tenant":"umbrella"}"#, ..of_acme }));
    assert!(!allowed(of_acme));
    assert!(allowed(Ask { plugin: "text", ..of_acme }));

    let verdict = decide(&policy, with("{}"));
    let refusal = verdict.refusal().unwrap();
    assert_eq!(*refusal.code(), Code::PermissionDenied);
    assert_eq!(
        refusal.message(),
        "The operator's policy does not allow this call. The reporting agent searches the region \
         emea only."
    );
    assert_eq!(refusal.cause(), Some("policy: forbidden by own-region (p.cedar:7)"));
}

#[test]
fn nobody_calls_a_destructive_tool_outside_working_hours() {
    let policy = policy(WORKING_HOURS);
    let cases = [
        ("2026-11-27T08:00:00Z", true),
        ("2026-11-27T17:59:59Z", true),
        ("2026-11-27T18:00:00Z", false),
        ("2026-11-27T07:59:59Z", false),
        ("2026-11-28T12:00:00Z", false),
        ("2026-11-29T12:00:00Z", false),
        ("2026-11-30T12:00:00+01:00", true),
    ];
    for (at, allowed) in cases {
        assert_eq!(told(&policy, Ask { at, ..PAY }).0, allowed, "{at}");
        assert!(told(&policy, Ask { at, ..ASK }).0, "what only reads is always allowed");
        assert!(told(&policy, Ask { at, agent: "night", ..PAY }).0, "operators work at night");
    }
}

#[test]
fn payments_are_small_and_somebodys() {
    let policy = policy(AMOUNTS);
    for (arguments, allowed) in [
        (r#"{"amount":99.99,"currency":"EUR"}"#, true),
        (r#"{"amount":100,"currency":"CHF"}"#, true),
        (r#"{"amount":100.0001,"currency":"CHF"}"#, false),
        (r#"{"amount":101,"currency":"CHF"}"#, false),
        (r#"{"amount":5,"currency":"USD"}"#, false),
        (r#"{"amount":5}"#, false),
        (r#"{"amount":"5","currency":"EUR"}"#, false),
        (r#"{"amount":0.00001,"currency":"EUR"}"#, false),
        (r#"{"amount":1e30,"currency":"EUR"}"#, false),
    ] {
        assert_eq!(told(&policy, Ask { arguments, ..PAY }).0, allowed, "{arguments}");
    }
    let small = Ask { arguments: r#"{"amount":1,"currency":"EUR"}"#, ..PAY };
    let nobodys = told(&policy, Ask { subject: None, ..small });
    assert_eq!(nobodys.1, ["no-payments-by-strangers"]);
    assert_eq!(told(&policy, Ask { agent: "night", ..small }), (false, vec![], 0));
    assert_eq!(told(&policy, ASK), (true, vec!["readers-read".to_owned()], 0));
    assert!(!told(&policy, Ask { agent: "other", ..ASK }).0, "no reader");
}

#[test]
fn whoever_is_told_apart_by_what_is_absent_is_told_apart() {
    let condition = "principal has tenant || (principal has subject && principal.subject == \"x\")";
    let policy = policy(&format!("permit (principal, action, resource) when {{ {condition} }};"));
    for _ in 0..2 {
        for (subject, tenant, allowed) in [
            (Some("tenant"), None, false),
            (None, Some("tenant"), true),
            (Some("tenant"), Some(""), true),
            (None, None, false),
        ] {
            assert_eq!(told(&policy, Ask { subject, tenant, ..ASK }).0, allowed, "{subject:?}");
        }
    }
}

#[test]
fn every_part_of_the_model_is_there() {
    let everybody = Ask { subject: Some("ada"), tenant: Some("acme"), ..ASK };
    for condition in [
        "principal == Agent::\"reporting\" && principal is Agent",
        "principal in Role::\"reader\" && !(principal in Role::\"operator\")",
        "principal.subject == \"ada\" && principal.tenant == \"acme\"",
        "principal.scopes.contains(\"records:*\") && principal.scopes.containsAll([\"crm\"])",
        "principal.credential == \"key\"",
        "action == Action::\"call\"",
        "resource == Tool::\"search_records\" && resource in Plugin::\"records\"",
        "resource.plugin == \"records\" && resource.read_only && !resource.destructive",
        "resource.idempotent && !resource.open_world",
        "context.hour == 12 && context.minute == 34 && context.weekday == 5",
        "context.now == datetime(\"2026-11-27T12:34:56Z\")",
        "context.now.toTime() < duration(\"13h\")",
        "context == context && context has arguments && !(context.arguments has a)",
    ] {
        assert!(holds(condition, everybody), "{condition}");
    }
    assert!(holds("!(principal has subject) && !(principal has tenant)", ASK));
    let defaults: Effects = None.into();
    let mcp = Effects { read_only: false, destructive: true, idempotent: false, open_world: true };
    assert_eq!(defaults, mcp);
}

#[test]
fn each_kind_of_argument_can_be_asked_about() {
    let arguments = r#"{"s":"x","b":true,"n":5,"f":5.0,"d":1.5,"l":["a","b","a"],
        "o":{"k":{"n":1}},"z":null,"m":[[1],{"k":2}],"ip":"10.0.0.7","at":"2026-01-01"}"#;
    let ask = Ask { arguments, ..ASK };
    for condition in [
        "context.arguments.s == \"x\" && context.arguments.s like \"*\"",
        "context.arguments.b",
        "context.arguments.n == 5 && context.arguments.f + 1 == 6",
        "context.arguments.d == decimal(\"1.5\") && context.arguments.d == decimal(\"1.5000\")",
        "context.arguments.l == [\"b\", \"a\"] && context.arguments.l.contains(\"a\")",
        "context.arguments.o.k.n == 1 && context.arguments has o.k.n",
        "!(context.arguments has z) && !(context.arguments has missing)",
        "context.arguments.m.contains([1]) && context.arguments.m.contains({k: 2})",
        "ip(context.arguments.ip).isInRange(ip(\"10.0.0.0/8\"))",
        "datetime(context.arguments.at) < context.now",
    ] {
        assert!(holds(condition, ask), "{condition}");
    }
}

#[test]
fn an_error_denies_whichever_policy_makes_it() {
    let permit = "permit(principal, action, resource);";
    for (failing, what) in [
        ("forbid(principal, action, resource) when { context.arguments.n > 5 };", "absent"),
        ("permit(principal, action, resource) when { context.arguments.n > 5 };", "absent"),
        ("forbid(principal, action, resource) when { context.arguments.s > 5 };", "a string"),
        (
            "forbid(principal, action, resource) when { context.hour + 9223372036854775807 > 1 };",
            "overflow",
        ),
        ("forbid(principal, action, resource) when { principal.subject == \"x\" };", "no subject"),
        ("forbid(principal, action, resource) when { ip(context.arguments.s).isIpv4() };", "no ip"),
    ] {
        let ask = Ask { arguments: r#"{"s":"x"}"#, ..ASK };
        let policy = policy(&format!("{permit}\n{failing}"));
        assert_eq!(told(&policy, ask), (false, vec![], 1), "{what}");
        let refusal = decide(&policy, ask).refusal().unwrap();
        assert_eq!(refusal.message(), "The operator's policy does not allow this call.");
        let cause = refusal.cause().unwrap();
        assert!(cause.starts_with("policy failed: p.cedar:2: "), "{cause}");
    }
}

#[test]
fn what_no_policy_can_hold_denies_and_is_told() {
    let text = "permit(principal, action, resource);\n\
                forbid(principal, action, resource) when { context.arguments has a && \
                context.arguments.a == 5 };";
    let policy = policy(text);
    let verdict = decide(&policy, Ask { arguments: r#"{"a":0.123456}"#, ..ASK });
    let refusal = verdict.refusal().unwrap();
    assert!(refusal.message().contains("four decimal places"), "{}", refusal.message());
    assert!(decide(&policy, Ask { arguments: r#"{"b":0.123456}"#, ..ASK }).allowed);
}

#[test]
fn forbid_overrides_and_nothing_permits_by_default() {
    assert!(!allows("", ASK));
    let forbid = "@id(\"no\") forbid(principal, action, resource);";
    let both = policy(&format!("permit(principal, action, resource); {forbid}"));
    assert_eq!(told(&both, ASK), (false, vec!["no".to_owned()], 0));
    assert!(Policy::none().decide(&question()).allowed);
    let cause = decide(&policy(""), ASK).refusal().unwrap().cause().unwrap().to_owned();
    assert_eq!(cause, "policy: no rule permits it");
}

fn question() -> Question<'static> {
    static AGENT: std::sync::LazyLock<AgentName> =
        std::sync::LazyLock::new(|| "a".parse().unwrap());
    Question {
        agent: &AGENT,
        subject: None,
        tenant: None,
        scopes: &[],
        credential: "key",
        tool: "t",
        plugin: "p",
        effects: ASK.effects,
        schema: "{}",
        arguments: "{}",
        at: jiff::Timestamp::UNIX_EPOCH,
    }
}

#[test]
fn rules_about_one_tool_decide_with_the_general_ones() {
    let about = |effect: &str, tool: &str| {
        format!(
            "@id(\"{effect} {tool}\") {effect}(principal, action, resource == Tool::\"{tool}\");"
        )
    };
    let all = "@id(\"all\") permit(principal, action, resource);";
    let none = "@id(\"none\") forbid(principal, action, resource) when { context.hour > 5 };";
    let bad = "forbid(principal, action, resource) when { context.arguments.x };";
    let (permit, forbid) = (about("permit", "search_records"), about("forbid", "search_records"));
    let other = about("forbid", "other");
    let cases: [(&[&str], bool, &[&str], usize); 8] = [
        (&[&permit], true, &["permit search_records"], 0),
        (&[&permit, all, &other], true, &["permit search_records", "all"], 0),
        (&[&forbid, all], false, &["forbid search_records"], 0),
        (&[&permit, none], false, &["none"], 0),
        (&[&forbid, none], false, &["forbid search_records", "none"], 0),
        (&[&permit, bad], false, &[], 1),
        (&[&about("permit", "other")], false, &[], 0),
        (&[&other, all], true, &["all"], 0),
    ];
    for (rules, allowed, deciding, errors) in cases {
        let told = told(&policy(&rules.join("\n")), ASK);
        let deciding = deciding.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(told, (allowed, deciding, errors), "{rules:?}");
    }
}

#[test]
fn whoever_differs_in_anything_that_is_read_is_told_apart() {
    let text = "permit(principal, action, resource) when { principal has subject && \
                principal.subject == \"ada\" && principal.tenant == \"acme\" && resource.read_only };";
    let policy = policy(text);
    let ada = Ask { subject: Some("ada"), tenant: Some("acme"), ..ASK };
    let effects = Effects { read_only: false, ..ASK.effects };
    for _ in 0..2 {
        assert!(told(&policy, ada).0);
        for other in [
            ASK,
            Ask { subject: Some("bob"), ..ada },
            Ask { tenant: Some("umbrella"), ..ada },
            Ask { effects, ..ada },
        ] {
            assert!(!told(&policy, other).0);
        }
    }
    let now = "permit(principal, action, resource) when { context.now > datetime(\"2026-11-27T12:34:55Z\") };";
    let policy = self::policy(now);
    for (at, allowed) in [(NOON, true), ("2026-11-27T12:34:55Z", false), (NOON, true)] {
        assert_eq!(told(&policy, Ask { at, ..ASK }).0, allowed, "{at}");
    }
}

#[test]
fn reasons_are_cleaned_and_bounded() {
    let long = "x".repeat(500);
    let forbid =
        |reason: &str| format!("@reason(\"{reason}\") forbid(principal, action, resource);");
    let text = [forbid("a\\u{1b}[31mb\\nc"), forbid(&long), forbid("three"), forbid("four")];
    let policy = policy(&text.join("\n"));
    let refusal = decide(&policy, ASK).refusal().unwrap();
    let message = refusal.message();
    assert!(message.contains(" ab c "), "{message}");
    assert!(message.contains(&format!("{}…", "x".repeat(200))), "{message}");
    assert!(message.ends_with(" three"), "{message}");
}

#[test]
fn a_broken_policy_says_where_and_what() {
    for (text, expected) in [
        (
            "permit(principal, action);",
            "p.cedar:1:25: this policy is missing the `resource` variable",
        ),
        ("\n\npermit(principal, action, resource) when { x y };", "p.cedar:3:"),
        ("permit(principal, action, resource)", "p.cedar:1:"),
        ("permit(principal == ?principal, action, resource);", "p.cedar:1:"),
        (
            "permit(principal, action, resource) when { principal.tennant == 1 };",
            "p.cedar:1:44: there is no `principal.tennant`; `principal` has `credential`, `scopes`, \
             `subject`, `tenant`; did you mean `tenant`?",
        ),
        (
            "// x\npermit(principal == User::\"a\", action, resource);",
            "p.cedar:2:21: there are no entities of type `User`",
        ),
        (
            "permit(principal == Role::\"a\", action, resource);",
            "p.cedar:1:21: this never matches: `principal` is never a Role, but may be in one: \
             write `in`",
        ),
        (
            "permit(principal, action, resource in Tool::\"a\") unless { principal == Agent::\"b\" };\
             forbid(principal in Plugin::\"x\", action, resource);",
            "p.cedar:1:105: this never matches: `principal` is in a `Role`, and in no `Plugin`",
        ),
        (
            "permit(principal, action == Action::\"read\", resource);",
            "p.cedar:1:29: there is no `Action::\\\"read\\\"`",
        ),
        (
            "@id(\"a\") permit(principal, action, resource);\n@id(\"a\") forbid(principal, action, resource);",
            "p.cedar:2:1: there is another policy with `@id(\"a\")`",
        ),
    ] {
        let listed = problems(text);
        assert!(
            listed.replace("\\\"", "\"").starts_with(&expected.replace("\\\"", "\"")),
            "{text}\n{listed}"
        );
        assert_eq!(listed.lines().count(), 1, "{listed}");
    }
    let all = problems(
        "permit(;\nforbid(principal, action, resource) when { nowhere };\npermit(principal, action, resource);",
    );
    assert_eq!(all.lines().count(), 2, "{all}");
}

#[test]
fn a_policy_is_bounded() {
    let large = "// ".repeat(MOST_BYTES);
    assert_eq!(problems(&large), "p.cedar: is larger than 1MiB");
    let path = Path::new("/nonexistent/p.cedar");
    let missing = Policy::load(path, &BTreeMap::new()).unwrap_err().to_string();
    assert!(missing.starts_with("/nonexistent/p.cedar: cannot be read: "), "{missing}");
    let of =
        |condition: String| format!("permit(principal, action, resource) when {{ {condition} }};");
    for hostile in [
        of("(".repeat(60_000)),
        of("!".repeat(60_000)),
        of("true||".repeat(10_900)),
        of(format!("{}true", "true||".repeat(10_800))),
        of(format!("{}1", "1+".repeat(30_000))),
        of(format!("context{}", ".a".repeat(30_000))),
        of(format!("{}true", "if true then true else ".repeat(2_800))),
        of(format!("{}1", "-".repeat(60_000))),
        "@a ".repeat(20_000),
        "\"".to_owned(),
        format!("permit(principal, action, resource) when {{ \u{202e}{} }};", "x".repeat(9_000)),
    ] {
        let listed = problems(&hostile);
        assert!(listed.lines().count() <= 20, "{listed:.400}");
        assert!(listed.lines().all(|line| line.len() < 2_000), "{listed:.400}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "permit", "forbid", "(", ")", "principal", "action", "resource", ",", ";", "when",
                "{", "}", "context", ".", "arguments", "has", "==", "\"", "\\", "@id", "//", "\n",
                "Agent::", "\"a\"", "in", "[", "]", "!", "é", "\u{0}", "1", "is", "?principal",
            ]),
            0..40,
        )
    ) {
        let _ = Policy::parse("p", &pieces.concat(), &BTreeMap::new());
        let _ = Policy::parse("p", &pieces.join(" "), &BTreeMap::new());
    }
}
