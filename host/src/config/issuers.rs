//! `[[auth.issuers]]`: the authorization servers whose tokens are accepted.
//!
//! An issuer's tokens are verified either with the keys that it publishes or with one
//! secret that it shares with this server, never both: so no public key is ever taken
//! for a secret. Secrets are named, not written: the configuration is no place for them.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::Algorithm;

use super::document::Node;
use super::url::Url;
use super::walk::{Section, Wrong, choice, duration, parsed, path, text};

/// `[[auth.issuers]]`: one authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its issuer identifier, byte for byte what tokens have as `iss` (RFC 8414 §2).
    /// 1 to 2,048 bytes; an `https` URL (or `http` on this machine) where its keys are
    /// to be discovered.
    pub issuer: String,
    /// What tokens have in `aud`, one of them at least. At most 32; by default the
    /// resource identifier of this server alone (`server.public_url`).
    pub audience: Vec<String>,
    /// The signatures that are accepted (RFC 7518 §3.1): `RS256`, `RS384`, `RS512`,
    /// `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA`; by default all of these
    /// but the 384 and 512 bit ones of RSA. With `secret_env`: `HS256`, `HS384`,
    /// `HS512`; by default `HS256`. None, where each token is to be introspected.
    pub algorithms: Vec<Algorithm>,
    /// Where the keys are: in this order `secret_env`, `jwks_uri`, or what the issuer's
    /// metadata says (RFC 8414, OpenID Connect Discovery).
    pub keys: KeySource,
    /// A file of certificates, PEM, that are believed besides the system's when the
    /// issuer is asked. Relative to the configuration's folder; none by default.
    pub ca: Option<PathBuf>,
    /// The `typ` headers of its access tokens, in lower case and without
    /// `application/`; an empty word stands for a token without one. At most 16;
    /// default `["at+jwt", "JWT", ""]`, and `["at+jwt"]` is RFC 9068 to the letter.
    pub token_types: Vec<String>,
    /// How far its clock may be off. `0s` to `60s`; default `10s`.
    pub leeway: Duration,
    /// The longest life of a token, from `iat` (or now) to `exp`. `1min` to `30d`;
    /// default `1d`.
    pub max_lifetime: Duration,
    /// How often its keys are read again. `1min` to `1d`; default `10min`.
    pub refresh: Duration,
    /// How long its last keys serve when they cannot be read again, beyond `refresh`.
    /// `0s` to `30d`; default `1d`.
    pub stale_for: Duration,
    /// The claims that name the agent; the first that a token has counts. `OUTER.INNER`
    /// is a claim within a claim, unless a claim has that whole name. 1 to 16; default
    /// `["act.client_id", "act.sub", "client_id", "azp"]`.
    pub agent_claims: Vec<String>,
    /// The claim that names the person. Default `sub`.
    pub subject_claim: String,
    /// The claim that names the organization. None by default.
    pub tenant_claim: Option<String>,
    /// Claims without which a token is refused. At most 32; none by default.
    pub required_claims: Vec<String>,
    /// How opaque tokens are asked about. Not by default: they are refused.
    pub introspection: Option<Introspection>,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Where the metadata of this issuer says.
    Discovered(Url),
    /// In the key set at this URL: `jwks_uri`.
    At(Url),
    /// One shared secret of at least 32 bytes, in this environment variable:
    /// `secret_env`.
    Secret(String),
    /// Nowhere: `algorithms` is empty, and each token is introspected.
    Nowhere,
}

/// `[auth.issuers.introspection]`: who knows about opaque tokens (RFC 7662).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    /// The introspection endpoint, `https` (or `http` on this machine).
    pub url: Url,
    /// Who asks: the client id of this server at the issuer.
    pub client_id: String,
    /// The environment variable with the client's secret.
    pub client_secret_env: String,
    /// How long an answer counts, at most until the token expires: how late a
    /// revocation at the issuer is noticed. `1s` to `10min`; default `1min`.
    pub cache: Duration,
}

const LEEWAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);
const LIFETIME: RangeInclusive<Duration> = Duration::from_secs(60)..=DAYS_30;
const REFRESH: RangeInclusive<Duration> = Duration::from_secs(60)..=DAY;
const STALE_FOR: RangeInclusive<Duration> = Duration::ZERO..=DAYS_30;
const CACHE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(86_400);
const DAYS_30: Duration = Duration::from_secs(30 * 86_400);

/// More issuers than anybody has; each has a task of its own.
const MOST_ISSUERS: usize = 32;
const MOST_AUDIENCES: usize = 32;
const MOST_TYPES: usize = 16;
const MOST_AGENT_CLAIMS: usize = 16;
const MOST_REQUIRED: usize = 32;

