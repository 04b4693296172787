//! The calls of 2.x that clients of 1.2 make around it, one file per noun.

pub(crate) mod clusters;
pub(crate) mod scim;
