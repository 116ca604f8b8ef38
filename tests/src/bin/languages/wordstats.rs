//! The same tool in every language and by every way in, put to one test.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use bulkhead_tests::{Client, Host};
use serde_json::{Value, json};

use super::{Failures, built, cost};

/// One of them.
pub(crate) struct Variant {
    pub(crate) language: &'static str,
    pub(crate) way: &'static str,
    source: &'static str,
    /// Whether its way can report progress.
    reports: bool,
    /// The largest `top` that its types or its schema allow.
    most: u64,
}

const VARIANTS: &[Variant] = &[
    Variant {
        language: "Rust",
        way: "world",
        source: "plugins/wordstats",
        reports: true,
        most: 100,
    },
    Variant {
        language: "Rust",
        way: "plain",
        source: "sdk/plain/examples/wordstats",
        reports: false,
        most: 255,
    },
    Variant {
        language: "Python",
        way: "world",
        source: "sdk/python/examples/wordstats",
        reports: true,
        most: 100,
    },
    Variant {
        language: "JavaScript",
        way: "world",
        source: "sdk/javascript/examples/wordstats",
        reports: true,
        most: 100,
    },
    Variant {
        language: "Go",
        way: "command",
        source: "sdk/go/examples/wordstats",
        reports: false,
        most: 100,
    },
    Variant {
        language: "C",
        way: "command",
        source: "sdk/c/examples/wordstats",
        reports: false,
        most: 100,
    },
];

/// Runs the test over all of them, and prints what each costs.
pub(crate) async fn run(out: &Path) -> Failures {
    let mut failures = Failures::new();
    let mut costs = Vec::new();
    for variant in VARIANTS {
        let name = format!("{} ({})", variant.language, variant.way);
        eprintln!("wordstats: {name} …");
        let folder = out.join(format!("{}-{}", variant.language, variant.way));
        let component = built(variant.source, &folder).await;
        let bytes = std::fs::read(&component).expect("it was built");
        let size = bytes.len();
        let (host, compiled) = cost::served("wordstats", bytes).await;
        let alice = host.client("alice").await;
        failures
            .extend(wrong(variant, &alice).await.into_iter().map(|what| format!("{name}: {what}")));
        costs.push(cost::Cost::of(variant, size, compiled, host).await);
    }
    cost::print(&costs);
    failures
}

/// Everything that is not as the rules of `wordstats` say.
async fn wrong(variant: &Variant, alice: &Client) -> Failures {
    let mut wrong = Failures::new();
    let mut unlike = |what: String, told: &Value, expected: &Value| {
        if told != expected {
            wrong.push(format!("{what}: {told} is not {expected}"));
        }
    };
    let tools = alice.tools().await;
    let tool = &tools[0];
    unlike("its name".to_owned(), &tool["name"], &json!("wordstats"));
    let words = tool["description"].as_str().unwrap_or_default().split_whitespace();
    let described = Vec::from_iter(words).join(" ").contains("most frequent words");
    unlike("its description".to_owned(), &json!(described), &json!(true));
    unlike(
        "its text".to_owned(),
        &tool["inputSchema"]["properties"]["text"]["type"],
        &json!("string"),
    );
    let answers = &tool["outputSchema"]["properties"];
    unlike("its result".to_owned(), &answers["frequent"]["type"], &json!("array"));

    for text in texts() {
        for top in [None, Some(0), Some(3), Some(100)] {
            let mut arguments = json!({ "text": text });
            if let Some(top) = top {
                arguments["top"] = json!(top);
            }
            let answer = alice.call("wordstats", arguments).await;
            let shown: String = text.chars().take(30).collect();
            let what = format!("{shown:?}, {top:?}");
            match expected(&text, top.unwrap_or(10)) {
                Some(stats) => unlike(what, &answer.result()["structuredContent"], &stats),
                None => {
                    let error = &answer.result()["_meta"]["io.bulkhead/error"];
                    unlike(what.clone(), &error["code"], &json!("EMPTY_TEXT"));
                    unlike(what, &error["retryable"], &json!(false));
                }
            }
        }
    }
    for bad in [
        json!({}),
        json!({ "text": 7 }),
        json!({ "text": "a", "top": -1 }),
        json!({ "text": "a", "top": variant.most + 1 }),
        json!({ "text": "a", "top": 1.5 }),
        json!({ "text": "a", "more": 1 }),
    ] {
        let answer = alice.call("wordstats", bad.clone()).await;
        let code = &answer.result()["_meta"]["io.bulkhead/error"]["code"];
        unlike(bad.to_string(), code, &json!("INVALID_ARGUMENTS"));
    }

    let answer = alice.open("wordstats", json!({ "text": "one two two" })).await.finish().await;
    let reports: Vec<&Value> =
        answer.notifications().iter().map(|report| &report["params"]["message"]).collect();
    let expected = if variant.reports { vec!["counted 3 words"] } else { Vec::new() };
    unlike("its progress".to_owned(), &json!(reports), &json!(expected));
    wrong
}

