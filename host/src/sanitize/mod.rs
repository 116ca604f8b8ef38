//! From what a guest returned to what may be sent.
//!
//! A plugin's output is text that somebody else wrote, on its way into a model's
//! context. From every string of it goes what does not show, what ends a turn, what leads
//! out, and what is secret (`text.rs`); its size is bounded, and a structured result is
//! checked against the schema that the tool declared. Cleaned first, checked second: what
//! is sent is what was checked. What seems to instruct the model is told (`signals.rs`), and
//! what is known to be somebody else's is announced (`boundary.rs`).

mod boundary;
mod changes;
mod content;
mod json;
mod links;
mod media;
mod roles;
mod search;
mod secrets;
mod signals;
mod text;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

pub use changes::Changes;
pub use content::{ContentBlock, Resource};
pub use json::Unclean;
pub use signals::{Signal, Signals, ToolNames};
pub use text::OwnSecrets;

use crate::catalog::Tool;
use crate::config::{Injection, Output};
use crate::error::{Code, Error, PluginCode, Retry};
use crate::runtime::{Block, Produced, RawOutput};
use crate::text::{clean_line, clean_text};
use crate::validation::{OutputFault, Schemas, Validators};
use text::Cleaner;

/// The longest message of a plugin's failure that is passed on, in characters: one
/// sentence, and some.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// The largest details of a plugin's failure that are passed on, in bytes of JSON.
const MAX_DETAILS_BYTES: usize = 8 << 10;

/// The longest wait that a plugin may ask a client for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// The most blocks that one result may have.
const MAX_BLOCKS: usize = 256;

/// Evidence that an output is fit for a model.
///
/// ```compile_fail
/// # use bulkhead::sanitize::CleanOutput;
/// CleanOutput { content: Vec::new(), structured: None, bytes: 0, told: Default::default() };
/// ```
#[derive(Debug)]
pub struct CleanOutput {
    content: Vec<ContentBlock>,
    structured: Option<Box<RawValue>>,
    bytes: usize,
    told: Told,
}

/// What cleaning an output found.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// What was changed.
    pub changes: Changes,
    /// What seems to instruct the model.
    pub signals: Signals,
}

impl Told {
    /// Whether nothing was found.
    pub fn is_nothing(&self) -> bool {
        self.changes.is_nothing() && self.signals.found().is_empty()
    }
}

impl CleanOutput {
    /// The blocks of the result, in order.
    pub fn content(&self) -> &[ContentBlock] {
        &self.content
    }

    /// The structured result.
    pub fn structured(&self) -> Option<&RawValue> {
        self.structured.as_deref()
    }

    /// What was found in it.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// How much it is: text, encoded media and structured result, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What outputs are cleaned with, besides each tool's own rules.
#[derive(Clone, Copy)]
pub struct Sanitizer<'s> {
    /// The schemas that outputs have to match.
    pub validators: &'s Validators,
    /// The names that no output should tell a model to call.
    pub names: &'s ToolNames,
    /// What no output may hold.
    pub secrets: &'s OwnSecrets,
}

impl fmt::Debug for Sanitizer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sanitizer")
    }
}

