//! TLS in the server itself, asked by `curl` as people's clients would.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use bulkhead_tests::{Folder, Host, request};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

const TLS: &str = "[server.tls]\ncertificate = 'tls/server.pem'\nkey = 'tls/server.key'\n";
const CLIENTS: &str = "client_ca = 'tls/clients.pem'\n";

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// Puts a new certificate of the server's in place.
    fn serve(&self, folder: &Folder) {
        let (certificate, key) = self.issue("127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth);
        write(folder, "server.pem", &certificate);
        write(folder, "server.key", &key);
    }

    /// Puts a certificate of a client's in place; for `curl`.
    fn client(&self, folder: &Folder, name: &str) -> [String; 4] {
        let (certificate, key) = self.issue(name, ExtendedKeyUsagePurpose::ClientAuth);
        let file = |kind: &str, text: &str| {
            write(folder, &format!("{name}.{kind}"), text).to_str().unwrap().to_owned()
        };
        let (certificate, key) = (file("pem", &certificate), file("key", &key));
        ["--cert".to_owned(), certificate, "--key".to_owned(), key]
    }

    /// Writes the authority's own certificate.
    fn write(&self, folder: &Folder, name: &str) -> PathBuf {
        write(folder, name, &self.0.pem())
    }
}

/// Writes a file for its owner alone.
fn write(folder: &Folder, name: &str, text: &str) -> PathBuf {
    let path = folder.path("tls").join(name);
    std::fs::create_dir_all(folder.path("tls")).unwrap();
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

fn call() -> Value {
    let call = json!({ "name": "echo", "arguments": { "message": "hi" } });
    request(bulkhead_tests::LEGACY, 1.into(), "tools/call", call)
}

/// Calls `echo` with `curl`, which trusts what is in the file `trusts`.
async fn curl(host: &Host, trusts: &str, more: &[String]) -> Output {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}"]);
    curl.arg("--cacert").arg(host.path("tls").join(trusts));
    curl.args(["--header", "Content-Type: application/json", "--data", &call().to_string()]);
    curl.args(more).arg(host.url()).output().await.expect("curl is installed")
}

