//! The server: the control plane in front of the drivers.
//!
//! `engine` has one task per cluster, `files` is what users keep; both know no HTTP. `http` is the edge and knows no
//! driver; `table` puts rows into the forms that clients ask for. The server never runs user code and never loads Spark.

pub mod engine;
pub mod files;
pub mod http;
mod table;
