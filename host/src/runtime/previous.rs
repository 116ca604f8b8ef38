//! The version of the contract before the current one: what it asks, the current one
//! answers.

use wasmtime::component::Access;

use super::bindings::call as current;
use super::bindings::call::{Host as Current, HostWithStore as CurrentWithStore};
use super::bindings::v0_1::{call, types};
use super::state::{CallState, Calls};

impl types::Host for &mut CallState {}

impl call::HostWithStore<CallState> for Calls {
    fn remaining_fuel(host: Access<'_, CallState, Self>) -> wasmtime::Result<u64> {
        <Self as CurrentWithStore<CallState>>::remaining_fuel(host)
    }
}

impl call::Host for &mut CallState {
    fn agent(&mut self) -> wasmtime::Result<String> {
        Current::agent(self)
    }

    fn subject(&mut self) -> wasmtime::Result<Option<String>> {
        Current::subject(self)
    }

    fn scopes(&mut self) -> wasmtime::Result<Vec<String>> {
        Current::scopes(self)
    }

    fn request_id(&mut self) -> wasmtime::Result<String> {
        Current::request_id(self)
    }

    fn traceparent(&mut self) -> wasmtime::Result<Option<String>> {
        Current::traceparent(self)
    }

    fn tracestate(&mut self) -> wasmtime::Result<Option<String>> {
        Current::tracestate(self)
    }

    fn client_metadata(&mut self) -> wasmtime::Result<String> {
        Current::client_metadata(self)
    }

    fn remaining_time_ms(&mut self) -> wasmtime::Result<u64> {
        Current::remaining_time_ms(self)
    }

    fn input_responses(&mut self) -> wasmtime::Result<Option<String>> {
        Current::input_responses(self)
    }

    fn input_state(&mut self) -> wasmtime::Result<Option<Vec<u8>>> {
        Current::input_state(self)
    }

    fn can_ask(&mut self, method: String) -> wasmtime::Result<bool> {
        Current::can_ask(self, method)
    }

    fn progress(
        &mut self,
        progress: f64,
        total: Option<f64>,
        message: Option<String>,
    ) -> wasmtime::Result<()> {
        Current::progress(self, progress, total, message)
    }

    fn log(&mut self, level: call::Level, message: String) -> wasmtime::Result<()> {
        Current::log(self, level.into(), message)
    }
}

impl From<call::Level> for current::Level {
    fn from(level: call::Level) -> Self {
        match level {
            call::Level::Debug => Self::Debug,
            call::Level::Info => Self::Info,
            call::Level::Notice => Self::Notice,
            call::Level::Warning => Self::Warning,
            call::Level::Error => Self::Error,
            call::Level::Critical => Self::Critical,
            call::Level::Alert => Self::Alert,
            call::Level::Emergency => Self::Emergency,
        }
    }
}
