//! Why a runtime could not be made, taken or removed. Each says in one line what to do; what a program said follows.

use std::io;
use std::path::{Path, PathBuf};

use firesteel_driver::runtime::RuntimeError;
use firesteel_driver::runtime::pythons::Minor;

/// Why a runtime could not be made, taken or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error("no Python was found on PATH; install Python {least} or newer")]
    NoPython { least: Minor },
    #[error(
        "`{program}` is Python {found}, and Spark {spark} needs Python {least} to {most}; install one of these and put it on PATH"
    )]
    PythonUnfit { program: PathBuf, found: String, spark: String, least: Minor, most: Minor },
    #[error("`PYSPARK_PYTHON` names `{program}`, which does not start: {reason}; name a Python {least} or newer")]
    NamedPythonBroken { program: PathBuf, reason: String, least: Minor },
    #[error(
        "`PYSPARK_PYTHON` names `{program}`, which cannot import {missing}; run `{program} -m pip install {missing}` or unset the variable"
    )]
    NamedPythonLacks { program: PathBuf, missing: String },
    #[error(
        "Python {minor} (`{program}`) cannot make a virtual environment; install its `venv` module (on Debian and Ubuntu: `apt install python{minor}-venv`) or `virtualenv`\n{tail}"
    )]
    NoVenv { program: PathBuf, minor: Minor, tail: String },
    #[error(
        "not enough room in `{folder}`: {free_mb} MB are free and {needed_mb} MB are needed; make room or name another data folder"
    )]
    NoRoom { folder: PathBuf, free_mb: u64, needed_mb: u64 },
    #[error("no room left while {step}; make room and run the same command again, it goes on where it stopped\n{tail}")]
    RanOutOfRoom { step: String, tail: String },
    #[error(
        "no network while {step}: the package index cannot be reached; check the connection and pip's configuration, then run the same command again, it goes on where it stopped\n{tail}"
    )]
    NoNetwork { step: String, tail: String },
    #[error(
        "pip failed while {step}; what it said last is below, and the same command goes on where it stopped\n{tail}"
    )]
    Pip { step: String, tail: String },
    #[error("{advice}\n{tail}")]
    NoJava { advice: String, tail: String },
    #[error("Spark {version} does not start with Java {java} (`{java_home}`); what it said last is below\n{tail}")]
    SparkWillNotStart { version: String, java: String, java_home: PathBuf, tail: String },
    #[error("the Python packages do not load in `{python}`; remove the runtime and add it again\n{tail}")]
    PackagesWillNotLoad { python: PathBuf, tail: String },
    #[error("`{0}` is not a version of Spark that is served; give one of 3.5 or 4.x in full, like 4.3.0")]
    SparkVersion(String),
    #[error(
        "`{0}` is not a name for a runtime; use up to 64 letters, digits, `.`, `-` and `_`, a letter or digit first"
    )]
    Name(String),
    #[error("there is a runtime `{0}` already; remove it first or choose another name")]
    Exists(RuntimeNameText),
    #[error("there is no runtime `{0}`; `firesteel runtime list` shows what there is")]
    Unknown(RuntimeNameText),
    #[error("runtime `{name}` is in use by cluster `{cluster}`; terminate it first")]
    InUse { name: RuntimeNameText, cluster: String },
    #[error("interrupted; run the same command again, it goes on where it stopped")]
    Interrupted,
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("failed to {what} `{path}`: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

/// A name as text: errors outlive what they are about.
type RuntimeNameText = String;

impl SetupError {
    /// A failure of `what` on `path`.
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_path_buf(), source }
    }
}
