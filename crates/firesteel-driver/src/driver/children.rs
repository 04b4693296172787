//! The JVM and the Python parent: started together, watched, and ended.

use std::collections::BTreeMap;
use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::control::Control;
use crate::driver::Driver;
use crate::driver::interpreters::{Expected, Promise};
use crate::process;
use crate::protocol::interpreters::{FromJvm, FromPythonParent, Launch, ToJvm, ToPythonParent};
use crate::protocol::link::DriverEvent;
use crate::spec::CommandSpec;

/// How long a child that was asked to end may take before it is forced. The JVM stops its SparkContext in it.
const END_GRACE: Duration = Duration::from_secs(8);

/// How long Spark may take to come up.
const SPARK_DEADLINE: Duration = Duration::from_secs(600);

/// How often the Python parent is started again within [`RESTARTS_WINDOW`].
const RESTARTS_MAX: usize = 3;

/// The time in which restarts are counted.
const RESTARTS_WINDOW: Duration = Duration::from_secs(60);

/// How many lines of a log are quoted when its writer died.
const LOG_LINES: usize = 8;

/// Which child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Child {
    Jvm,
    Python,
}

impl Child {
    fn log(self) -> &'static str {
        match self {
            Self::Jvm => "spark.log",
            Self::Python => "python.log",
        }
    }
}

/// The children and what is known of them.
#[derive(Default)]
pub(crate) struct Children {
    pub(super) jvm: Option<Process>,
    pub(super) jvm_control: Option<mpsc::Sender<ToJvm>>,
    pub(super) spark_is_up: bool,
    spark_deadline: Option<Instant>,
    spark_reason: Option<String>,
    pub(super) python: Option<Process>,
    pub(super) python_control: Option<mpsc::Sender<ToPythonParent>>,
    python_starts: Vec<Instant>,
    /// Why Python cannot be had, once it cannot.
    pub(super) python_failed: Option<String>,
}

/// A child that runs. Its standard input stays open as long as it shall live.
pub(crate) struct Process {
    group: i32,
    /// Keeps its standard input open; dropping it is the order to end.
    hold: oneshot::Sender<()>,
    watch: JoinHandle<()>,
}

impl Driver {
    pub(super) fn start_children(&mut self) {
        self.children.spark_deadline = Some(Instant::now() + SPARK_DEADLINE);
        match self.start(Child::Jvm) {
            Ok(process) => self.children.jvm = Some(process),
            Err(error) => return self.fail(format!("Spark's JVM cannot be started: {error}")),
        }
        self.start_python();
    }

    fn start_python(&mut self) {
        let now = Instant::now();
        self.children.python_starts.retain(|start| now.duration_since(*start) < RESTARTS_WINDOW);
        if self.children.python_starts.len() >= RESTARTS_MAX {
            let log = process::last_lines(&self.spec.folder.join(Child::Python.log()), LOG_LINES);
            return self.python_cannot_be_had(format!("the Python parent keeps ending; its last lines:\n{log}"));
        }
        self.children.python_starts.push(now);
        match self.start(Child::Python) {
            Ok(process) => self.children.python = Some(process),
            Err(error) => self.python_cannot_be_had(format!("Python cannot be started: {error}")),
        }
    }

    /// Starts one child, tells it its socket and key over its standard input, and watches it.
    fn start(&mut self, child: Child) -> io::Result<Process> {
        let none = BTreeMap::new();
        let (command, conf, promise): (&CommandSpec, _, _) = match child {
            Child::Jvm => (&self.spec.jvm, &self.spec.conf, Promise::Jvm),
            Child::Python => (&self.spec.python, &none, Promise::Python),
        };
        let socket = self.spec.interpreters_socket();
        let repl_dir = self.spec.folder.join("repl");
        std::fs::create_dir_all(&repl_dir)?;
        let key = new_key();
        let line = serde_json::to_string(&Launch {
            socket: &socket.to_string_lossy(),
            key: &key,
            runtime_version: &self.spec.runtime_version,
            conf,
            repl_dir: &repl_dir.to_string_lossy(),
        })?;
        let log = process::open_log(&self.spec.folder.join(child.log()))?;
        let mut process = process::spawn(command, &self.mark, &self.spec.folder, log)?;
        self.expected.insert(key, Expected { promise, until: None });

        let group = process.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        let mut stdin = process.stdin.take().expect("the child was started with a pipe as standard input");
        let (hold, released) = oneshot::channel::<()>();
        tokio::spawn(async move {
            // A child that is gone already is heard of by its exit.
            let _ = stdin.write_all(format!("{line}\n").as_bytes()).await;
            let _ = released.await;
        });
        let exits = self.channels.exits.clone();
        let watch = tokio::spawn(async move {
            if let Ok(status) = process.wait().await {
                let _ = exits.send((child, status)).await;
            }
        });
        Ok(Process { group, hold, watch })
    }

