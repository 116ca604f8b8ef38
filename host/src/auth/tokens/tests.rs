//! From an issuer that answers, or does not, to an identity.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::mock::{Manner, Mock, Pair, RESOURCE, now, seconds, tokens};
use super::{Rejected, Tokens};
use crate::auth::principal::{Credential, Identity};
use crate::clock::{Clock, FakeClock};
use crate::names::Scope;

/// An issuer with one key, and a server that accepts its tokens.
struct Served {
    mock: Mock,
    key: Pair,
    clock: Arc<FakeClock>,
    tokens: Tokens,
}

impl Served {
    fn new(more: &str) -> Self {
        let key = Pair::p256();
        let mock = Mock::with(vec![key.jwk("one", json!({}))]);
        let clock = Arc::new(FakeClock::new());
        let tokens = mock.tokens_at(more, &(Arc::clone(&clock) as Arc<dyn Clock>));
        Self { mock, key, clock, tokens }
    }

    fn signed(&self, kid: &str, change: Value) -> String {
        let header = json!({ "alg": "ES256", "kid": kid, "typ": "at+jwt" });
        self.key.token(&header, &self.mock.claims_with(change))
    }

    fn token(&self, change: Value) -> String {
        self.signed("one", change)
    }

    async fn verify(&self, token: &str) -> Result<Arc<Identity>, Rejected> {
        self.verify_from(0, token).await
    }

    async fn verify_from(&self, host: usize, token: &str) -> Result<Arc<Identity>, Rejected> {
        self.tokens.verify(token, address(host), now()).await
    }

    async fn identity(&self, change: Value) -> Arc<Identity> {
        self.verify(&self.token(change)).await.unwrap()
    }

    async fn objection(&self, change: Value) -> Rejected {
        self.verify(&self.token(change)).await.unwrap_err()
    }
}

/// One address of many.
fn address(host: usize) -> Option<IpAddr> {
    Some(IpAddr::from(u32::try_from(host).unwrap().to_be_bytes()))
}

fn scopes(scopes: &[Scope]) -> Vec<&str> {
    scopes.iter().map(Scope::as_str).collect()
}

