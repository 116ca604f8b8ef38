//! A server that serves one client over standard input and output.

use std::ops::Deref;
use std::process::{ExitStatus, Stdio as Pipe};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::message::{call_params, request};
use crate::wait::patiently;
use crate::{Answer, Folder, Log};

/// The variable that a stdio client's key comes in.
const KEY_VARIABLE: &str = "BULKHEAD_KEY";

/// A running `serve --stdio`, and its client.
#[derive(Debug)]
pub struct Stdio {
    // Dropped, and with it killed, before its folder goes.
    child: Child,
    folder: Folder,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    /// What it says on standard error.
    pub log: Log,
}

impl Deref for Stdio {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.folder
    }
}

impl Stdio {
    /// Starts the server in a folder, with this key in its environment.
    pub async fn start(folder: Folder, key: Option<&str>) -> Self {
        let mut command = folder.command(["serve", "--stdio"]);
        command.stdin(Pipe::piped()).stdout(Pipe::piped()).stderr(Pipe::piped());
        command.envs(key.map(|key| (KEY_VARIABLE, key)));
        let mut child = command.spawn().expect("the binary can be run");
        let output = child.stdout.take().expect("it is piped");
        let log = Log::of(child.stderr.take().expect("it is piped"));
        let input = child.stdin.take();
        Self { folder, child, input, output: BufReader::new(output).lines(), log }
    }

    /// Writes one line.
    pub async fn send_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(line.as_bytes()).await.expect("the server reads");
        input.write_all(b"\n").await.expect("the server reads");
        input.flush().await.expect("the server reads");
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &Value) {
        self.send_line(&message.to_string()).await;
    }

    /// The next message; nothing when the server has closed its output.
    pub async fn next(&mut self) -> Option<Value> {
        let line = patiently("a line on standard output", self.output.next_line()).await;
        let line = line.expect("the output can be read")?;
        Some(serde_json::from_str(&line).unwrap_or_else(|_| panic!("only messages: {line:?}")))
    }

    /// Sends a request and returns the next message, which has to answer it.
    pub async fn request(
        &mut self,
        version: &str,
        id: Value,
        method: &str,
        params: Value,
    ) -> Answer {
        self.send(&request(version, id.clone(), method, params)).await;
        let message = self.next().await.expect("the server is there");
        assert_eq!(message["id"], id, "{message}");
        Answer::of_message(message)
    }

    /// Calls a tool.
    pub async fn call(&mut self, version: &str, id: Value, tool: &str, arguments: Value) -> Answer {
        let params = call_params(tool, arguments, None);
        self.request(version, id, "tools/call", params).await
    }

    /// Closes the input, which asks the server to end, and returns how it ended.
    pub async fn close(&mut self) -> ExitStatus {
        self.input = None;
        let ended = patiently("the server's end", self.child.wait()).await;
        ended.expect("it can be waited for")
    }
}