/// The longest identifier, in bytes; a URL is no longer.
const LONGEST_IDENTIFIER: usize = 2_048;

const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
    ("HS256", Algorithm::HS256),
    ("HS384", Algorithm::HS384),
    ("HS512", Algorithm::HS512),
];
const SYMMETRIC: &[Algorithm] = &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
const BY_DEFAULT: &[Algorithm] =
    &[Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

/// Reads the list. Two issuers of one name could not be told apart.
pub(super) fn read(section: &mut Section<'_>, base: &Path) -> Vec<Issuer> {
    let issuers = section.array_of_tables("issuers", |section| Issuer::read(section, base));
    let names: BTreeSet<_> = issuers.iter().map(|issuer| &issuer.issuer).collect();
    if names.len() < issuers.len() {
        section.refuse("issuers", "two issuers have the same `issuer`");
    }
    if issuers.len() > MOST_ISSUERS {
        section.refuse("issuers", &format!("at most {MOST_ISSUERS} issuers are served"));
    }
    issuers
}

impl Issuer {
    /// The environment's variables that hold secrets.
    pub fn secret_variables(&self) -> impl Iterator<Item = &str> {
        let shared = match &self.keys {
            KeySource::Secret(name) => Some(name.as_str()),
            KeySource::Discovered(_) | KeySource::At(_) | KeySource::Nowhere => None,
        };
        let asked = self.introspection.as_ref().map(|asked| asked.client_secret_env.as_str());
        shared.into_iter().chain(asked)
    }

    fn read(section: &mut Section<'_>, base: &Path) -> Self {
        let issuer = section.required("issuer", identifier).unwrap_or_default();
        let secret = section.get("secret_env", variable);
        let jwks_uri = section.get("jwks_uri", parsed);
        let introspection = section.optional_table("introspection", Introspection::read);
        let algorithms = algorithms(section, secret.is_some(), introspection.is_some());
        let keys = key_source(section, &issuer, secret, jwks_uri, &algorithms);
        let words = ["act.client_id", "act.sub", "client_id", "azp"].map(str::to_owned);
        let agent_claims = list(section, "agent_claims", claim, MOST_AGENT_CLAIMS);
        if agent_claims.as_ref().is_some_and(Vec::is_empty) {
            section.refuse("agent_claims", "a token without a claim for its agent is nobody's");
        }
        Self {
            issuer,
            audience: list(section, "audience", identifier, MOST_AUDIENCES).unwrap_or_default(),
            algorithms,
            keys,
            ca: section.get("ca", path).map(|path| base.join(path)),
            token_types: list(section, "token_types", token_type, MOST_TYPES)
                .unwrap_or_else(|| ["at+jwt", "jwt", ""].map(str::to_owned).to_vec()),
            leeway: section.get("leeway", duration(LEEWAY)).unwrap_or(Duration::from_secs(10)),
            max_lifetime: section.get("max_lifetime", duration(LIFETIME)).unwrap_or(DAY),
            refresh: section.get("refresh", duration(REFRESH)).unwrap_or(Duration::from_secs(600)),
            stale_for: section.get("stale_for", duration(STALE_FOR)).unwrap_or(DAY),
            agent_claims: agent_claims.unwrap_or(words.to_vec()),
            subject_claim: section.get("subject_claim", claim).unwrap_or_else(|| "sub".to_owned()),
            tenant_claim: section.get("tenant_claim", claim),
            required_claims: list(section, "required_claims", claim, MOST_REQUIRED)
                .unwrap_or_default(),
            introspection,
        }
    }

    /// Every URL that the server calls for it; of a discovered key set, the issuer's.
    pub fn urls(&self) -> Vec<&Url> {
        let keys = match &self.keys {
            KeySource::Discovered(url) | KeySource::At(url) => Some(url),
            KeySource::Secret(_) | KeySource::Nowhere => None,
        };
        keys.into_iter().chain(self.introspection.as_ref().map(|asked| &asked.url)).collect()
    }
}

impl Introspection {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            url: section.required("url", parsed).unwrap_or_else(Url::nowhere),
            client_id: section.required("client_id", identifier).unwrap_or_default(),
            client_secret_env: section.required("client_secret_env", variable).unwrap_or_default(),
            cache: section.get("cache", duration(CACHE)).unwrap_or(Duration::from_secs(60)),
        }
    }
}

