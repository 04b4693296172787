//! Runtimes: an installed Spark with its Java and Python, and what is compiled for it.
//!
//! - `spark`, `java`, `pythons`, `r`: finding out what is installed where.
//! - `interpreters`: the sources that run inside Spark, carried by this program as text.
//! - `jvm_jar`, `archive`, `python_sources`: those sources made ready for one runtime, cached in the data folder.
//! - `launch`, `submit`, `node`: the command lines that start the driver's JVM, by itself or through `spark-submit`, and Python, and a Master
//!   and its Workers.
//! - `child`, `lock`: a program run to its end, and a file that one process at a time may hold.
//!
//! Nothing here installs anything and nothing reads the environment: who calls says where to look.

pub mod archive;
pub mod child;
mod error;
pub mod interpreters;
pub mod java;
pub mod jvm_jar;
pub mod launch;
pub mod lock;
pub mod node;
pub mod python_sources;
pub mod pythons;
pub mod r;
pub mod spark;
pub mod submit;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

pub use error::RuntimeError;

/// The file whose presence says that a runtime is whole. It is written last.
pub const RUNTIME_FILE: &str = "runtime.json";

/// An installed Spark with its Java and Python. Paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// What it is called: the name of its folder.
    pub name: String,
    /// The folder that holds Spark's `jars` and `bin`.
    pub spark_home: PathBuf,
    /// As in the name of the `spark-core` jar.
    pub spark_version: String,
    /// `2.12` or `2.13`.
    pub scala_version: String,
    /// A folder whose `bin/java` starts with every flag that Spark gives.
    pub java_home: PathBuf,
    /// As Java itself says it.
    pub java_version: String,
    /// The Python interpreter that has IPython and whatever user code imports.
    pub python: PathBuf,
    /// As Python itself says it.
    pub python_version: String,
    /// What `PYTHONPATH` must hold for that interpreter to import `pyspark`.
    #[serde(default)]
    pub python_path: Vec<PathBuf>,
    /// Whose Spark it is.
    pub origin: Origin,
}

/// Whose Spark a runtime is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Installed by this program in the data folder; removed with the runtime.
    Made,
    /// Named by the user and left alone.
    Named,
}

impl Runtime {
    /// Reads the runtime of a folder. `None` where it is not, or not yet, whole.
    pub fn read(folder: &Path) -> Result<Option<Self>, RuntimeError> {
        let path = folder.join(RUNTIME_FILE);
        match fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(RuntimeError::io("read", &path, source)),
        }
    }

    /// Writes it to its folder, which makes the folder a runtime. Others see the old file or the new one.
    pub fn write(&self, folder: &Path) -> Result<(), RuntimeError> {
        let (path, aside) = (folder.join(RUNTIME_FILE), folder.join("runtime.json.part"));
        let write = || {
            let mut file = fs::File::create(&aside)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            fs::rename(&aside, &path)
        };
        write().map_err(|source| RuntimeError::io("write", &path, source))
    }

    /// The program that starts a JVM.
    pub fn java(&self) -> PathBuf {
        self.java_home.join("bin/java")
    }

    /// Says what is missing, if what was there when it was made is gone. Looks at files only.
    pub fn missing(&self) -> Option<String> {
        match spark::Spark::at(&self.spark_home) {
            Ok(spark) if spark.version != self.spark_version => {
                return Some(format!("`{}` holds Spark {} now", self.spark_home.display(), spark.version));
            }
            Ok(_) => {}
            Err(error) => return Some(error.to_string()),
        }
        let programs = [("Java", self.java()), ("Python", self.python.clone())];
        programs.into_iter().find_map(|(what, program)| {
            (!program.exists()).then(|| format!("its {what} is gone: there is no `{}`", program.display()))
        })
    }
}

/// Hears what goes on, one line at a time.
pub type Say<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// The digest of `parts`, in hexadecimal, cut to what tells apart the entries of one cache.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    use sha2::Digest as _;
    const HEX_CHARS: usize = 24;
    let mut hash = sha2::Sha256::new();
    for part in parts {
        // The length first, so that moving a byte from one part to the next is a change.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut text: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(HEX_CHARS);
    text
}
