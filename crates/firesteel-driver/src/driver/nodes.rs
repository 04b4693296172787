//! The Master and the Workers of a cluster with workers on this machine: processes of the driver's own, like the JVM.
//!
//! The Master comes first, as everything else is told its address. Each Worker has one executor, which takes all of it. A
//! Worker that ends is replaced; a Master that ends is started again where it was and takes up what it had written down.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use firesteel_api::v2::termination::TerminationCode;

use crate::control::{Control, ControlLink};
use crate::driver::Driver;
use crate::driver::children::{Child, Process, end, new_key};
use crate::driver::interpreters::Promise;
use crate::process;
use crate::protocol::interpreters::{FromNode, LaunchNode, LaunchWorker};
use crate::runtime::submit;
use crate::spec::WorkersSpec;
use crate::stream::Stream;

/// How often Masters and Workers that were not asked to end are replaced within [`LOSSES_WINDOW`].
const LOSSES_MAX: usize = 20;

/// The time in which they are counted.
const LOSSES_WINDOW: Duration = Duration::from_secs(120);

/// How often one that never got to serve is started again.
const FAILURES_MAX: usize = 3;

/// How many lines of the log of one that ended are quoted.
const LOG_LINES: usize = 4;

/// The reports of one node that may wait: each sends one or two in its life.
const REPORTS_MAX: usize = 4;

/// A Master or a Worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NodeId {
    Master,
    Worker(u32),
}

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Master => f.write_str("the Master"),
            Self::Worker(number) => write!(f, "Worker {number}"),
        }
    }
}

/// The nodes and what is known of them.
#[derive(Default)]
pub(super) struct Nodes {
    running: BTreeMap<NodeId, Node>,
    /// Where the Master serves, once it has.
    master: Option<String>,
    workers_made: u32,
    /// When nodes were lost.
    losses: Vec<Instant>,
    /// How many in a row ended before they served.
    failures: usize,
    /// What the application, its Master and its Workers prove to each other that they know.
    secret: String,
}

struct Node {
    process: Process,
    control: Option<ControlLink<()>>,
    serves: bool,
}

impl Nodes {
    pub(super) fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        self.running.values_mut().map(|node| &mut node.process)
    }

    fn workers(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.running.keys().filter_map(|id| match id {
            NodeId::Worker(number) => Some(*number),
            NodeId::Master => None,
        })
    }
}

impl Driver {
    fn workers_spec(&self) -> Option<&WorkersSpec> {
        self.spec.executors.as_ref()?.workers.as_ref()
    }

    /// Tells whether Spark has to wait for a Master of ours.
    pub(super) fn needs_master(&self) -> bool {
        self.workers_spec().is_some()
    }

    /// Spark's configuration, with what the cluster's own Master adds to it. Where a file is read for it, only what is secret goes
    /// the other way.
    pub(super) fn conf(&self) -> io::Result<BTreeMap<String, String>> {
        let mut conf = self.spec.conf.clone();
        if let Some(master) = &self.nodes.master {
            conf.insert("spark.master".to_owned(), master.clone());
            conf.insert("spark.authenticate.secret".to_owned(), self.nodes.secret.clone());
        }
        let Some(path) = &self.spec.properties else { return Ok(conf) };
        let (told, secret) = submit::part(conf);
        submit::write(path, &told)?;
        Ok(secret)
    }