fn algorithms(section: &mut Section<'_>, secret: bool, introspection: bool) -> Vec<Algorithm> {
    let Some(chosen) = list(section, "algorithms", choice(ALGORITHMS), ALGORITHMS.len()) else {
        return if secret { vec![Algorithm::HS256] } else { BY_DEFAULT.to_vec() };
    };
    if chosen.is_empty() && !introspection {
        section.refuse("algorithms", "without any, there must be an `introspection` table");
    }
    if secret && chosen.iter().any(|algorithm| !SYMMETRIC.contains(algorithm)) {
        let why = "with `secret_env`, only `HS256`, `HS384` and `HS512` can be verified";
        section.refuse("algorithms", why);
    }
    if !secret && chosen.iter().any(|algorithm| SYMMETRIC.contains(algorithm)) {
        section.refuse("algorithms", "`HS256` and its like need `secret_env`");
    }
    chosen
}

fn key_source(
    section: &mut Section<'_>,
    issuer: &str,
    secret: Option<String>,
    jwks_uri: Option<Url>,
    algorithms: &[Algorithm],
) -> KeySource {
    if secret.is_some() && section.has("jwks_uri") {
        section.refuse("jwks_uri", "an issuer has keys or `secret_env`, not both");
    }
    if let Some(name) = secret {
        return KeySource::Secret(name);
    }
    if algorithms.is_empty() {
        return KeySource::Nowhere;
    }
    if let Some(url) = jwks_uri {
        return KeySource::At(url);
    }
    match issuer.parse() {
        Ok(url) => KeySource::Discovered(url),
        Err(malformed) => {
            if !issuer.is_empty() && !section.has("jwks_uri") {
                let why = format!("{malformed}; or say where its keys are, in `jwks_uri`");
                section.refuse("issuer", &why);
            }
            KeySource::Nowhere
        }
    }
}

fn list<T>(
    section: &mut Section<'_>,
    key: &'static str,
    read: impl Fn(&Node) -> Result<T, Wrong>,
    most: usize,
) -> Option<Vec<T>> {
    let values = section.list(key, read)?;
    if values.len() > most {
        section.refuse(key, &format!("a list of at most {most}"));
    }
    Some(values)
}

/// What another party chose to be called.
fn identifier(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    if (1..=LONGEST_IDENTIFIER).contains(&text.len()) && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(Wrong::new("expected 1 to 2,048 bytes without control characters"))
    }
}

fn claim(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    if (1..=256).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(Wrong::new("a claim's name has 1 to 256 bytes"))
    }
}

/// RFC 7515 §4.1.9: compared without regard to case, `application/` may be left out.
fn token_type(node: &Node) -> Result<String, Wrong> {
    let word = text(node)?.to_ascii_lowercase();
    if word.len() <= 128 {
        Ok(word.strip_prefix("application/").unwrap_or(&word).to_owned())
    } else {
        Err(Wrong::new("a token type has at most 128 bytes"))
    }
}