/// Cleans a tool's output, bounds it, and checks it against its schema. What was found is
/// in the output, and in `told` when there is none.
///
/// # Errors
/// `OUTPUT_TOO_LARGE`; `OUTPUT_REJECTED` when it is not what the tool declares, holds media
/// of another type than it says, or what the operator refuses; the plugin's own code when
/// the tool failed, or `TOOL_ERROR` when that code is none.
pub fn clean(raw: RawOutput, with: &Sanitizer<'_>, told: &mut Told) -> Result<CleanOutput, Error> {
    let tool = Arc::clone(raw.tool());
    let schemas = with
        .validators
        .of(tool.id)
        .ok_or_else(|| Error::internal("a tool without schemas in its snapshot"))?;
    let mut pass = Pass {
        cleaner: Cleaner { rules: &tool.output, own: with.secrets },
        names: with.names,
        told,
    };
    let (blocks, structured, untrusted) = match raw.into_produced() {
        Produced::Done { blocks, structured, untrusted } => (blocks, structured, untrusted),
        Produced::Failed { code, message, retryable, retry_after_ms, details } => {
            let failed = Failed { code, message, retryable, retry_after_ms, details };
            let error = pass.failure(&failed);
            return Err(pass.refusal().unwrap_or(error));
        }
        Produced::InputRequired => {
            return Err(Error::new(
                Code::ToolError,
                "The tool asks for input from the client, which this server does not pass on.",
            ));
        }
    };
    let blocks = bounded(blocks, structured.as_deref(), &tool, &mut pass.told.changes)?;
    let structured = structured.map(|text| pass.structured(text, schemas)).transpose()?;
    if structured.is_none() && schemas.declares_output() {
        return Err(rejected("it returned no structured result, which it declares"));
    }
    let blocks = blocks.into_iter().map(|block| pass.block(block));
    let mut content = blocks.collect::<Result<Vec<ContentBlock>, Error>>()?;
    let bytes = pass.fit(&mut content, structured.as_deref(), &tool)?;
    // For clients, and models, that read only text.
    if let (true, Some(structured)) = (content.is_empty(), &structured) {
        content.push(ContentBlock::Text { text: structured.get().to_owned() });
    }
    if let Some(refusal) = pass.refusal() {
        return Err(refusal);
    }
    if untrusted || tool.output.untrusted {
        let mut marker = [0; 16];
        aws_lc_rs::rand::fill(&mut marker).map_err(|_| Error::internal("no random bytes"))?;
        boundary::announce(&mut content, &tool, u128::from_be_bytes(marker));
    }
    Ok(CleanOutput { content, structured, bytes, told: told.clone() })
}

/// The blocks, within the tool's quota; cut where it allows that.
fn bounded(
    blocks: Vec<Block>,
    structured: Option<&str>,
    tool: &Tool,
    changes: &mut Changes,
) -> Result<Vec<Block>, Error> {
    let quota = tool.per_call.max_output;
    let structured = structured.map_or(0, str::len);
    let size = |blocks: &[Block]| blocks.iter().map(size_of_block).sum::<usize>();
    let bytes = size(&blocks);
    if bytes + structured <= quota.as_usize() && blocks.len() <= MAX_BLOCKS {
        return Ok(blocks);
    }
    let left = quota.as_usize().checked_sub(structured + MAX_MARK_BYTES);
    let Some(mut left) = left.filter(|_| tool.output.truncate) else {
        return Err(too_large(quota));
    };
    let mut kept = Vec::new();
    for block in blocks {
        let needed = size_of_block(&block);
        if needed <= left && kept.len() < MAX_BLOCKS - 1 {
            left -= needed;
            kept.push(block);
            continue;
        }
        // Of what is no text, a part is nothing.
        if let Block::Text(mut text) = block {
            text.truncate(text.floor_char_boundary(left));
            kept.push(Block::Text(text));
        }
        break;
    }
    changes.truncated_bytes = bytes - size(&kept);
    Ok(kept)
}

fn mark(cut: usize) -> String {
    format!("[Cut here: {cut} more bytes are over this tool's quota; ask for less.]")
}

/// The longest mark of a cut, in bytes.
const MAX_MARK_BYTES: usize = 96;

/// A tool's own failure, as it told it.
struct Failed {
    code: String,
    message: String,
    retryable: bool,
    retry_after_ms: Option<u64>,
    details: Option<String>,
}

/// One output on its way.
struct Pass<'p> {
    cleaner: Cleaner<'p>,
    names: &'p ToolNames,
    told: &'p mut Told,
}

fn too_large(quota: crate::names::ByteCount) -> Error {
    let message = format!(
        "The tool's result is too large. Ask for less of it. Its quota `per_call.max_output` is {quota}."
    );
    Error::new(Code::OutputTooLarge, message)
        .detail("quota", "per_call.max_output")
        .detail("limit", quota.to_string())
}

fn rejected(why: &'static str) -> Error {
    Error::new(Code::OutputRejected, format!("The tool's result was withheld: {why}."))
}

