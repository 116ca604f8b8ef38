//! The attacks on signed tokens, one row each: all refused, each for its own reason.

use serde_json::{Value, json};

use super::mock::{Manner, Mock, Pair, RESOURCE, SECRET, base64url, noise, now, seconds};
use super::{Rejected, Tokens};

/// An issuer with a key of every kind, the useless kinds included.
struct Issuer {
    mock: Mock,
    rsa: Pair,
    p256: Pair,
    p384: Pair,
    ed25519: Pair,
    secret: Pair,
    tokens: Tokens,
}

impl Issuer {
    fn new() -> Self {
        let (rsa, p256, p384) = (Pair::rsa(), Pair::p256(), Pair::p384());
        let (ed25519, secret) = (Pair::ed25519(), Pair::Secret(noise(32)));
        let none = || json!({});
        let mock = Mock::with(vec![
            rsa.jwk("rsa", none()),
            rsa.jwk("only-ps", json!({ "alg": "PS256" })),
            rsa.jwk("for-encryption", json!({ "use": "enc" })),
            rsa.jwk("for-wrapping", json!({ "key_ops": ["wrapKey"] })),
            rsa.jwk("rsa-oaep", json!({ "alg": "RSA-OAEP" })),
            rsa.jwk(&"k".repeat(257), none()),
            rsa.jwk("leaked", json!({ "d": "AA" })),
            p256.jwk("p256", json!({ "alg": "ES256", "use": "sig" })),
            p256.jwk("broken", json!({ "x": "AA" })),
            p256.jwk("p521", json!({ "crv": "P-521" })),
            p384.jwk("p384", none()),
            ed25519.jwk("ed", none()),
            secret.jwk("oct", json!({ "alg": "HS256" })),
            json!({ "kty": "RSA", "kid": "weak", "n": base64url([0x81; 128]), "e": "AQAB" }),
            json!({ "kty": "RSA", "kid": "2047", "n": base64url([0x7f; 256]), "e": "AQAB" }),
            json!({ "kty": "lattice", "kid": "unheard-of" }),
            json!("no key at all"),
        ]);
        let tokens = mock.tokens("");
        Self { mock, rsa, p256, p384, ed25519, secret, tokens }
    }

    /// A token of good claims, with this header.
    fn with_header(&self, pair: &Pair, header: &Value) -> String {
        pair.token(header, &self.mock.claims())
    }

    /// A well-signed token of good claims, but for these.
    fn with_claims(&self, change: Value) -> String {
        self.rsa.token(&json!({ "alg": "RS256", "kid": "rsa" }), &self.mock.claims_with(change))
    }

    async fn cause(&self, token: &str) -> String {
        match self.tokens.verify(token, None, now()).await {
            Ok(identity) => format!("accepted: {identity:?}"),
            Err(Rejected::Token(why)) => why,
            Err(Rejected::IssuerUnavailable(why)) => format!("unavailable: {why}"),
        }
    }

    async fn expect(&self, rows: &[(&str, String, &str)]) {
        for (attack, token, cause) in rows {
            assert_eq!(self.cause(token).await, *cause, "{attack}");
            assert!(self.tokens.known(token, now()).is_none(), "{attack}");
        }
        // And nothing of that stands in the way of a good one.
        let good = self.with_claims(json!({}));
        self.tokens.verify(&good, None, now()).await.unwrap();
    }
}

#[tokio::test]
async fn every_kind_of_good_token_is_accepted() {
    let issuer = Issuer::new();
    for (pair, header) in [
        (&issuer.rsa, json!({ "alg": "RS256", "kid": "rsa", "typ": "at+jwt" })),
        (&issuer.rsa, json!({ "alg": "PS256", "kid": "rsa", "typ": "JWT" })),
        (&issuer.rsa, json!({ "alg": "PS256", "kid": "only-ps" })),
        (&issuer.p256, json!({ "alg": "ES256", "kid": "p256", "typ": "application/at+jwt" })),
        (&issuer.p384, json!({ "alg": "ES384", "kid": "p384", "typ": "AT+JWT" })),
        (&issuer.ed25519, json!({ "alg": "EdDSA", "kid": "ed" })),
        (&issuer.p256, json!({ "alg": "ES256" })),
        // What a header says of keys is not looked at, whatever it is.
        (&issuer.rsa, json!({ "alg": "RS256", "kid": "rsa", "jku": 7, "x5c": {}, "jwk": [] })),
    ] {
        let token = issuer.with_header(pair, &header);
        issuer
            .tokens
            .verify(&token, None, now())
            .await
            .unwrap_or_else(|why| panic!("{header}: {why}"));
        assert!(issuer.tokens.known(&token, now()).is_some());
    }
}

