//! Each limit against a real listener.

use std::io::{Read, Write};
use std::net::TcpListener;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::*;

/// Answers one connection as `serve` does, in a thread of its own.
fn server(serve: impl FnOnce(std::net::TcpStream) + Send + 'static) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/path?query", listener.local_addr().unwrap()).parse().unwrap();
    std::thread::spawn(move || serve(listener.accept().unwrap().0));
    url
}

/// Reads a request up to its end: an empty line, or the body that it announces.
fn read_request(stream: &mut impl Read) -> String {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).into_owned();
    let length = head.to_ascii_lowercase();
    let length = length.split_once("content-length: ").map(|(_, rest)| rest);
    let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    let _ = stream.read_exact(&mut body);
    head + &String::from_utf8(body).unwrap()
}

fn answers(bytes: impl Into<Vec<u8>>) -> Url {
    let bytes = bytes.into();
    server(move |mut stream| {
        read_request(&mut stream);
        // Whoever has read enough hangs up.
        let _ = stream.write_all(&bytes);
    })
}

fn client() -> Client {
    Client::new(&Roots::none()).unwrap()
}

async fn get(url: &Url) -> Result<String, FetchError> {
    client().get(url).await.map(|body| String::from_utf8(body.to_vec()).unwrap())
}

async fn objection(url: &Url) -> String {
    get(url).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_request_says_what_is_needed_and_no_more() {
    let (seen, asked) = std::sync::mpsc::channel();
    let url = server(move |mut stream| {
        seen.send(read_request(&mut stream)).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    });
    assert_eq!(get(&url).await.as_deref(), Ok("{}"));
    let host = url.authority();
    assert_eq!(
        asked.recv().unwrap(),
        format!(
            "GET /path?query HTTP/1.1\r\nhost: {host}\r\naccept: application/json\r\n\
             user-agent: bulkhead\r\nconnection: close\r\n\r\n"
        )
    );
}

#[tokio::test]
async fn a_form_is_posted_with_the_clients_credential() {
    let (seen, asked) = std::sync::mpsc::channel();
    let url = server(move |mut stream| {
        seen.send(read_request(&mut stream)).unwrap();
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        stream.write_all(chunked).unwrap();
    });
    let secret = Secret::new("s");
    let answer = client().post_form(&url, &[("token", "a b&")], "me", &secret).await;
    assert_eq!(answer.as_deref(), Ok(&b"{}"[..]));
    let request = asked.recv().unwrap();
    assert!(request.starts_with("POST /path?query HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/x-www-form-urlencoded\r\n"), "{request}");
    assert!(request.contains("authorization: Basic bWU6cw==\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\ntoken=a+b%26"), "{request}");
}

#[tokio::test]
async fn a_body_up_to_the_cap_is_read_and_more_is_not() {
    let most = LIMITS.body.as_usize();
    let answer = |length: usize| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length))
    };
    assert_eq!(get(&answers(answer(most))).await.map(|body| body.len()), Ok(most));
    let why = objection(&answers(answer(most + 1))).await;
    assert!(why.ends_with("it answers more than 256KiB"), "{why}");
    // Ten megabytes, and a length that is not told.
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(10 << 20));
    let why = objection(&answers(endless)).await;
    assert!(why.ends_with("it answers more than 256KiB"), "{why}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_not_read() {
    let padded = |pad: usize| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: {}\r\n\r\n{{}}", "x".repeat(pad))
    };
    assert_eq!(get(&answers(padded(8 << 10))).await.as_deref(), Ok("{}"));
    objection(&answers(padded(LIMITS.head.as_usize()))).await;
    let many = |count: usize| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{}\r\n{{}}", "x: y\r\n".repeat(count))
    };
    assert_eq!(get(&answers(many(MOST_HEADERS - 1))).await.as_deref(), Ok("{}"));
    objection(&answers(many(MOST_HEADERS))).await;
    objection(&answers(vec![b'x'; 10 << 20])).await;
}

