//! What a contained thread can do, and what it cannot. Each test contains a thread of
//! its own, which is the part of a process that the kernel contains.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::fs::symlink;
use std::process::Command;

use super::*;
use crate::names::RequestId;

/// A folder of a server's, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("bulkhead-{}", RequestId::generate()));
        for sub in ["plugins", "state/keys", "log", "other"] {
            fs::create_dir_all(folder.join(sub)).unwrap();
        }
        fs::write(folder.join("plugins/a.wasm"), "a").unwrap();
        fs::write(folder.join("other/secret"), "s").unwrap();
        symlink("../other/secret", folder.join("plugins/link")).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn config(&self, more: &str) -> Config {
        let file = self.path("bulkhead.toml");
        fs::write(&file, format!("[state]\ndir = 'state'\n{more}")).unwrap();
        Config::load(Some(&file), []).unwrap()
    }

    fn server(&self, more: &str) -> Plan {
        Plan::of_server(&self.config(more))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What `attempt` returns in a thread under this plan.
fn contained<T: Send>(plan: &Plan, attempt: impl FnOnce() -> T + Send) -> (Report, T) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| (apply_to_thread(plan).unwrap(), attempt()));
        thread.join().unwrap()
    })
}

fn denied<T>(result: io::Result<T>) -> bool {
    result.err().is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

fn unknown_call(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOSYS)
}

#[test]
fn a_plan_names_what_the_configuration_names() {
    let folder = Folder::new();
    let plan = folder.server(
        "[auth]\nkeys = 'keys/keys.toml'\n[audit]\npath = '../log/a.jsonl'\n\
         [admin]\nsocket = '../other/admin.sock'",
    );
    let expected = Plan {
        role: Role::Server,
        without: Vec::new(),
        read: vec![folder.path("plugins"), folder.path("state/keys")],
        write: vec![folder.path("state"), folder.path("state/../log")],
        remove: vec![folder.path("state/../other")],
        connect: BTreeSet::new(),
    };
    assert_eq!(plan, expected);

    let later = folder.server("[plugins]\ndir = 'later/plugins'");
    assert_eq!(later.read[0], folder.0, "nearest to a folder that is not there yet");
    assert_eq!(existing(Path::new("nowhere/to/be/found")), Path::new("."));
    assert_eq!(folder_of(Path::new("keys.toml")), Some(Path::new(".")));
}

#[test]
fn a_plan_names_the_folders_of_what_is_read_anew() {
    let folder = Folder::new();
    for name in ["tls/live", "tls/archive", "policy"] {
        fs::create_dir_all(folder.path(name)).unwrap();
    }
    fs::write(folder.path("tls/archive/1.pem"), "c").unwrap();
    symlink("../archive/1.pem", folder.path("tls/live/cert.pem")).unwrap();
    let root = folder.0.canonicalize().unwrap();
    let plan = folder.server(
        "[server.tls]\ncertificate = 'tls/live/cert.pem'\nkey = 'tls/live/key.pem'\n\
         [auth]\nkeys = 'keys'\npolicy = 'policy/a.cedar'",
    );
    let live = folder.path("tls/live");
    let archive = root.join("tls/archive");
    let expected = [
        folder.path("plugins"),
        folder.path("state/keys"),
        folder.path("policy"),
        live.clone(),
        archive,
        live,
    ];
    assert_eq!(plan.read, expected);
    contained(&plan, || {
        assert_eq!(fs::read(folder.path("tls/live/cert.pem")).unwrap(), b"c");
        assert!(denied(fs::read(folder.path("other/secret"))));
        assert!(denied(fs::write(folder.path("tls/archive/1.pem"), "")));
    });
}

