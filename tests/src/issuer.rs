//! An authorization server that does exactly what it is told, the wrong thing included:
//! it publishes keys, and signs whatever a test claims.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What tokens are issued for.
pub const RESOURCE: &str = "https://tools.example.com/mcp";

/// A running issuer. It ends with the test.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    keys: Mutex<Vec<SigningKey>>,
    manner: Mutex<Manner>,
    asked: AtomicUsize,
}

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Well,
    /// Closes every connection.
    Down,
    /// Takes the request and never answers.
    Silent,
    /// With bytes that are no JSON.
    Garbage,
    /// With 10 MB of JSON.
    Huge,
    /// Sends clients elsewhere.
    Elsewhere,
}

/// A key pair, and what it is called.
#[derive(Debug)]
struct SigningKey {
    kid: String,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    Rsa(Box<KeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

impl Issuer {
    /// Starts one, with one RSA key called `rsa` and one of P-256 called `ec`.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let keys = vec![SigningKey::rsa("rsa"), SigningKey::ec("ec")];
        let shared = Arc::new(Shared {
            keys: Mutex::new(keys),
            manner: Mutex::new(Manner::Well),
            asked: AtomicUsize::new(0),
        });
        tokio::spawn(serve(listener, url.clone(), Arc::clone(&shared)));
        Self { url, shared }
    }

    /// Its issuer identifier.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What `bulkhead.toml` says of it, and of the resource.
    pub fn config(&self) -> String {
        format!("[server]\npublic_url = '{RESOURCE}'\n{}", self.entry())
    }

    /// Its own table in `bulkhead.toml`.
    pub fn entry(&self) -> String {
        format!("[[auth.issuers]]\nissuer = '{}'\n", self.url)
    }

    /// From now on it answers in this manner.
    pub fn answers(&self, manner: Manner) {
        *self.shared.manner.lock().expect("nobody panics with it") = manner;
    }

    /// How many requests have reached it.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// Publishes only a new key, called `kid`, from now on.
    pub fn rotate(&self, kid: &str) {
        *self.shared.keys.lock().expect("nobody panics with it") = vec![SigningKey::ec(kid)];
    }

    /// The claims of a good token, for an hour.
    pub fn claims(&self, client: &str, scopes: &str) -> Value {
        let now = now();
        json!({
            "iss": self.url, "aud": RESOURCE, "client_id": client, "sub": "ada",
            "scope": scopes, "iat": now, "exp": now + 3_600, "jti": format!("{client}-{now}"),
        })
    }

    /// A good token.
    pub fn token(&self, client: &str, scopes: &str) -> String {
        self.sign(&self.claims(client, scopes))
    }

    /// A token of these claims, signed with the newest key.
    pub fn sign(&self, claims: &Value) -> String {
        let keys = self.shared.keys.lock().expect("nobody panics with it");
        let key = keys.last().expect("there is one");
        let header = json!({ "alg": key.alg(), "kid": key.kid, "typ": "at+jwt" });
        key.signed(&header, claims)
    }

    /// A token of this header and these claims, signed with the key `kid`.
    pub fn sign_with(&self, kid: &str, header: &Value, claims: &Value) -> String {
        let keys = self.shared.keys.lock().expect("nobody panics with it");
        let key = keys.iter().find(|key| key.kid == kid).expect("there is such a key");
        key.signed(header, claims)
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs()
}

/// Base64 as in JWS (RFC 7515 §2).
pub fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let all = chunk.iter().fold(0u32, |all, byte| all << 8 | u32::from(*byte));
        let all = all << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(all >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

impl SigningKey {
    fn rsa(kid: &str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        Self { kid: kid.to_owned(), pair: Pair::Rsa(Box::new(pair)) }
    }

    fn ec(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Self { kid: kid.to_owned(), pair: Pair::Ec(Box::new(pair)) }
    }

    fn alg(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
        }
    }

    fn signed(&self, header: &Value, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            base64url(header.to_string().as_bytes()),
            base64url(claims.to_string().as_bytes())
        );
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature)
                    .expect("it signs");
                signature
            }
            Pair::Ec(pair) => {
                pair.sign(&random, signed.as_bytes()).expect("it signs").as_ref().to_vec()
            }
        };
        format!("{signed}.{}", base64url(&signature))
    }

    fn public(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let modulus = public.modulus().big_endian_without_leading_zero().to_vec();
                let exponent = public.exponent().big_endian_without_leading_zero().to_vec();
                json!({ "kty": "RSA", "n": base64url(&modulus), "e": base64url(&exponent) })
            }
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({
                    "kty": "EC", "crv": "P-256",
                    "x": base64url(&point[1..33]), "y": base64url(&point[33..]),
                })
            }
        };
        jwk["kid"] = self.kid.clone().into();
        jwk["alg"] = self.alg().into();
        jwk["use"] = "sig".into();
        jwk
    }
}

async fn serve(listener: TcpListener, url: String, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, url.clone(), Arc::clone(&shared)));
    }
}

async fn answer(mut stream: TcpStream, url: String, shared: Arc<Shared>) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read_buf(&mut request).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    shared.asked.fetch_add(1, Ordering::Relaxed);
    let manner = *shared.manner.lock().expect("nobody panics with it");
    let path = String::from_utf8_lossy(&request);
    let path = path.split(' ').nth(1).unwrap_or_default().to_owned();
    let (status, body) = match manner {
        Manner::Down => return,
        Manner::Silent => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            return;
        }
        Manner::Garbage => ("200 OK", "<html>\u{0}".to_owned()),
        Manner::Huge => ("200 OK", format!("{{\"keys\":[\"{}\"]}}", "x".repeat(10_000_000))),
        Manner::Elsewhere => ("302 Found", String::new()),
        Manner::Well => document(&path, &url, &shared),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nlocation: {url}/keys\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body.as_bytes()).await;
}

fn document(path: &str, url: &str, shared: &Shared) -> (&'static str, String) {
    match path {
        "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration" => {
            ("200 OK", json!({ "issuer": url, "jwks_uri": format!("{url}/keys") }).to_string())
        }
        "/keys" => {
            let keys = shared.keys.lock().expect("nobody panics with it");
            let keys: Vec<Value> = keys.iter().map(SigningKey::public).collect();
            ("200 OK", json!({ "keys": keys }).to_string())
        }
        _ => ("404 Not Found", "{}".to_owned()),
    }
}
