//! What claims say, once they are known to be the issuer's: whether the token is for
//! this server and for now, and whom it stands for (RFC 7519 §4.1, RFC 8693, RFC 9068).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::config::{Issuer, shown};
use crate::names::{Scope, Subject};

/// What a token proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::auth) struct Verified {
    pub(in crate::auth) issuer: Arc<str>,
    /// Its `jti`.
    pub(in crate::auth) id: Option<Arc<str>>,
    /// Which program has it, as the issuer calls it.
    pub(in crate::auth) client: String,
    pub(in crate::auth) subject: Option<Subject>,
    /// Its subject, where that is the client itself and nobody is acted for.
    pub(in crate::auth) own_subject: Option<Subject>,
    pub(in crate::auth) tenant: Option<Box<str>>,
    pub(in crate::auth) scopes: Vec<Scope>,
    /// When it was issued, by the earliest that our clock may have shown then.
    pub(in crate::auth) issued: Option<Timestamp>,
    /// From when on it is refused, the leeway included.
    pub(in crate::auth) expires: Option<Timestamp>,
}

/// How the claims came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// In the token.
    Token,
    /// As the issuer's answer about an opaque token, which may leave out who issued it
    /// and until when (RFC 7662 §2.2).
    Introspection,
}

/// The most scopes of a token, and the most audiences. Each is compared with each of
/// the agent's.
const MOST_SCOPES: usize = 256;
const MOST_AUDIENCES: usize = 256;

/// The longest name of a client or a tenant, and the longest token id, in bytes.
const LONGEST_NAME: usize = 2_048;
const LONGEST_TENANT: usize = 256;
const LONGEST_ID: usize = 256;

type Claims = Map<String, Value>;

/// Judges the claims by the rules of their issuer at the time `now`.
pub(super) fn judge(
    claims: &Claims,
    rules: &Issuer,
    origin: Origin,
    now: Timestamp,
) -> Result<Verified, String> {
    issuer(claims, rules, origin)?;
    audience(claims, rules)?;
    let (issued, expires) = times(claims, rules, origin, now)?;
    if claims.contains_key("cnf") {
        return Err("it is bound to a key (`cnf`) and not a bearer token".to_owned());
    }
    for name in &rules.required_claims {
        if find(claims, name).is_none_or(Value::is_null) {
            return Err(format!("it has no `{}`, which is required", shown(name)));
        }
    }
    let client = client(claims, rules)?;
    let (subject, own_subject) = subject(claims, rules, &client)?;
    Ok(Verified {
        issuer: rules.issuer.as_str().into(),
        id: id(claims)?,
        subject,
        own_subject,
        tenant: tenant(claims, rules)?,
        client,
        scopes: scopes(claims)?,
        // Its issuer's clock may be ahead by the leeway; whenever it is judged, it counts
        // as issued at one moment, or it would come back after it was revoked by that.
        issued: issued.map(|issued| back(issued, rules.leeway)).transpose()?,
        expires,
    })
}

fn issuer(claims: &Claims, rules: &Issuer, origin: Origin) -> Result<(), String> {
    match (claims.get("iss"), origin) {
        (Some(Value::String(issuer)), _) if *issuer == rules.issuer => Ok(()),
        (None, Origin::Introspection) => Ok(()),
        (None, Origin::Token) => Err("it has no `iss`".to_owned()),
        (Some(_), _) => Err("its `iss` is another".to_owned()),
    }
}

fn audience(claims: &Claims, rules: &Issuer) -> Result<(), String> {
    let ours = |audience: &str| rules.audience.iter().any(|ours| ours == audience);
    let no_string = || "its `aud` is neither a string nor a list of strings".to_owned();
    let found = match claims.get("aud") {
        None => return Err("it has no `aud`".to_owned()),
        Some(Value::String(audience)) => ours(audience),
        Some(Value::Array(audiences)) if audiences.len() > MOST_AUDIENCES => {
            return Err(format!("its `aud` has more than {MOST_AUDIENCES} entries"));
        }
        Some(Value::Array(audiences)) => {
            let audiences: Option<Vec<_>> = audiences.iter().map(Value::as_str).collect();
            audiences.ok_or_else(no_string)?.into_iter().any(ours)
        }
        Some(_) => return Err(no_string()),
    };
    if found {
        return Ok(());
    }
    let (theirs, ours) = (claims.get("aud").map(Value::to_string), rules.audience.join(", "));
    let theirs = shown(&theirs.unwrap_or_default()).to_string();
    Err(format!("it is for another audience: {theirs}, and not {ours}"))
}