#[test]
fn a_report_names_what_holds_and_what_does_not() {
    let mut report = Report::default();
    assert_eq!((report.to_string().as_str(), report.warning()), ("contained by nothing", None));
    report.add(Protection::NoNewPrivileges, Applied::Whole("no new privileges".to_owned()));
    report.add(Protection::Seccomp, Applied::KernelLacks);
    report
        .add(Protection::Landlock, Applied::Partly("landlock ABI 3".to_owned(), "TCP".to_owned()));
    assert_eq!(report.to_string(), "contained: no new privileges; landlock ABI 3");
    let warning = "the process is not contained by seccomp (the kernel lacks it); TCP";
    assert_eq!(report.warning().unwrap(), warning);
}

#[test]
fn a_server_reads_and_writes_its_folders_and_nothing_else() {
    let folder = Folder::new();
    let (report, ()) = contained(&folder.server(""), || {
        assert_eq!(fs::read(folder.path("plugins/a.wasm")).unwrap(), b"a");
        assert!(fs::read_dir(folder.path("plugins")).is_ok());
        fs::write(folder.path("state/new"), "n").unwrap();
        fs::rename(folder.path("state/new"), folder.path("state/keys/moved")).unwrap();
        fs::remove_file(folder.path("state/keys/moved")).unwrap();
        assert!(fs::read_to_string("/proc/thread-self/status").unwrap().contains("Seccomp:\t2"));
        assert!(std::thread::spawn(|| 1).join().is_ok(), "threads can be had");

        assert!(denied(fs::read(folder.path("other/secret"))));
        assert!(denied(fs::read(folder.path("plugins/link"))));
        assert!(denied(fs::read("/etc/passwd")));
        assert!(denied(fs::write(folder.path("plugins/a.wasm"), "b")));
        assert!(denied(fs::write(folder.path("plugins/b.wasm"), "b")));
        assert!(denied(fs::write(folder.path("other/new"), "n")));
        assert!(denied(fs::remove_file(folder.path("plugins/a.wasm"))));
        let link = folder.path("plugins/link");
        let why = why_unreadable(&link, &fs::read(&link).unwrap_err());
        assert!(why.contains("other/secret") && why.contains("copy it in"), "{why}");
    });
    assert!(report.to_string().starts_with("contained: no new privileges; landlock ABI "));
    assert!(report.to_string().contains("; seccomp, "), "{report}");
}

#[test]
fn a_server_reaches_nobody_and_starts_only_itself() {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    assert!(TcpStream::connect(address).is_ok(), "somebody is there to be reached");
    contained(&folder.server(""), || {
        assert!(unknown_call(&TcpStream::connect(address).unwrap_err()));
        assert!(unknown_call(&TcpListener::bind("127.0.0.1:0").unwrap_err()));
        let datagram = std::os::unix::net::UnixDatagram::unbound();
        assert!(unknown_call(&datagram.unwrap_err()));
        assert!(std::os::unix::net::UnixStream::pair().is_ok(), "to oneself it may talk");
        assert!(denied(Command::new("/bin/sh").spawn().map(|_| ())));
        let itself = Command::new("/proc/self/exe").arg("--list").output().unwrap();
        assert!(itself.status.success());
        // Without the filter, root could do this, and nothing would change.
        let chroot = rustix::process::chroot("/").unwrap_err();
        assert_eq!(chroot, rustix::io::Errno::NOSYS);
    });
}

