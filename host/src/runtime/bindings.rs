//! The contract of `wit/`, as the host sees it.

wasmtime::component::bindgen!({
    path: "../wit/0.1",
    world: "tool-plugin",
    imports: {
        "bulkhead:plugin/call.remaining-fuel": store | trappable,
        default: trappable,
    },
    exports: { default: async },
});

pub(super) use bulkhead::plugin::{call, types};