    pub(super) fn jvm_said(&mut self, said: Control<FromJvm>) {
        match said {
            Control::Said(FromJvm::SparkReady { spark_version, scala_version, master, app_id, ui_url }) => {
                tracing::info!("Spark {spark_version} is up on {master}");
                self.children.spark_is_up = true;
                self.report(DriverEvent::Ready { spark_version, scala_version, master, app_id, ui_url });
                self.balance_all();
            }
            Control::Said(FromJvm::SparkFailed { reason }) => self.fail(format!("Spark did not start: {reason}")),
            Control::Said(FromJvm::SparkStopped { reason }) => self.fail(format!("Spark has stopped: {reason}")),
            Control::Said(FromJvm::OpenFailed { interpreter, reason }) => self.lose(interpreter, &reason),
            Control::Said(FromJvm::GatewayReady { interpreter, port, token }) => {
                self.gateway_ready(interpreter, port, token);
            }
            // The exit that follows says more.
            Control::Closed(reason) => {
                tracing::warn!("the JVM: {reason}");
                self.children.jvm_control = None;
            }
        }
    }

    pub(super) fn python_said(&mut self, said: Control<FromPythonParent>) {
        match said {
            Control::Said(FromPythonParent::Exited { interpreter, status, signal }) => {
                let how = process::words_of(status, signal);
                self.lose(interpreter, &format!("the Python process ended: {how}"));
            }
            Control::Closed(reason) => {
                tracing::warn!("the Python parent: {reason}");
                self.children.python_control = None;
            }
        }
    }

    pub(super) fn child_exited(&mut self, child: Child, status: ExitStatus) {
        let log = process::last_lines(&self.spec.folder.join(child.log()), LOG_LINES);
        let how = process::words(status);
        tracing::warn!("{child:?} ended: {how}");
        match child {
            Child::Jvm => {
                self.children.jvm = None;
                self.fail(format!("Spark's JVM ended: {how}; the last lines of its log:\n{log}"));
            }
            Child::Python => {
                self.children.python = None;
                self.children.python_control = None;
                self.lose_all_python(&format!("the parent of the Python processes ended: {how}"));
                if self.ending.is_none() {
                    self.start_python();
                }
            }
        }
    }

    fn python_cannot_be_had(&mut self, reason: String) {
        tracing::error!("{reason}");
        self.children.python_failed = Some(reason);
        self.balance_all();
    }

    pub(super) fn check_spark_deadline(&mut self, now: Instant) {
        let late = self.children.spark_deadline.is_some_and(|deadline| now >= deadline);
        if late && !self.children.spark_is_up && self.ending.is_none() {
            self.fail(format!("Spark did not come up within {SPARK_DEADLINE:?}"));
        }
    }

    /// The cluster is lost: says so, and leaves nothing running. The driver ends once the server has heard.
    pub(super) fn fail(&mut self, reason: String) {
        if self.ending.is_some() {
            return;
        }
        tracing::error!("{reason}");
        self.children.spark_is_up = false;
        self.children.spark_reason = Some(reason.clone());
        self.ending = Some(Instant::now());
        self.report(DriverEvent::Failed { reason });
        self.contexts.clear();
        self.kill_interpreters();
        for process in [&self.children.jvm, &self.children.python].into_iter().flatten() {
            process::signal_group(process.group, Signal::SIGKILL);
        }
    }

    /// Asks the children to end, then forces them; returns when they are reaped.
    pub(super) async fn end_children(&mut self) {
        self.children.jvm_control = None;
        self.children.python_control = None;
        for process in [self.children.python.take(), self.children.jvm.take()].into_iter().flatten() {
            process.end().await;
        }
    }
}

impl Process {
    async fn end(mut self) {
        drop(self.hold);
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            if tokio::time::timeout(END_GRACE, &mut self.watch).await.is_ok() {
                break;
            }
            process::signal_group(self.group, signal);
        }
        let _ = tokio::time::timeout(END_GRACE, &mut self.watch).await;
        // Its group: what a child started goes with it.
        process::signal_group(self.group, Signal::SIGKILL);
    }
}

/// Makes a word that only its receiver can know.
pub(super) fn new_key() -> String {
    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}