/// The name of an environment variable.
fn variable(node: &Node) -> Result<String, Wrong> {
    let name = text(node)?;
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if (1..=128).contains(&name.len()) && name.bytes().all(in_name) {
        Ok(name.to_owned())
    } else {
        let what = "expected the name of an environment variable that has the secret";
        Err(Wrong::new(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn load(text: &str) -> Result<Config, String> {
        let config = Config::parse("b.toml", text, Path::new("/etc/bulkhead"), []);
        config.map_err(|problems| problems.to_string())
    }

    fn issuer(text: &str) -> Issuer {
        load(&format!("[[auth.issuers]]\n{text}")).unwrap().auth.issuers.remove(0)
    }

    fn problem(text: &str) -> String {
        load(&format!("[[auth.issuers]]\n{text}")).unwrap_err()
    }

    #[test]
    fn an_issuer_needs_a_name_and_nothing_else() {
        let read = issuer("issuer = 'https://login.example.com'");
        assert_eq!(read.keys, KeySource::Discovered("https://login.example.com".parse().unwrap()));
        assert_eq!(read.algorithms, BY_DEFAULT);
        assert_eq!(read.token_types, ["at+jwt", "jwt", ""]);
        assert_eq!(read.agent_claims, ["act.client_id", "act.sub", "client_id", "azp"]);
        assert_eq!(read.subject_claim, "sub");
        assert_eq!(read.leeway, Duration::from_secs(10));
        assert_eq!(read.max_lifetime, DAY);
        assert_eq!(read.refresh, Duration::from_secs(600));
        assert_eq!(read.stale_for, DAY);
        assert_eq!(read.audience, [""; 0]);
        assert_eq!((read.tenant_claim.as_deref(), read.introspection.as_ref()), (None, None));
        assert_eq!(read.urls().len(), 1);
    }

    #[test]
    fn every_key_of_an_issuer_is_read() {
        let read = issuer(
            "issuer = 'login'\naudience = ['a', 'b']\nalgorithms = ['ES256']\n\
             jwks_uri = 'http://127.0.0.1:9/jwks'\nca = '/etc/ca.pem'\n\
             token_types = ['application/at+JWT']\nleeway = '60s'\nmax_lifetime = '30d'\n\
             refresh = '1min'\nstale_for = '0s'\nagent_claims = ['appid']\n\
             subject_claim = 'oid'\ntenant_claim = 'tid'\nrequired_claims = ['roles']\n\
             [auth.issuers.introspection]\nurl = 'https://login.example.com/introspect'\n\
             client_id = 'bulkhead'\nclient_secret_env = 'LOGIN_SECRET'\ncache = '1s'",
        );
        let introspection = Introspection {
            url: "https://login.example.com/introspect".parse().unwrap(),
            client_id: "bulkhead".to_owned(),
            client_secret_env: "LOGIN_SECRET".to_owned(),
            cache: Duration::from_secs(1),
        };
        assert_eq!(
            read,
            Issuer {
                issuer: "login".to_owned(),
                audience: ["a", "b"].map(str::to_owned).to_vec(),
                algorithms: vec![Algorithm::ES256],
                keys: KeySource::At("http://127.0.0.1:9/jwks".parse().unwrap()),
                ca: Some("/etc/ca.pem".into()),
                token_types: vec!["at+jwt".to_owned()],
                leeway: Duration::from_secs(60),
                max_lifetime: DAYS_30,
                refresh: Duration::from_secs(60),
                stale_for: Duration::ZERO,
                agent_claims: vec!["appid".to_owned()],
                subject_claim: "oid".to_owned(),
                tenant_claim: Some("tid".to_owned()),
                required_claims: vec!["roles".to_owned()],
                introspection: Some(introspection),
            }
        );
        assert_eq!(read.urls().len(), 2);
    }

    #[test]
    fn a_secret_and_keys_exclude_each_other() {
        let read = issuer("issuer = 'mine'\nsecret_env = 'TOKEN_SECRET'");
        assert_eq!(read.keys, KeySource::Secret("TOKEN_SECRET".to_owned()));
        assert_eq!(read.algorithms, [Algorithm::HS256]);
        assert_eq!(read.urls(), [] as [&Url; 0]);
        for (text, why) in [
            ("issuer = 'a'\nsecret_env = 'S'\njwks_uri = 'https://a.example'", "not both"),
            ("issuer = 'a'\nsecret_env = 'S'\nalgorithms = ['RS256']", "only `HS256`"),
            ("issuer = 'https://a.example'\nalgorithms = ['HS256']", "need `secret_env`"),
            ("issuer = 'https://a.example'\nalgorithms = ['RS256', 'HS512']", "need `secret_env`"),
        ] {
            assert!(problem(text).contains(why), "{}", problem(text));
        }
    }

    #[test]
    fn what_cannot_be_served_is_a_problem() {
        let many = format!("issuer = 'https://a.example'\naudience = [{}]", "'a',".repeat(33));
        for (text, why) in [
            ("audience = ['a']", "`auth.issuers.1.issuer` is missing"),
            ("issuer = 'login'", "`jwks_uri`"),
            ("issuer = 'http://a.example'", "expected an absolute https URL"),
            ("issuer = ''", "1 to 2,048 bytes"),
            ("issuer = 'https://a.example'\njwks_uri = 'http://10.0.0.1/'", "absolute https"),
            ("issuer = 'https://a.example'\nalgorithms = ['none']", "found `none`"),
            ("issuer = 'https://a.example'\nalgorithms = []", "`introspection` table"),
            ("issuer = 'https://a.example'\nleeway = '61s'", "must be 0ns to 60s"),
            ("issuer = 'https://a.example'\nmax_lifetime = '59s'", "must be 60s to"),
            ("issuer = 'https://a.example'\nrefresh = '59s'", "must be 60s to"),
            ("issuer = 'https://a.example'\nstale_for = '31d'", "must be 0ns to"),
            ("issuer = 'https://a.example'\nagent_claims = []", "nobody's"),
            ("issuer = 'https://a.example'\nsecret = 'x'", "unknown key"),
            ("issuer = 'a'\nsecret_env = 'not a name'", "environment variable"),
            ("issuer = 'https://a.example'\n[auth.issuers.introspection]", "url` is missing"),
            (&many, "a list of at most 32"),
            (
                "issuer = 'https://a.example'\n[[auth.issuers]]\nissuer = 'https://a.example'",
                "two issuers have the same",
            ),
        ] {
            assert!(problem(text).contains(why), "{text}: {}", problem(text));
        }
    }
}
