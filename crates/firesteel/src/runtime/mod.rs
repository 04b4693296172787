//! Runtimes: made in the data folder where no Spark is named, or taken as they are; and `firesteel runtime`.
//!
//! - `make`: a virtual environment with Spark, step by step; started again it goes on where it stopped.
//! - `named`: a Spark that the user names, with a Python and a Java for it.
//! - `environment`, `pip`, `packages`, `java`: the steps that both are made of.
//! - `folders`: where runtimes are and what they are called.
//! - `registry`: which of them a cluster's `spark_version` means.
//! - `command`: `firesteel runtime list|add|remove`.
//! - `progress`, `error`: what the user sees.
//!
//! A folder is a runtime once it holds a `runtime.json`, which is written last: what is half made is never used.

mod command;
mod environment;
mod error;
mod folders;
mod java;
mod make;
mod named;
mod packages;
mod pip;
mod progress;
mod registry;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use firesteel_driver::runtime::java::JavaSearch;
use firesteel_driver::runtime::{Runtime, Say, archive, jvm_jar};

pub(crate) use command::{Command, command};
pub(crate) use error::SetupError;
pub(crate) use folders::{RuntimeName, cache, list};
pub(crate) use progress::Progress;
pub(crate) use registry::Registry;

/// What runtime is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// One made in the data folder.
    Made {
        /// Named for its Spark unless given.
        name: Option<RuntimeName>,
        /// The newest that this program was tried with, unless given.
        spark_version: Option<String>,
    },
    /// A Spark that is there: `SPARK_HOME`, or the configuration's.
    Named {
        /// `spark-home` unless given.
        name: Option<RuntimeName>,
        /// The folder of its `jars` and `bin`.
        spark_home: PathBuf,
    },
}

/// Where to look for what is installed: the environment as `main` read it.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// `PATH`, where Python is looked for.
    pub(crate) path: Option<OsString>,
    /// `PYSPARK_PYTHON`: the Python of a Spark that the user names.
    pub(crate) pyspark_python: Option<PathBuf>,
    /// Where Java is looked for.
    pub(crate) java: JavaSearch,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        let path = std::env::var_os("PATH");
        let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            path: path.clone(),
            pyspark_python: folder("PYSPARK_PYTHON"),
            java: JavaSearch::usual(folder("JAVA_HOME"), path),
        }
    }
}

/// Returns what is compiled for a runtime, the jar of the JVM side and the class-data archive where there can be one; made first if it is not
/// there.
pub(crate) async fn prepare(
    runtime: &Runtime,
    data: &Path,
    say: Say<'_>,
) -> Result<(PathBuf, Option<PathBuf>), SetupError> {
    let jar = jvm_jar::ensure_jar(runtime, &cache(data), say).await?;
    let archive = archive::ensure_archive(runtime, &jar, say).await;
    Ok((jar, archive))
}

/// Returns the runtime that is asked for, made first if it is not there. One that is there and whole is returned
/// without starting anything and without the network.
///
/// Cancel-safe: dropping this ends what it started, and what is half made is gone on with when it is asked for again.
pub(crate) async fn ensure(
    data: &Path,
    wanted: Wanted,
    around: &Surroundings,
    ui: &Progress,
) -> Result<Runtime, SetupError> {
    match wanted {
        Wanted::Made { name, spark_version } => make::ensure(data, name, spark_version, around, ui).await,
        Wanted::Named { name, spark_home } => named::ensure(data, name, &spark_home, around, ui).await,
    }
}
