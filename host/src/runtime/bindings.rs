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

// `self`, because doctests know our own crate by the same name as the package.
pub(super) use self::bulkhead::plugin::{call, types};
