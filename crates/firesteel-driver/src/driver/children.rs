//! The JVM and the Python parent: started together, watched, and ended. The other children are started here too.

use std::collections::BTreeMap;
use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use firesteel_api::v2::termination::TerminationCode;
use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::control::{Control, ControlLink};
use crate::driver::Driver;
use crate::driver::endings::{self, JvmEnd, LOG_LINES};
use crate::driver::environment;
use crate::driver::interpreters::{Expected, Promise};
use crate::driver::libraries::Installed;
use crate::driver::nodes::NodeId;
use crate::process;
use crate::protocol::interpreters::{FromJvm, FromPythonParent, Launch, ToJvm, ToPythonParent};
use crate::protocol::link::DriverEvent;
use crate::spec::CommandSpec;

/// How long a child that was asked to end may take before it is forced. The JVM stops its SparkContext in it.
const END_GRACE: Duration = Duration::from_secs(8);

/// How long Spark may take to come up, and the Python parent to import everything.
const START_DEADLINE: Duration = Duration::from_secs(600);

/// How long a child may live on after its control connection ended.
const HALT_DEADLINE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 15 });

/// How often the Python parent is started again within [`RESTARTS_WINDOW`].
const RESTARTS_MAX: usize = 3;

/// The time in which restarts are counted.
const RESTARTS_WINDOW: Duration = Duration::from_secs(60);

/// Which child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Child {
    Jvm,
    Python,
    Node(NodeId),
}

impl Child {
    /// The name of its log in the cluster's folder.
    pub(super) fn log(self) -> String {
        match self {
            Self::Jvm => "spark.log".to_owned(),
            Self::Python => "python.log".to_owned(),
            Self::Node(NodeId::Master) => "master.log".to_owned(),
            Self::Node(NodeId::Worker(number)) => format!("worker-{number}.log"),
        }
    }
}

/// The children and what is known of them.
#[derive(Default)]
pub(crate) struct Children {
    pub(super) jvm: Option<Process>,
    pub(super) jvm_control: Option<ControlLink<ToJvm>>,
    pub(super) spark_is_up: bool,
    /// Whether it has been up, be it up now or not.
    spark_was_up: bool,
    /// How often the kernel had ended a process for want of memory before the JVM was started.
    memory_kills: Option<u64>,
    pub(super) python: Option<Process>,
    pub(super) python_control: Option<ControlLink<ToPythonParent>>,
    python_starts: Vec<Instant>,
    /// Why Python cannot be had, once it cannot.
    pub(super) python_failed: Option<String>,
    /// Those that wait for the R processes.
    pub(super) r: TaskTracker,
}

/// A child that runs. Its standard input stays open as long as it shall live.
pub(crate) struct Process {
    group: i32,
    /// When it is killed, and why, unless it says what is expected of it before.
    pub(super) doom: Option<(Instant, String)>,
    /// Why it was killed.
    pub(super) killed_because: Option<String>,
    /// Keeps its standard input open; dropping it is the order to end.
    hold: oneshot::Sender<()>,
    watch: JoinHandle<()>,
}

impl Driver {
    pub(super) fn start_children(&mut self) {
        self.children.memory_kills = endings::memory_kills();
        if self.needs_master() {
            self.start_nodes();
        } else {
            self.start_jvm();
        }
        if self.ending.is_none() {
            self.start_python();
        }
    }

    pub(super) fn start_jvm(&mut self) {
        match self.start(Child::Jvm, Promise::Jvm) {
            Ok(process) => self.children.jvm = Some(process),
            Err(error) => {
                let reason = format!("Spark's JVM cannot be started: {error}");
                self.fail(TerminationCode::SparkStartupFailure, reason);
            }
        }
    }

    fn start_python(&mut self) {
        let now = Instant::now();
        self.children.python_starts.retain(|start| now.duration_since(*start) < RESTARTS_WINDOW);
        if self.children.python_starts.len() >= RESTARTS_MAX {
            let log = process::last_lines(&self.spec.folder.join(Child::Python.log()), LOG_LINES);
            return self.python_cannot_be_had(format!("the Python parent keeps ending; its last lines:\n{log}"));
        }
        self.children.python_starts.push(now);
        match self.start(Child::Python, Promise::Python) {
            Ok(process) => self.children.python = Some(process),
            Err(error) => self.python_cannot_be_had(format!("Python cannot be started: {error}")),
        }
    }