#[tokio::test]
async fn signatures_cannot_be_done_without_or_by_another_key() {
    let issuer = Issuer::new();
    let Issuer { rsa, p256, p384, ed25519, secret, .. } = &issuer;
    let evil = Pair::other_rsa();
    let evil_jwk = evil.jwk("rsa", json!({}));
    let claims = issuer.mock.claims();
    let public = Pair::Secret(rsa.jwk("rsa", json!({}))["n"].as_str().unwrap().as_bytes().to_vec());
    let published = Pair::Secret(rsa.jwk("rsa", json!({})).to_string().into_bytes());
    let good = issuer.with_claims(json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let other = issuer.with_claims(json!({ "jti": "t-2" }));
    let of_other = other.rsplit_once('.').unwrap().1;
    let none = |alg: &str| base64url(json!({ "alg": alg, "kid": "rsa" }).to_string());
    let with = |pair: &Pair, header: Value| issuer.with_header(pair, &header);
    let wrong = "its signature is wrong";
    let hs256 = "algorithm `HS256` is not accepted of its issuer";
    let not_for = "its key is not for its algorithm";
    let (mut cut, mut flipped) = (good.clone(), good.clone().into_bytes());
    cut.truncate(good.len() - 4);
    let at = good.len() - 10;
    flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    issuer
        .expect(&[
            ("none", format!("{}.{}.", none("none"), parts[1]), "unknown algorithm `none`"),
            ("NoNe", format!("{}.{}.", none("NoNe"), parts[1]), "unknown algorithm `NoNe`"),
            (
                "none, with a signature",
                format!("{}.{}.{}", none("none"), parts[1], parts[2]),
                "unknown algorithm `none`",
            ),
            ("no algorithm", rsa.token(&json!({}), &claims), "its header has no `alg`"),
            ("alg as a list", rsa.token(&json!({ "alg": ["RS256"] }), &claims), "its header's `alg` is no string"),
            ("no signature", format!("{}.{}.", parts[0], parts[1]), wrong),
            ("our modulus as a secret", with(&public, json!({ "alg": "HS256", "kid": "rsa" })), hs256),
            ("our JWK as a secret", with(&published, json!({ "alg": "HS256", "kid": "rsa" })), hs256),
            ("a published secret", with(secret, json!({ "alg": "HS256", "kid": "oct" })), hs256),
            ("a published secret, by RS256", with(secret, json!({ "alg": "RS256", "kid": "oct" })), "no key `oct`"),
            ("ES256 with the RSA key", with(p256, json!({ "alg": "ES256", "kid": "rsa" })), not_for),
            ("RS256 with the P-256 key", with(rsa, json!({ "alg": "RS256", "kid": "p256" })), not_for),
            ("ES256 with the P-384 key", with(p384, json!({ "alg": "ES256", "kid": "p384" })), not_for),
            ("EdDSA with the P-256 key", with(ed25519, json!({ "alg": "EdDSA", "kid": "p256" })), not_for),
            ("RS256 with a key for PS256", with(rsa, json!({ "alg": "RS256", "kid": "only-ps" })), not_for),
            ("RS384, not in the list", with(rsa, json!({ "alg": "RS384", "kid": "rsa" })), "algorithm `RS384` is not accepted of its issuer"),
            ("an encryption key", with(rsa, json!({ "alg": "RS256", "kid": "for-encryption" })), "no key `for-encryption`"),
            ("a wrapping key", with(rsa, json!({ "alg": "RS256", "kid": "for-wrapping" })), "no key `for-wrapping`"),
            ("a key for RSA-OAEP", with(rsa, json!({ "alg": "RS256", "kid": "rsa-oaep" })), "no key `rsa-oaep`"),
            ("a key whose private half is published", with(rsa, json!({ "alg": "RS256", "kid": "leaked" })), "no key `leaked`"),
            ("a key of 1,024 bits", with(rsa, json!({ "alg": "RS256", "kid": "weak" })), "no key `weak`"),
            ("a key of 2,047 bits", with(rsa, json!({ "alg": "RS256", "kid": "2047" })), "no key `2047`"),
            ("a point with short coordinates", with(p256, json!({ "alg": "ES256", "kid": "broken" })), "no key `broken`"),
            ("a curve that is not served", with(p256, json!({ "alg": "ES256", "kid": "p521" })), "no key `p521`"),
            ("a key type nobody knows", with(rsa, json!({ "alg": "RS256", "kid": "unheard-of" })), "no key `unheard-of`"),
            ("another's key", with(&evil, json!({ "alg": "RS256", "kid": "rsa" })), wrong),
            ("another's key, no kid", with(&evil, json!({ "alg": "RS256" })), wrong),
            ("an embedded key", with(&evil, json!({ "alg": "RS256", "kid": "rsa", "jwk": evil_jwk })), wrong),
            ("an embedded key, no kid", with(&evil, json!({ "alg": "RS256", "jwk": evil_jwk })), wrong),
            ("jku", with(&evil, json!({ "alg": "RS256", "kid": "rsa", "jku": format!("{}/evil", issuer.mock.url()) })), wrong),
            ("x5u", with(&evil, json!({ "alg": "RS256", "kid": "rsa", "x5u": format!("{}/evil", issuer.mock.url()) })), wrong),
            ("x5c", with(&evil, json!({ "alg": "RS256", "kid": "rsa", "x5c": ["MIIB"], "x5t": "AA" })), wrong),
            ("a kid that is a path", with(rsa, json!({ "alg": "RS256", "kid": "../../../../dev/null" })), "no key `../../../../dev/null`"),
            ("a kid that is SQL", with(rsa, json!({ "alg": "RS256", "kid": "x' UNION SELECT 'a" })), "no key `x' UNION SELECT 'a`"),
            ("a kid of 10 KB", with(rsa, json!({ "alg": "RS256", "kid": "k".repeat(10_000) })), "a key id of 10000 bytes, more than 256"),
            ("a kid that is too long in the set too", with(rsa, json!({ "alg": "RS256", "kid": "k".repeat(257) })), "a key id of 257 bytes, more than 256"),
            ("an empty kid", with(rsa, json!({ "alg": "RS256", "kid": "" })), "no key ``"),
            ("a kid that is null", with(rsa, json!({ "alg": "RS256", "kid": null })), "its header's `kid` is no string"),
            ("a kid that clears the screen", with(rsa, json!({ "alg": "RS256", "kid": "\u{1b}[2J" })), r"no key `\u{1b}[2J`"),
            ("the signature of another token", format!("{}.{}.{of_other}", parts[0], parts[1]), wrong),
            ("a signature cut off", cut, wrong),
            ("one character changed", flipped, wrong),
            ("a signature in padded base64", format!("{good}=="), wrong),
            ("a signature that is no base64", format!("{}.{}.!!!", parts[0], parts[1]), wrong),
        ])
        .await;
    assert_eq!(issuer.mock.asked(), 6, "twice three requests: the second for all unknown ids");
}

#[tokio::test]
async fn parts_are_what_they_are_to_be() {
    let issuer = Issuer::new();
    let Issuer { rsa, .. } = &issuer;
    let good = issuer.with_claims(json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let claims = issuer.mock.claims().to_string();
    let header = r#"{"alg":"RS256","kid":"rsa"}"#;
    let signed = |header: &str, claims: &str| rsa.token_of("RS256", header, claims);
    let not_three = "not three parts with dots between them";
    let largest = 16 << 10;
    let sized = |length: usize| "A".repeat(length - 2) + "..";
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(16), "]".repeat(16));
    let twice = claims.replacen('{', r#"{"aud":"https://evil.example","#, 1);
    let escaped = claims.replacen('{', r#"{"\u0061ud":"https://evil.example","#, 1);
    let crit = signed(r#"{"alg":"RS256","kid":"rsa","crit":["exp"]}"#, &claims);
    let crit_empty = signed(r#"{"alg":"RS256","kid":"rsa","crit":[]}"#, &claims);
    let has_crit = "its header has `crit`: extensions that must be understood";
    let same = "JSON with the same key twice in one object";
    issuer
        .expect(&[
            ("nothing", String::new(), not_three),
            ("opaque", "2YotnFZFEjr1zCsicMWpAA".to_owned(), not_three),
            ("two parts", format!("{}.{}", parts[0], parts[1]), not_three),
            ("four parts", format!("{good}.{}", parts[2]), not_three),
            ("five, as if encrypted", format!("{good}.a.b"), not_three),
            ("dots", "..".to_owned(), "its header: not JSON at line 1, column 0"),
            ("as large as can be", sized(largest), "its header: not JSON at line 1, column 1"),
            ("larger", sized(largest + 1), "a token of 16385 bytes, more than 16384"),
            ("much larger", sized(10 << 20), "a token of 10485760 bytes, more than 16384"),
            (
                "a padded header",
                format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
                "its header is not base64url",
            ),
            (
                "padded claims",
                format!("{}.{}==.{}", parts[0], parts[1], parts[2]),
                "its payload is not base64url",
            ),
            (
                "the other alphabet",
                format!("+/+/.{}.{}", parts[1], parts[2]),
                "its header is not base64url",
            ),
            ("a blank", format!(" {good}"), "its header is not base64url"),
            (
                "no header",
                format!(".{}.{}", parts[1], parts[2]),
                "its header: not JSON at line 1, column 0",
            ),
            ("a header that is a list", signed("[]", &claims), "its header: no JSON object"),
            (
                "a header cut off",
                signed(r#"{"alg":"RS256""#, &claims),
                "its header: not JSON at line 1, column 14",
            ),
            (
                "a header said twice",
                signed(r#"{"alg":"none","alg":"RS256"}"#, &claims),
                &format!("its header: {same}"),
            ),
            (
                "a header not in UTF-8",
                format!("{}.{}.{}", base64url(b"{\"alg\":\"\xff\"}"), parts[1], parts[2]),
                "its header: not JSON at line 1, column 9",
            ),
            ("crit", crit, has_crit),
            ("an empty crit", crit_empty, has_crit),
            ("claims said twice", signed(header, &twice), &format!("its payload: {same}")),
            (
                "claims said twice, once escaped",
                signed(header, &escaped),
                &format!("its payload: {same}"),
            ),
            ("claims that are a list", signed(header, "[]"), "its payload: no JSON object"),
            ("claims that are a word", signed(header, "null"), "its payload: no JSON object"),
            (
                "claims that nest deep",
                signed(header, &deep),
                "its payload: JSON that nests too deep",
            ),
            (
                "two claims sets",
                signed(header, "{} {}"),
                "its payload: not JSON at line 1, column 4",
            ),
            (
                "a number beyond numbers",
                signed(header, r#"{"exp":1e400}"#),
                "its payload: not JSON at line 1, column 12",
            ),
            (
                "an ID-JAG",
                rsa.token(
                    &json!({ "alg": "RS256", "typ": "oauth-id-jag+jwt" }),
                    &issuer.mock.claims(),
                ),
                "`oauth-id-jag+jwt` is no access token here",
            ),
            (
                "a logout token",
                rsa.token(&json!({ "alg": "RS256", "typ": "logout+jwt" }), &issuer.mock.claims()),
                "`logout+jwt` is no access token here",
            ),
            (
                "a DPoP proof",
                rsa.token(&json!({ "alg": "RS256", "typ": "dpop+jwt" }), &issuer.mock.claims()),
                "`dpop+jwt` is no access token here",
            ),
            (
                "a type that is a number",
                rsa.token(&json!({ "alg": "RS256", "typ": 1 }), &issuer.mock.claims()),
                "its header's `typ` is no string",
            ),
        ])
        .await;
}

#[tokio::test]
async fn claims_are_for_us_and_for_now() {
    let issuer = Issuer::new();
    let with = |change: Value| issuer.with_claims(change);
    let (now, at) = (seconds(), now());
    let no_time = |name: &str| format!("its `{name}` is not a time in whole seconds");
    let (no_exp, no_nbf, no_iat) = (no_time("exp"), no_time("nbf"), no_time("iat"));
    let other = |theirs: &str| format!("it is for another audience: {theirs}, and not {RESOURCE}");
    let elsewhere = other("\"https://other.example/mcp\"");
    let almost = other(&format!("\"{RESOURCE}/\""));
    let start = other("\"https://tools.example.com\"");
    let no_aud = "its `aud` is neither a string nor a list of strings";
    let expired = |ago: i64| {
        let at = jiff::Timestamp::from_second(now - ago).unwrap();
        format!("it expired at {at}")
    };
    let many: Vec<String> = (0..257).map(|n| n.to_string()).chain([RESOURCE.to_owned()]).collect();
    let crowded = with(json!({ "aud": vec!["a"; 10_000] }));
    let too_large = format!("a token of {} bytes, more than 16384", crowded.len());
    issuer
        .expect(&[
            ("no issuer", with(json!({ "iss": null })), "it has no `iss`"),
            (
                "another issuer, our key",
                with(json!({ "iss": "https://other.example" })),
                "issuer `https://other.example` is not configured",
            ),
            (
                "almost our issuer",
                with(json!({ "iss": format!("{}/", issuer.mock.url()) })),
                &format!("issuer `{}/` is not configured", issuer.mock.url()),
            ),
            (
                "an issuer that is a list",
                with(json!({ "iss": [issuer.mock.url()] })),
                "its `iss` is no string",
            ),
            ("no audience", with(json!({ "aud": null })), "it has no `aud`"),
            ("another audience", with(json!({ "aud": "https://other.example/mcp" })), &elsewhere),
            ("almost our audience", with(json!({ "aud": format!("{RESOURCE}/") })), &almost),
            (
                "the start of our audience",
                with(json!({ "aud": "https://tools.example.com" })),
                &start,
            ),
            ("no audience in a list", with(json!({ "aud": [] })), &other("[]")),
            ("an audience that is an object", with(json!({ "aud": { RESOURCE: true } })), no_aud),
            ("an audience beside a number", with(json!({ "aud": [RESOURCE, 7] })), no_aud),
            ("10,000 audiences", crowded, &too_large),
            (
                "257 audiences and ours",
                with(json!({ "aud": many })),
                "its `aud` has more than 256 entries",
            ),
            ("no end", with(json!({ "exp": null })), "it has no `exp`"),
            ("an end that is a text", with(json!({ "exp": (now + 60).to_string() })), &no_exp),
            ("an end that is a fraction", with(json!({ "exp": now as f64 + 60.5 })), &no_exp),
            ("an end that is huge", with(json!({ "exp": 1e300 })), &no_exp),
            ("an end beyond the calendar", with(json!({ "exp": i64::MAX })), &no_exp),
            ("an end beyond whole numbers", with(json!({ "exp": u64::MAX })), &no_exp),
            ("a negative end", with(json!({ "exp": -1 })), &no_exp),
            ("an end that is true", with(json!({ "exp": true })), &no_exp),
            ("expired long ago", with(json!({ "exp": 0 })), "it expired at 1970-01-01T00:00:00Z"),
            ("expired, at the bound", with(json!({ "exp": now - 10 })), &expired(10)),
            ("expired, a second beyond", with(json!({ "exp": now - 11 })), &expired(11)),
            (
                "a life too long",
                with(json!({ "exp": now + 86_401 })),
                "it lives longer than 86400s (`max_lifetime`)",
            ),
            (
                "a life too long, from its start",
                with(json!({ "iat": now - 100, "exp": now + 86_301 })),
                "it lives longer than 86400s (`max_lifetime`)",
            ),
            (
                "a life too long, of unknown start",
                with(json!({ "iat": null, "exp": now + 86_401 })),
                "it lives longer than 86400s (`max_lifetime`)",
            ),
            ("not yet", with(json!({ "nbf": now + 11 })), "it is not valid yet (`nbf`)"),
            ("a begin that is a text", with(json!({ "nbf": "now" })), &no_nbf),
            (
                "issued in the future",
                with(json!({ "iat": now + 11 })),
                "it is issued in the future (`iat`)",
            ),
            ("issued at a fraction", with(json!({ "iat": 0.5 })), &no_iat),
            (
                "bound to a key",
                with(json!({ "cnf": { "jkt": "AA" } })),
                "it is bound to a key (`cnf`) and not a bearer token",
            ),
            (
                "no client",
                with(json!({ "client_id": null })),
                "it names no client (act.client_id, act.sub, client_id, azp)",
            ),
            (
                "a client that is a number",
                with(json!({ "client_id": 7 })),
                "its `client_id` is not a string of 1 to 2048 bytes without control characters",
            ),
            (
                "an empty client",
                with(json!({ "client_id": "" })),
                "its `client_id` is not a string of 1 to 2048 bytes without control characters",
            ),
            (
                "an actor without a name",
                with(json!({ "act": { "iss": "x" } })),
                "its `act` names nobody",
            ),
            ("an actor that is a text", with(json!({ "act": "bob" })), "its `act` names nobody"),
            (
                "a subject that is too long",
                with(json!({ "sub": "s".repeat(257) })),
                "its `sub` is no subject: 1 to 256 bytes",
            ),
            (
                "a subject with a line break",
                with(json!({ "sub": "a\nb" })),
                "its `sub` is not a string of 1 to 2048 bytes without control characters",
            ),
            (
                "a token id that is too long",
                with(json!({ "jti": "j".repeat(257) })),
                "its `jti` is not a string of 1 to 256 bytes without control characters",
            ),
            (
                "scopes that are a number",
                with(json!({ "scope": 7 })),
                "its `scope` is neither a string nor a list of strings",
            ),
            (
                "scopes beside a number",
                with(json!({ "scp": ["a", 7] })),
                "its `scp` is neither a string nor a list of strings",
            ),
            (
                "257 scopes",
                with(json!({ "scope": "a ".repeat(257) })),
                "it has more than 256 scopes",
            ),
            (
                "257 scopes in two lists",
                with(json!({ "scope": "a ".repeat(256), "scp": "b" })),
                "it has more than 256 scopes",
            ),
        ])
        .await;

    for (good, change) in [
        ("ours among many", json!({ "aud": ["a", RESOURCE] })),
        ("ours among 256", json!({ "aud": many[2..] })),
        ("expired, within the leeway", json!({ "exp": now - 9 })),
        ("not yet, within the leeway", json!({ "nbf": now + 10 })),
        ("issued a moment from now", json!({ "iat": now + 10 })),
        ("as long a life as can be", json!({ "exp": now + 86_400 })),
        ("256 scopes", json!({ "scope": "a ".repeat(256) })),
    ] {
        let token = issuer.with_claims(change);
        issuer.tokens.verify(&token, None, at).await.unwrap_or_else(|why| panic!("{good}: {why}"));
    }
}

#[tokio::test]
async fn a_secret_is_for_its_issuer_and_for_nothing_else() {
    let mock = Mock::with(vec![Pair::rsa().jwk("rsa", json!({}))]);
    mock.answers(Manner::Down);
    let tokens = mock.tokens("secret_env = 'SECRET', algorithms = ['HS256', 'HS512']");
    let (secret, other) = (Pair::Secret(SECRET.into()), Pair::Secret(noise(32)));
    let claims = mock.claims();
    for header in [json!({ "alg": "HS256" }), json!({ "alg": "HS512", "kid": "whatever" })] {
        tokens.verify(&secret.token(&header, &claims), None, now()).await.unwrap();
    }
    for (pair, alg, cause) in [
        (&other, "HS256", "its signature is wrong"),
        (&secret, "HS384", "algorithm `HS384` is not accepted of its issuer"),
        (&Pair::rsa(), "RS256", "algorithm `RS256` is not accepted of its issuer"),
    ] {
        let token = pair.token(&json!({ "alg": alg, "kid": "rsa" }), &claims);
        let why = tokens.verify(&token, None, now()).await.unwrap_err();
        assert_eq!(why, Rejected::Token(cause.to_owned()));
    }
    assert_eq!(mock.asked(), 0);
}
