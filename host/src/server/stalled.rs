//! A connection whose client stops reading is closed.
//!
//! The threat: hyper bounds how long a client may take to send, not how long it
//! may take to read. A client that asks and never reads would hold its place among
//! the connections for as long as it likes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long a write may wait for a client that does not read at all. Each byte
/// that it takes starts the wait anew.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A stream whose writes fail with `TimedOut` when they stall.
#[derive(Debug)]
pub(super) struct Stalled<I> {
    stream: I,
    /// Runs while a write waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<I> Stalled<I> {
    pub(super) fn new(stream: I) -> Self {
        Self { stream, deadline: None }
    }

    /// Passes on what a write came to, if it came to something in time.
    fn bound<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.deadline = None;
            return write;
        }
        let start = || Box::pin(tokio::time::sleep_until(Instant::now() + WRITE_TIMEOUT));
        ready!(self.deadline.get_or_insert_with(start).as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Stalled<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Stalled<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bound(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.bound(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.stream).poll_flush(cx);
        self.bound(cx, flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shutdown = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.bound(cx, shutdown)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_client_that_does_not_read_is_given_up() {
        let (mut client, server) = tokio::io::duplex(4);
        let mut server = Stalled::new(server);
        let began = Instant::now();
        let slow = async {
            for _ in 0..4 {
                tokio::time::sleep(WRITE_TIMEOUT - Duration::from_secs(1)).await;
                client.read_exact(&mut [0; 4]).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(server.write_all(&[0; 20]), slow);
        written.unwrap();
        assert!(began.elapsed() > 3 * WRITE_TIMEOUT);

        let stalled = server.write_all(&[0; 20]).await.unwrap_err();
        assert_eq!(stalled.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