    /// Starts the JVM or the Python parent, whose first line has the same form.
    fn start(&mut self, child: Child, promise: Promise) -> io::Result<Process> {
        let (command, conf): (&CommandSpec, _) = match promise {
            Promise::Jvm => (&self.spec.jvm, self.conf()?),
            _ => (&self.spec.python, BTreeMap::new()),
        };
        let mut command = environment::within(&self.spec, command);
        if child == Child::Python {
            command.args.push(environment::folder(&self.spec).display().to_string());
        }
        let repl_dir = self.spec.folder.join("repl");
        std::fs::create_dir_all(&repl_dir)?;
        let key = new_key();
        let line = serde_json::to_string(&Launch {
            socket: self.spec.interpreters_socket(),
            key: key.clone(),
            runtime_version: self.spec.runtime_version.clone(),
            conf,
            repl_dir,
        })?;
        self.start_child(child, &command, &line, key, promise)
    }

    /// Starts one child, tells it its socket and key over its standard input, and watches it.
    pub(super) fn start_child(
        &mut self,
        child: Child,
        command: &CommandSpec,
        line: &str,
        key: String,
        promise: Promise,
    ) -> io::Result<Process> {
        let log = process::open_log(&self.spec.folder.join(child.log()))?;
        let mut process = process::spawn(command, &self.mark, &self.spec.folder, log)?;
        self.expected.insert(key, Expected { promise, until: None });

        let group = process.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        let mut stdin = process.stdin.take().expect("the child was started with a pipe as standard input");
        let (hold, released) = oneshot::channel::<()>();
        let line = format!("{line}\n");
        tokio::spawn(async move {
            // A child that is gone already is heard of by its exit.
            let _ = stdin.write_all(line.as_bytes()).await;
            let _ = released.await;
        });
        let exits = self.channels.exits.clone();
        let watch = tokio::spawn(async move {
            if let Ok(status) = process.wait().await {
                let _ = exits.send((child, status)).await;
            }
        });
        let doom = Some((Instant::now() + START_DEADLINE, format!("it was not ready within {START_DEADLINE:?}")));
        Ok(Process { group, doom, killed_because: None, hold, watch })
    }

    pub(super) fn jvm_said(&mut self, said: Control<FromJvm>) {
        match said {
            Control::Said(FromJvm::SparkReady { spark_version, scala_version, master, app_id, ui_url }) => {
                tracing::info!("Spark {spark_version} is up on {master}");
                (self.children.spark_is_up, self.children.spark_was_up) = (true, true);
                if let Some(jvm) = &mut self.children.jvm {
                    jvm.doom = None;
                }
                self.spark_is_ready(DriverEvent::Ready { spark_version, scala_version, master, app_id, ui_url });
                self.balance_all();
            }
            Control::Said(FromJvm::SparkFailed { reason }) => {
                self.fail(TerminationCode::SparkStartupFailure, format!("Spark did not start: {reason}"));
            }
            Control::Said(FromJvm::SparkStopped { reason }) => {
                let log = process::last_lines(&self.spec.folder.join(Child::Jvm.log()), LOG_LINES);
                let reason = format!("Spark has stopped: {reason}; the last lines of its log:\n{log}");
                self.fail(TerminationCode::SparkError, reason);
            }
            Control::Said(FromJvm::SecretAsk(ask)) => self.secret_asked(ask),
            Control::Said(FromJvm::LibraryFetched { number, files, messages }) => {
                self.library_fetched(number, &files, messages);
            }
            Control::Said(FromJvm::LibraryFailed { number, reason }) => {
                self.installer_ended(number, Installed::Badly(reason));
            }
            Control::Said(FromJvm::Progress { context, job }) => self.job_progressed(context, job),
            Control::Said(FromJvm::OpenFailed { interpreter, reason }) => self.lose(interpreter, &reason),
            Control::Said(FromJvm::Streams { context, active }) => {
                if self.contexts.contains_key(&context) {
                    self.report(DriverEvent::Streams { context, active });
                }
            }
            Control::Said(FromJvm::GatewayReady { interpreter, port, token }) => {
                self.gateway_ready(interpreter, port, token);
            }
            Control::Said(FromJvm::ExecutorAdded { executor, worker }) => self.executor_added(executor, worker),
            Control::Said(FromJvm::ExecutorRemoved { executor, reason }) => self.executor_removed(&executor, reason),
            Control::Said(FromJvm::Master { there }) => self.master_seen(there),
            Control::Said(FromJvm::Statements { active }) => self.statements_run(active),
            Control::Said(FromJvm::Login { login, user, password }) => self.login_asked(login, user, password),
            // The exit that follows says more.
            Control::Closed(reason) => {
                tracing::warn!("the JVM: {reason}");
                self.children.jvm_control = None;
                doom(self.children.jvm.as_mut(), reason);
            }
        }
    }