/// What a block takes on the wire, in bytes.
fn size_of_block(block: &Block) -> usize {
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let encoded = |data: &[u8]| data.len().div_ceil(3) * 4;
    match block {
        Block::Text(text) | Block::Other(text) => text.len(),
        Block::Image { data, mime_type } | Block::Audio { data, mime_type } => {
            encoded(data) + mime_type.len()
        }
        Block::ResourceLink { uri, name, description, mime_type } => {
            uri.len() + name.len() + optional(description) + optional(mime_type)
        }
        Block::ResourceText { uri, mime_type, text } => {
            uri.len() + optional(mime_type) + text.len()
        }
        Block::ResourceBlob { uri, mime_type, data } => {
            uri.len() + optional(mime_type) + encoded(data)
        }
    }
}

impl Pass<'_> {
    /// How much all of it is once it is cleaned. What cleaning puts in counts, too: where it is
    /// too much, the end goes. What was cut gets its mark.
    fn fit(
        &mut self,
        content: &mut Vec<ContentBlock>,
        structured: Option<&RawValue>,
        tool: &Tool,
    ) -> Result<usize, Error> {
        let quota = tool.per_call.max_output;
        let structured = structured.map_or(0, |structured| structured.get().len());
        let size = |content: &[ContentBlock]| {
            structured + content.iter().map(ContentBlock::size).sum::<usize>()
        };
        let bytes = size(content);
        if self.told.changes.truncated_bytes == 0 && bytes <= quota.as_usize() {
            return Ok(bytes);
        }
        let most = quota.as_usize().checked_sub(MAX_MARK_BYTES);
        let most = most.filter(|_| tool.output.truncate).ok_or_else(|| too_large(quota))?;
        while size(content) > most || content.len() >= MAX_BLOCKS {
            let over = size(content).saturating_sub(most);
            let mut last = content.pop().ok_or_else(|| too_large(quota))?;
            let size = last.size();
            let mut kept = 0;
            if let ContentBlock::Text { text } = &mut last
                && (1..size).contains(&over)
            {
                text.truncate(text.floor_char_boundary(size - over));
                kept = text.len();
                // What was closed behind the cut is open now. Cleaning may put in a little,
                // which goes in the next round.
                let text = self.text(std::mem::take(text));
                content.push(ContentBlock::Text { text });
            }
            self.told.changes.truncated_bytes += size - kept;
        }
        content.push(ContentBlock::Text { text: mark(self.told.changes.truncated_bytes) });
        Ok(size(content))
    }

    /// What the operator does not let through.
    fn refusal(&self) -> Option<Error> {
        let refused = self.cleaner.rules.injection == Injection::Refuse
            && !self.told.signals.found().is_empty();
        refused.then(|| {
            let found = self.told.signals.found().iter().map(|signal| signal.as_str());
            rejected("it seems to instruct whoever reads it")
                .note("setting", "output.injection")
                .note("found", found.collect::<Vec<_>>().join(", "))
        })
    }

    fn text(&mut self, dirty: String) -> String {
        self.changed(&dirty).unwrap_or(dirty)
    }

    /// The text as it has to be; nothing when it is that already.
    fn changed(&mut self, dirty: &str) -> Option<String> {
        match clean_string(dirty, self.cleaner.rules, self.cleaner.own, self.names, self.told) {
            Cow::Borrowed(_) => None,
            Cow::Owned(clean) => Some(clean),
        }
    }

    /// A JSON text with its strings cleaned. Where there is nothing to find, it is not even
    /// read: who takes it reads it strictly.
    fn json(&mut self, text: String) -> Result<String, Unclean> {
        if json::shows_its_strings(&text)
            && self.cleaner.finds_nothing(&text)
            && (self.cleaner.rules.injection == Injection::Ignore
                || signals::finds_nothing(&text, self.names))
        {
            return Ok(text);
        }
        Ok(match json::clean_json(&text, |string| self.changed(string))? {
            Cow::Borrowed(_) => text,
            Cow::Owned(clean) => clean,
        })
    }

    fn structured(&mut self, text: String, schemas: &Schemas) -> Result<Box<RawValue>, Error> {
        let malformed =
            |why: String| rejected("its structured result is not valid JSON").because(why);
        let text = self.json(text).map_err(|unclean| malformed(format!("{unclean:?}")))?;
        schemas.check_output(&text).map_err(|fault| match fault {
            OutputFault::NotJson(fault) => malformed(fault.to_string()),
            OutputFault::NoMatch((path, rule)) => {
                let violations = vec![json!({ "path": path, "rule": rule })];
                rejected("its structured result does not match its output schema")
                    .note("violations", violations)
            }
        })?;
        RawValue::from_string(text).map_err(|error| malformed(error.to_string()))
    }

    /// A plugin's own failure. A code that is not one is told as `TOOL_ERROR`.
    fn failure(&mut self, failed: &Failed) -> Error {
        let message = self.text(clean_line(&failed.message, MAX_MESSAGE_CHARS));
        let mut error = match PluginCode::parse(&failed.code) {
            Some(code) => Error::new(Code::Plugin(code), message),
            None => Error::new(Code::ToolError, message)
                .because(format!("a malformed code: {}", clean_line(&failed.code, 64))),
        };
        if failed.retryable {
            error = error.retry(match failed.retry_after_ms {
                Some(ms) => Retry::After(Duration::from_millis(ms).min(MAX_RETRY_AFTER)),
                None => Retry::Maybe,
            });
        }
        let details = failed.details.clone().map(|details| self.details(details));
        for (key, value) in details.unwrap_or_default() {
            error = error.detail(&key, value);
        }
        error
    }

    /// The details of a failure, when they are a small JSON object; nothing otherwise.
    fn details(&mut self, text: String) -> Map<String, Value> {
        if text.len() > MAX_DETAILS_BYTES {
            return Map::new();
        }
        match self.json(text).and_then(|text| json::read(&text)) {
            Ok(Value::Object(details)) => details,
            Ok(_) | Err(_) => Map::new(),
        }
    }

    fn block(&mut self, block: Block) -> Result<ContentBlock, Error> {
        Ok(match block {
            Block::Text(dirty) => ContentBlock::Text { text: self.text(dirty) },
            Block::Image { data, mime_type } => {
                let (data, mime_type) = self.media(&data, mime_type, "image")?;
                ContentBlock::Image { data, mime_type }
            }
            Block::Audio { data, mime_type } => {
                let (data, mime_type) = self.media(&data, mime_type, "audio")?;
                ContentBlock::Audio { data, mime_type }
            }
            Block::ResourceLink { uri, name, description, mime_type } => {
                ContentBlock::ResourceLink {
                    uri: self.link(uri),
                    name: self.text(name),
                    description: description.map(|text| self.text(text)),
                    mime_type: mime_type.map(|named| self.media_type(named)).transpose()?,
                }
            }
            Block::ResourceText { uri, mime_type, text } => ContentBlock::Resource {
                resource: Resource {
                    uri: self.address(uri),
                    mime_type: mime_type.map(|named| self.media_type(named)).transpose()?,
                    text: Some(self.text(text)),
                    blob: None,
                },
            },
            Block::ResourceBlob { uri, mime_type, data } => {
                let is_told = mime_type.is_some();
                let named = mime_type.unwrap_or_else(|| UNKNOWN_MEDIA.to_owned());
                let (data, named) = self.media(&data, named, "")?;
                ContentBlock::Resource {
                    resource: Resource {
                        uri: self.address(uri),
                        mime_type: is_told.then_some(named),
                        text: None,
                        blob: Some(data),
                    },
                }
            }
            Block::Other(json) => ContentBlock::Other(self.other(json)?),
        })
    }

    /// An address, as a program reads it: a browser takes line breaks and tabs out of it.
    fn address(&mut self, uri: String) -> String {
        self.text(uri).replace(['\n', '\r', '\t'], "")
    }

    /// The address of a resource, which leads nowhere where it should not lead.
    fn link(&mut self, uri: String) -> String {
        let uri = self.address(uri);
        if !links::resource(&uri, self.cleaner.rules) {
            return uri;
        }
        self.told.changes.links += 1;
        format!("{}{uri}", links::BLOCKED)
    }

    /// A block that is passed on as it is: an object that says its type. What is known of
    /// other blocks holds wherever it stands in it.
    fn other(&mut self, json: String) -> Result<Box<RawValue>, Error> {
        let malformed = |_| rejected("one of its blocks is not an MCP content block");
        let json = self.json(json).map_err(malformed)?;
        let block = json::read(&json).map_err(malformed)?;
        if !block.get("type").is_some_and(Value::is_string) {
            return Err(malformed(Unclean::NotStrict));
        }
        self.check_members(&block)?;
        RawValue::from_string(json).map_err(|_| Unclean::NotStrict).map_err(malformed)
    }

    /// Checks media and the addresses that a client fetches, in a value and in all within it.
    fn check_members(&mut self, value: &Value) -> Result<(), Error> {
        let object = match value {
            Value::Array(items) => {
                return items.iter().try_for_each(|item| self.check_members(item));
            }
            Value::Object(object) => object,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Ok(()),
        };
        let malformed = || rejected("one of its blocks is not an MCP content block");
        let text = |key: &str| match object.get(key) {
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(malformed()),
            None => Ok(None),
        };
        let named = text("mimeType")?.map(|named| self.media_type(named)).transpose()?;
        let kind = object.get("type").and_then(Value::as_str).unwrap_or_default();
        let (key, of) = match kind {
            "image" | "audio" => ("data", kind),
            _ => ("blob", ""),
        };
        if object.contains_key(key) || !of.is_empty() {
            let data = text(key)?.and_then(|data| STANDARD.decode(data).ok());
            let named = named.unwrap_or_else(|| UNKNOWN_MEDIA.to_owned());
            self.check_media(&data.ok_or_else(malformed)?, &named, of)?;
        }
        // A link's own, and that of an icon, which is shown without being asked for.
        let address = if kind == "resource_link" { text("uri")? } else { text("src")? };
        if address.is_some_and(|uri| links::resource(&self.address(uri), self.cleaner.rules)) {
            return Err(rejected("a link in it leads to a host that is not let through")
                .note("setting", "output.link_hosts"));
        }
        object.values().try_for_each(|member| self.check_members(member))
    }

    /// A media type (RFC 9110 §8.3.1) is one and nothing else: it goes out as it is.
    fn media_type(&mut self, named: String) -> Result<String, Error> {
        let token = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
        };
        let named = self.text(named);
        let mut parts = named.split(';').map(str::trim);
        let essence = parts.next().and_then(|essence| essence.split_once('/'));
        let is_one = named.len() <= MAX_MEDIA_TYPE_BYTES
            && essence.is_some_and(|(kind, subtype)| token(kind) && token(subtype))
            && parts.all(|parameter| {
                parameter.split_once('=').is_some_and(|(name, value)| {
                    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
                    token(name) && token(quoted.unwrap_or(value))
                })
            });
        if is_one { Ok(named) } else { Err(rejected("a media type in it is none")) }
    }

    /// Media of a listed type, that are of it, encoded.
    fn media(&mut self, data: &[u8], named: String, kind: &str) -> Result<(String, String), Error> {
        let named = self.media_type(named)?;
        self.check_media(data, &named, kind)?;
        Ok((STANDARD.encode(data), named))
    }

    fn check_media(&self, data: &[u8], named: &str, kind: &str) -> Result<(), Error> {
        let essence = named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let rules: &Output = self.cleaner.rules;
        let is_kind = kind.is_empty() || essence.split('/').next() == Some(kind);
        if !is_kind || !rules.media_types.iter().any(|listed| listed.as_str() == essence) {
            return Err(rejected("it holds media of a type that is not let through")
                .note("setting", "output.media_types")
                .note("found", clean_line(named, 64)));
        }
        if !media::is_of(&essence, data) {
            return Err(rejected("it holds media that are not of the type that it says")
                .note("found", clean_line(named, 64)));
        }
        Ok(())
    }
}

