//! A request's own event stream: reports of progress, then the answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http_body::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval};
use tokio_util::sync::DropGuard;

use super::PendingReply;
use crate::names::RequestId;
use crate::respond::{self, Reply};
use crate::transport::Progress;

/// How long a stream is silent before it says that it is alive. Proxies commonly
/// close what says nothing for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A comment, which clients skip (the HTML standard, "Server-sent events").
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// A stream that begins with what is already known.
pub(super) struct EventStream {
    request_id: RequestId,
    /// The report that made this a stream.
    first: Option<Progress>,
    reports: mpsc::Receiver<Progress>,
    reply: End,
    keep_alive: Interval,
    /// Cancels the call when the stream is dropped, where that means cancellation.
    _hang_up: Option<DropGuard>,
}

/// How the stream ends.
pub(super) enum End {
    /// With the reply that is being made.
    Awaited(PendingReply),
    /// With this one.
    Known(Reply),
    /// It has ended.
    Sent,
}

impl EventStream {
    pub(super) fn new(
        request_id: RequestId,
        first: Option<Progress>,
        reports: mpsc::Receiver<Progress>,
        reply: End,
        hang_up: Option<DropGuard>,
    ) -> Self {
        let keep_alive = tokio::time::interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        Self { request_id, first, reports, reply, keep_alive, _hang_up: hang_up }
    }

    /// The answer that carries the stream.
    pub(super) fn into_response(self) -> http::Response<Body> {
        let request_id = HeaderValue::try_from(self.request_id.to_string());
        let mut response = http::Response::new(Body::new(self));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // Keeps nginx and its kin from collecting reports until the answer is there.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        if let Ok(id) = request_id {
            headers.insert(respond::REQUEST_ID, id);
        }
        response
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(event(&respond::progress_frame(&first))));
        }
        if let Poll::Ready(Some(report)) = self.reports.poll_recv(cx) {
            return Poll::Ready(Some(event(&respond::progress_frame(&report))));
        }
        if let End::Awaited(reply) = &mut self.reply
            && let Poll::Ready(reply) = reply.as_mut().poll(cx)
        {
            self.reply = End::Known(reply);
        }
        if let End::Awaited(_) = self.reply {
            return self.keep_alive.poll_tick(cx).map(|_| Some(COMMENT));
        }
        // What was reported on the way to the reply comes before it.
        if let Ok(report) = self.reports.try_recv() {
            return Poll::Ready(Some(event(&respond::progress_frame(&report))));
        }
        Poll::Ready(match std::mem::replace(&mut self.reply, End::Sent) {
            End::Known(reply) => respond::frame(&reply, self.request_id).map(|frame| event(&frame)),
            End::Awaited(_) | End::Sent => None,
        })
    }
}

impl http_body::Body for EventStream {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.next(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// One event; `message` holds no line break.
pub(super) fn event(message: &[u8]) -> Bytes {
    let mut event = BytesMut::with_capacity(message.len() + 24);
    event.put_slice(b"event: message\ndata: ");
    event.put_slice(message);
    event.put_slice(b"\n\n");
    event.freeze()
}
