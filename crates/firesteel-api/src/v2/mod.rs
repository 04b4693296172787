//! The calls of 2.x that clients of 1.2 make around it (reference, part 2).

pub mod catalog;
pub mod clusters;
pub mod dbfs;
pub mod events;
pub mod libraries;
pub mod secrets;
pub mod termination;
pub mod workspace;
