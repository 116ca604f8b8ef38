//! `bulkhead call`: one call through the whole pipeline.

use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;
use clap::Args;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::failure::{self, Failure};
use super::lifecycle::{self, Signals};
use super::serve::{LOCAL_AGENT, local_agent};
use super::shared;
use crate::config::Config;
use crate::error::Error;
use crate::pipeline::{self, Host};
use crate::plugins::Change;
use crate::respond::{self, Answer, Called, Reply};
use crate::sanitize::{CleanOutput, ContentBlock};
use crate::transport::{Body, Channel, Head, Presented, Progress, Version};

/// How many reports of progress may wait to be printed.
pub(super) const PROGRESS_QUEUE: usize = 64;

#[derive(Debug, Args)]
pub(super) struct Call {
    /// The tool.
    tool: String,
    /// Its arguments, one JSON object.
    #[arg(default_value = "{}")]
    arguments: String,
    /// Act as this agent, with the scopes and limits of its entry. Without an entry
    /// it may call everything.
    #[arg(long = "as", value_name = "AGENT", default_value = LOCAL_AGENT)]
    agent: String,
    /// Print the result and what it spent as JSON.
    #[arg(long)]
    json: bool,
}

impl Call {
    pub(super) fn run(self, config: Config) -> Result<ExitCode, Failure> {
        let presented = Presented::Local(local_agent(&self.agent)?);
        let body = self.request()?;
        shared::contain(&config)?;
        shared::run(async {
            let host = shared::host(&config)?;
            shared::load_plugins(&host, &tell_refusal).await;
            let head = Head::without_headers(
                Channel::Local,
                presented,
                Some(Version::LATEST_HANDSHAKE.as_str().to_owned()),
            );
            let request_id = head.request_id;
            let (progress, reports) = mpsc::channel(PROGRESS_QUEUE);
            let mut signals = Signals::new()?;
            let cancel = CancellationToken::new();
            let answering =
                pipeline::answer(&host, head, Body::Read(body), progress, cancel.clone());
            let reply = tokio::select! {
                reply = printing_progress(answering, reports) => reply,
                () = signals.next() => {
                    cancel.cancel();
                    let finished = lifecycle::finish_calls(&host, config.server.drain_timeout);
                    signals.unless_again(finished).await;
                    lifecycle::finish_records(&host).await;
                    return Err(Failure::new(failure::UNAVAILABLE, "cancelled; the record says what was spent"));
                }
            };
            lifecycle::finish_records(&host).await;
            let called = called(reply)?;
            let result = respond::tool_result(&called, Version::LATEST, request_id)
                .map_err(|error| self.protocol_error(&host, &config.plugins.dir, &error))?;
            self.print(&called, &result);
            if called.result.is_err() {
                eprintln!(
                    "`bulkhead why {request_id}` tells which gate it was, and what would help"
                );
            }
            Ok(ExitCode::from(u8::from(called.result.is_err())))
        })
    }

    fn request(&self) -> Result<Bytes, Failure> {
        let arguments: &RawValue = serde_json::from_str(&self.arguments).map_err(|error| {
            Failure::new(failure::USAGE, format!("the arguments are not JSON: {error}"))
        })?;
        // As they were written: not every number of theirs is one that we could hold.
        let name = Value::from(self.tool.as_str());
        let request = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{name},"arguments":{arguments}}}}}"#
        );
        Ok(request.into())
    }

    /// A refusal that a client would get as a JSON-RPC error.
    fn protocol_error(&self, host: &Host, dir: &Path, error: &Error) -> Failure {
        let mut message = format!("{}: {}", error.code(), error.message());
        let snapshot = host.plugins.snapshot();
        let names = snapshot.catalog().tools().iter().map(|tool| tool.name.as_str());
        if let Some(meant) = crate::config::nearest(&self.tool, names) {
            message.push_str(&format!(" Did you mean `{meant}`?"));
        } else if snapshot.catalog().tools().is_empty() {
            let dir = dir.display();
            message.push_str(&format!(
                " No plugin is served from {dir}: `bulkhead build SOURCE --out {dir}` puts one there."
            ));
        }
        Failure::new(failure::DATA, message)
    }

    fn print(&self, called: &Called, result: &RawValue) {
        let spent = called.cost.unwrap_or_default();
        if self.json {
            // What scripts read; the keys are a promise.
            let spent = serde_json::to_string(&called.spending()).unwrap_or_default();
            println!("{{\"result\":{result},\"spent\":{spent}}}");
            return;
        }
        match &called.result {
            Ok(output) => {
                println!("{}", text_of(output).unwrap_or_else(|| result.get().to_owned()));
            }
            Err(error) => println!("{}: {}", error.code(), error.message()),
        }
        eprintln!(
            "spent: {} fuel, {} at most, {:.3} ms",
            shared::grouped(spent.fuel.0),
            shared::kibibytes(spent.peak_memory.0),
            spent.run.as_secs_f64() * 1_000.0
        );
    }
}

/// A result as a person reads it: the structured one, or its text where all of it is.
fn text_of(output: &CleanOutput) -> Option<String> {
    if let Some(structured) = output.structured() {
        return Some(structured.get().to_owned());
    }
    let text = |block: &ContentBlock| match block {
        ContentBlock::Text { text } => Some(text.clone()),
        ContentBlock::Image { .. }
        | ContentBlock::Audio { .. }
        | ContentBlock::ResourceLink { .. }
        | ContentBlock::Resource { .. }
        | ContentBlock::Other(_) => None,
    };
    let texts: Option<Vec<String>> = output.content().iter().map(text).collect();
    texts.map(|texts| texts.join("\n"))
}

async fn printing_progress(
    answering: impl Future<Output = Reply>,
    mut reports: mpsc::Receiver<Progress>,
) -> Reply {
    let mut answering = std::pin::pin!(answering);
    loop {
        tokio::select! {
            biased;
            reply = &mut answering => return reply,
            Some(report) = reports.recv() => {
                eprintln!("progress: {} {}", report.progress, report.message.unwrap_or_default());
            }
        }
    }
}

/// The call that a reply answers, however it ended.
pub(super) fn called(reply: Reply) -> Result<Called, Failure> {
    let refused = |error: &Error| {
        Failure::new(failure::DATA, format!("{}: {}", error.code(), error.message()))
    };
    match reply {
        Reply::Answer { answer: Answer::Called(called), .. } => Ok(*called),
        Reply::Gate(error) => Err(refused(&error)),
        Reply::Malformed(bad) => Err(refused(&bad.error)),
        Reply::Accepted | Reply::Answer { .. } => {
            Err(Failure::new(failure::SOFTWARE, "the call was answered as something else"))
        }
    }
}

fn tell_refusal(change: &Change) {
    match change {
        Change::Refused { .. } | Change::Contested { .. } => eprintln!("{change}"),
        Change::Loading { .. }
        | Change::Compiling { .. }
        | Change::Served { .. }
        | Change::Gone { .. } => {}
    }
}
