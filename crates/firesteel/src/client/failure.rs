//! How a client command ends.

use std::process::ExitCode;

use super::api::ApiError;
use super::clusters::PickError;
use super::config::ConfigError;

/// The exit status of a client command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: the code ran.
    Done,
    /// 1: the code raised, or the engine failed under it.
    Raised,
    /// 2: wrong usage, no server, or a server that refused.
    Failed,
    /// 130, or 128 and the number of another signal: it was stopped or cancelled.
    Stopped(u8),
}

impl Exit {
    /// The status of a command that was cancelled, as a shell shows Ctrl-C.
    pub(super) const CANCELLED: Self = Self::Stopped(SIGINT);
}

/// The number of the signal of Ctrl-C.
pub(super) const SIGINT: u8 = 2;

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Raised => 1,
            Exit::Failed => 2,
            Exit::Stopped(signal) => 128_u8.saturating_add(signal),
        })
    }
}

/// Why a client command did not get as far as a result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No server was found.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A call failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// No cluster is the one to use.
    #[error(transparent)]
    Pick(#[from] PickError),
    /// A cluster did not become what was waited for.
    #[error("cluster `{cluster}` is {state}: {why}")]
    Cluster {
        /// The cluster.
        cluster: firesteel_api::ClusterId,
        /// What it is doing.
        state: String,
        /// Why.
        why: String,
    },
    /// What was typed makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The context could not be made, or its engine is gone.
    #[error("context `{0}` is in status Error; the log of its cluster says why")]
    ContextLost(firesteel_api::ContextId),
    /// The answer could not be read.
    #[error("the result of command `{command}` is not one of this API")]
    BadResult {
        /// The command.
        command: firesteel_api::CommandId,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A file or a stream failed.
    #[error("failed to {what}")]
    Io {
        /// What was attempted.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A signal came before there was a result.
    #[error("stopped")]
    Stopped(u8),
}

impl Failure {
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Returns the exit status that tells of it.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Stopped(signal) => Exit::Stopped(*signal),
            Self::ContextLost(_) | Self::Cluster { .. } => Exit::Raised,
            _ => Exit::Failed,
        }
    }
}
