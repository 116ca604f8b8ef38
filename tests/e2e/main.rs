//! Bulkhead from the outside: one binary, a module per theme.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "tests fail loudly, and spawn what they like")]

mod audit;
mod auth;
mod authors;
mod cancellation;
mod clients;
mod command_line;
mod compile;
mod containment;
mod edge;
mod errors;
mod fairness;
mod guests;
mod house;
mod keys;
mod lifecycle;
mod limits;
mod loading;
mod metrics;
mod output;
mod policy;
mod protocol;
mod quotas;
mod stdio;
mod tls;
mod tokens;
mod validation;
mod why;
