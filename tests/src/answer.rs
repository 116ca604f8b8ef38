//! What came back, and what a test expects of it.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// A whole answer to one request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status; 200 for what came over stdio.
    pub status: StatusCode,
    /// The HTTP headers; none for what came over stdio.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
    /// The JSON-RPC messages in it: notifications first, the response last.
    pub messages: Vec<Value>,
}

impl Answer {
    /// The answer that is one message, as stdio has it.
    pub(crate) fn of_message(message: Value) -> Self {
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            text: message.to_string(),
            messages: vec![message],
        }
    }

    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Whether it came as an event stream.
    pub fn streamed(&self) -> bool {
        self.header("content-type").starts_with("text/event-stream")
    }

    /// The JSON-RPC response.
    pub fn message(&self) -> &Value {
        let last = self.messages.last();
        last.unwrap_or_else(|| panic!("there is no message in {self:?}"))
    }

    /// The notifications before it.
    pub fn notifications(&self) -> &[Value] {
        self.messages.split_last().map_or(&[], |(_, before)| before)
    }

    /// The result, whether it is an error or not.
    pub fn result(&self) -> &Value {
        let result = &self.message()["result"];
        assert!(result.is_object(), "expected a result: {self:?}");
        result
    }

    /// The result of a call that succeeded.
    pub fn expect_ok(&self) -> &Value {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        let result = self.result();
        assert!(result["isError"].as_bool() != Some(true), "expected success: {}", self.text);
        result
    }

    /// The structured result of a call that succeeded.
    pub fn structured(&self) -> &Value {
        &self.expect_ok()["structuredContent"]
    }

    /// The text of a call that succeeded with one block of text.
    pub fn block(&self) -> &str {
        let content = self.expect_ok()["content"].as_array().expect("content is a list");
        assert_eq!(content.len(), 1, "one block: {}", self.text);
        content[0]["text"].as_str().expect("the block is text")
    }

    /// The error object of an answer that is an error with this code, after checking
    /// that it has the one shape that every error has, wherever it stands.
    pub fn expect_code(&self, code: &str) -> &Value {
        let error = self.error();
        assert_eq!(error["code"], code, "{}", self.text);
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
        let retryable = error["retryable"].as_bool().expect("retryable is a boolean");
        let wait = &error["retryAfterMs"];
        assert!(wait.is_null() || (retryable && wait.is_u64()), "{error}");
        assert!(error["details"].is_null() || error["details"].is_object(), "{error}");
        let id = error["requestId"].as_str().expect("an error names its request");
        if self.headers.contains_key("x-request-id") {
            assert_eq!(id, self.header("x-request-id"), "one name for one request");
        }
        error
    }

    /// The error object, from whichever place it has in this answer.
    fn error(&self) -> &Value {
        let message = self.message();
        if message["error"].is_object() {
            assert_eq!(message["error"]["message"], message["error"]["data"]["message"]);
            return &message["error"]["data"];
        }
        let result = self.result();
        assert_eq!(result["isError"], true, "expected an error: {}", self.text);
        let error = &result["_meta"]["io.bulkhead/error"];
        let block = result["content"][0]["text"].as_str().expect("an error is a text block");
        assert_eq!(&serde_json::from_str::<Value>(block).expect("of JSON"), error);
        let structured = &result["structuredContent"];
        assert!(structured.is_null() || &structured["error"] == error, "{}", self.text);
        error
    }

    /// Our name for the request.
    pub fn request_id(&self) -> &str {
        let header = self.header("x-request-id");
        let told = || self.error()["requestId"].as_str().unwrap_or_default();
        if header.is_empty() { told() } else { header }
    }
}
