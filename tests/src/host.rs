//! A running server, and what is set up before it runs.

use std::ops::Deref;
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Child;

use crate::wait::{patiently, until};
use crate::{Answer, Client, Folder, Log, MemoryWatch, Stdio as StdioServer};

/// What a test sets up.
#[derive(Debug)]
pub struct Setup {
    folder: Folder,
    config: String,
}

impl Setup {
    /// Drops in a guest or a first-party plugin, under its own name.
    #[must_use]
    pub fn plugin(self, name: &str) -> Self {
        self.folder.drop_component(name);
        self
    }

    /// Writes the operator's sidecar of a plugin.
    #[must_use]
    pub fn sidecar(self, plugin: &str, toml: &str) -> Self {
        self.file(&format!("{plugin}.toml"), toml)
    }

    /// Writes any file into the drop folder.
    #[must_use]
    pub fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.folder.drop_in(name, bytes);
        self
    }

    /// Gives an agent an entry with these scopes.
    #[must_use]
    pub fn agent(self, name: &str, scopes: &[&str]) -> Self {
        self.config(&format!("[agents.{name}]\nscopes = {scopes:?}\n"))
    }

    /// Adds to `bulkhead.toml`.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        self.config.push_str(toml);
        self.config.push('\n');
        self
    }

    /// Writes the configuration, for a test of the command line alone.
    pub fn folder(self) -> Folder {
        std::fs::write(self.folder.config(), &self.config).expect("the folder can be written");
        self.folder
    }

    /// Starts `serve`, and returns when it is ready and its log has told of every
    /// plugin.
    pub async fn start(self) -> Host {
        Host::start(self.folder()).await
    }

    /// Starts `serve --stdio`; `key` is what the client has in its environment.
    pub async fn stdio(self, key: Option<&str>) -> StdioServer {
        StdioServer::start(self.folder(), key).await
    }
}

/// A running server. It is killed when the test ends, if it still runs then.
#[derive(Debug)]
pub struct Host {
    // Dropped, and with it killed, before its folder goes.
    child: Mutex<Child>,
    folder: Folder,
    pid: Pid,
    /// What it says on standard error.
    pub log: Log,
    url: String,
    health: String,
}

impl Deref for Host {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.folder
    }
}

impl Host {
    /// What a test begins with: a folder with nothing in it.
    pub fn test() -> Setup {
        Setup { folder: Folder::new(), config: String::new() }
    }

