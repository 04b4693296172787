//! What the driver and its interpreters say to each other over `interpreters.sock`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use firesteel_api::libraries::Library;
use firesteel_api::{CommandId, ContextId, Language};
use serde::{Deserialize, Serialize};

use crate::protocol::VERSION;
use crate::protocol::secret::Secret;
use crate::protocol::secrets::{SecretAnswer, SecretAsk};

/// Numbers one interpreter, for the life of its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InterpreterId(pub u64);

impl TryFrom<String> for InterpreterId {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<InterpreterId> for String {
    fn from(id: InterpreterId) -> Self {
        id.0.to_string()
    }
}

impl std::fmt::Display for InterpreterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The one line of JSON that a child finds on its standard input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Launch {
    /// The path of the socket to connect to.
    pub socket: PathBuf,
    /// The word to say in its `hello`.
    pub key: String,
    /// What `DATABRICKS_RUNTIME_VERSION` says.
    pub runtime_version: String,
    /// Spark's configuration; empty for a child that is not the JVM.
    pub conf: BTreeMap<String, String>,
    /// The folder of the classes that Scala interpreters make.
    pub repl_dir: PathBuf,
}

/// The one line of JSON that a Master or a Worker of ours finds on its standard input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LaunchNode {
    /// The path of the socket to connect to.
    pub socket: PathBuf,
    /// The word to say in its `hello`.
    pub key: String,
    /// Spark's configuration, the secret of the application included.
    pub conf: BTreeMap<String, String>,
    /// What a Worker is told; absent for the Master.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<LaunchWorker>,
}

/// What a Worker is told beside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LaunchWorker {
    /// Its number, which its executors report.
    pub number: u32,
    /// Its Master, as `spark://host:port`.
    pub master: String,
    /// How many tasks its executor runs at once.
    pub cores: u32,
    /// The memory of its executor, in MiB.
    pub memory_mb: u32,
    /// The folder of its executors' files.
    pub folder: PathBuf,
}

/// The one line of JSON that an R interpreter finds on its standard input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LaunchR {
    /// Its number.
    pub interpreter: InterpreterId,
    /// The word to say in its `hello`.
    pub key: String,
    /// The named pipe that it reads.
    pub requests: PathBuf,
    /// The named pipe that it writes.
    pub answers: PathBuf,
    /// The folder that packages are installed to.
    pub library: PathBuf,
}

/// Bounds that an interpreter keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultLimits {
    /// Rows of a table.
    pub rows_max: usize,
    /// Bytes of a table's JSON.
    pub table_bytes_max: usize,
    /// Characters of a text.
    pub text_chars_max: usize,
    /// Bytes of the file that holds all rows of one table; 0 where none is kept.
    pub result_bytes_max: u64,
    /// How long the rest of a query may run behind its first rows, in seconds; 0 is no limit.
    pub result_seconds_max: u64,
}

/// The first message of every connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename = "hello")]
pub struct Hello {
    /// Must be [`VERSION`].
    pub version: u32,
    /// Who speaks.
    #[serde(flatten)]
    pub role: Role,
    /// The word that the driver gave for this connection.
    pub key: String,
    /// The process that speaks.
    pub pid: i32,
}

impl Hello {
    /// Tells whether the peer speaks this version.
    pub fn is_current(&self) -> bool {
        self.version == VERSION
    }
}

/// Who connects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Role {
    /// The JVM's control connection.
    Jvm,
    /// The parent that Python interpreters are forked from.
    Python,
    /// The Master of a cluster with workers on this machine.
    Master,
    /// One of its Workers.
    Worker {
        /// Which.
        worker: u32,
    },
    /// One interpreter.
    Interpreter {
        /// Which.
        interpreter: InterpreterId,
    },
}

/// The driver's answer to a `hello`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Answer {
    /// Go on.
    Welcome {
        /// Bounds to keep.
        limits: ResultLimits,
    },
    /// The connection is closed after this.
    Refused {
        /// Why.
        reason: String,
    },
}

/// From the driver to the JVM's control connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToJvm {
    /// Make an interpreter.
    Open {
        /// Its number.
        interpreter: InterpreterId,
        /// `scala` or `sql`.
        language: Language,
        /// The word for its connection.
        key: String,
    },
    /// Make a py4j server for one Python interpreter.
    Gateway {
        /// Its number.
        interpreter: InterpreterId,
    },
    /// Stop what a context runs.
    Cancel {
        /// The context.
        context: ContextId,
        /// The interpreter to interrupt, where it is the JVM's.
        interpreter: Option<InterpreterId>,
        /// The only command that is meant: the next one may have begun when this arrives.
        command: Option<CommandId>,
    },
    /// Drop an interpreter that is gone.
    Forget {
        /// Its number.
        interpreter: InterpreterId,
    },
    /// What was asked about secrets.
    SecretAnswer(SecretAnswer),
    /// Drop a context's session.
    CloseContext {
        /// The context.
        context: ContextId,
    },
    /// Have this many executors: ask for more, or let some go when their tasks are done and their blocks are elsewhere.
    Resize {
        /// How many.
        executors: u32,
    },
    /// Bring the files of a library here, and put what is for the JVM on its class path. A fetch before this one is given up.
    FetchLibrary {
        /// Counts them.
        number: u64,
        /// The library.
        library: Library,
        /// The folder for its files.
        folder: PathBuf,
    },
    /// What the server says of a login.
    LoginAnswer {
        /// Which.
        login: u64,
        /// Whether the password is the user's.
        right: bool,
    },
}