/// Somebody who listens, and where.
fn somebody() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn a_server_with_an_issuer_reaches_its_port_and_no_other() {
    use rustix::io::Errno;
    use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};

    let folder = Folder::new();
    let ((_issuer, issuer), (_other, other)) = (somebody(), somebody());
    let plan = folder.server(&format!("[[auth.issuers]]\nissuer = 'http://{issuer}/realm'"));
    assert_eq!(plan.connect, BTreeSet::from([53, issuer.port()]));
    contained(&plan, || {
        assert!(TcpStream::connect(issuer).is_ok());
        assert!(denied(TcpStream::connect(other)));
        assert!(unknown_call(&TcpListener::bind("127.0.0.1:0").unwrap_err()));
        let datagram = std::os::unix::net::UnixDatagram::unbound();
        assert!(unknown_call(&datagram.unwrap_err()), "no daemon of this machine");
        let pair = std::os::unix::net::UnixDatagram::pair();
        assert!(unknown_call(&pair.unwrap_err()), "nor through one end of a pair");
        assert!(std::os::unix::net::UnixStream::pair().is_ok());

        // Names are resolved, and what they are resolved by cannot lead around landlock.
        assert!(("localhost", 1).to_socket_addrs().unwrap().next().is_some());
        assert!(fs::read_to_string("/etc/hosts").is_ok());
        assert!(denied(fs::read("/etc/passwd")));
        assert!(socket(AddressFamily::INET, SocketType::DGRAM, None).is_ok());
        for (family, kind, protocol) in [
            (AddressFamily::INET, SocketType::STREAM, ipproto::MPTCP),
            (AddressFamily::INET, SocketType::STREAM, ipproto::SCTP),
            (AddressFamily::INET6, SocketType::RAW, ipproto::TCP),
            (AddressFamily::NETLINK, SocketType::RAW, ipproto::TCP),
        ] {
            assert_eq!(socket(family, kind, Some(protocol)).unwrap_err(), Errno::NOSYS);
        }
        let opened = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        let fast_open = SendFlags::from_bits_retain(libc::MSG_FASTOPEN.unsigned_abs());
        assert_eq!(sendto(&opened, b"secret", fast_open, &other).unwrap_err(), Errno::NOSYS);
    });
}

#[test]
fn landlock_alone_allows_no_connection_either() {
    let folder = Folder::new();
    let plan = folder.server("[containment]\nwithout = ['seccomp']");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (report, ()) = contained(&plan, || {
        assert!(denied(TcpStream::connect(address)));
        assert!(denied(TcpListener::bind("127.0.0.1:0")));
    });
    let warning = "the process is not contained by seccomp (switched off in [containment])";
    assert_eq!(report.warning().unwrap(), warning);
}

#[test]
fn what_is_switched_off_is_off() {
    let folder = Folder::new();
    let plan = folder.server("[containment]\nwithout = ['landlock']");
    contained(&plan, || {
        assert_eq!(fs::read(folder.path("plugins/link")).unwrap(), b"s");
        assert!(unknown_call(&TcpListener::bind("127.0.0.1:0").unwrap_err()));
    });
    let all = "[containment]\nwithout = ['landlock', 'seccomp', 'no-new-privileges']";
    let (report, ()) = contained(&folder.server(all), || {
        assert!(TcpListener::bind("127.0.0.1:0").is_ok());
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(status.contains("NoNewPrivs:\t0"), "{status}");
    });
    assert_eq!(report.to_string(), "contained by nothing");
}

#[test]
fn a_compiler_writes_the_cache_and_does_nothing_else() {
    let folder = Folder::new();
    let server = folder.server("");
    let compiler = Plan::of_compiler(&folder.path("state"), &[]);
    contained(&server, || {
        // It is started by a server, so one is inside the other.
        let started = std::thread::spawn(move || {
            apply_to_thread(&compiler).unwrap();
            fs::write(folder.path("state/code"), "c").unwrap();
            assert!(std::thread::spawn(|| 1).join().is_ok(), "it compiles on several cores");
            assert!(denied(fs::read(folder.path("plugins/a.wasm"))));
            assert!(unknown_call(&Command::new("/proc/self/exe").spawn().map(|_| ()).unwrap_err()));
            let pair = std::os::unix::net::UnixStream::pair();
            assert!(unknown_call(&pair.unwrap_err()));
        });
        started.join().unwrap();
    });
}

#[test]
fn a_process_with_threads_is_refused() {
    let folder = Folder::new();
    // The test runner has its own thread beside this one.
    let refused = apply(&folder.server("")).unwrap_err().to_string();
    assert!(refused.contains("threads are there already"), "{refused}");
}
