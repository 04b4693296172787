//! What a driver is told when it is started: one JSON file, written by the server with mode 0600.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use firesteel_api::ClusterId;
use firesteel_api::libraries::Library;
use serde::{Deserialize, Serialize};

use crate::protocol::interpreters::ResultLimits;

/// Everything a driver needs to know. Paths are absolute.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DriverSpec {
    /// The cluster it is for.
    pub cluster: ClusterId,
    /// The cluster's folder: logs and the files of running interpreters.
    pub folder: PathBuf,
    /// The folder of the sockets, short enough for a socket's path (108 bytes on Linux).
    pub sockets: PathBuf,
    /// The program that starts Spark's JVM, and its arguments.
    pub jvm: CommandSpec,
    /// The program that starts the Python parent, and its arguments.
    pub python: CommandSpec,
    /// The program that starts an R interpreter, and its arguments. `None` where there is no R.
    #[serde(default)]
    pub r: Option<CommandSpec>,
    /// The executors, where Spark does not run inside the driver.
    #[serde(default)]
    pub executors: Option<ExecutorsSpec>,
    /// The file that the JVM's program reads Spark's configuration from, where it does: `spark-submit`. Written before it starts.
    #[serde(default)]
    pub properties: Option<PathBuf>,
    /// Spark's configuration.
    pub conf: BTreeMap<String, String>,
    /// What `DATABRICKS_RUNTIME_VERSION` says.
    pub runtime_version: String,
    /// Bounds of results.
    pub limits: ResultLimits,
    /// How many bytes of what one command prints are sent while it runs; of what is beyond them, the last.
    pub output_bytes_max: usize,
    /// Bytes of all results that the cluster keeps on disk.
    pub results_bytes_max: u64,
    /// How many spare interpreters of each language are kept.
    pub spares: SpareCounts,
    /// How much memory a Python or R process of a context may have for data, in MiB; 0 is no limit.
    #[serde(default)]
    pub context_memory_mb: u64,
    /// The libraries that are installed before the cluster is ready, in this order.
    #[serde(default)]
    pub libraries: Vec<Library>,
    /// How long the installer of one library may take, in seconds.
    #[serde(default = "library_seconds")]
    pub library_seconds_max: u64,
    /// How long the driver waits for a server that went away, in seconds.
    pub orphan_seconds: u64,
    /// How long code that is to stop may go on until it loses what it runs in, in seconds.
    pub cancel_seconds_max: u64,
    /// How long any command may run, in seconds; 0 is no limit.
    pub command_seconds_max: u64,
}

/// The executors of a cluster whose Spark does not run inside the driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorsSpec {
    /// How many there are to be when the cluster is ready.
    pub count: u32,
    /// With dynamic allocation, how many there may come to be. Without it, their number is fixed until a resize.
    pub max: Option<u32>,
    /// How long the Master of an existing standalone cluster may be away until the cluster is lost, in seconds. `None` elsewhere.
    #[serde(default)]
    pub lost_master_seconds: Option<u64>,
    /// The Workers that they run on, where these are the driver's own. An existing engine has Workers of its own.
    pub workers: Option<WorkersSpec>,
}

/// A standalone Master and Workers that the driver starts on its machine. Each Worker has one executor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkersSpec {
    /// The program that starts a Master or a Worker, and its arguments.
    pub command: CommandSpec,
    /// How many tasks a Worker runs at once.
    pub cores: u32,
    /// The memory of a Worker's executor, in MiB.
    pub memory_mb: u32,
}

/// A child process: an argument vector, never a shell's line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandSpec {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// What is set in its environment beside the driver's own.
    pub env: BTreeMap<String, String>,
}

/// How many spare interpreters of each language are kept warm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpareCounts {
    /// Scala: the dearest to make, 1 to 4 s and some 15 MB each.
    pub scala: usize,
    /// Python: some 100 ms and 26 MB each.
    pub python: usize,
    /// SQL: a thread.
    pub sql: usize,
    /// R: half a second and a process that shares nothing. None by default, as most clusters never run R.
    pub r: usize,
}

impl Default for SpareCounts {
    fn default() -> Self {
        Self { scala: 1, python: 2, sql: 1, r: 0 }
    }
}

/// For a specification that an older server wrote.
fn library_seconds() -> u64 {
    900
}

impl DriverSpec {
    /// Reads a specification.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }

    /// How much memory a process of a context may have for data.
    pub fn memory_bytes_max(&self) -> Option<u64> {
        (self.context_memory_mb > 0).then_some(self.context_memory_mb << 20)
    }

    /// The socket that the server connects to.
    pub fn link_socket(&self) -> PathBuf {
        self.sockets.join("driver.sock")
    }

    /// The socket that interpreters connect to.
    pub fn interpreters_socket(&self) -> PathBuf {
        self.sockets.join("interpreters.sock")
    }
}
