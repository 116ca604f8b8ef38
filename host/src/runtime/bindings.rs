//! The contract of `wit/`, as the host sees it.
//!
//! Two versions are served, and their types are the same: the component model compares
//! structure. So one set of types reads what guests of either return, and only the
//! imports are linked twice. A version that changes a type needs types of its own here.

wasmtime::component::bindgen!({
    path: "../wit/0.2",
    world: "tool-plugin",
    imports: {
        "bulkhead:plugin/call.remaining-fuel": store | trappable,
        default: trappable,
    },
    exports: { default: async },
});

// `self`, because doctests know our own crate by the same name as the package.
pub(super) use self::bulkhead::plugin::{call, types};

/// The version before: without `max-output-bytes`.
pub(super) mod v0_1 {
    wasmtime::component::bindgen!({
        path: "../wit/0.1",
        world: "tool-plugin",
        imports: {
            "bulkhead:plugin/call.remaining-fuel": store | trappable,
            default: trappable,
        },
        exports: { default: async },
    });

    pub(in crate::runtime) use self::bulkhead::plugin::{call, types};
}

/// `bulkhead:plugin/tools` of each version that is served, the current one first.
pub(super) const TOOLS: [&str; 2] = ["bulkhead:plugin/tools@0.2.0", "bulkhead:plugin/tools@0.1.0"];