/// The longest media type, in bytes.
const MAX_MEDIA_TYPE_BYTES: usize = 255;

/// The type of what no type is told.
const UNKNOWN_MEDIA: &str = "application/octet-stream";

/// Cleans one text by a tool's rules, and adds to `told` what was found. Borrows when there
/// was nothing to change. Takes about a nanosecond a byte.
pub fn clean_string<'t>(
    text: &'t str,
    rules: &Output,
    secrets: &OwnSecrets,
    names: &ToolNames,
    told: &mut Told,
) -> Cow<'t, str> {
    let clean = Cleaner { rules, own: secrets }.clean(text, &mut told.changes);
    if rules.injection != Injection::Ignore {
        signals::look(&clean, names, &mut told.signals);
    }
    clean
}

/// Cleans a structured result by a tool's rules, as [`clean_string`] cleans a text, and
/// checks it against its schema.
///
/// # Errors
/// `OUTPUT_REJECTED` when it is not JSON that everybody reads alike, or does not match.
pub fn clean_structured(
    text: String,
    schemas: &Schemas,
    rules: &Output,
    secrets: &OwnSecrets,
    names: &ToolNames,
    told: &mut Told,
) -> Result<Box<RawValue>, Error> {
    Pass { cleaner: Cleaner { rules, own: secrets }, names, told }.structured(text, schemas)
}

