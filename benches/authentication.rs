//! What it costs to know who asks: the first step of a call, alone.
//!
//! A *warm* credential was seen before; a *cold* token was not, so its signature is
//! verified. The issuer's keys are known in all cases.
//!
//!     cargo run --release -p benches --bin authentication

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench: it prints, fails loudly, and lives on real time"
)]

#[path = "../tests/src/issuer.rs"]
#[allow(dead_code, clippy::indexing_slicing, missing_docs, unreachable_pub)]
mod issuer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bulkhead::auth::{self, Identities, KeyFile, NewKey, Revocations, Tokens};
use bulkhead::clock::{Clock, SystemClock};
use bulkhead::config::Config;
use bulkhead::names::Secret;
use bulkhead::transport::{Channel, Head, Presented};
use issuer::Issuer;
use serde_json::json;

/// How often each measurement is taken; the least is told.
const ROUNDS: usize = 7;

/// How many warm credentials a round checks.
const WARM: usize = 100_000;

/// How many cold tokens a round checks, each a new one.
const COLD: usize = 300;

struct Gate {
    identities: ArcSwap<Identities>,
    tokens: Tokens,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let issuer = Issuer::start().await;
        let dir = std::env::temp_dir().join(format!("bulkhead-bench-{}", std::process::id()));
        let config = config(&issuer);
        let keys = dir.join("keys.toml");
        let new = NewKey {
            agent: "bench".parse().expect("a name"),
            subject: None,
            scopes: None,
            expires: None,
        };
        let (_, key) = auth::create(&keys, new, SystemClock.utc()).expect("a key");
        let gate = Gate {
            identities: ArcSwap::from_pointee(Identities::new(
                &config,
                &KeyFile::load(&keys).expect("the keys"),
                Revocations::default(),
            )),
            tokens: Tokens::new(&config, &(Arc::new(SystemClock) as _)).expect("an issuer"),
        };
        std::fs::remove_dir_all(&dir).expect("it is there");

        println!("Time to authenticate, least of {ROUNDS} rounds\n");
        println!("{:<28} {:>10}", "credential", "µs");
        told("API key, warm", WARM, || gate.warm(&key)).await;
        let token = Secret::new(issuer.token("bench", "*"));
        told("token, warm", WARM, || gate.warm(&token)).await;
        for (kid, alg) in [("rsa", "RS256"), ("ec", "ES256")] {
            told(&format!("token, cold, {alg}"), COLD, || gate.cold(&issuer, kid, alg)).await;
        }
    });
}

fn config(issuer: &Issuer) -> Config {
    let variables = [
        ("BULKHEAD__SERVER__PUBLIC_URL", issuer::RESOURCE.to_owned()),
        ("BULKHEAD__AUTH__ISSUERS", format!("[{{ issuer = '{}' }}]", issuer.url())),
        ("BULKHEAD__AGENTS__BENCH__SCOPES", "['*']".to_owned()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    Config::load(None, variables).expect("a configuration")
}

/// Prints the least that one of `count` took.
async fn told<F: Future<Output = Duration>>(what: &str, count: usize, round: impl Fn() -> F) {
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        least = least.min(round().await);
    }
    println!("{what:<28} {:>10.3}", least.as_secs_f64() * 1e6 / count as f64);
}

impl Gate {
    async fn warm(&self, credential: &Secret) -> Duration {
        let head = head(credential.clone());
        self.check(&head).await;
        let began = Instant::now();
        for _ in 0..WARM {
            self.check(&head).await;
        }
        began.elapsed()
    }

    async fn cold(&self, issuer: &Issuer, kid: &str, alg: &str) -> Duration {
        let header = json!({ "alg": alg, "kid": kid, "typ": "at+jwt" });
        let sign = |_| {
            let mut claims = issuer.claims("bench", "*");
            claims["jti"] = format!("{:?}", Instant::now()).into();
            head(Secret::new(issuer.sign_with(kid, &header, &claims)))
        };
        let heads: Vec<Head> = (0..COLD).map(sign).collect();
        let began = Instant::now();
        for head in &heads {
            self.check(head).await;
        }
        began.elapsed()
    }

    async fn check(&self, head: &Head) {
        let principal =
            auth::authenticate(&self.identities, &self.tokens, head, &SystemClock).await;
        std::hint::black_box(principal.expect("a good credential"));
    }
}

fn head(credential: Secret) -> Head {
    Head::without_headers(Channel::Http, Presented::Bearer(credential), None)
}
