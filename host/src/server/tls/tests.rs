//! A server and clients on the sockets of this machine, with certificates made here.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::SystemTime;

use axum::routing::any;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client;

use super::watch::Watch;
use super::*;
use crate::clock::FakeClock;
use crate::names::RequestId;
use crate::server::connections;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
struct Issued {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str, serial: u64, usage: ExtendedKeyUsagePurpose) -> Issued {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.extended_key_usages = vec![usage];
        // As `FakeClock` has it, and later than any test.
        params.not_after = date_time_ymd(2100, 1, 1);
        let key = KeyPair::generate().unwrap();
        Issued { certificate: params.signed_by(&key, &self.0).unwrap(), key }
    }

    fn server(&self) -> Issued {
        self.issue("localhost", 1, ExtendedKeyUsagePurpose::ServerAuth)
    }

    fn client(&self, serial: u64) -> Issued {
        self.issue("reporting.example", serial, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn revoking(&self, serial: u64, next_update: i32) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(next_update, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

/// A folder with the files of a server, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(issued: &Issued) -> Self {
        let folder = Self(std::env::temp_dir().join(format!("bulkhead-{}", RequestId::generate())));
        fs::create_dir(&folder.0).unwrap();
        folder.show(issued);
        folder
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn show(&self, issued: &Issued) {
        self.write("server.pem", issued.certificate.pem());
        self.write("server.key", issued.key.serialize_pem());
    }

    fn files(&self) -> config::Tls {
        config::Tls {
            certificate: self.0.join("server.pem"),
            key: self.0.join("server.key"),
            client_ca: None,
            client_crl: None,
        }
    }

    fn with_clients_of(&self, authority: &Authority) -> config::Tls {
        let client_ca = Some(self.write("ca.pem", authority.0.pem()));
        config::Tls { client_ca, ..self.files() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn load(files: &config::Tls) -> Result<Tls, BadTls> {
    Tls::load(files, Arc::new(FakeClock::new()))
}

fn refused(files: &config::Tls) -> String {
    load(files).err().expect("it is refused").to_string()
}

/// Says who is asking.
fn router() -> Router {
    let who = async |request: axum::extract::Request| {
        let peer = request.extensions().get::<Peer>().unwrap();
        assert_eq!(peer.address.unwrap().to_string(), "127.0.0.1");
        match &peer.certificate {
            None => "nobody".to_owned(),
            Some(certificate) => certificate.names.join(","),
        }
    };
    Router::new().route("/", any(who))
}

/// Serves with `tls` while `test` runs, which is told where.
async fn serving(tls: &Arc<Tls>, test: impl AsyncFnOnce(SocketAddr)) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let tls = Some(Arc::clone(tls));
    let serving = connections::serve(listener, 10, router(), tls, stop.clone());
    let testing = async {
        test(address).await;
        stop.cancel();
    };
    tokio::join!(serving, testing);
}

fn client(trusting: &Authority, showing: Option<&Issued>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusting.0.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match showing {
        None => builder.with_no_client_auth(),
        Some(Issued { certificate, key }) => {
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
        }
    }
}

type Connection = client::TlsStream<TcpStream>;

async fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Connection> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

/// Asks, and returns the body of the answer.
async fn ask(connection: &mut Connection) -> io::Result<String> {
    connection.write_all(GET).await?;
    let mut bytes = vec![0; 4_096];
    let mut read = 0;
    loop {
        let more = connection.read(&mut bytes[read..]).await?;
        read += more;
        let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
        match text.split_once("\r\n\r\n") {
            _ if more == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some((_, body)) if !body.is_empty() => return Ok(body.to_owned()),
            Some(_) | None => {}
        }
    }
}

/// Connects and asks. With TLS 1.3, a client learns of a refusal when it reads.
async fn answer(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<String> {
    ask(&mut connect(address, config).await?).await
}

#[tokio::test]
async fn what_is_shown_is_verified_by_who_connects() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let folder = Folder::new(&ours.server());
    let tls = Arc::new(load(&folder.files()).unwrap());
    serving(&tls, async |address| {
        assert_eq!(answer(address, &client(&ours, None).into()).await.unwrap(), "nobody");
        assert!(connect(address, &client(&theirs, None).into()).await.is_err());

        let mut config = client(&ours, None);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let connection = connect(address, &config.into()).await.unwrap();
        assert_eq!(connection.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let mut config = client(&ours, None);
        config.alpn_protocols = vec![b"h2".to_vec()];
        assert!(connect(address, &config.into()).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_changed_certificate_is_served_and_open_connections_stay() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let folder = Folder::new(&before.server());
    let tls = Arc::new(load(&folder.files()).unwrap());
    let mut watch = Watch::begin(&tls);
    assert!(watch.look(&tls).is_none(), "nothing has changed");
    let (trusts_before, trusts_after) =
        (Arc::new(client(&before, None)), Arc::new(client(&after, None)));
    serving(&tls, async |address| {
        let mut open = connect(address, &trusts_before).await.unwrap();
        assert_eq!(ask(&mut open).await.unwrap(), "nobody");

        // A certificate whose key has not come yet.
        let newer = after.server();
        folder.write("server.pem", newer.certificate.pem());
        assert!(watch.look(&tls).is_none(), "it is not settled");
        let error = watch.look(&tls).unwrap().unwrap_err().to_string();
        assert!(error.contains("is not the key of the first certificate in"), "{error}");
        assert!(watch.look(&tls).is_none(), "it is told once");
        assert!(connect(address, &trusts_before).await.is_ok(), "the old one is served on");

        folder.show(&newer);
        assert!(watch.look(&tls).is_none());
        watch.look(&tls).unwrap().unwrap();
        assert!(watch.look(&tls).is_none());
        assert_eq!(answer(address, &trusts_after).await.unwrap(), "nobody");
        assert_eq!(ask(&mut open).await.unwrap(), "nobody");

        fs::remove_file(folder.0.join("server.key")).unwrap();
        assert!(watch.look(&tls).is_none());
        assert!(watch.look(&tls).unwrap().is_err());
        assert!(connect(address, &trusts_after).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_certificate_of_a_client_is_a_name_and_none_is_nobody() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let folder = Folder::new(&ours.server());
    let tls = Arc::new(load(&folder.with_clients_of(&ours)).unwrap());
    serving(&tls, async |address| {
        let ask = async |showing: Option<Issued>| {
            answer(address, &client(&ours, showing.as_ref()).into()).await
        };
        assert_eq!(ask(Some(ours.client(2))).await.unwrap(), "reporting.example");
        assert_eq!(ask(None).await.unwrap(), "nobody");
        assert!(ask(Some(theirs.client(3))).await.is_err(), "of another authority");
        assert!(ask(Some(ours.server())).await.is_err(), "a server's, shown by a client");
        let mut params = CertificateParams::new(["reporting.example".to_owned()]).unwrap();
        params.not_after = date_time_ymd(2020, 1, 1);
        let key = KeyPair::generate().unwrap();
        let expired = Issued { certificate: params.signed_by(&key, &ours.0).unwrap(), key };
        assert!(ask(Some(expired)).await.is_err());
        let mut own = client(&ours, Some(&ours.client(4)));
        own.alpn_protocols.clear();
        assert_eq!(answer(address, &own.into()).await.unwrap(), "reporting.example");
    })
    .await;
}

#[tokio::test]
async fn what_is_revoked_or_cannot_be_known_not_to_be_is_refused() {
    let ours = Authority::new("ours");
    let folder = Folder::new(&ours.server());
    let revoking = |until| Some(folder.write("crl.pem", ours.revoking(7, until)));
    let with_clients = folder.with_clients_of(&ours);
    let files = config::Tls { client_crl: revoking(2100), ..with_clients };
    let tls = Arc::new(load(&files).unwrap());
    serving(&tls, async |address| {
        let good = Arc::new(client(&ours, Some(&ours.client(8))));
        let mut open = connect(address, &good).await.unwrap();
        assert_eq!(ask(&mut open).await.unwrap(), "reporting.example");
        let revoked = client(&ours, Some(&ours.client(7)));
        assert!(answer(address, &revoked.into()).await.is_err());

        // A list that is past its time says nothing about anybody, and who was let in by
        // another is not believed any more.
        revoking(2025);
        tls.reload().unwrap();
        assert!(answer(address, &good).await.is_err());
        assert_eq!(open.read(&mut [0]).await.unwrap_or(0), 0, "it ends");
    })
    .await;
}

#[tokio::test]
async fn a_change_of_authorities_ends_what_was_opened_with_a_certificate_and_nothing_else() {
    let (ours, newer) = (Authority::new("ours"), Authority::new("newer"));
    let folder = Folder::new(&ours.server());
    let tls = Arc::new(load(&folder.with_clients_of(&ours)).unwrap());
    serving(&tls, async |address| {
        let known = Arc::new(client(&ours, Some(&ours.client(2))));
        let unknown = Arc::new(client(&ours, None));
        let mut by_certificate = connect(address, &known).await.unwrap();
        let mut by_none = connect(address, &unknown).await.unwrap();
        for connection in [&mut by_certificate, &mut by_none] {
            ask(connection).await.unwrap();
        }
        folder.show(&ours.server());
        tls.reload().unwrap();
        assert_eq!(ask(&mut by_certificate).await.unwrap(), "reporting.example");

        folder.write("ca.pem", newer.0.pem());
        tls.reload().unwrap();
        assert_eq!(by_certificate.read(&mut [0]).await.unwrap_or(0), 0, "it ends");
        assert_eq!(ask(&mut by_none).await.unwrap(), "nobody");
        assert!(answer(address, &known).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_connection_ends_with_the_certificate_that_it_was_opened_with() {
    let ours = Authority::new("ours");
    let folder = Folder::new(&ours.server());
    let clock = FakeClock::new();
    let last: Timestamp = "2100-01-01T00:00:00Z".parse().unwrap();
    let left = |clock: &FakeClock| Duration::try_from(last.duration_since(clock.utc())).unwrap();
    clock.advance(left(&clock) - Duration::from_millis(300));
    let tls = Tls::load(&folder.with_clients_of(&ours), Arc::new(clock)).unwrap();
    serving(&Arc::new(tls), async |address| {
        let known = Arc::new(client(&ours, Some(&ours.client(2))));
        let mut open = connect(address, &known).await.unwrap();
        assert_eq!(ask(&mut open).await.unwrap(), "reporting.example");
        assert_eq!(open.read(&mut [0]).await.unwrap_or(0), 0, "it ends");
    })
    .await;
}

#[test]
fn a_certificate_lasts_for_an_hour_at_most_and_not_beyond_its_end() {
    let ours = Authority::new("ours");
    let folder = Folder::new(&ours.server());
    let clock = Arc::new(FakeClock::new());
    let tls = Tls::load(&folder.files(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let shown = ours.client(2);
    let lasts = || tls.lasts(shown.certificate.der());
    assert_eq!(lasts(), LONGEST_CERTIFIED);
    let last: Timestamp = "2100-01-01T00:00:00Z".parse().unwrap();
    let left = Duration::try_from(last.duration_since(clock.utc())).unwrap();
    clock.advance(left - Duration::from_secs(60));
    assert_eq!(lasts(), Duration::from_secs(60));
    clock.advance(Duration::from_secs(61));
    assert_eq!(lasts(), Duration::ZERO);
    assert_eq!(tls.lasts(&vec![0x30].into()), Duration::ZERO, "what cannot be read");
}

#[tokio::test]
async fn sessions_are_taken_up_again_where_no_certificate_is_asked_for() {
    let ours = Authority::new("ours");
    let folder = Folder::new(&ours.server());
    for (files, expected) in [
        (folder.files(), HandshakeKind::Resumed),
        (folder.with_clients_of(&ours), HandshakeKind::Full),
    ] {
        let tls = Arc::new(load(&files).unwrap());
        serving(&tls, async |address| {
            let config = Arc::new(client(&ours, None));
            let mut kind = None;
            for _ in 0..2 {
                let mut connection = connect(address, &config).await.unwrap();
                ask(&mut connection).await.unwrap();
                let session = connection.get_ref().1;
                assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
                kind = session.handshake_kind();
            }
            let resumed = kind == Some(HandshakeKind::Resumed);
            assert_eq!(resumed, expected == HandshakeKind::Resumed);
        })
        .await;
    }
}

#[tokio::test]
async fn a_client_that_speaks_http_is_told() {
    let ours = Authority::new("ours");
    let folder = Folder::new(&ours.server());
    let tls = Arc::new(load(&folder.files()).unwrap());
    serving(&tls, async |address| {
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(GET).await.unwrap();
        let mut answer = String::new();
        plain.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{answer}");
        assert!(body.contains("`https`"), "{answer}");

        // What is neither is closed.
        let mut noise = TcpStream::connect(address).await.unwrap();
        noise.write_all(&[0; 64]).await.unwrap();
        let mut rest = Vec::new();
        let _ = noise.read_to_end(&mut rest).await;
        assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_to_end_in_time() {
    let ours = Authority::new("ours");
    let folder = Folder::new(&ours.server());
    let tls = Arc::new(load(&folder.files()).unwrap());
    serving(&tls, async |address| {
        // Nothing at all, and a record that promises more than comes.
        for sent in [&b""[..], &[22, 3, 1, 2, 0, 1]] {
            let mut silent = TcpStream::connect(address).await.unwrap();
            silent.write_all(sent).await.unwrap();
            let began = Instant::now();
            let _ = silent.read_to_end(&mut Vec::new()).await;
            let took = began.elapsed();
            assert!(took >= HANDSHAKE_TIMEOUT && took < 2 * HANDSHAKE_TIMEOUT, "{took:?}");
        }
    })
    .await;
}

#[test]
fn files_that_do_not_make_tls_say_what_to_do() {
    let ours = Authority::new("ours");
    let server = ours.server();
    let folder = Folder::new(&server);
    assert!(load(&folder.files()).is_ok());
    let pem = server.certificate.pem();
    let expect = |files: &config::Tls, expected: &str| {
        let said = refused(files);
        assert!(said.contains(expected), "{expected}: {said}");
    };

    let key = folder.0.join("server.key");
    expect(
        &config::Tls { certificate: folder.0.join("nowhere.pem"), ..folder.files() },
        "nowhere.pem cannot be read: No such file",
    );
    let as_certificate =
        |text: &str| config::Tls { certificate: folder.write("a.pem", text), ..folder.files() };
    expect(&as_certificate(""), "a.pem holds no certificate in PEM");
    expect(&as_certificate(&server.key.serialize_pem()), "holds no certificate in PEM");
    expect(&as_certificate("-----BEGIN CERTIFICATE-----\n!\n"), "a.pem is not PEM: ");
    expect(&as_certificate(&pem.repeat(11)), "a.pem holds 11 certificates; at most 10 ");
    assert!(load(&as_certificate(&pem.repeat(10))).is_ok());
    expect(&as_certificate(&"\n".repeat((256 << 10) + 1)), "a.pem is larger than 256 KiB");
    expect(&as_certificate(&"\n".repeat(256 << 10)), "a.pem holds no certificate");
    expect(
        &as_certificate("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        "`server.tls.certificate`: ",
    );

    let as_key = |text: &str| config::Tls { key: folder.write("a.key", text), ..folder.files() };
    let other = KeyPair::generate().unwrap().serialize_pem();
    expect(&as_key(&other), "a.key is not the key of the first certificate in ");
    expect(&as_key(&pem), "a.key holds no key that can be used: PEM of PKCS #8");
    expect(&as_key(&server.key.serialize_pem().replace("PRIVATE", "ENCRYPTED PRIVATE")), "pass");
    expect(&as_key(&"\n".repeat((64 << 10) + 1)), "a.key is larger than 64 KiB");

    let as_ca =
        |text: &str| config::Tls { client_ca: Some(folder.write("b.pem", text)), ..folder.files() };
    expect(&as_ca(""), "`server.tls.client_ca`: ");
    expect(&as_ca(""), "b.pem holds no certificate in PEM");
    expect(&as_ca(&"\n".repeat((4 << 20) + 1)), "b.pem is larger than 4096 KiB");
    assert!(load(&as_ca(&pem)).is_ok());
    let as_crl = |text: &str| config::Tls {
        client_crl: Some(folder.write("crl.pem", text)),
        ..folder.with_clients_of(&ours)
    };
    expect(&as_crl(&pem), "crl.pem holds no revocation list in PEM");
    expect(
        &as_crl("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"),
        "crl.pem cannot be used: ",
    );

    let root = File::open(&key).unwrap().metadata().unwrap();
    let group = usize::from(std::os::unix::fs::MetadataExt::uid(&root) == 0);
    for (mode, allowed) in
        [(0o600, 2), (0o400, 2), (0o640, group), (0o660, 0), (0o604, 0), (0o644, 0)]
    {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let loaded = load(&folder.files());
        assert_eq!(loaded.is_ok(), allowed > 0, "{mode:o}");
        if let Err(error) = loaded {
            let said = error.to_string();
            assert!(
                said.contains(&format!("may be used by others (mode {mode:o}); `chmod 6")),
                "{said}"
            );
        }
    }
}

#[test]
fn a_file_that_only_looks_new_is_read_once() {
    let folder = Folder::new(&Authority::new("ours").server());
    let tls = load(&folder.files()).unwrap();
    let mut watch = Watch::begin(&tls);
    File::open(folder.0.join("server.pem")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let looks: Vec<_> = (0..4).map(|_| watch.look(&tls).is_some()).collect();
    assert_eq!(looks, [false, true, false, false]);
}
