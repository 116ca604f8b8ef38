//! One message a line, both ways.
//!
//! Invariant: a line takes no more memory than the configured size. A longer one
//! is read past and answered, under its own id where it has one, so that no client
//! waits for an answer that never comes.

use std::io;

use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::rpc::{MAX_ID_BYTES, RpcId};
use crate::names::ByteCount;

/// How much is asked of the reader at once, in bytes: what a pipe holds on Linux.
const CHUNK_BYTES: usize = 64 << 10;

/// What came in one line.
#[derive(Debug)]
pub enum Line {
    /// A message, without its line end; never empty.
    Message(Bytes),
    /// A message that was not kept, and the id that it had.
    TooLong(RpcId),
}

/// Splits a stream into lines.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    buffer: BytesMut,
    /// So many bytes of the buffer are known to hold no line end.
    searched: usize,
    max: ByteCount,
    /// The line that is being read past.
    skipped: Option<IdScan>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `max`, line end included.
    pub fn new(reader: R, max: ByteCount) -> Self {
        Self { reader, buffer: BytesMut::new(), searched: 0, max, skipped: None }
    }

    /// The next line that is not blank; nothing at the end of the stream. A last
    /// line without its end counts. Cancel-safe.
    ///
    /// # Errors
    /// What reading returns.
    pub async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.buffered() {
                return Ok(Some(line));
            }
            self.buffer.reserve(CHUNK_BYTES);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(self.rest());
            }
        }
    }

    /// The next line, where all of it is in the buffer.
    fn buffered(&mut self) -> Option<Line> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(end) = unsearched.iter().position(|byte| *byte == b'\n') else {
                self.bound();
                return None;
            };
            let line = self.buffer.split_to(self.searched + end + 1);
            self.searched = 0;
            if let Some(line) = self.finish(line) {
                return Some(line);
            }
        }
    }

    /// What is left at the end of the stream.
    fn rest(&mut self) -> Option<Line> {
        let line = self.buffer.split();
        self.searched = 0;
        self.finish(line)
    }

    /// Gives up keeping a line that is already too long.
    fn bound(&mut self) {
        self.searched = self.buffer.len();
        if self.skipped.is_some() || self.searched > self.max.as_usize() {
            self.skipped.get_or_insert_default().feed(&self.buffer);
            self.buffer.clear();
            self.searched = 0;
        }
    }

    fn finish(&mut self, line: BytesMut) -> Option<Line> {
        if self.skipped.is_some() || line.len() > self.max.as_usize() {
            let mut scan = self.skipped.take().unwrap_or_default();
            scan.feed(&line);
            return Some(Line::TooLong(scan.id()));
        }
        let line = line.freeze();
        let message = line.slice_ref(line.trim_ascii());
        (!message.is_empty()).then_some(Line::Message(message))
    }
}

/// Looks for the `id` of a JSON object that is not kept, in constant memory.
///
/// It trusts nothing: what it finds in text that is not JSON is an id that nobody
/// waits for.
#[derive(Debug, Default)]
struct IdScan {
    depth: usize,
    string: InString,
    /// The key or value at hand on the top level, without white space; cut.
    token: Vec<u8>,
    /// The token is the value of the key `id`.
    of_id: bool,
    found: Option<RpcId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum InString {
    #[default]
    No,
    Yes,
    Escaped,
}

impl IdScan {
    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.step(*byte);
        }
    }

    fn id(self) -> RpcId {
        self.found.unwrap_or_else(RpcId::none)
    }

    fn step(&mut self, byte: u8) {
        match (self.string, byte) {
            (InString::Escaped, _) => {
                self.string = InString::Yes;
                self.keep(byte);
            }
            (InString::Yes, _) => {
                self.string = match byte {
                    b'\\' => InString::Escaped,
                    b'"' => InString::No,
                    _ => InString::Yes,
                };
                self.keep(byte);
            }
            (InString::No, b'{' | b'[') => {
                // Kept, so that an object is not taken for an id.
                self.keep(byte);
                self.depth += 1;
            }
            (InString::No, b'}' | b']') => {
                self.end_token();
                self.depth = self.depth.saturating_sub(1);
            }
            (InString::No, b',') => self.end_token(),
            (InString::No, b':') if self.depth == 1 => {
                self.of_id = self.token == br#""id""#;
                self.token.clear();
            }
            (InString::No, b' ' | b'\t' | b'\r' | b'\n') => {}
            (InString::No, _) => {
                if byte == b'"' {
                    self.string = InString::Yes;
                }
                self.keep(byte);
            }
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.token.len() <= MAX_ID_BYTES {
            self.token.push(byte);
        }
    }

    /// On the top level, a comma or the closing brace ends a value.
    fn end_token(&mut self) {
        if self.depth != 1 {
            return;
        }
        let token = std::mem::take(&mut self.token);
        if std::mem::take(&mut self.of_id) && self.found.is_none() {
            let raw =
                String::from_utf8(token).ok().and_then(|text| RawValue::from_string(text).ok());
            self.found = raw.as_deref().and_then(RpcId::read);
        }
    }
}