/// When it was issued, and from when on it is refused.
fn times(
    claims: &Claims,
    rules: &Issuer,
    origin: Origin,
    now: Timestamp,
) -> Result<(Option<Timestamp>, Option<Timestamp>), String> {
    let (earliest, latest) = (back(now, rules.leeway)?, ahead(now, rules.leeway)?);
    let issued = time(claims, "iat")?;
    if issued.is_some_and(|issued| issued > latest) {
        return Err("it is issued in the future (`iat`)".to_owned());
    }
    if time(claims, "nbf")?.is_some_and(|begin| begin > latest) {
        return Err("it is not valid yet (`nbf`)".to_owned());
    }
    let Some(end) = time(claims, "exp")? else {
        return match origin {
            Origin::Token => Err("it has no `exp`".to_owned()),
            Origin::Introspection => Ok((issued, None)),
        };
    };
    if end <= earliest {
        return Err(format!("it expired at {end}"));
    }
    if end > ahead(issued.unwrap_or(now), rules.max_lifetime)? {
        return Err(format!("it lives longer than {:?} (`max_lifetime`)", rules.max_lifetime));
    }
    Ok((issued, Some(ahead(end, rules.leeway)?)))
}

/// A whole number of seconds. RFC 7519 would allow fractions; no issuer has been seen
/// to send them, and what a fraction rounds to is nothing to argue about.
fn time(claims: &Claims, name: &str) -> Result<Option<Timestamp>, String> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_i64().filter(|seconds| *seconds >= 0);
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(Some).ok_or_else(|| format!("its `{name}` is not a time in whole seconds"))
}

fn ahead(time: Timestamp, by: Duration) -> Result<Timestamp, String> {
    time.checked_add(by).map_err(|_| "a time beyond all calendars".to_owned())
}

fn back(time: Timestamp, by: Duration) -> Result<Timestamp, String> {
    time.checked_sub(by).map_err(|_| "a time before all calendars".to_owned())
}

/// Who has the token: the first of the agent's claims that it has. Where somebody acts
/// for the subject (RFC 8693 §4.1), that is who it must be.
fn client(claims: &Claims, rules: &Issuer) -> Result<String, String> {
    let mut of_actor = rules.agent_claims.iter().filter(|name| name.starts_with("act."));
    let acts = claims.contains_key("act") && of_actor.clone().next().is_some();
    if acts && of_actor.all(|name| find(claims, name).is_none()) {
        return Err("its `act` names nobody".to_owned());
    }
    let named = |name: &String| find(claims, name).map(|value| text(value, name, LONGEST_NAME));
    let none = || format!("it names no client ({})", rules.agent_claims.join(", "));
    rules.agent_claims.iter().find_map(named).ok_or_else(none)?.map(str::to_owned)
}

/// On whose behalf; or, where the client acts for itself, what it is called as a subject.
fn subject(
    claims: &Claims,
    rules: &Issuer,
    client: &str,
) -> Result<(Option<Subject>, Option<Subject>), String> {
    let Some(value) = find(claims, &rules.subject_claim) else { return Ok((None, None)) };
    let subject = text(value, &rules.subject_claim, LONGEST_NAME)?;
    if subject == client {
        return Ok((None, subject.parse().ok()));
    }
    let bad = |_| format!("its `{}` is no subject: 1 to 256 bytes", shown(&rules.subject_claim));
    Ok((Some(subject.parse().map_err(bad)?), None))
}

fn tenant(claims: &Claims, rules: &Issuer) -> Result<Option<Box<str>>, String> {
    let Some(name) = &rules.tenant_claim else { return Ok(None) };
    let Some(value) = find(claims, name) else { return Ok(None) };
    text(value, name, LONGEST_TENANT).map(|tenant| Some(tenant.into()))
}

fn id(claims: &Claims) -> Result<Option<Arc<str>>, String> {
    let Some(value) = claims.get("jti") else { return Ok(None) };
    text(value, "jti", LONGEST_ID).map(|id| Some(id.into()))
}

/// The scopes of `scope` and `scp`, each a list or a string of words. Those that are
/// no scopes of ours are some other server's.
fn scopes(claims: &Claims) -> Result<Vec<Scope>, String> {
    let mut words = Vec::new();
    for name in ["scope", "scp"] {
        let bad = || format!("its `{name}` is neither a string nor a list of strings");
        match claims.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => words.extend(text.split(' ')),
            Some(Value::Array(items)) => {
                let items: Option<Vec<_>> = items.iter().map(Value::as_str).collect();
                words.extend(items.ok_or_else(bad)?);
            }
            Some(_) => return Err(bad()),
        }
        words.retain(|word| !word.is_empty());
        if words.len() > MOST_SCOPES {
            return Err(format!("it has more than {MOST_SCOPES} scopes"));
        }
    }
    let scopes: BTreeSet<Scope> = words.into_iter().filter_map(|word| word.parse().ok()).collect();
    Ok(scopes.into_iter().collect())
}

/// The claim of this name, or the claim within a claim of this `OUTER.INNER`.
fn find<'c>(claims: &'c Claims, name: &str) -> Option<&'c Value> {
    let inner = || {
        let (outer, inner) = name.split_once('.')?;
        claims.get(outer)?.get(inner)
    };
    claims.get(name).or_else(inner)
}

fn text<'v>(value: &'v Value, name: &str, longest: usize) -> Result<&'v str, String> {
    let text = value.as_str().filter(|text| (1..=longest).contains(&text.len()));
    text.filter(|text| !text.contains(char::is_control)).ok_or_else(|| {
        let name = shown(name);
        format!("its `{name}` is not a string of 1 to {longest} bytes without control characters")
    })
}
