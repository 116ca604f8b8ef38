//! An issuer for tests: it answers in whatever manner a test wants, and signs anything.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512,
};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{BadIssuer, Tokens};
use crate::clock::{Clock, FakeClock};
use crate::config::Config;

/// What tokens are issued for.
pub(super) const RESOURCE: &str = "https://tools.example.com/mcp";

/// What the environment has as `SECRET`.
pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The time of all tests.
pub(super) fn now() -> Timestamp {
    "2026-11-28T00:00:00Z".parse().unwrap()
}

/// The same, in seconds.
pub(super) fn seconds() -> i64 {
    now().as_second()
}

pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key pair. Those of RSA take a while to make, and so there are two for all tests.
pub(super) enum Pair {
    Rsa(&'static RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Secret(Vec<u8>),
}

static RSA: LazyLock<[RsaKeyPair; 2]> =
    LazyLock::new(|| [(); 2].map(|()| RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));

impl Pair {
    pub(super) fn rsa() -> Self {
        Self::Rsa(&RSA[0])
    }

    pub(super) fn other_rsa() -> Self {
        Self::Rsa(&RSA[1])
    }

    pub(super) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(super) fn p384() -> Self {
        Self::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    pub(super) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    /// The public key as it is published, with `more` about it.
    pub(super) fn jwk(&self, kid: &str, more: Value) -> Value {
        let mut jwk = match self {
            Self::Rsa(pair) => {
                let key = pair.public_key();
                let modulus = key.modulus().big_endian_without_leading_zero();
                let exponent = key.exponent().big_endian_without_leading_zero();
                json!({ "kty": "RSA", "n": base64url(modulus), "e": base64url(exponent) })
            }
            Self::P256(pair) => point(pair, "P-256"),
            Self::P384(pair) => point(pair, "P-384"),
            Self::Ed25519(pair) => {
                let x = base64url(pair.public_key());
                json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
            }
            Self::Secret(secret) => json!({ "kty": "oct", "k": base64url(secret) }),
        };
        jwk["kid"] = kid.into();
        jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        jwk
    }

    fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let padding: &dyn aws_lc_rs::signature::RsaEncoding = match alg {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::P256(pair) | Self::P384(pair) => {
                pair.sign(&random, message).unwrap().as_ref().to_vec()
            }
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Secret(secret) => {
                let hash = match alg {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
        }
    }

    /// A token of these parts, as they are written.
    pub(super) fn token_of(&self, alg: &str, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", base64url(header), base64url(claims));
        let signature = self.sign(alg, signed.as_bytes());
        format!("{signed}.{}", base64url(signature))
    }

    /// A token, signed as its header says.
    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        let alg = header["alg"].as_str().unwrap_or_default();
        self.token_of(alg, &header.to_string(), &claims.to_string())
    }
}

fn point(pair: &EcdsaKeyPair, curve: &str) -> Value {
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
}

/// How the issuer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Well,
    Down,
    Silent,
    Garbage,
    Huge,
    Elsewhere,
    Failing,
}

pub(super) struct Mock {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    manner: Mutex<Manner>,
    keys: Mutex<Vec<Value>>,
    /// What is said of an opaque token.
    opaque: Mutex<HashMap<String, Value>>,
    asked: AtomicUsize,
}

impl Mock {
    /// One that publishes these keys.
    pub(super) fn with(keys: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            manner: Mutex::new(Manner::Well),
            keys: Mutex::new(keys),
            opaque: Mutex::default(),
            asked: AtomicUsize::new(0),
        });
        let (own, of_thread) = (url.clone(), Arc::clone(&shared));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (own, shared) = (own.clone(), Arc::clone(&of_thread));
                std::thread::spawn(move || answer(stream.unwrap(), &own, &shared));
            }
        });
        Self { url, shared }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn answers(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    pub(super) fn publishes(&self, keys: Vec<Value>) {
        *self.shared.keys.lock().unwrap() = keys;
    }

    pub(super) fn says(&self, token: &str, answer: Value) {
        self.shared.opaque.lock().unwrap().insert(token.to_owned(), answer);
    }

    /// How many requests have reached it.
    pub(super) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// The claims of a good token.
    pub(super) fn claims(&self) -> Value {
        json!({
            "iss": self.url, "aud": RESOURCE, "client_id": "alice", "sub": "ada",
            "scope": "echo:* text:count", "iat": seconds(), "exp": seconds() + 3_600,
            "jti": "t-1",
        })
    }

    /// The claims of a good token, but for these; null takes one away.
    pub(super) fn claims_with(&self, change: Value) -> Value {
        let mut claims = self.claims();
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    /// A server that accepts its tokens, with `more` in the issuer's entry.
    pub(super) fn tokens(&self, more: &str) -> Tokens {
        self.tokens_at(more, &(Arc::new(FakeClock::new()) as Arc<dyn Clock>))
    }

    pub(super) fn tokens_at(&self, more: &str, clock: &Arc<dyn Clock>) -> Tokens {
        tokens(&format!("[{{ issuer = '{}', {more} }}]", self.url), clock).unwrap()
    }
}

/// A server with these issuers.
pub(super) fn tokens(issuers: &str, clock: &Arc<dyn Clock>) -> Result<Tokens, BadIssuer> {
    let variables = [
        ("BULKHEAD__SERVER__PUBLIC_URL", RESOURCE),
        ("BULKHEAD__AUTH__ISSUERS", issuers),
        ("BULKHEAD__AGENTS__ALICE__SCOPES", "['echo:*', 'records:get']"),
        ("BULKHEAD__AGENTS__REPORTS__SCOPES", "['*']"),
        ("BULKHEAD__AGENTS__REPORTS__CLIENTS", "['0oa1-reports', 'https://app.example/client']"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::load(None, variables).unwrap();
    let variable = |name: &str| match name {
        "SECRET" => Some(SECRET.to_owned()),
        "SHORT" => Some("too short".to_owned()),
        _ => None,
    };
    Tokens::with_variables(&config, clock, &variable)
}

/// Random bytes of no meaning.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rand::fill(&mut bytes).unwrap();
    bytes
}

fn answer(mut stream: TcpStream, url: &str, shared: &Shared) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        head.push(byte[0]);
    }
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let head = String::from_utf8(head).unwrap();
    let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match *shared.manner.lock().unwrap() {
        Manner::Down => return,
        Manner::Silent => {
            // Until the other side has hung up.
            let _ = stream.read(&mut byte);
            return;
        }
        Manner::Garbage => ("200 OK", "<html>\0".to_owned()),
        Manner::Huge => ("200 OK", format!(r#"{{"keys":["{}"]}}"#, "x".repeat(10_000_000))),
        Manner::Elsewhere => ("302 Found", String::new()),
        Manner::Failing => ("500 Internal Server Error", String::new()),
        Manner::Well => document(path, url, &head, &String::from_utf8(body).unwrap(), shared),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nlocation: {url}/keys\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all((head + &body).as_bytes());
}

fn document(
    path: &str,
    url: &str,
    head: &str,
    form: &str,
    shared: &Shared,
) -> (&'static str, String) {
    match path {
        "/.well-known/openid-configuration" => {
            ("200 OK", json!({ "issuer": url, "jwks_uri": format!("{url}/keys") }).to_string())
        }
        "/keys" => ("200 OK", json!({ "keys": *shared.keys.lock().unwrap() }).to_string()),
        "/introspect" if head.contains("authorization: Basic YnVsa2hlYWQ6MDEy") => {
            let token = form.strip_prefix("token=").and_then(|rest| rest.split('&').next());
            let opaque = shared.opaque.lock().unwrap();
            let known = opaque.get(token.unwrap()).cloned();
            ("200 OK", known.unwrap_or_else(|| json!({ "active": false })).to_string())
        }
        "/introspect" => ("401 Unauthorized", "{}".to_owned()),
        _ => ("404 Not Found", "{}".to_owned()),
    }
}