/// Writes each message of `queue` as one line, and flushes whenever none waits.
/// Ends when every sender is gone. The messages hold no line ends of their own.
///
/// # Errors
/// What writing returns; what is still queued is then lost.
pub async fn write_lines<W: AsyncWrite + Unpin>(
    mut writer: W,
    mut queue: mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    while let Some(message) = queue.recv().await {
        writer.write_all(&message).await?;
        writer.write_all(b"\n").await?;
        if queue.is_empty() {
            writer.flush().await?;
        }
    }
    writer.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines of what a client writes in these pieces.
    async fn lines(pieces: &[&[u8]], max: u64) -> Vec<String> {
        let (mut client, server) = tokio::io::duplex(7);
        let write = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
            }
            drop(client);
        };
        let read = async {
            let mut lines = Lines::new(server, ByteCount(max));
            let mut found = Vec::new();
            while let Some(line) = lines.next().await.unwrap() {
                found.push(match line {
                    Line::Message(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                    Line::TooLong(id) => format!("too long: {}", id.as_json()),
                });
            }
            found
        };
        tokio::join!(write, read).1
    }

    #[tokio::test]
    async fn lines_are_split_however_they_arrive() {
        let expected = ["{}", "a b", "last"];
        for pieces in [
            vec![&b"{}\na b\nlast\n"[..]],
            vec![b"{}\r\n\r\n \n\ta b\n", b"last"],
            vec![b"{", b"}", b"\n", b"a", b" b", b"\nlas", b"t"],
        ] {
            assert_eq!(lines(&pieces, 64).await, expected);
        }
        assert!(lines(&[], 64).await.is_empty());
        assert!(lines(&[b"\n\n"], 64).await.is_empty());
    }

    #[tokio::test]
    async fn a_long_line_is_read_past_and_the_stream_goes_on() {
        let fill = "x".repeat(5_000);
        for (line, id) in [
            (format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{fill}"}}"#), "7"),
            (format!(r#"{{"params":{{"a":"{fill}","id":1}},"id" : "a b"}}"#), r#""a b""#),
            (format!(r#"{{"params":[{{"id":1}}],"x":"\"id\":2,{fill}\\","id":3 }}"#), "3"),
            (format!(r#"{{"id":4,"id":5,"x":"{fill}"}}"#), "4"),
            (format!(r#"{{"method":"{fill}"}}"#), "null"),
            (format!(r#"{{"id":{{"id":1}},"x":"{fill}"}}"#), "null"),
            (format!(r#"{{"id":[1],"x":"{fill}"}}"#), "null"),
            (format!(r#"{{"id":"{fill}"}}"#), "null"),
            (format!(r#"{{"x":"{fill}","id":"#), "null"),
            (format!(r#"[{{"id":1,"x":"{fill}"}}]"#), "null"),
            (format!("}}]{fill}"), "null"),
        ] {
            let found = lines(&[line.as_bytes(), b"\n{}\n"], 100).await;
            assert_eq!(found, [format!("too long: {id}"), "{}".to_owned()], "{line:.40}");
            let found = lines(&[b"{}\n", line.as_bytes()], 100).await;
            assert_eq!(found, ["{}".to_owned(), format!("too long: {id}")], "{line:.40}");
        }
    }

    #[tokio::test]
    async fn the_bound_is_exact_and_keeps_memory_small() {
        let at = "x".repeat(99);
        assert_eq!(lines(&[at.as_bytes(), b"\n"], 100).await, [at.as_str()]);
        assert_eq!(lines(&[at.as_bytes(), b"x\n"], 100).await, ["too long: null"]);

        let (mut client, server) = tokio::io::duplex(1 << 20);
        let mut lines = Lines::new(server, ByteCount(100));
        client.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
        tokio::select! {
            biased;
            _ = lines.next() => panic!("the line has no end"),
            () = std::future::ready(()) => {}
        }
        assert!(lines.buffer.capacity() <= 2 * CHUNK_BYTES, "{}", lines.buffer.capacity());
    }

    #[tokio::test]
    async fn messages_leave_one_a_line() {
        let (queue, messages) = mpsc::channel(4);
        for message in ["{}", "[1]"] {
            queue.send(Bytes::from_static(message.as_bytes())).await.unwrap();
        }
        drop(queue);
        let mut written = Vec::new();
        write_lines(&mut written, messages).await.unwrap();
        assert_eq!(written, b"{}\n[1]\n");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>, json in r#"[{}\[\]",:0id\\ \n]{0,64}"#) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for max in [0, 4, 100] {
                runtime.block_on(lines(&[&bytes, json.as_bytes()], max));
            }
        }
    }
}
