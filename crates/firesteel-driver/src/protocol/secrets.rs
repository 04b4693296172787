//! Questions about secrets: asked by user code in the JVM, passed on by the driver, answered by the server's store.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A question, numbered by whoever asks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretAsk {
    /// The number of the question; its answer has the same.
    pub ask: u64,
    /// What is asked.
    #[serde(flatten)]
    pub what: SecretWhat,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum SecretWhat {
    /// The value of a secret.
    Get {
        /// Its scope.
        scope: String,
        /// Its name there.
        key: String,
    },
    /// The names of the secrets of a scope.
    List {
        /// The scope.
        scope: String,
    },
    /// The names of the scopes.
    Scopes,
}

/// An answer. `Debug` shows no value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretAnswer {
    /// The number of the question.
    pub ask: u64,
    /// Why there is no answer.
    pub error: Option<String>,
    /// The value that was asked for, in base64.
    pub value: Option<String>,
    /// The names that were asked for.
    #[serde(default)]
    pub names: Vec<String>,
}

impl SecretAnswer {
    /// Says why there is no answer.
    pub fn refusal(ask: u64, why: impl Into<String>) -> Self {
        Self { ask, error: Some(why.into()), value: None, names: Vec::new() }
    }
}

impl fmt::Debug for SecretAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretAnswer").field("ask", &self.ask).field("error", &self.error).finish_non_exhaustive()
    }
}
