//! The driver process: one per cluster, on the node where Spark's driver JVM runs.
//!
//! It starts, watches, interrupts and reaps the JVM and the interpreters, and keeps the events that the server has
//! not acknowledged. It outlives a server that crashed; nothing it started outlives it.
//!
//! - `protocol`: what travels on both links.
//! - `spec`: what a driver is told when it is started.
//! - `runtime`: an installed Spark with its Java and Python, and what is compiled for it.
//! - `driver`: the task that owns every context and decides.
//! - `context`, `spares`, `interpreter`, `stream`, `output`, `printout`, `live`, `redact`: one context, the interpreters
//!   made ahead, one interpreter's connection and what it prints, for the result and while it runs, without secrets.
//! - `process`, `control`: child processes, and what the two that have one say over their control connection.
//! - `holder`: the lock that makes a driver the only one of its cluster.
//! - `results`: the tables that interpreters keep on disk, and their readers.
//! - `listen`, `link`, `events`, `progress`: the sockets, the connection to the server, what it has not acknowledged, and
//!   how far Spark jobs are.

mod context;
mod control;
mod driver;
mod events;
mod holder;
mod interpreter;
mod link;
mod listen;
mod live;
mod magics;
mod output;
mod printout;
pub mod process;
mod progress;
pub mod protocol;
mod redact;
mod results;
pub mod runtime;
mod spares;
pub mod spec;
mod stream;

pub use driver::run;
pub use holder::kill_holder;
pub use listen::private_folder;