/// The status and the body of an answer.
async fn answered(host: &Host, trusts: &str, more: &[String]) -> (u16, Value) {
    let output = curl(host, trusts, more).await;
    let said = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let (body, status) = said.rsplit_once('\n').unwrap_or_default();
    assert!(output.status.success(), "{error}{:?}", host.log);
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

fn bearer(key: &str) -> [String; 2] {
    ["--header".to_owned(), format!("Authorization: Bearer {key}")]
}

async fn served(authority: &Authority, config: &str) -> Host {
    let setup = Host::test().plugin("echo").agent("alice", &["*"]).config(config);
    let folder = setup.folder();
    authority.serve(&folder);
    authority.write(&folder, "ca.pem");
    authority.write(&folder, "clients.pem");
    Host::start(folder).await
}

#[tokio::test]
async fn a_call_over_tls_is_answered_and_a_stranger_to_the_authority_does_not_make_it() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let host = served(&ours, TLS).await;
    assert!(host.url().starts_with("https://127.0.0.1:"), "{}", host.url());
    host.log.line("the TLS certificate is good until 4096-01-01").await;
    let key = host.key("alice", &[]).await.key;
    let (status, answer) = answered(&host, "ca.pem", &bearer(&key)).await;
    assert_eq!((status, &answer["result"]["structuredContent"]["message"]), (200, &json!("hi")));
    let (status, _) = answered(&host, "ca.pem", &[]).await;
    assert_eq!(status, 401);

    theirs.write(&host, "theirs.pem");
    let refused = curl(&host, "theirs.pem", &bearer(&key)).await;
    assert_eq!(refused.status.code(), Some(60), "the peer's certificate cannot be verified");
    let old = curl(&host, "ca.pem", &["--tls-max".to_owned(), "1.1".to_owned()]).await;
    assert_eq!(old.status.code(), Some(35), "there is no older TLS");
    let (status, _) = answered(&host, "ca.pem", &["--tls-max".to_owned(), "1.2".to_owned()]).await;
    assert_eq!(status, 401);

    let plain = host.raw(b"GET /mcp HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(plain.starts_with("HTTP/1.1 400 ") && plain.contains("`https`"), "{plain}");
}

#[tokio::test]
async fn a_new_certificate_is_served_while_an_open_connection_goes_on() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let host = served(&before, TLS).await;
    after.write(&host, "after.pem");
    let mut open = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-connect", host.authority()])
        .arg("-CAfile")
        .arg(host.path("tls/ca.pem"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("openssl is installed");
    let (mut input, mut output) = (open.stdin.take().unwrap(), open.stdout.take().unwrap());
    let mut ask = async || {
        let body = call().to_string();
        let head = "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n";
        let post = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        input.write_all(post.as_bytes()).await.unwrap();
        let mut bytes = vec![0; 64 << 10];
        let read = output.read(&mut bytes).await.unwrap();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    };
    assert!(ask().await.starts_with("HTTP/1.1 401 "));

    let mark = host.log.mark();
    write(&host, "server.key", &KeyPair::generate().unwrap().serialize_pem());
    let error = host.log.line_after(mark, "is not the key of the first certificate in").await;
    assert!(error.contains("what [server.tls] named before is served on"), "{error}");
    assert_eq!(answered(&host, "ca.pem", &[]).await.0, 401);

    after.serve(&host);
    host.log.line_after(mark, "the files of [server.tls] were read anew").await;
    assert_eq!(answered(&host, "after.pem", &[]).await.0, 401);
    assert_eq!(curl(&host, "ca.pem", &[]).await.status.code(), Some(60));
    assert!(ask().await.starts_with("HTTP/1.1 401 "), "the open connection goes on");
}

#[tokio::test]
async fn a_certificate_that_an_agent_lists_is_a_credential() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let machine = "[agents.machine]\nscopes = ['*']\ncertificates = ['machine.example']\n";
    let host = served(&ours, &format!("{machine}{TLS}{CLIENTS}")).await;
    let shown = ours.client(&host, "machine.example");
    let (status, answer) = answered(&host, "ca.pem", &shown).await;
    assert_eq!((status, &answer["result"]["structuredContent"]["message"]), (200, &json!("hi")));
    let record = host.record_where("the call", |record| record["outcome"] == "ok").await;
    assert_eq!(record["agent"], "machine", "{record}");

    let (status, _) = answered(&host, "ca.pem", &ours.client(&host, "nobody.example")).await;
    assert_eq!(status, 401, "good, and of nobody");
    assert_eq!(answered(&host, "ca.pem", &[]).await.0, 401, "none may be shown");
    let forged = curl(&host, "ca.pem", &theirs.client(&host, "forged.example")).await;
    assert!(!forged.status.success(), "another authority's");

    // What is in the header decides, for better and for worse.
    let key = host.key("alice", &[]).await.key;
    let both = [&shown[..], &bearer(&key)].concat();
    assert_eq!(answered(&host, "ca.pem", &both).await.0, 200);
    let alice = host.record_where("alice's call", |record| record["agent"] == "alice").await;
    assert_eq!(alice["outcome"], "ok");
    let wrong = [&shown[..], &bearer("bhk_wrong")].concat();
    assert_eq!(answered(&host, "ca.pem", &wrong).await.0, 401);
}

#[tokio::test]
async fn plain_http_is_not_served_to_other_machines_unless_a_proxy_is_named() {
    let folder = Host::test().folder();
    let output = folder.serve_on("0.0.0.0:0").await;
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    for part in ["`server.listen`", "[server.tls]", "behind_tls_proxy = true"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_show_its_certificate_does_not_start() {
    let ours = Authority::new("ours");
    let folder = Host::test().config(TLS).folder();
    let refused = async |expected: &str| {
        let output = folder.cli(&["serve"]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains(expected), "{expected}: {said}");
    };
    refused("tls/server.pem cannot be read").await;
    ours.serve(&folder);
    std::fs::set_permissions(folder.path("tls/server.key"), Permissions::from_mode(0o644)).unwrap();
    refused("may be used by others (mode 644)").await;
}