    /// Starts a server in a folder, which may hold another one's state.
    pub async fn start(folder: Folder) -> Self {
        let mut command = folder.command(["serve"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary can be run");
        let log = Log::of(child.stderr.take().expect("it is piped"));
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let host = Self {
            url: address(&log.line("listening on http").await, "listening on ").to_owned(),
            health: address(&log.line("health on http://").await, "health on ").to_owned(),
            pid: pid.expect("it runs"),
            child: Mutex::new(child),
            folder,
            log,
        };
        host.until_ready().await;
        host.until_every_plugin_is_told().await;
        host
    }

    async fn until_ready(&self) {
        until("readiness", async || (self.get("/readyz").await.status == 200).then_some(())).await;
    }

    async fn until_every_plugin_is_told(&self) {
        for file in std::fs::read_dir(self.plugin("")).into_iter().flatten() {
            let path = file.expect("it can be listed").path();
            if path.extension().is_some_and(|ending| ending == "wasm") {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                self.until_told(&stem).await;
            }
        }
    }

    /// The line that tells whether a file is served or was refused.
    pub async fn until_told(&self, stem: &str) -> String {
        let told = async || {
            let text = self.log.text();
            let about = |line: &&str| {
                line.contains(&format!("{stem} was not loaded"))
                    || (line.contains(&format!("{stem}: ")) && line.contains("is served"))
            };
            text.lines().find(about).map(str::to_owned)
        };
        until(&format!("what became of {stem}"), told).await
    }

    /// Where clients connect to: `http://ADDRESS/mcp`, or `https` with `[server.tls]`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A client without a credential.
    pub fn stranger(&self) -> Client {
        Client::new(&self.url, None)
    }

    /// A client with this key.
    pub fn with_key(&self, key: &str) -> Client {
        Client::new(&self.url, Some(key.to_owned()))
    }

    /// A client with a fresh key of `agent`.
    pub async fn client(&self, agent: &str) -> Client {
        let key = self.key(agent, &[]).await;
        self.with_key(&key.key)
    }

    /// Asks the health listener.
    pub async fn get(&self, path: &str) -> Answer {
        let answer = reqwest::get(format!("{}{path}", self.health)).await;
        let answer = answer.expect("the health listener answers");
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.expect("with text");
        Answer { status, headers, text, messages: Vec::new() }
    }

    /// The value of one series, such as `bulkhead_calls_in_flight`; zero while it is
    /// not there.
    pub async fn metric(&self, series: &str) -> f64 {
        let metrics = self.get("/metrics").await.text;
        let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
        metrics.lines().find_map(value).unwrap_or(0.0)
    }

    /// Returns when exactly so many calls have begun and not ended.
    pub async fn until_in_flight(&self, calls: usize) {
        let what = format!("{calls} calls in flight");
        let look =
            async || (self.metric("bulkhead_calls_in_flight").await == calls as f64).then_some(());
        until(&what, look).await;
    }

    /// The one record of a request, waited for.
    pub async fn record(&self, request_id: &str) -> Value {
        self.record_where(&format!("request {request_id}"), |record| {
            record["request_id"] == request_id
        })
        .await
    }

    /// The one record that passes, waited for.
    ///
    /// # Panics
    /// When there is more than one.
    pub async fn record_where(&self, what: &str, passes: impl Fn(&Value) -> bool) -> Value {
        let look = async || {
            let mut found: Vec<Value> = self.audit().into_iter().filter(&passes).collect();
            assert!(found.len() <= 1, "more than one record of {what}: {found:?}");
            found.pop()
        };
        until(&format!("a record of {what}"), look).await
    }

    /// A connection to the public listener.
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.authority()).await.expect("it listens")
    }

    /// Writes these bytes on a connection of their own, and reads until it is closed.
    /// A server that refuses need not read all of it.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let (mut reader, mut writer) = self.connect().await.into_split();
        let mut answer = Vec::new();
        let exchange =
            async { tokio::join!(writer.write_all(bytes), reader.read_to_end(&mut answer)) };
        let _ = patiently("the end of a connection", exchange).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// `ADDRESS:PORT` of the public listener.
    pub fn authority(&self) -> &str {
        let (_, rest) = self.url.split_once("://").expect("a URL has a scheme");
        rest.trim_end_matches("/mcp")
    }

    /// The most that the server had in memory since it began, in bytes.
    pub fn peak_memory(&self) -> u64 {
        crate::memory::peak(self.pid)
    }

    /// Watches from now on how much memory the server takes.
    pub fn watch_memory(&self) -> MemoryWatch {
        MemoryWatch::begin(self.pid)
    }

    /// What the kernel knows the server by.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends a signal to the server.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("it runs");
    }

    /// How the server ended, waited for.
    pub async fn ended(&self) -> ExitStatus {
        let look = async || {
            let mut child = self.child.lock().expect("nobody panics with it");
            child.try_wait().expect("its state can be asked for")
        };
        until("the server's end", look).await
    }

    /// Ends the server gracefully, and gives its folder back.
    pub async fn stop(self) -> Folder {
        self.signal(Signal::TERM);
        let status = self.ended().await;
        assert_eq!(status.code(), Some(0), "{:?}", self.log);
        self.folder
    }
}

/// The address after `before`, up to what cannot be part of one.
fn address<'l>(line: &'l str, before: &str) -> &'l str {
    let (_, rest) = line.split_once(before).expect("the line was found by this text");
    let end = rest.find(|c: char| c == '"' || c.is_whitespace()).unwrap_or(rest.len());
    &rest[..end]
}
