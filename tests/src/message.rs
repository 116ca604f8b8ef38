//! Requests, as a client of each protocol era writes them.

use serde_json::{Map, Value, json};

/// The stateless era.
pub const MODERN: &str = "2026-07-28";
/// The newest version that opens with `initialize`.
pub const LEGACY: &str = "2025-11-25";
/// The oldest version that is served.
pub const OLDER: &str = "2025-06-18";

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
const CLIENT_KEY: &str = "io.modelcontextprotocol/clientInfo";

/// A request, with the envelope that a version of the stateless era wants in its
/// `_meta`. What `params` has there already stays.
pub fn request(version: &str, id: Value, method: &str, params: Value) -> Value {
    let mut params = params;
    if version >= MODERN {
        let envelope = json!({
            VERSION_KEY: version,
            CAPABILITIES_KEY: {},
            CLIENT_KEY: { "name": "bulkhead-tests", "version": "0" },
        });
        let meta = params["_meta"].as_object().cloned().unwrap_or_default();
        let mut envelope = envelope.as_object().cloned().unwrap_or_default();
        envelope.extend(meta);
        params["_meta"] = envelope.into();
    }
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// The parameters of a call.
pub(crate) fn call_params(tool: &str, arguments: Value, progress: Option<&str>) -> Value {
    let mut params = Map::new();
    params.insert("name".into(), tool.into());
    params.insert("arguments".into(), arguments);
    if let Some(token) = progress {
        params.insert("_meta".into(), json!({ "progressToken": token }));
    }
    params.into()
}