fn unavailable(answer: Result<Arc<Identity>, Rejected>) -> String {
    match answer {
        Err(Rejected::IssuerUnavailable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_brings_what_it_and_its_agents_entry_both_allow() {
    let served = Served::new("tenant_claim = 'org'");
    let alice = served.identity(json!({ "org": "acme" })).await;
    assert_eq!(alice.agent.as_str(), "alice");
    assert_eq!(alice.subject.as_ref().map(ToString::to_string).as_deref(), Some("ada"));
    assert_eq!(alice.tenant.as_deref(), Some("acme"));
    assert_eq!(scopes(&alice.scopes), ["echo:*"]);
    assert_eq!(scopes(alice.reach.as_ref().unwrap()), ["echo:*", "records:get"]);
    let issuer = served.mock.url().into();
    assert_eq!(alice.credential, Credential::Token { issuer, id: Some("t-1".into()) });
    assert_eq!(alice.issued, Some(now() - Duration::from_secs(10)), "less the leeway");
    // The leeway included: from then on it is refused.
    assert_eq!(alice.expires, Some(now() + Duration::from_secs(3_610)));

    let guest = served.identity(json!({ "client_id": "guest", "jti": null, "iat": null })).await;
    assert_eq!(guest.agent.as_str(), "guest");
    assert_eq!(scopes(&guest.scopes), ["echo:*", "text:count"]);
    assert_eq!(scopes(guest.reach.as_ref().unwrap()), ["*"]);
    assert_eq!((guest.issued, guest.tenant.as_deref()), (None, None));

    // By our clock, if its issuer's is as far ahead as it may be: at one moment, whenever
    // it is judged.
    let ahead = served.identity(json!({ "iat": seconds() + 5 })).await;
    assert_eq!(ahead.issued, Some(now() - Duration::from_secs(5)));
}

#[tokio::test]
async fn whoever_acts_is_the_agent_and_whoever_is_acted_for_the_subject() {
    let served = Served::new("");
    let hashed = "client-8a62f1fc9b0c3b0d";
    for (change, agent, subject) in [
        (json!({}), "alice", Some("ada")),
        (json!({ "sub": "alice" }), "alice", None),
        (json!({ "sub": null }), "alice", None),
        (json!({ "client_id": null, "azp": "alice" }), "alice", Some("ada")),
        (json!({ "azp": "bob" }), "alice", Some("ada")),
        (json!({ "act": { "sub": "bot" } }), "bot", Some("ada")),
        (json!({ "act": { "client_id": "bot", "sub": "x" } }), "bot", Some("ada")),
        // Only the outermost actor counts (RFC 8693 §4.1).
        (json!({ "act": { "sub": "bot", "act": { "sub": "evil" } } }), "bot", Some("ada")),
        (json!({ "client_id": "0oa1-reports" }), "reports", Some("ada")),
        (json!({ "client_id": "https://app.example/client" }), "reports", Some("ada")),
        (json!({ "client_id": "https://unknown.example/client" }), "", Some("ada")),
        (json!({ "client_id": "client-8a62f1fc9b0c3b0d" }), "", Some("ada")),
    ] {
        let identity = served.identity(change.clone()).await;
        let named = identity.agent.as_str();
        if agent.is_empty() {
            let digits = named.strip_prefix("client-").unwrap();
            assert!(digits.len() == 16 && named != hashed, "{change}: {named}");
        } else {
            assert_eq!(named, agent, "{change}");
        }
        let of = identity.subject.as_ref().map(ToString::to_string);
        assert_eq!(of.as_deref(), subject, "{change}");
        let own = identity.own_subject.as_ref().map(ToString::to_string);
        assert_eq!(own.is_some(), change["sub"] == "alice", "{change}");
    }
}

#[tokio::test]
async fn scopes_are_read_in_every_spelling_and_foreign_ones_passed_over() {
    let served = Served::new("");
    for (change, expected) in [
        (json!({ "scope": "b a  b" }), vec!["a", "b"]),
        (json!({ "scope": null, "scp": "a b" }), vec!["a", "b"]),
        (json!({ "scope": null, "scp": ["a", "b c"] }), vec!["a"]),
        (json!({ "scope": ["a"], "scp": ["b"] }), vec!["a", "b"]),
        (json!({ "scope": "a \"b\" c\\d re*d ü a\tb" }), vec!["a"]),
        (json!({ "scope": "" }), vec![]),
        (json!({ "scope": null }), vec![]),
    ] {
        let mut all = change.clone();
        all["client_id"] = "guest".into();
        assert_eq!(scopes(&served.identity(all).await.scopes), expected, "{change}");
    }
}

#[tokio::test]
async fn claims_are_where_the_configuration_says() {
    let more = "agent_claims = ['https://acme.example/app', 'ext.app'], subject_claim = 'oid', \
                tenant_claim = 'ext.tenant', required_claims = ['oid', 'ext.tenant'], \
                audience = ['a', 'b'], token_types = ['at+jwt'], leeway = '0s', \
                max_lifetime = '1min'";
    let served = Served::new(more);
    let claims = json!({
        "aud": "b", "oid": "ada-1", "exp": seconds() + 60,
        "https://acme.example/app": "one", "ext": { "app": "two", "tenant": "acme" },
    });
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let identity = served.identity(claims.clone()).await;
    assert_eq!(identity.agent.as_str(), "one");
    assert_eq!(identity.subject.as_ref().map(ToString::to_string).as_deref(), Some("ada-1"));
    assert_eq!(identity.tenant.as_deref(), Some("acme"));
    let second = served.identity(with("https://acme.example/app", Value::Null)).await;
    assert_eq!(second.agent.as_str(), "two");
    for (change, why) in [
        (with("oid", Value::Null), "it has no `oid`, which is required"),
        (with("ext", json!({})), "it has no `ext.tenant`, which is required"),
        (with("ext", json!({ "tenant": null })), "it has no `ext.tenant`, which is required"),
        (
            with("aud", json!(RESOURCE)),
            "it is for another audience: \"https://tools.example.com/mcp\", and not a, b",
        ),
        (with("exp", json!(seconds() + 61)), "it lives longer than 60s (`max_lifetime`)"),
        (with("exp", json!(seconds())), "it expired at 2026-11-28T00:00:00Z"),
        (with("nbf", json!(seconds() + 1)), "it is not valid yet (`nbf`)"),
    ] {
        assert_eq!(served.objection(change).await, Rejected::Token(why.to_owned()));
    }
    let untyped = json!({ "alg": "ES256", "kid": "one" });
    let untyped = served.key.token(&untyped, &served.mock.claims_with(claims));
    let why = Rejected::Token("`` is no access token here".to_owned());
    assert_eq!(served.verify(&untyped).await.unwrap_err(), why);
}

#[tokio::test]
async fn a_token_is_known_until_it_ends() {
    let served = Served::new("");
    let token = served.token(json!({}));
    assert!(served.tokens.known(&token, now()).is_none());
    let verified = served.verify(&token).await.unwrap();
    let end = verified.expires.unwrap();
    let known = |at| served.tokens.known(&token, at);
    assert!(Arc::ptr_eq(&known(now()).unwrap(), &verified));
    assert!(known(end - Duration::from_nanos(1)).is_some());
    assert!(known(end).is_none());
    let late = served.tokens.verify(&token, None, end).await.unwrap_err();
    assert_eq!(late, Rejected::Token("it expired at 2026-11-28T01:00:00Z".to_owned()));
    assert!(served.tokens.known(&token[..token.len() - 1], now()).is_none());
}

#[tokio::test]
async fn a_server_without_issuers_accepts_no_token() {
    let clock: Arc<dyn Clock> = Arc::new(FakeClock::new());
    let none = tokens("[]", &clock).unwrap();
    let why = none.verify("a.b.c", None, now()).await.unwrap_err();
    assert_eq!(why, Rejected::Token("no issuer is configured".to_owned()));
    assert!(none.known("a.b.c", now()).is_none());
}

#[test]
fn a_secret_that_is_missing_or_short_is_told_at_the_start() {
    let clock: Arc<dyn Clock> = Arc::new(FakeClock::new());
    for (more, why) in [
        ("secret_env = 'ABSENT'", "issuer i: the environment has no variable `ABSENT`"),
        ("secret_env = 'SHORT'", "issuer i: the secret in `SHORT` is shorter than 32 bytes"),
        (
            "algorithms = [], introspection = { url = 'http://127.0.0.1:1', client_id = 'c', \
             client_secret_env = 'ABSENT' }",
            "issuer i: the environment has no variable `ABSENT`",
        ),
        (
            "jwks_uri = 'https://i.example', ca = '/nonexistent/ca.pem'",
            "issuer i: `ca`: /nonexistent/ca.pem",
        ),
    ] {
        let bad = tokens(&format!("[{{ issuer = 'i', {more} }}]"), &clock).unwrap_err();
        assert!(bad.to_string().starts_with(why), "{bad}");
    }
}

#[tokio::test]
async fn an_issuer_is_asked_when_its_first_token_comes_and_then_known() {
    let served = Served::new("");
    served.identity(json!({})).await;
    let first = served.mock.asked();
    assert_eq!(first, 3, "twice for its metadata, once for its keys");
    for n in 0..100 {
        served.identity(json!({ "jti": n.to_string() })).await;
    }
    assert_eq!(served.mock.asked(), first);

    let direct = Served::new(&format!("jwks_uri = '{}/keys'", served.mock.url()));
    let token = served.key.token(&json!({ "alg": "ES256" }), &direct.mock.claims());
    direct.verify(&token).await.unwrap();
    assert_eq!((direct.mock.asked(), served.mock.asked()), (0, first + 1));
}

#[tokio::test]
async fn a_useless_token_makes_nobody_ask() {
    let served = Served::new("");
    for change in [json!({ "exp": 1 }), json!({ "aud": "x" }), json!({ "client_id": null })] {
        served.objection(change).await;
    }
    assert_eq!(served.mock.asked(), 0);
}

#[tokio::test]
async fn unknown_key_ids_make_the_issuer_be_asked_rarely_and_once_for_all() {
    let served = Served::new("");
    served.identity(json!({})).await;
    let before = served.mock.asked();
    let unknown: Vec<String> =
        (0..200).map(|n| served.signed(&format!("no-{n}"), json!({}))).collect();
    let ask = || {
        let all = unknown.iter().enumerate();
        join_all(all.map(|(n, token)| served.verify_from(n, token)))
    };
    for _ in 0..3 {
        for (n, answer) in ask().await.into_iter().enumerate() {
            assert_eq!(answer.unwrap_err(), Rejected::Token(format!("no key `no-{n}`")));
        }
    }
    assert_eq!(served.mock.asked(), before + 3);
    served.clock.advance(Duration::from_secs(29));
    ask().await;
    assert_eq!(served.mock.asked(), before + 3);
    served.clock.advance(Duration::from_secs(1));
    ask().await;
    assert_eq!(served.mock.asked(), before + 6);
}

#[tokio::test]
async fn a_rotated_key_is_found_and_a_withdrawn_one_takes_its_tokens_along() {
    let served = Served::new("");
    let old = served.token(json!({}));
    served.verify(&old).await.unwrap();
    let next = Pair::p256();
    let of_next = next.token(&json!({ "alg": "ES256", "kid": "two" }), &served.mock.claims());

    let one = served.key.jwk("one", json!({}));
    served.mock.publishes(vec![one, next.jwk("two", json!({}))]);
    served.verify(&of_next).await.unwrap();
    assert!(served.tokens.known(&old, now()).is_some(), "both keys are good");

    served.mock.publishes(vec![next.jwk("two", json!({}))]);
    served.clock.advance(Duration::from_secs(30));
    served.verify(&served.signed("three", json!({}))).await.unwrap_err();
    assert!(served.tokens.known(&old, now()).is_none());
    let why = served.verify(&old).await.unwrap_err();
    assert_eq!(why, Rejected::Token("no key `one`".to_owned()));
    served.verify(&of_next).await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_is_down_or_mad_is_told_from_a_bad_token() {
    for (manner, cause) in [
        (Manner::Down, "connection closed"),
        (Manner::Failing, "it answers 500"),
        (Manner::Elsewhere, "it answers 302 and redirects are not followed"),
        (Manner::Garbage, "not JSON at line 1, column 1"),
        (Manner::Huge, "it answers more than 256KiB"),
    ] {
        let served = Served::new("");
        served.mock.answers(manner);
        let token = served.token(json!({}));
        let why = unavailable(served.verify(&token).await);
        assert!(why.contains(cause), "{manner:?}: {why}");
        served.mock.answers(Manner::Well);
        served.verify(&token).await.unwrap();
        // And what is known serves on without it.
        served.mock.answers(manner);
        served.identity(json!({ "jti": "t-2" })).await;
        served.clock.advance(Duration::from_secs(30));
        unavailable(served.verify(&served.signed("new", json!({}))).await);
    }
}

/// Time jumps to the next deadline when nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_silent_holds_up_few_and_not_for_long() {
    let served = Served::new("");
    served.mock.answers(Manner::Silent);
    let start = tokio::time::Instant::now();
    let tokens: Vec<String> =
        (0..300).map(|n| served.token(json!({ "jti": n.to_string() }))).collect();
    // Of one address, and of one each.
    for (hosts, waited) in [(1, 64), (300, 256)] {
        let all = tokens.iter().enumerate();
        let all = all.map(|(n, token)| served.verify_from(n % hosts, token));
        let whys: Vec<_> = join_all(all).await.into_iter().map(unavailable).collect();
        let turned_away = whys.iter().filter(|why| *why == "too many wait for it").count();
        assert_eq!(turned_away, 300 - waited, "{hosts}");
    }
    assert!(start.elapsed() <= Duration::from_secs(12), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_call_that_is_hung_up_on_does_not_stop_the_question() {
    let served = Served::new("");
    let token = served.token(json!({}));
    {
        let verify = served.verify(&token);
        futures_util::pin_mut!(verify);
        assert!(futures_util::poll!(&mut verify).is_pending());
    }
    served.verify(&token).await.unwrap();
    assert_eq!(served.mock.asked(), 3);
}

#[tokio::test]
async fn keys_serve_without_their_issuer_for_a_bounded_time() {
    let served = Served::new("refresh = '1min', stale_for = '1h'");
    served.identity(json!({})).await;
    served.mock.answers(Manner::Down);
    served.clock.advance(Duration::from_secs(3_660));
    let warm = served.token(json!({ "jti": "t-2" }));
    served.verify(&warm).await.unwrap();
    assert!(served.tokens.known(&warm, now()).is_some());
    served.clock.advance(Duration::from_secs(1));
    unavailable(served.verify(&served.token(json!({ "jti": "t-3" }))).await);
    let ended = async {
        while served.tokens.known(&warm, now()).is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
    assert!(ended.is_ok(), "what they have verified ends too");
    served.mock.answers(Manner::Well);
    served.clock.advance(Duration::from_secs(30));
    served.identity(json!({ "jti": "t-3" })).await;
}

#[tokio::test]
async fn an_issuer_can_withdraw_its_last_key() {
    for keys in [vec![], vec![json!({ "kty": "oct", "k": "AA", "kid": "one" })]] {
        let served = Served::new("");
        let warm = served.token(json!({}));
        served.verify(&warm).await.unwrap();
        served.mock.publishes(keys);
        served.clock.advance(Duration::from_secs(30));
        let none = |kid: &str| Rejected::Token(format!("no key `{kid}`"));
        let why = served.verify(&served.signed("new", json!({}))).await.unwrap_err();
        assert_eq!(why, none("new"));
        assert!(served.tokens.known(&warm, now()).is_none());
        assert_eq!(served.verify(&warm).await.unwrap_err(), none("one"));
    }
}

#[tokio::test]
async fn a_key_set_that_is_too_large_replaces_none() {
    let served = Served::new("");
    served.identity(json!({})).await;
    served.mock.publishes((0..65).map(|n| served.key.jwk(&n.to_string(), json!({}))).collect());
    served.clock.advance(Duration::from_secs(30));
    let why = unavailable(served.verify(&served.signed("new", json!({}))).await);
    assert!(why.contains("a key set of 65 keys, more than 64"), "{why}");
    served.identity(json!({ "jti": "t-2" })).await;
}

#[tokio::test]
async fn an_issuer_that_does_not_name_its_keys_is_followed_too() {
    let served = Served::new("");
    let unnamed = |key: &Pair| {
        let mut jwk = key.jwk("", json!({}));
        jwk.as_object_mut().unwrap().remove("kid");
        jwk
    };
    let signed = |key: &Pair| key.token(&json!({ "alg": "ES256" }), &served.mock.claims());
    served.mock.publishes(vec![unnamed(&served.key)]);
    served.verify(&signed(&served.key)).await.unwrap();
    let next = Pair::p256();
    served.mock.publishes(vec![unnamed(&next)]);
    served.verify(&signed(&next)).await.unwrap();
    let why = served.verify(&signed(&Pair::p256())).await.unwrap_err();
    assert_eq!(why, Rejected::Token("its signature is wrong".to_owned()));
}

#[tokio::test]
async fn a_token_without_a_key_id_is_tried_with_few_keys() {
    let served = Served::new("");
    let header = json!({ "alg": "ES256" });
    let token = |n: usize| {
        let claims = served.mock.claims_with(json!({ "jti": n.to_string() }));
        served.key.token(&header, &claims)
    };
    let others = |count: usize| {
        let own = served.key.jwk("one", json!({}));
        let others = (0..count).map(|n| Pair::p256().jwk(&n.to_string(), json!({})));
        others.chain([own]).collect::<Vec<_>>()
    };
    served.mock.publishes(others(3));
    served.verify(&token(0)).await.unwrap();
    served.mock.publishes(others(4));
    served.verify(&served.signed("new", json!({}))).await.unwrap_err();
    let why = served.verify(&token(1)).await.unwrap_err();
    assert_eq!(why, Rejected::Token("it says not which of many keys (`kid`)".to_owned()));
}

fn introspecting(more: &str) -> (Mock, Arc<FakeClock>, Tokens) {
    let mock = Mock::with(Vec::new());
    let clock = Arc::new(FakeClock::new());
    let entry = format!(
        "[{{ issuer = '{0}', introspection = {{ url = '{0}/introspect', client_id = 'bulkhead', \
         client_secret_env = 'SECRET' }}, {more} }}]",
        mock.url()
    );
    let tokens = tokens(&entry, &(Arc::clone(&clock) as Arc<dyn Clock>)).unwrap();
    (mock, clock, tokens)
}

fn active(mock: &Mock, change: Value) -> Value {
    let mut claims = mock.claims_with(change);
    claims["active"] = true.into();
    claims
}

#[tokio::test]
async fn an_opaque_token_is_asked_about_and_the_answer_remembered_for_a_while() {
    let (mock, _, tokens) = introspecting("");
    mock.says("opaque", active(&mock, json!({})));
    let alice = tokens.verify("opaque", None, now()).await.unwrap();
    assert_eq!(alice.agent.as_str(), "alice");
    assert_eq!(scopes(&alice.scopes), ["echo:*"]);
    assert_eq!(alice.expires, Some(now() + Duration::from_secs(3_610)));
    assert_eq!(mock.asked(), 1);
    let known = |after: u64| tokens.known("opaque", now() + Duration::from_secs(after));
    assert!(known(59).is_some());
    assert!(known(60).is_none());

    // Neither who issued it nor an end has to be told (RFC 7662 §2.2).
    mock.says("bare", active(&mock, json!({ "iss": null, "exp": null, "iat": null })));
    let bare = tokens.verify("bare", None, now()).await.unwrap();
    assert_eq!(bare.expires, None);
    // An end before the answer is forgotten counts first.
    mock.says("brief", active(&mock, json!({ "exp": seconds() + 5 })));
    tokens.verify("brief", None, now()).await.unwrap();
    assert!(tokens.known("brief", now() + Duration::from_secs(15)).is_none());
}

#[tokio::test]
async fn what_the_issuer_says_of_an_opaque_token_is_judged_as_claims_are() {
    let (mock, _, tokens) = introspecting("");
    for (token, answer, why) in [
        ("inactive", json!({ "active": false }), "its issuer says that it is not active"),
        (
            "elsewhere",
            active(&mock, json!({ "aud": "x" })),
            "it is for another audience: \"x\", and not https://tools.example.com/mcp",
        ),
        ("nowhere", active(&mock, json!({ "aud": null })), "it has no `aud`"),
        ("expired", active(&mock, json!({ "exp": 1 })), "it expired at 1970-01-01T00:00:01Z"),
        ("later", active(&mock, json!({ "nbf": seconds() + 60 })), "it is not valid yet (`nbf`)"),
        ("another", active(&mock, json!({ "iss": "x" })), "its `iss` is another"),
        (
            "bound",
            active(&mock, json!({ "cnf": {} })),
            "it is bound to a key (`cnf`) and not a bearer token",
        ),
    ] {
        mock.says(token, answer);
        let rejected = tokens.verify(token, None, now()).await.unwrap_err();
        assert_eq!(rejected, Rejected::Token(why.to_owned()), "{token}");
        assert!(tokens.known(token, now()).is_none(), "{token}");
    }
    for answer in [json!({}), json!({ "active": "true" }), json!({ "active": 1 }), json!([])] {
        mock.says("odd", answer);
        unavailable(tokens.verify("odd", None, now()).await);
    }
}

#[tokio::test]
async fn a_refusal_is_remembered_for_a_moment() {
    let (mock, clock, tokens) = introspecting("");
    for _ in 0..10 {
        tokens.verify("nobody", None, now()).await.unwrap_err();
    }
    assert_eq!(mock.asked(), 1);
    clock.advance(Duration::from_secs(5));
    mock.says("nobody", active(&mock, json!({})));
    tokens.verify("nobody", None, now()).await.unwrap();
    assert_eq!(mock.asked(), 2);
}

#[tokio::test]
async fn calls_that_wait_with_one_token_ask_as_often_as_there_are_turns() {
    let (mock, _, tokens) = introspecting("");
    mock.says("opaque", active(&mock, json!({})));
    for (later, most) in [(0, 12), (61, 12 + 4)] {
        let at = now() + Duration::from_secs(later);
        let all = (0..200).map(|n| tokens.verify("opaque", address(n), at));
        join_all(all).await.into_iter().for_each(|answer| drop(answer.unwrap()));
        assert!(mock.asked() <= most, "{}", mock.asked());
    }
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_about_a_token_says_nothing_about_it() {
    for manner in [Manner::Down, Manner::Garbage, Manner::Huge, Manner::Elsewhere, Manner::Failing]
    {
        let (mock, _, tokens) = introspecting("");
        mock.says("opaque", active(&mock, json!({})));
        mock.answers(manner);
        unavailable(tokens.verify("opaque", None, now()).await);
        mock.answers(Manner::Well);
        tokens.verify("opaque", None, now()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_made_up_tokens_is_asked_about_a_few_at_a_time() {
    let (mock, _, tokens) = introspecting("");
    mock.answers(Manner::Silent);
    let texts: Vec<String> = (0..300).map(|n| format!("made-up-{n}")).collect();
    let start = tokio::time::Instant::now();
    let all = texts.iter().enumerate();
    let all = all.map(|(n, text)| tokens.verify(text, address(n), now()));
    let answers = join_all(all).await;
    assert!(start.elapsed() <= Duration::from_secs(11), "{:?}", start.elapsed());
    answers.into_iter().for_each(|answer| drop(unavailable(answer)));
    assert!(mock.asked() <= 24, "{}", mock.asked());
}

#[tokio::test]
async fn a_flood_keeps_out_neither_other_addresses_nor_tokens_that_were_active_once() {
    let (mock, _, tokens) = introspecting("");
    mock.says("opaque", active(&mock, json!({})));
    tokens.verify("opaque", address(0), now()).await.unwrap();
    mock.answers(Manner::Silent);
    tokio::time::pause();
    let texts: Vec<String> = (0..300).map(|n| format!("made-up-{n}")).collect();
    let later = now() + Duration::from_secs(61);
    let full = "too many tokens wait for it";
    for (hosts, waited, text, from) in [(1, 64, "new", 7), (300, 256, "opaque", 0)] {
        let flood = texts.iter().enumerate();
        let flood = flood.map(|(n, text)| tokens.verify(text, address(n % hosts), later));
        // Last in, when all places are taken.
        let good = tokens.verify(text, address(from), later);
        let (flood, good) = tokio::join!(join_all(flood), good);
        let refused = flood.into_iter().map(unavailable).filter(|why| *why == full).count();
        assert_eq!(refused, 300 - waited, "{text}");
        let why = unavailable(good);
        assert_ne!(why, full, "{text}");
        // With turns of its own, it is asked about.
        assert_eq!(why.contains("before this one"), text == "new", "{why}");
    }
}

#[tokio::test]
async fn tokens_of_an_issuer_without_algorithms_are_all_asked_about() {
    let (mock, _, tokens) = introspecting("algorithms = []");
    let signed = Pair::p256().token(&json!({ "alg": "ES256" }), &mock.claims());
    mock.says(&signed, active(&mock, json!({})));
    tokens.verify(&signed, None, now()).await.unwrap();
    assert_eq!(mock.asked(), 1);
    let other = mock.claims_with(json!({ "iss": "https://other.example" }));
    let other = Pair::p256().token(&json!({ "alg": "ES256" }), &other);
    tokens.verify(&other, None, now()).await.unwrap_err();
    assert_eq!(mock.asked(), 1);
}

#[tokio::test]
async fn issuers_are_asked_in_order_and_one_that_is_down_hides_no_other() {
    let (first, second) = (Mock::with(Vec::new()), Mock::with(Vec::new()));
    let entry = |mock: &Mock| {
        format!(
            "{{ issuer = '{0}', introspection = {{ url = '{0}/introspect', \
             client_id = 'bulkhead', client_secret_env = 'SECRET' }} }}",
            mock.url()
        )
    };
    let clock: Arc<dyn Clock> = Arc::new(FakeClock::new());
    let tokens = tokens(&format!("[{}, {}]", entry(&first), entry(&second)), &clock).unwrap();
    second.says("opaque", active(&second, json!({})));
    let identity = tokens.verify("opaque", None, now()).await.unwrap();
    let issuer = second.url().into();
    assert_eq!(identity.credential, Credential::Token { issuer, id: Some("t-1".into()) });
    assert_eq!((first.asked(), second.asked()), (1, 1));
    first.answers(Manner::Down);
    second.says("other", active(&second, json!({})));
    tokens.verify("other", None, now()).await.unwrap();
    unavailable(tokens.verify("nobody", None, now()).await);
}