/// Cleans a text that no tool's rules are about, as a description is.
pub fn clean_description(text: &str) -> Cow<'_, str> {
    let (secrets, names) = (OwnSecrets::default(), ToolNames::default());
    clean_string(text, &Output::default(), &secrets, &names, &mut Told::default())
}

/// Reads JSON that has to be clean already.
///
/// # Errors
/// When it is not JSON that everybody reads alike.
pub fn read_clean_json(text: &str) -> Result<(Value, Box<RawValue>, bool), Unclean> {
    let mut changed = false;
    let clean = json::clean_json(text, |string| match clean_text(string) {
        Cow::Borrowed(_) => None,
        Cow::Owned(clean) => {
            changed = true;
            Some(clean)
        }
    })?;
    let value = json::read(&clean)?;
    let raw = RawValue::from_string(clean.into_owned()).map_err(|_| Unclean::NotStrict)?;
    Ok((value, raw, changed))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::names::Secret;

    /// What may be found in a text, whole and in parts that two strings may share.
    const PARTS: &[&str] = &[
        "a",
        " ",
        "\n",
        "\t",
        "\\",
        "/",
        "\"",
        "\r",
        "\u{7}",
        "\u{1b}[",
        "<",
        ">",
        "<|",
        "|>",
        "[",
        "](",
        "]:",
        "](//x.example",
        "<img ",
        "https://x.example",
        "\u{200b}",
        "\u{200d}",
        "\u{2067}",
        "\u{2069}",
        "\u{ad}",
        "\u{feff}",
        "א",
        "क",
        "👩",
        "\u{fe0f}",
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----END ",
        "eyJ",
        "Ignore all previous",
        " instructions",
        "\nHuman: x",
        "correct\"horse",
        "correct",
        "call delete_record",
        "delete",
        "_record",
        "[INST]",
        "</tool_result>",
    ];

    proptest! {
        /// Where nothing is found in the whole, nothing is in its strings.
        #[test]
        fn json_is_cleaned_as_each_of_its_strings_is(
            strings in proptest::collection::vec(proptest::collection::vec(0..PARTS.len(), 0..4), 1..5),
            escape_all: bool,
            code: bool,
            own in "correct(\"horse|-horse)",
        ) {
            let strings: Vec<String> = strings
                .iter()
                .map(|parts| parts.iter().filter_map(|part| PARTS.get(*part)).copied().collect())
                .collect();
            let mut text = serde_json::to_string(&strings).unwrap();
            if escape_all {
                let escaped = |c: char| match c {
                    ' ' | '[' | ']' | ',' | '"' | '\\' => c.to_string(),
                    c if c.is_ascii_alphanumeric() => c.to_string(),
                    c => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
                };
                text = text.chars().map(escaped).collect();
            }
            let rules = Output { code, ..Output::default() };
            let own = OwnSecrets::of(&[Secret::new(own)]);
            let names = ToolNames::of(["delete_record".parse().unwrap()].iter());
            let pass = |told: &mut Told, each: bool| {
                let mut pass = Pass { cleaner: Cleaner { rules: &rules, own: &own }, names: &names, told };
                match each {
                    false => pass.json(text.clone()),
                    true => json::clean_json(&text, |string| pass.changed(string)).map(Cow::into_owned),
                }
            };
            let (mut whole, mut each) = (Told::default(), Told::default());
            prop_assert_eq!(pass(&mut whole, false), pass(&mut each, true), "{}", text);
            prop_assert_eq!((whole.changes, whole.signals), (each.changes, each.signals), "{}", text);
        }
    }
}
