//! The two error bodies (reference, sections 1.5 and 12).

use serde::{Deserialize, Serialize};

/// The error body of 1.2: exactly one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error12 {
    /// What was wrong and what to do.
    pub error: String,
}

/// The error body of 2.x, of unknown paths and of authentication outside 1.2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error2 {
    /// A stable word such as `RESOURCE_DOES_NOT_EXIST`.
    pub error_code: String,
    /// What was wrong and what to do.
    pub message: String,
}
