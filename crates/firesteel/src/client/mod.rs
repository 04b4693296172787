//! The commands that talk to a server, ours or another that speaks this API.
//!
//! They see the wire types and nothing else of the system. `config` finds the server as the SDKs do, `api` makes the
//! calls, `session` holds one context from its making to its end, and `exec`, `repl`, `fs`, `libs` and `cluster_commands` are
//! what users type.
//! Exit statuses are in [`Exit`].

pub(crate) mod api;
mod api_clusters;
mod blocks;
pub(crate) mod cluster_commands;
mod clusters;
pub(crate) mod config;
mod events;
pub(crate) mod exec;
mod failure;
#[cfg(test)]
mod fake;
pub(crate) mod fs;
mod interrupts;
pub(crate) mod libs;
mod live;
mod output;
pub(crate) mod repl;
pub(crate) mod schedules;
mod session;
mod table;
mod transfer;
mod whole;

pub(crate) use config::Environment;
