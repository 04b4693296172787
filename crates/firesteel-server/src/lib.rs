//! The server: the control plane in front of the drivers.
//!
//! `engine` has one task per cluster and knows no HTTP; `http` is the edge and knows no driver. The server never
//! runs user code and never loads Spark.

pub mod engine;
pub mod http;
