//! What a call produced, before anybody has looked at it.

use std::sync::Arc;

use crate::catalog::Tool;

/// Evidence that a tool ran: what it returned, raw. Only `sanitize` turns it into
/// something that may be sent.
///
/// ```compile_fail
/// # fn forge(tool: std::sync::Arc<bulkhead::catalog::Tool>, produced: bulkhead::runtime::Produced) {
/// bulkhead::runtime::RawOutput { tool, produced };
/// # }
/// ```
#[derive(Debug)]
pub struct RawOutput {
    tool: Arc<Tool>,
    produced: Produced,
}

impl RawOutput {
    pub(super) fn new(tool: Arc<Tool>, produced: Produced) -> Self {
        Self { tool, produced }
    }

    /// Whose result it is.
    pub fn tool(&self) -> &Arc<Tool> {
        &self.tool
    }

    /// What it is.
    pub fn into_produced(self) -> Produced {
        self.produced
    }
}

/// What a tool returned. All of it is the guest's own text and bytes.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are those of the contract's records")]
pub enum Produced {
    /// A result.
    Done { blocks: Vec<Block>, structured: Option<String>, untrusted: bool },
    /// A wish to ask the client, which is not served.
    InputRequired,
    /// The tool's own failure.
    Failed {
        code: String,
        message: String,
        retryable: bool,
        retry_after_ms: Option<u64>,
        details: Option<String>,
    },
}

/// A block of content as the guest returned it.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are those of the contract's records")]
pub enum Block {
    Text(String),
    Image {
        data: Vec<u8>,
        mime_type: String,
    },
    Audio {
        data: Vec<u8>,
        mime_type: String,
    },
    ResourceLink {
        uri: String,
        name: String,
        description: Option<String>,
        mime_type: Option<String>,
    },
    ResourceText {
        uri: String,
        mime_type: Option<String>,
        text: String,
    },
    ResourceBlob {
        uri: String,
        mime_type: Option<String>,
        data: Vec<u8>,
    },
    /// Any MCP block, as JSON.
    Other(String),
}