/// From the JVM's control connection to the driver.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromJvm {
    /// The SparkContext is up.
    SparkReady {
        /// Such as `4.3.0`.
        spark_version: String,
        /// Such as `2.13.18`.
        scala_version: String,
        /// Such as `local[*]`.
        master: String,
        /// Spark's application id.
        app_id: String,
        /// Spark's own page, where it is on.
        ui_url: Option<String>,
    },
    /// It will not come up.
    SparkFailed {
        /// Why.
        reason: String,
    },
    /// It ended under us.
    SparkStopped {
        /// Why.
        reason: String,
    },
    /// An interpreter could not be made.
    OpenFailed {
        /// Its number.
        interpreter: InterpreterId,
        /// Why.
        reason: String,
    },
    /// A context has so many live streaming queries now.
    Streams {
        /// The context.
        context: ContextId,
        /// How many.
        active: usize,
    },
    /// User code asks about secrets.
    SecretAsk(SecretAsk),
    /// How far one Spark job of a context is.
    Progress {
        /// The context.
        context: ContextId,
        /// How far.
        #[serde(flatten)]
        job: JobProgress,
    },
    /// The files of a library are here.
    LibraryFetched {
        /// Which fetch.
        number: u64,
        /// The files.
        files: Vec<PathBuf>,
        /// What to beware of.
        messages: Vec<String>,
    },
    /// They could not be had.
    LibraryFailed {
        /// Which fetch.
        number: u64,
        /// Why.
        reason: String,
    },
    /// A py4j server listens on 127.0.0.1.
    GatewayReady {
        /// The Python interpreter it is for.
        interpreter: InterpreterId,
        /// Its port.
        port: u16,
        /// Its secret.
        token: String,
    },
    /// Somebody logs in over JDBC.
    Login {
        /// Counts them.
        login: u64,
        /// Who they say they are.
        user: String,
        /// The password, or a token where the user is `token`.
        password: Secret,
    },
    /// JDBC runs so many statements now.
    Statements {
        /// How many.
        active: usize,
    },
    /// The standalone Master of the application is gone, or is back and knows it.
    Master {
        /// Which of the two.
        there: bool,
    },
    /// An executor has registered.
    ExecutorAdded {
        /// Spark's id of it.
        executor: String,
        /// The Worker of ours that it runs on, where it does.
        worker: Option<u32>,
    },
    /// An executor is gone.
    ExecutorRemoved {
        /// Spark's id of it.
        executor: String,
        /// Why, in Spark's words.
        reason: String,
    },
}

/// From a Master or Worker of ours to the driver.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromNode {
    /// It serves: a Master under this address, a Worker registered with its Master.
    Serving {
        /// Such as `spark://127.0.0.1:40123`.
        url: String,
    },
    /// It cannot.
    Failed {
        /// Why.
        reason: String,
    },
}

/// How far one Spark job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobProgress {
    /// Spark's number of it.
    pub job: u64,
    /// When it began, in Unix milliseconds; for a job of a streaming query, when the query did.
    pub began_ms: u64,
    /// Its stages. When it has ended well, without those that had nothing to do.
    pub stages: u64,
    /// Those that have ended well.
    pub stages_done: u64,
    /// The tasks of its stages.
    pub tasks: u64,
    /// Those that have ended well.
    pub tasks_done: u64,
    /// It has ended: nothing more is said of it.
    pub over: bool,
}

/// Where a Python interpreter finds its py4j server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Gateway {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The secret.
    pub token: String,
}

/// From the driver to the Python parent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToPythonParent {
    /// Fork one interpreter.
    Fork {
        /// Its number.
        interpreter: InterpreterId,
        /// The word for its connection.
        key: String,
        /// The named pipe that becomes its descriptors 1 and 2.
        output: String,
        /// Its way into the JVM.
        gateway: Gateway,
        /// How much memory it, and each process that it starts, may have for data.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memory_bytes_max: Option<u64>,
    },
}

/// From the Python parent to the driver.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromPythonParent {
    /// A child ended and was reaped. One of the two numbers is null.
    Exited {
        /// The child.
        interpreter: InterpreterId,
        /// Its exit status.
        status: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
}

/// From the driver to an interpreter.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToInterpreter {
    /// It belongs to this context from now on.
    Bind {
        /// The context.
        context: ContextId,
    },
    /// Run the source in the payload.
    Execute {
        /// The command.
        command: CommandId,
        /// The file for all rows of a table that it shows; none is wanted where this is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<PathBuf>,
    },
    /// What the query came to: a `results` object in the payload, unless it was cancelled.
    SqlResult {
        /// `table`, `error` or `cancelled`.
        outcome: Outcome,
    },
}

/// From an interpreter to the driver.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromInterpreter {
    /// It is its context's.
    Bound {},
    /// It cannot be.
    BindFailed {
        /// Why.
        reason: String,
    },
    /// What the code printed, in the payload.
    Output {},
    /// The running command asks for the query in the payload. R only.
    Sql {},
    /// A command ended.
    Done {
        /// Which.
        command: CommandId,
        /// What the payload is.
        outcome: Outcome,
        /// A text that stands alone: what was printed is dropped.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        alone: bool,
        /// The interpreter asks to be replaced by a fresh one.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        restart: bool,
        /// The context's Python interpreter is to be replaced by a fresh one. Scala and R only.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        restart_python: bool,
        /// Packages were installed or removed: spares of this language know the old ones.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        installed: bool,
    },
}

/// How a command ended, and so what the payload of its `done` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The echo, as text.
    Text,
    /// A `results` object with rows.
    Table,
    /// A `results` object with pictures.
    Images,
    /// A `results` object with an error.
    Error,
    /// No payload: the code stopped because it was asked to.
    Cancelled,
}
