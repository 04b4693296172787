//! Why a runtime cannot be used.

use std::io;
use std::path::{Path, PathBuf};

/// Why a runtime cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The folder is no Spark.
    #[error("`{folder}` is not a Spark: {reason}; name the folder that holds Spark's `jars` and `bin`")]
    NotSpark {
        /// What was named.
        folder: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A Spark that is too old, or too new to be known.
    #[error("Spark {version} in `{folder}` is not served; use Spark 3.5 or 4.x")]
    UnsupportedSpark {
        /// Where it is.
        folder: PathBuf,
        /// What it is.
        version: String,
    },
    /// The sources for the JVM did not compile for this Spark.
    #[error("failed to compile the JVM side for Spark {version}: {tail}")]
    Compile {
        /// The Spark.
        version: String,
        /// What the compiler said last.
        tail: String,
    },
    /// A program could not be started, or did not end.
    #[error("failed to run `{program}`: {source}")]
    Run {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder.
    #[error("failed to {what} `{path}`: {source}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl RuntimeError {
    /// A failure of `what` on `path`.
    pub fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_path_buf(), source }
    }
}