/// Texts that are easily counted wrong.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "one",
        "One two,\ntwo (three) THREE three!",
        "Größe größe ÄÖ\n",
        "",
        " ... \n",
        "\n\n\n",
        "a\u{b}b\u{c}c\td\re",
        "no\u{a0}break and\u{2003}wide spaces",
        "it's --well-- 'quoted' [x] {y} ~z~ @me #tag",
        "🦀🦀 🦀 e\u{301}te\u{301} éte zwölf क्\u{200d}या",
        "b a c a b c",
        "\u{10ffff} \u{ffff} \u{e000} z",
        "\"}, \\ \\u0041 </script>",
        "ends without a line feed\nhere",
        "İstanbul ISTANBUL istanbul ß ẞ",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push((0..4_000).map(|at| format!("w{} ", at % 997)).collect());
    texts.push("x".repeat(50_000));
    texts
}

/// What `wordstats` has to answer, written a second time.
fn expected(text: &str, top: usize) -> Option<Value> {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}');
    let mut counts = BTreeMap::<String, u64>::new();
    for piece in text.split(is_space) {
        let word = piece.trim_matches(|c: char| c.is_ascii_punctuation()).to_ascii_lowercase();
        if !word.is_empty() {
            *counts.entry(word).or_default() += 1;
        }
    }
    let longest = counts.keys().map(|word| (Reverse(word.chars().count()), word)).min()?.1;
    let mut ranked: Vec<(&String, &u64)> = counts.iter().collect();
    ranked.sort_by_key(|(word, count)| (Reverse(**count), *word));
    let frequent: Vec<Value> = ranked
        .iter()
        .take(top)
        .map(|(word, count)| json!({ "word": word, "count": count }))
        .collect();
    let feeds = text.matches('\n').count();
    Some(json!({
        "characters": text.chars().count(),
        "lines": feeds + usize::from(!text.ends_with('\n')),
        "words": counts.values().sum::<u64>(),
        "distinct": counts.len(),
        "longest": longest,
        "frequent": frequent,
    }))
}

/// The text that costs are measured with: a page of prose.
pub(crate) fn page() -> Value {
    let text = "It is a truth universally acknowledged, that a single man in possession of a good \
                fortune, must be in want of a wife.\n";
    json!({ "text": text.repeat(20) })
}

/// A server with the component.
pub(crate) fn setup(name: &str, component: Vec<u8>) -> bulkhead_tests::Setup {
    let quota = "[per_call]\nfuel = '2G'\nmemory = '128MiB'\ndeadline = '30s'\n";
    let rates = "[per_agent]\nrate = '1_000_000/min'\nburst = 100_000\n";
    Host::test()
        .file(&format!("{name}.wasm"), component)
        .agent("alice", &["*"])
        .config(&format!("{quota}{rates}"))
}
