//! One client on a pair of streams: requests side by side, answers as they come.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Answering, PROGRESS_QUEUE};
use crate::error::{Code, Error};
use crate::names::{ByteCount, RequestId};
use crate::respond::{self, Answer, Reply};
use crate::transport::{
    BadMessage, Body, Channel, Head, Line, Lines, Message, Notification, Presented, RpcId, Shown,
    Version, parse, write_lines,
};

/// How many requests are answered at once. One more waits for its place, and with
/// it every line behind it.
const MAX_OPEN: usize = 64;

/// How many messages may wait for a client that reads slowly, before those who
/// write them wait as well.
const WRITE_QUEUE: usize = 64;

/// How long calls may go on when the client is gone, before they are cancelled; and
/// how long they may take to end then. Long enough for `printf … | bulkhead serve
/// --stdio`, short enough for a client that restarts its servers.
const END_OF_INPUT_GRACE: Duration = Duration::from_secs(5);

/// Serves until the input ends or `stop`.
pub(super) async fn serve<R, W>(
    answering: Answering,
    reader: R,
    writer: W,
    presented: Presented,
    max_line: ByteCount,
    stop: CancellationToken,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (queue, messages) = mpsc::channel(WRITE_QUEUE);
    let stream = Arc::new(Stream {
        answering,
        presented,
        max_line,
        queue,
        places: Arc::new(Semaphore::new(MAX_OPEN)),
        tasks: TaskTracker::new(),
        state: Mutex::default(),
    });
    let reading = {
        let stream = Arc::clone(&stream);
        async move {
            let lines = Lines::new(reader, max_line);
            let ended = stop.run_until_cancelled(stream.read(lines)).await;
            match ended {
                Some(()) => stream.finish_within(END_OF_INPUT_GRACE).await,
                None => stream.finish().await,
            }
        }
    };
    let mut writing = std::pin::pin!(write_lines(writer, messages));
    let broken = tokio::select! {
        () = reading => None,
        ended = &mut writing => ended.err(),
    };
    if let Some(error) = broken {
        tracing::debug!(%error, "the client does not read any more");
        stream.cancel_all();
        return;
    }
    // The last sender goes with the last reference, and writing ends when all is out.
    drop(stream);
    let _ = tokio::time::timeout(END_OF_INPUT_GRACE, writing).await;
}

/// What the requests of one client share.
struct Stream {
    answering: Answering,
    presented: Presented,
    max_line: ByteCount,
    queue: mpsc::Sender<Bytes>,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The requests being answered, and what cancels each.
    open: HashMap<RpcId, CancellationToken>,
    /// What `initialize` settled on, where the client began with that.
    settled: Option<Version>,
}