    /// Starts the Master. Spark and the Workers follow when it serves.
    pub(super) fn start_nodes(&mut self) {
        self.nodes.secret = new_key();
        let folder = self.workers_folder();
        let cleared = match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => std::fs::create_dir_all(folder.join("master")),
        };
        let started = cleared.and_then(|()| self.start_node(NodeId::Master));
        if let Err(error) = started {
            self.fail(TerminationCode::SparkStartupFailure, format!("the Master cannot be started: {error}"));
        }
    }

    fn workers_folder(&self) -> PathBuf {
        self.spec.folder.join("workers")
    }

    fn start_node(&mut self, id: NodeId) -> io::Result<()> {
        let Some(workers) = self.workers_spec().cloned() else { return Ok(()) };
        let key = new_key();
        let mut command = workers.command;
        let worker = match (id, &self.nodes.master) {
            (NodeId::Worker(number), Some(master)) => {
                // What an executor tells the JVM of itself.
                command.env.insert("SPARK_EXECUTOR_ATTRIBUTE_FIRESTEEL_WORKER".to_owned(), number.to_string());
                let (cores, memory_mb) = (workers.cores, workers.memory_mb);
                Some(LaunchWorker { number, master: master.clone(), cores, memory_mb, folder: self.workers_folder() })
            }
            _ => None,
        };
        let line = serde_json::to_string(&LaunchNode {
            socket: self.spec.interpreters_socket(),
            key: key.clone(),
            conf: self.node_conf(id),
            worker,
        })?;
        let process = self.start_child(Child::Node(id), &command, &line, key, Promise::Node(id))?;
        self.nodes.running.insert(id, Node { process, control: None, serves: false });
        Ok(())
    }

    fn node_conf(&self, id: NodeId) -> BTreeMap<String, String> {
        let folder = self.workers_folder();
        let text = |path: PathBuf| path.display().to_string();
        let mut conf: BTreeMap<String, String> = [
            ("spark.authenticate", "true".to_owned()),
            ("spark.authenticate.secret", self.nodes.secret.clone()),
            ("spark.master.rest.enabled", "false".to_owned()),
            ("spark.ui.killEnabled", "false".to_owned()),
            ("spark.log.level", "WARN".to_owned()),
            ("spark.local.dir", text(folder.join("blocks"))),
            // A Master that comes back finds its application and its Workers here.
            ("spark.deploy.recoveryMode", "FILESYSTEM".to_owned()),
            ("spark.deploy.recoveryDirectory", text(folder.join("master"))),
            ("spark.decommission.enabled", "true".to_owned()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        if let (NodeId::Master, Some(master)) = (id, &self.nodes.master) {
            let port = master.rsplit(':').next().unwrap_or_default();
            conf.insert("spark.master.port".to_owned(), port.to_owned());
        }
        conf
    }

    pub(super) fn node_arrived(&mut self, id: NodeId, stream: Stream) {
        let Some(node) = self.nodes.running.get_mut(&id) else { return };
        let (reports, mut inbox) = tokio::sync::mpsc::channel(REPORTS_MAX);
        node.control = Some(ControlLink::start(stream, reports));
        let all = self.channels.nodes.clone();
        tokio::spawn(async move {
            while let Some(said) = inbox.recv().await {
                let _ = all.send((id, said)).await;
            }
        });
    }

    pub(super) fn node_said(&mut self, id: NodeId, said: Control<FromNode>) {
        let Some(node) = self.nodes.running.get_mut(&id) else { return };
        match said {
            Control::Said(FromNode::Serving { url }) => {
                tracing::info!("{id} serves at {url}");
                node.serves = true;
                node.process.doom = None;
                self.nodes.failures = 0;
                if id == NodeId::Master && self.nodes.master.replace(url).is_none() {
                    self.master_is_there();
                }
            }
            // The exit that follows is heard of, too.
            Control::Said(FromNode::Failed { reason }) => tracing::warn!("{id}: {reason}"),
            Control::Closed(reason) => {
                node.control = None;
                node.process.is_to_end(reason);
            }
        }
    }

    /// The first time only: one that comes back is where the others know it.
    fn master_is_there(&mut self) {
        self.start_jvm();
        self.match_workers();
    }

    /// Starts the Workers that are missing, and ends those that are too many once their executors are gone.
    pub(super) fn match_workers(&mut self) {
        if self.nodes.master.is_none() || self.ending.is_some() || self.executors.cannot.is_some() {
            return;
        }
        let most = self.spec.executors.as_ref().and_then(|own| own.max);
        let wanted = most.unwrap_or(self.executors.wanted) as usize;
        for _ in self.nodes.workers().count()..wanted {
            self.nodes.workers_made += 1;
            let id = NodeId::Worker(self.nodes.workers_made);
            if let Err(error) = self.start_node(id) {
                tracing::error!("{id} cannot be started: {error}");
                self.executors.cannot = Some(format!("{id} cannot be started: {error}"));
                return;
            }
        }
        self.retire_workers(wanted);
    }

    fn retire_workers(&mut self, wanted: usize) {
        let idle = |id: &u32| !self.executors.has_worker(*id);
        let idle: Vec<u32> = self.nodes.workers().rev().filter(idle).collect();
        let many = self.nodes.workers().count().saturating_sub(wanted);
        for number in idle.into_iter().take(many) {
            if let Some(node) = self.nodes.running.remove(&NodeId::Worker(number)) {
                tracing::info!("Worker {number} is not needed any more");
                tokio::spawn(node.process.end());
            }
        }
    }

    /// The executor of a Worker is gone: so is the Worker, where there are to be fewer.
    pub(super) fn worker_is_idle(&mut self, _worker: u32) {
        self.match_workers();
    }

    /// A node has ended. One that was asked to is not known any more.
    pub(super) fn node_exited(&mut self, id: NodeId, status: ExitStatus) {
        let Some(node) = self.nodes.running.remove(&id) else { return };
        // Executors are in the group of their Worker.
        node.process.kill();
        let how = node.process.killed_because.unwrap_or_else(|| process::words(status));
        let log = process::last_lines(&self.spec.folder.join(Child::Node(id).log()), LOG_LINES);
        let reason = if node.serves { format!("{id} ended: {how}") } else { format!("{id} ended: {how}\n{log}") };
        tracing::warn!("{reason}");
        if self.ending.is_some() {
            return;
        }
        if !node.serves {
            self.nodes.failures += 1;
        }
        let now = Instant::now();
        self.nodes.losses.retain(|loss| now.duration_since(*loss) < LOSSES_WINDOW);
        self.nodes.losses.push(now);
        let given_up = self.nodes.failures >= FAILURES_MAX || self.nodes.losses.len() > LOSSES_MAX;
        match id {
            NodeId::Master if self.nodes.master.is_none() => self.fail(TerminationCode::SparkStartupFailure, reason),
            NodeId::Master if given_up => self.fail(TerminationCode::SparkError, reason),
            NodeId::Master => {
                if let Err(error) = self.start_node(id) {
                    let reason = format!("{reason}; it cannot be started again: {error}");
                    self.fail(TerminationCode::SparkError, reason);
                }
            }
            NodeId::Worker(number) => {
                if given_up {
                    self.executors.cannot = Some(format!("Workers keep ending; the last one: {reason}"));
                }
                self.worker_lost(number, reason);
                self.match_workers();
                self.check_size(now);
            }
        }
    }

    /// Kills what is left, without a word.
    pub(super) fn kill_nodes(&mut self) {
        self.nodes.processes().for_each(|process| process.kill());
    }

    /// Asks the nodes to end, then forces them: Workers first, so that none misses its Master.
    pub(super) async fn end_nodes(&mut self) {
        let mut running = std::mem::take(&mut self.nodes.running);
        let master = running.remove(&NodeId::Master);
        let workers = running.into_values().map(|node| node.process.end());
        futures_util::future::join_all(workers).await;
        end(master.map(|node| node.process)).await;
        // What executors had there, their logs included, is of use to nobody but after a failure.
        if self.ending.is_none()
            && let Err(error) = std::fs::remove_dir_all(self.workers_folder())
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("the files of the Workers are left: {error}");
        }
    }
}
