//! What a guest makes its host do where the call's state is out of reach: printing, and
//! drawing random bytes.
//!
//! What is printed is kept up to a bound for the operator's log. Of a command, standard
//! output is its result, kept whole or not at all.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::fault::Broke;
use crate::names::ByteCount;

/// How much is kept of the beginning, and as much of the end, of what a guest prints, in
/// bytes: programs tell last what went wrong.
const MAX_KEPT_BYTES: usize = 16 << 10;

/// How much a guest may write at once.
const MAX_WRITE_BYTES: usize = 16 << 10;

/// One guest's console.
#[derive(Clone, Debug, Default)]
pub(super) struct Console(Arc<Outside>);

#[derive(Debug, Default)]
struct Outside {
    printed: Mutex<Printed>,
    /// Standard output, where it is kept apart.
    output: Option<Mutex<Output>>,
    drawn: AtomicU64,
}

/// The beginning and the end of what was printed.
#[derive(Debug, Default)]
struct Printed {
    bytes: Vec<u8>,
    is_cut: bool,
}

#[derive(Debug)]
struct Output {
    bytes: Vec<u8>,
    most: usize,
}

impl Console {
    /// One whose standard output is a result of at most so many bytes.
    pub(super) fn apart(most: ByteCount) -> Self {
        let output = Output { bytes: Vec::new(), most: most.as_usize() };
        Self(Arc::new(Outside { output: Some(Mutex::new(output)), ..Outside::default() }))
    }

    /// Standard output, where it is kept apart. Taken: there is one reader.
    pub(super) fn output(&self) -> Vec<u8> {
        let output = self.0.output.as_ref().map(lock);
        output.map(|mut output| std::mem::take(&mut output.bytes)).unwrap_or_default()
    }

    /// What was printed, with what is not UTF-8 replaced.
    pub(super) fn text(&self) -> Option<String> {
        let printed = lock(&self.0.printed);
        if !printed.is_cut {
            return (!printed.bytes.is_empty())
                .then(|| String::from_utf8_lossy(&printed.bytes).into_owned());
        }
        let (first, last) = printed.bytes.split_at(MAX_KEPT_BYTES.min(printed.bytes.len()));
        Some(format!("{}\n…\n{}", String::from_utf8_lossy(first), String::from_utf8_lossy(last)))
    }

    /// How many random bytes were drawn.
    pub(super) fn drawn(&self) -> u64 {
        self.0.drawn.load(Ordering::Relaxed)
    }

    pub(super) fn count_drawn(&self, bytes: u64) {
        self.0.drawn.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn stdout(&self) -> Stream {
        Stream { console: self.clone(), is_result: self.0.output.is_some() }
    }

    pub(super) fn stderr(&self) -> Stream {
        Stream { console: self.clone(), is_result: false }
    }

    fn print(&self, bytes: &[u8]) {
        let mut printed = lock(&self.0.printed);
        printed.bytes.extend_from_slice(bytes);
        let over = printed.bytes.len().saturating_sub(2 * MAX_KEPT_BYTES);
        if over > 0 {
            printed.bytes.drain(MAX_KEPT_BYTES..MAX_KEPT_BYTES + over);
            printed.is_cut = true;
        }
    }
}

/// Consistent whenever it is free: nothing in it can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Standard output, or standard error.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    console: Console,
    is_result: bool,
}

impl Stream {
    /// Keeps what is written.
    ///
    /// # Errors
    /// When a result becomes longer than it may be.
    pub(super) fn take(&self, bytes: &[u8]) -> Result<(), Broke> {
        match &self.console.0.output {
            Some(output) if self.is_result => {
                let mut output = lock(output);
                if output.bytes.len().saturating_add(bytes.len()) > output.most {
                    return Err(Broke::Output);
                }
                output.bytes.extend_from_slice(bytes);
            }
            Some(_) | None => self.console.print(bytes),
        }
        Ok(())
    }
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Asked for by other versions of WASI only, none of which is linked.
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes).map_err(|broke| StreamError::Trap(broke.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_WRITE_BYTES)
    }
}

impl Pollable for Stream {
    fn ready<'a, 'b>(&'a mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_are_kept() {
        let console = Console::default();
        assert_eq!(console.text(), None);
        console.print(b"first ");
        assert_eq!(console.text().as_deref(), Some("first "));
        for _ in 0..100 {
            console.print(&[b'.'; 1 << 10]);
        }
        console.print(b" last");
        let text = console.text().unwrap();
        assert!(text.starts_with("first ...") && text.ends_with("... last"), "{text}");
        assert!(text.contains("\n…\n") && text.len() <= 2 * MAX_KEPT_BYTES + 5, "{}", text.len());
    }

    #[test]
    fn a_result_is_kept_whole_or_not_at_all() {
        let console = Console::apart(ByteCount(4));
        let mut stdout = console.stdout();
        assert!(stdout.write(Bytes::from_static(b"abc")).is_ok());
        assert!(stdout.write(Bytes::from_static(b"d")).is_ok());
        assert!(stdout.write(Bytes::from_static(b"e")).is_err());
        assert!(console.stderr().write(Bytes::from_static(b"told")).is_ok());
        assert_eq!(
            (console.output().as_slice(), console.text().as_deref()),
            (&b"abcd"[..], Some("told"))
        );
    }
}