#[tokio::test]
async fn what_is_not_a_success_is_an_error_that_says_so() {
    for (status, why) in [
        ("301 Moved", "it answers 301 and redirects are not followed"),
        ("307 Moved", "it answers 307 and redirects are not followed"),
        ("404 No", "it answers 404"),
        ("500 No", "it answers 500"),
    ] {
        let url = answers(format!(
            "HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
        ));
        let error = get(&url).await.unwrap_err();
        assert_eq!(error, FetchError::Answer(format!("{url}: {why}")));
    }
    let url = answers("HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n".to_owned());
    let refused = FetchError::Refused(format!("{url}: it answers 400"));
    assert_eq!(get(&url).await, Err(refused));
}

#[tokio::test]
async fn garbage_and_half_an_answer_are_errors() {
    for bytes in [
        &b""[..],
        b"\0\0\0\0",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    ] {
        let error = get(&answers(bytes)).await.unwrap_err();
        let unreachable = matches!(error, FetchError::Unreachable(_));
        assert!(unreachable, "{}: {error}", String::from_utf8_lossy(bytes));
    }
}

#[tokio::test]
async fn whoever_is_slow_or_silent_is_left() {
    let quick =
        Client { limits: Limits { total: Duration::from_millis(200), ..LIMITS }, ..client() };
    let silent = server(|mut stream| drop(std::io::copy(&mut stream, &mut std::io::sink())));
    let dripping = server(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    for url in [silent, dripping] {
        let error = quick.get(&url).await.unwrap_err();
        let why = format!("{url}: no whole answer within 200ms");
        assert_eq!(error, FetchError::Unreachable(why));
    }
}

#[tokio::test]
async fn nobody_there_is_an_error() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let why = objection(&format!("http://{free}/").parse().unwrap()).await;
    assert!(why.contains("refused"), "{why}");
}

#[test]
fn only_the_loopback_interface_is_this_machine() {
    for (address, expected) in [
        ("127.0.0.1:80", true),
        ("127.9.9.9:80", true),
        ("[::1]:80", true),
        ("[::ffff:127.0.0.1]:80", true),
        ("10.0.0.1:80", false),
        ("169.254.169.254:80", false),
        ("0.0.0.0:80", false),
        ("[::]:80", false),
        ("[fe80::1]:80", false),
        ("[::ffff:169.254.169.254]:80", false),
    ] {
        assert_eq!(is_loopback(address.parse().unwrap()), expected, "{address}");
    }
}

/// A server with a certificate for `127.0.0.1` of an authority of its own, and that
/// authority as PEM.
fn tls_server() -> (Url, String) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let own = own.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], key)
        .unwrap();
    let url = server(move |stream| {
        let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        read_request_if_any(&mut stream);
    });
    (url.as_str().replace("http://", "https://").parse().unwrap(), authority.pem())
}

fn read_request_if_any(stream: &mut (impl Read + Write)) {
    let mut byte = [0];
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    let _ = stream.flush();
    // Until the client has read it.
    let _ = stream.read(&mut byte);
}

#[tokio::test]
async fn tls_is_believed_only_with_a_known_authority() {
    let (url, _) = tls_server();
    let why = objection(&url).await;
    assert!(why.contains("certificate"), "{why}");

    let (url, authority) = tls_server();
    let file = std::env::temp_dir().join(format!("bulkhead-ca-{}.pem", std::process::id()));
    std::fs::write(&file, authority).unwrap();
    let roots = Roots::none().and(&file).unwrap();
    assert!(!roots.is_empty());
    let client = Client::new(&roots).unwrap();
    assert_eq!(client.get(&url).await.as_deref(), Ok(&b"{}"[..]));

    std::fs::write(&file, "no certificate").unwrap();
    let why = Roots::none().and(&file).unwrap_err().to_string();
    assert!(why.contains("no certificate in it"), "{why}");
    std::fs::remove_file(&file).unwrap();
    let why = Roots::none().and(&file).unwrap_err().to_string();
    assert!(why.contains("ca"), "{why}");
}

#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to_in_the_clear() {
    let url = answers("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    let url: Url = url.as_str().replace("http://", "https://").parse().unwrap();
    assert!(matches!(get(&url).await, Err(FetchError::Unreachable(_))));
}
