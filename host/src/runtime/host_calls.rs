//! The `call` interface: what a guest may ask and say about its own call.
//!
//! Nothing here blocks, and nothing here trusts: what costs the host something is
//! charged to the call's quota of host calls.

use wasmtime::component::Access;

use super::bindings::{call, types};
use super::fault::Broke;
use super::state::{CallContext, CallState, Calls, GuestEvent, Level};
use crate::auth::Principal;
use crate::names::Scope;

impl CallState {
    fn caller(&self) -> Option<&Principal> {
        self.call.as_ref().map(|(caller, _)| caller)
    }

    fn context(&self) -> Option<&CallContext> {
        self.call.as_ref().map(|(_, context)| context)
    }

    fn charge_host_call(&mut self) -> wasmtime::Result<()> {
        if self.host_calls >= self.max_host_calls {
            return Err(Broke::HostCalls.into());
        }
        // Not only at the next tick, where it can be said at once.
        if self.imports_cost() > self.fuel {
            return Err(Broke::Fuel.into());
        }
        self.host_calls += 1;
        Ok(())
    }

    fn tell(&self, event: GuestEvent<'_>) {
        if let Some(context) = self.context() {
            (context.events)(event);
        }
    }
}

impl types::Host for &mut CallState {}

impl call::HostWithStore<CallState> for Calls {
    fn remaining_fuel(mut host: Access<'_, CallState, Self>) -> wasmtime::Result<u64> {
        use wasmtime::AsContextMut;
        let mut context = host.as_context_mut();
        // The linker counts only the functions that ask for the state alone.
        context.data_mut().imported();
        Ok(context.get_fuel()?.saturating_sub(context.data().imports_cost().0))
    }
}

impl call::Host for &mut CallState {
    fn agent(&mut self) -> wasmtime::Result<String> {
        Ok(self.caller().map(|caller| caller.agent().to_string()).unwrap_or_default())
    }

    fn subject(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.caller().and_then(|caller| caller.subject()).map(ToString::to_string))
    }

    fn scopes(&mut self) -> wasmtime::Result<Vec<String>> {
        let scopes = self.caller().map(Principal::scopes).unwrap_or_default();
        Ok(scopes.iter().map(Scope::to_string).collect())
    }

    fn request_id(&mut self) -> wasmtime::Result<String> {
        Ok(self.context().map(|context| context.request_id.to_string()).unwrap_or_default())
    }

    fn traceparent(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.context().and_then(|context| context.traceparent.as_deref().map(str::to_owned)))
    }

    fn tracestate(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.context().and_then(|context| context.tracestate.as_deref().map(str::to_owned)))
    }

    fn client_metadata(&mut self) -> wasmtime::Result<String> {
        // As long as the client made it.
        self.charge_host_call()?;
        Ok(self
            .context()
            .map_or_else(|| "{}".to_owned(), |context| context.client_metadata.to_string()))
    }

    fn remaining_time_ms(&mut self) -> wasmtime::Result<u64> {
        // As frozen as every other clock while the host asks for the tools.
        let now = if self.call.is_some() { self.clock.now() } else { self.started };
        let left = self.deadline.saturating_duration_since(now);
        Ok(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
    }

    fn max_output_bytes(&mut self) -> wasmtime::Result<u64> {
        Ok(self.max_output.0)
    }

    fn input_responses(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }

    fn input_state(&mut self) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn can_ask(&mut self, _: String) -> wasmtime::Result<bool> {
        Ok(false)
    }

    fn progress(
        &mut self,
        progress: f64,
        total: Option<f64>,
        message: Option<String>,
    ) -> wasmtime::Result<()> {
        self.charge_host_call()?;
        // MCP wants it to grow; JSON has no form for what is not finite.
        let grows = self.last_progress.is_none_or(|last| progress > last);
        if progress.is_finite() && grows {
            self.last_progress = Some(progress);
            let total = total.filter(|total| total.is_finite());
            self.tell(GuestEvent::Progress { progress, total, message: message.as_deref() });
        }
        Ok(())
    }

    fn log(&mut self, level: call::Level, message: String) -> wasmtime::Result<()> {
        self.charge_host_call()?;
        if self.log_lines >= self.max_log_lines {
            return Err(Broke::LogLines.into());
        }
        self.log_lines += 1;
        self.tell(GuestEvent::Log { level: level.into(), message: &message });
        Ok(())
    }
}

impl From<call::Level> for Level {
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