impl Stream {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what each line asks for, until the input ends.
    async fn read<R: AsyncRead + Unpin>(self: &Arc<Self>, mut lines: Lines<R>) {
        loop {
            match lines.next().await {
                Ok(Some(Line::Message(line))) => self.take(line).await,
                Ok(Some(Line::TooLong(id))) => {
                    let what = format!("The message is larger than {}.", self.max_line);
                    let error = Error::new(Code::PayloadTooLarge, what);
                    let reply = Reply::Malformed(BadMessage { id, error, shown: Shown::AsStatus });
                    self.write(respond::frame(&reply, RequestId::generate())).await;
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "standard input cannot be read");
                    return;
                }
            }
        }
    }

    /// Cancels at once; everything else is answered in a task of its own, as soon as
    /// there is a place.
    async fn take(self: &Arc<Self>, line: Bytes) {
        let settled = self.state().settled.map(|version| version.as_str().to_owned());
        let head = Head::without_headers(Channel::Stdio, self.presented.clone(), settled);
        let id = match parse(&head, &line) {
            Ok(Message::Notification(Notification::Cancelled { request })) => {
                return self.cancel(&request);
            }
            Ok(Message::Request { id, .. }) => id,
            Ok(Message::Notification(_) | Message::Response) => RpcId::none(),
            Err(bad) => bad.id,
        };
        let place = Arc::clone(&self.places).acquire_owned().await;
        let cancel = self.open(&id);
        let stream = Arc::clone(self);
        self.tasks.spawn(async move {
            stream.answer(head, line, &id, cancel).await;
            drop(place);
        });
    }

    /// Answers one message: its reports of progress, then its reply.
    async fn answer(&self, head: Head, line: Bytes, id: &RpcId, cancel: CancellationToken) {
        let request_id = head.request_id;
        let (progress, mut reports) = mpsc::channel(PROGRESS_QUEUE);
        let mut reply = (self.answering)(head, Body::Read(line), progress, cancel);
        let reply = loop {
            tokio::select! {
                biased;
                Some(report) = reports.recv() => {
                    self.write(Some(respond::progress_frame(&report))).await;
                }
                reply = &mut reply => break reply,
            }
        };
        while let Ok(report) = reports.try_recv() {
            self.write(Some(respond::progress_frame(&report))).await;
        }
        self.close(id, &reply);
        if let Some(reply) = under(id, reply) {
            self.write(respond::frame(&reply, request_id)).await;
        }
    }

    /// Remembers how to cancel a request. A second one under an id that is still
    /// open, which MCP forbids, cannot be cancelled.
    fn open(&self, id: &RpcId) -> CancellationToken {
        let cancel = CancellationToken::new();
        if !id.is_none()
            && let Entry::Vacant(place) = self.state().open.entry(id.clone())
        {
            place.insert(cancel.clone());
        }
        cancel
    }

    fn close(&self, id: &RpcId, reply: &Reply) {
        let mut state = self.state();
        state.open.remove(id);
        if let Reply::Answer { version, answer: Answer::Initialized, .. } = reply {
            state.settled = Some(*version);
        }
    }

    fn cancel(&self, id: &RpcId) {
        if let Some(cancel) = self.state().open.get(id) {
            cancel.cancel();
        }
    }

    fn cancel_all(&self) {
        self.state().open.values().for_each(CancellationToken::cancel);
    }

    /// Queues a message. When nobody reads any more, it is lost.
    async fn write(&self, message: Option<Bytes>) {
        if let Some(message) = message {
            let _ = self.queue.send(message).await;
        }
    }

    /// Waits for what was begun.
    async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Waits for what was begun, and cancels what takes longer than `grace`.
    async fn finish_within(&self, grace: Duration) {
        if tokio::time::timeout(grace, self.finish()).await.is_err() {
            self.cancel_all();
            let _ = tokio::time::timeout(grace, self.finish()).await;
        }
    }
}