    pub(super) fn python_said(&mut self, said: Control<FromPythonParent>) {
        match said {
            Control::Said(FromPythonParent::Exited { interpreter, status, signal }) => {
                let how = process::words_of(status, signal);
                self.process_ended(interpreter, format!("the Python process ended: {how}"));
            }
            Control::Closed(reason) => {
                tracing::warn!("the Python parent: {reason}");
                self.children.python_control = None;
                doom(self.children.python.as_mut(), reason);
            }
        }
    }

    pub(super) fn child_exited(&mut self, child: Child, status: ExitStatus) {
        let log = self.spec.folder.join(child.log());
        let (process, promise) = match child {
            Child::Jvm => (self.children.jvm.take(), Promise::Jvm),
            Child::Python => (self.children.python.take(), Promise::Python),
            Child::Node(id) => return self.node_exited(id, status),
        };
        self.expected.retain(|_, expected| expected.promise != promise);
        let killed_because = process.and_then(|process| process.killed_because);
        match child {
            Child::Jvm => {
                self.children.jvm_control = None;
                let memory_kill = endings::memory_kills() > self.children.memory_kills;
                let was_up = self.children.spark_was_up;
                let (code, reason) = JvmEnd { status, killed_because, was_up, memory_kill, log: &log }.told();
                self.fail(code, reason);
            }
            Child::Python => {
                let how = killed_because.unwrap_or_else(|| process::words(status));
                tracing::warn!("the parent of the Python processes ended: {how}");
                self.children.python_control = None;
                self.lose_all_python(&format!("the parent of the Python processes ended: {how}"));
                if self.ending.is_none() {
                    self.start_python();
                }
            }
            Child::Node(_) => {}
        }
    }

    fn python_cannot_be_had(&mut self, reason: String) {
        tracing::error!("{reason}");
        self.children.python_failed = Some(reason);
        self.balance_all();
    }

    /// Kills children that do not do what is expected of them. Their exit is heard of like any other.
    pub(super) fn check_children(&mut self, now: Instant) {
        let own = [&mut self.children.jvm, &mut self.children.python].into_iter().flatten();
        for process in own.chain(self.nodes.processes()) {
            if let Some((_, reason)) = process.doom.take_if(|(deadline, _)| now >= *deadline) {
                process.killed_because = Some(reason);
                process::signal_group(process.group, Signal::SIGKILL);
            }
        }
    }

    /// The cluster is lost: says so, and leaves nothing running. The driver ends once the server has heard.
    pub(super) fn fail(&mut self, code: TerminationCode, reason: String) {
        if self.ending.is_some() {
            return;
        }
        tracing::error!("{reason}");
        self.children.spark_is_up = false;
        self.ending = Some(Instant::now());
        // First: what commands printed up to now is heard of before their end.
        self.kill_interpreters();
        self.report(DriverEvent::Failed { code, reason });
        self.contexts.clear();
        for process in [&self.children.jvm, &self.children.python].into_iter().flatten() {
            process.kill();
        }
        self.kill_nodes();
    }

    /// Asks the children to end, then forces them; returns when they are reaped.
    pub(super) async fn end_children(&mut self) {
        self.children.jvm_control = None;
        self.children.python_control = None;
        let (python, jvm) = (self.children.python.take(), self.children.jvm.take());
        tokio::join!(end(python), end(jvm));
        self.end_nodes().await;
    }
}

/// A child whose control connection ended is to end too.
fn doom(process: Option<&mut Process>, reason: String) {
    if let Some(process) = process {
        process.is_to_end(reason);
    }
}

pub(super) async fn end(process: Option<Process>) {
    if let Some(process) = process {
        process.end().await;
    }
}

impl Process {
    /// It has a moment to end by itself.
    pub(super) fn is_to_end(&mut self, reason: String) {
        self.doom = Some((Instant::now() + HALT_DEADLINE, reason));
    }

    /// Kills it and what is left of its group.
    pub(super) fn kill(&self) {
        process::signal_group(self.group, Signal::SIGKILL);
    }

    /// Asks it to end, then forces it; returns when it is reaped.
    pub(super) async fn end(mut self) {
        drop(self.hold);
        for harder in [Some(Signal::SIGTERM), Some(Signal::SIGKILL), None] {
            if tokio::time::timeout(END_GRACE, &mut self.watch).await.is_ok() {
                break;
            }
            if let Some(signal) = harder {
                process::signal_group(self.group, signal);
            }
        }
        // Its group: what a child started goes with it.
        process::signal_group(self.group, Signal::SIGKILL);
    }
}

/// Makes a word that only its receiver can know.
pub(super) fn new_key() -> String {
    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}
