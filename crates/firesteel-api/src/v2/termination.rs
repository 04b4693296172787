//! Why a cluster has ended, as 2.x says it: a code of the service's own list, its kind, and what else is known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Why a cluster has ended. The words are those of the service's list that fit what can happen here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TerminationCode {
    /// A user asked for it.
    UserRequest,
    /// Nothing ran on it for the time that its owner set.
    Inactivity,
    /// The server was stopped and took its clusters along.
    WorkspaceUpdate,
    /// Spark did not come up.
    SparkStartupFailure,
    /// Spark ended under its contexts: its JVM died, or its master is gone.
    #[default]
    SparkError,
    /// Spark's JVM had no memory left, or was ended by a machine that had none.
    DriverOutOfMemory,
    /// The driver process died.
    DriverUnexpectedFailure,
    /// The driver process lives and does not answer.
    DriverUnreachable,
    /// The driver could not be started from its settings.
    InvalidArgument,
}

/// Whose doing an end was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TerminationType {
    /// It was asked for.
    Success,
    /// The settings, or the code that ran.
    ClientError,
    /// Ours.
    ServiceFault,
}

/// Why a cluster has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminationReason {
    /// The word for it.
    pub code: TerminationCode,
    /// What else is known: `username`, `inactivity_duration_min`, `databricks_error_message`.
    pub parameters: BTreeMap<String, String>,
    /// Whose doing it was.
    pub r#type: TerminationType,
}

impl TerminationCode {
    /// Tells whose doing such an end is.
    pub fn kind(self) -> TerminationType {
        match self {
            Self::UserRequest | Self::Inactivity | Self::WorkspaceUpdate => TerminationType::Success,
            Self::DriverOutOfMemory | Self::InvalidArgument => TerminationType::ClientError,
            Self::SparkStartupFailure | Self::SparkError | Self::DriverUnexpectedFailure | Self::DriverUnreachable => {
                TerminationType::ServiceFault
            }
        }
    }
}

impl TerminationReason {
    /// The parameter that holds the text of a failure, under the name that clients print.
    pub const MESSAGE: &str = "databricks_error_message";

    /// Makes a reason without parameters.
    pub fn new(code: TerminationCode) -> Self {
        Self { code, parameters: BTreeMap::new(), r#type: code.kind() }
    }

    /// Adds what else is known.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }
}