/// A refusal before the message was read is sent under the id that it has all the
/// same: on one stream there is no other way to tell what it refuses. What has no
/// id wants no answer.
fn under(id: &RpcId, reply: Reply) -> Option<Reply> {
    match reply {
        Reply::Gate(_) if id.is_none() => None,
        Reply::Gate(error) => {
            Some(Reply::Malformed(BadMessage { id: id.clone(), error, shown: Shown::AsStatus }))
        }
        reply @ (Reply::Malformed(_) | Reply::Accepted | Reply::Answer { .. }) => Some(reply),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};
    use tokio::sync::Notify;
    use tokio::time::Instant;

    use super::*;
    use crate::error::Retry;
    use crate::respond::Called;
    use crate::transport::{Method, Progress};

    /// What a client of a test holds.
    struct Client {
        input: WriteHalf<DuplexStream>,
        output: tokio::io::Lines<BufReader<ReadHalf<DuplexStream>>>,
    }

    impl Client {
        async fn send(&mut self, line: &str) {
            self.input.write_all(line.as_bytes()).await.unwrap();
            self.input.write_all(b"\n").await.unwrap();
        }

        async fn ask(&mut self, id: u32, method: &str) {
            let line = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"name":"t"}}}}"#
            );
            self.send(&line).await;
        }

        async fn line(&mut self) -> String {
            self.output.next_line().await.unwrap().unwrap()
        }
    }

    fn pong(id: u32) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)
    }

    /// Serves a client with `answering` while `script` plays it; then its input ends.
    async fn play<F>(
        answering: Answering,
        stop: CancellationToken,
        script: impl FnOnce(Client) -> F,
    ) where
        F: Future,
    {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (output, input) = tokio::io::split(ours);
        let (reader, writer) = tokio::io::split(theirs);
        let client = Client { input, output: BufReader::new(output).lines() };
        let serving = serve(answering, reader, writer, Presented::None, ByteCount(1_000), stop);
        tokio::join!(serving, script(client));
    }

    /// Answers as a server would whose only tool is `act`.
    fn answered_by<F>(
        act: impl Fn(Head, mpsc::Sender<Progress>, CancellationToken) -> F + Send + Sync + 'static,
    ) -> Answering
    where
        F: Future<Output = Error> + Send + 'static,
    {
        let act = Arc::new(act);
        Arc::new(move |head, body, progress, cancel| {
            let act = Arc::clone(&act);
            Box::pin(async move {
                let line = body.read().await.unwrap();
                let (id, request) = match parse(&head, &line) {
                    Ok(Message::Request { id, request }) => (id, request),
                    Ok(_) => return Reply::Accepted,
                    Err(bad) => return Reply::Malformed(bad),
                };
                let version = request.version;
                let answer = match request.method {
                    Method::Initialize { .. } => Answer::Initialized,
                    Method::CallTool(_) => {
                        Answer::Called(Called::refused(act(head, progress, cancel).await).into())
                    }
                    Method::Discover | Method::Ping | Method::ListTools { .. } => Answer::Pong,
                };
                Reply::Answer { id, version, answer }
            })
        })
    }

    /// Tools that never end by themselves.
    fn stuck() -> Answering {
        answered_by(|_, _, cancel| async move {
            cancel.cancelled().await;
            Error::new(Code::Cancelled, "x")
        })
    }

    #[tokio::test]
    async fn requests_are_answered_side_by_side() {
        let go_on = Arc::new(Notify::new());
        let may_go_on = Arc::clone(&go_on);
        let slow = answered_by(move |_, _, _| {
            let may_go_on = Arc::clone(&may_go_on);
            async move {
                may_go_on.notified().await;
                Error::new(Code::ToolNotFound, "x")
            }
        });
        play(slow, CancellationToken::new(), async |mut client: Client| {
            client.ask(1, "tools/call").await;
            client.ask(2, "ping").await;
            assert_eq!(client.line().await, pong(2));
            go_on.notify_one();
            assert!(client.line().await.starts_with(r#"{"jsonrpc":"2.0","id":1,"error""#));
        })
        .await;
    }

    #[tokio::test]
    async fn progress_comes_before_its_answer() {
        let telling = answered_by(|_, progress, _| async move {
            for at in [1.0, 2.0] {
                let token = serde_json::value::to_raw_value("p").unwrap();
                let report = Progress { token, progress: at, total: None, message: None };
                progress.try_send(report).unwrap();
            }
            Error::new(Code::ToolNotFound, "x")
        });
        play(telling, CancellationToken::new(), async |mut client: Client| {
            client.ask(1, "tools/call").await;
            assert!(client.line().await.contains(r#""progress":1.0"#));
            assert!(client.line().await.contains(r#""progress":2.0"#));
            assert!(client.line().await.contains(r#""id":1,"error""#));
        })
        .await;
    }

    #[tokio::test]
    async fn a_cancelled_request_is_not_answered() {
        play(stuck(), CancellationToken::new(), async |mut client: Client| {
            client.ask(7, "tools/call").await;
            for other in [r#"8"#, r#""7""#, "7"] {
                client.send(&format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{other}}}}}"#
                )).await;
            }
            client.input.shutdown().await.unwrap();
            assert_eq!(client.output.next_line().await.unwrap(), None);
        })
        .await;
    }

    #[tokio::test]
    async fn every_refusal_finds_its_request() {
        let shut: Answering = Arc::new(|_, _, _, _| {
            let error = Error::new(Code::Unauthenticated, "x").retry(Retry::No);
            Box::pin(async { Reply::Gate(error) })
        });
        play(shut, CancellationToken::new(), async |mut client: Client| {
            client.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
            client.ask(3, "tools/call").await;
            let line = client.line().await;
            assert!(line.starts_with(r#"{"jsonrpc":"2.0","id":3,"error":{"code":401,"#), "{line}");
        })
        .await;

        play(stuck(), CancellationToken::new(), async |mut client: Client| {
            let fill = "x".repeat(2_000);
            client.send(&format!(r#"{{"jsonrpc":"2.0","method":"{fill}","id":4}}"#)).await;
            let line = client.line().await;
            assert!(line.starts_with(r#"{"jsonrpc":"2.0","id":4,"error":{"code":413,"#), "{line}");
            client.send("{").await;
            let line = client.line().await;
            assert!(line.starts_with(r#"{"jsonrpc":"2.0","error":{"code":-32700,"#), "{line}");
            client.ask(5, "ping").await;
            assert_eq!(client.line().await, pong(5));
        })
        .await;
    }

    #[tokio::test]
    async fn what_initialize_settles_holds_for_the_stream() {
        let versions = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&versions);
        let answering = answered_by(move |head, _, _| {
            seen.lock().unwrap().push(head.version);
            async { Error::new(Code::ToolNotFound, "x") }
        });
        play(answering, CancellationToken::new(), async |mut client: Client| {
            client.ask(1, "tools/call").await;
            client.line().await;
            client.send(r#"{"jsonrpc":"2.0","id":2,"method":"initialize","params":{"protocolVersion":"2025-03-26"}}"#).await;
            client.line().await;
            client.ask(3, "tools/call").await;
            client.line().await;
        })
        .await;
        assert_eq!(*versions.lock().unwrap(), [None, Some("2025-11-25".to_owned())]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_input_leaves_calls_a_moment() {
        let brief = answered_by(|_, _, _| async {
            tokio::time::sleep(END_OF_INPUT_GRACE - Duration::from_secs(1)).await;
            Error::new(Code::ToolNotFound, "x")
        });
        play(brief, CancellationToken::new(), async |mut client: Client| {
            client.ask(1, "tools/call").await;
            client.input.shutdown().await.unwrap();
            assert!(client.line().await.contains(r#""id":1,"error""#));
        })
        .await;

        let began = Instant::now();
        play(stuck(), CancellationToken::new(), async |mut client: Client| {
            client.ask(1, "tools/call").await;
            client.input.shutdown().await.unwrap();
            assert_eq!(client.output.next_line().await.unwrap(), None);
        })
        .await;
        assert_eq!(began.elapsed().as_secs(), END_OF_INPUT_GRACE.as_secs());
    }

    #[tokio::test]
    async fn a_server_that_ends_answers_what_it_has_read() {
        let stop = CancellationToken::new();
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (began, may_go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        let slow = answered_by(move |_, _, _| {
            let (began, may_go_on) = (Arc::clone(&began), Arc::clone(&may_go_on));
            async move {
                began.notify_one();
                may_go_on.notified().await;
                Error::new(Code::ToolNotFound, "x")
            }
        });
        play(slow, stop.clone(), async |mut client: Client| {
            client.ask(1, "tools/call").await;
            begun.notified().await;
            stop.cancel();
            go_on.notify_one();
            assert!(client.line().await.contains(r#""id":1,"error""#));
            assert_eq!(client.output.next_line().await.unwrap(), None);
        })
        .await;
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_any_more_cancels_its_calls() {
        let cancelled = Arc::new(Notify::new());
        let told = Arc::clone(&cancelled);
        let answering = answered_by(move |_, _, cancel| {
            let told = Arc::clone(&told);
            async move {
                cancel.cancelled().await;
                told.notify_one();
                Error::new(Code::Cancelled, "x")
            }
        });
        play(answering, CancellationToken::new(), async |mut client: Client| {
            client.ask(1, "tools/call").await;
            client.ask(2, "ping").await;
            drop(client);
        })
        .await;
        cancelled.notified().await;
    }

    #[tokio::test]
    async fn no_more_requests_are_open_than_places() {
        let open = Arc::new(Semaphore::new(0));
        let go_on = CancellationToken::new();
        let (counted, may_go_on) = (Arc::clone(&open), go_on.clone());
        let answering = answered_by(move |_, _, _| {
            counted.add_permits(1);
            let may_go_on = may_go_on.clone();
            async move {
                may_go_on.cancelled().await;
                Error::new(Code::ToolNotFound, "x")
            }
        });
        let max = u32::try_from(MAX_OPEN).unwrap();
        play(answering, CancellationToken::new(), async |mut client: Client| {
            for id in 0..=max {
                client.ask(id, "tools/call").await;
            }
            open.acquire_many(max).await.unwrap().forget();
            // Many chances for one more to begin, which it must not.
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            assert_eq!(open.available_permits(), 0);
            go_on.cancel();
            for _ in 0..=max {
                client.line().await;
            }
            assert_eq!(open.available_permits(), 1);
        })
        .await;
    }
}
