//! The driver process: one per cluster, on the node where Spark's driver JVM runs.
//!
//! It starts, watches, interrupts and reaps the JVM and the interpreters, and keeps the events that the server has
//! not acknowledged. It outlives a server that crashed; nothing it started outlives it.
//!
//! - `protocol`: what travels on both links.
//! - `spec`: what a driver is told when it is started.
//! - `runtime`: an installed Spark with its Java and Python, and what is compiled for it.
//! - `driver`: the task that owns every context and decides.
//! - `context`, `spares`, `interpreter`, `stream`, `output`: one context, the interpreters made ahead, one interpreter's
//!   connection and what it prints.
//! - `process`, `control`: child processes, and what the two that have one say over their control connection.
//! - `holder`: the lock that makes a driver the only one of its cluster.
//! - `listen`, `link`, `events`: the sockets, the connection to the server, and what it has not acknowledged.

mod context;
mod control;
mod driver;
mod events;
mod holder;
mod interpreter;
mod link;
mod listen;
mod magics;
mod output;
pub mod process;
pub mod protocol;
mod redact;
pub mod runtime;
mod spares;
pub mod spec;
mod stream;

pub use driver::run;
pub use holder::kill_holder;
pub use listen::private_folder;
