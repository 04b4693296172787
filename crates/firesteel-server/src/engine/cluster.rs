//! One cluster's task: the only writer of that cluster's state.
//!
//! It owns the driver process and the link to it, puts what the driver reports into the store, and then on the board
//! for readers. Requests come from [`Cluster`] handles. Nothing here knows HTTP or SQL.
//!
//! A request that finds no link is passed over, not lost: whatever it is about is in the store, and a new link
//! begins with settling what the store and the driver say differently.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use firesteel_api::clusters::ClusterView;
use firesteel_api::libraries::Library;
use firesteel_api::results::Results;
use firesteel_api::v2::termination::TerminationCode;
use firesteel_api::{ClusterId, CommandId, ContextId, Language};
use firesteel_driver::protocol::link::{DriverEvent, ToDriver};
use firesteel_driver::spec::DriverSpec;
use firesteel_driver::{kill_holder, process};
use firesteel_model::{Cause, ClusterEvent, ClusterSettings, ClusterState, CommandState, ContextState};
use firesteel_store::{Applied, Change, ClusterRecord, Output, Store};
use nix::sys::signal::Signal;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::engine::EngineError;
use crate::engine::board::Board;
use crate::engine::launch::Launcher;
use crate::engine::link::{Arrived, Link};
use libraries::event;

mod asks;
mod idle;
mod libraries;

/// How many requests may wait for a cluster's task.
const REQUESTS_MAX: usize = 1024;

/// How many events are stored in one transaction.
const BATCH_MAX: usize = 64;

/// How many bytes of output may wait for it.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// How long a driver that was just launched may take to listen.
const LISTEN_DEADLINE: Duration = Duration::from_secs(30);

/// How long a driver that was there before may take to answer again.
const REATTACH_DEADLINE: Duration = Duration::from_secs(5);

/// How often a connection is tried.
const CONNECT_EVERY: Duration = Duration::from_millis(20);

/// How long nothing is tried after the store or the link failed under us.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How long it may take until the start of a command and what it prints are in the store. Mostly its end comes before that, and
/// one transaction, the dearest thing on a short command's way, does for all.
const START_PATIENCE: Duration = Duration::from_millis(50);

/// How long the last words of a driver that has exited are awaited, each.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long a driver that was asked to end may take: it stops Spark and reaps every child.
const END_DEADLINE: Duration = Duration::from_secs(40);

/// Why a context is gone that nobody destroyed.
const MADE_ROOM: &str = "It was idle and made room for another on a full cluster; make a new one.";

/// How many lines of a driver's log are quoted when it died.
const LOG_LINES: usize = 5;

/// A handle to one cluster. Cheap to clone; the cluster's task is the only writer of its state.
#[derive(Clone)]
pub(crate) struct Cluster {
    id: ClusterId,
    record: watch::Receiver<Arc<ClusterRecord>>,
    board: Arc<Board>,
    requests: mpsc::Sender<(Request, Reply)>,
    /// False while it is not known whether a driver that was there before this server is still there.
    known: watch::Receiver<bool>,
    /// Where its driver listens, while there is a link to it.
    socket: watch::Receiver<Option<PathBuf>>,
}

/// What is asked of a cluster's task.
#[derive(Debug)]
pub(crate) enum Request {
    /// Launch a driver. A user is refused where there is one.
    Start { cause: Cause },
    /// End the driver and launch another; answered when that is under way.
    Restart { cause: Cause },
    /// End the driver; answered when that is under way, or when it has ended.
    End { cause: Cause, wait: bool },
    /// Change the number of workers; answered when that is under way.
    Resize { settings: Box<ClusterSettings>, cause: Cause },
    /// Use other settings, from now on or from the next launch, which follows at once where a driver runs on the old ones.
    Edit { settings: Box<ClusterSettings>, cause: Cause },
    /// Keep the cluster however long it has been ended, or no longer.
    Pin { pinned: bool, cause: Cause },
    /// Give the cluster to another user.
    Give { owner: String },
    /// Delete the cluster for good; its task ends with it.
    Forget,
    /// Libraries that the cluster is to have are in the store.
    Install { libraries: Vec<Library> },
    /// A context is in the store.
    Open { context: ContextId, language: Language },
    /// A command is in the store.
    Execute {
        context: ContextId,
        command: CommandId,
        sequence: u64,
        language: Language,
        source: Bytes,
        timeout_seconds: Option<u64>,
    },
    /// A command's cancel is in the store.
    Cancel { context: ContextId, command: CommandId },
    /// A context is out of the store.
    Close { context: ContextId },
}

impl Cluster {
    pub(crate) fn id(&self) -> &ClusterId {
        &self.id
    }

    /// What is known of it now.
    pub(crate) fn record(&self) -> Arc<ClusterRecord> {
        self.record.borrow().clone()
    }

    pub(crate) fn board(&self) -> &Board {
        &self.board
    }

    /// Where its driver listens, while it is there.
    pub(crate) fn socket(&self) -> Option<PathBuf> {
        self.socket.borrow().clone()
    }

    pub(crate) fn state(&self) -> ClusterState {
        self.record.borrow().state.clone()
    }

    /// Reads a context's id as a client sent it; what does not parse does not exist.
    pub(crate) fn context_id(&self, text: &str) -> Result<ContextId, EngineError> {
        match text.parse().ok() {
            Some(id) if self.board.has(id) => Ok(id),
            Some(id) if self.board.made_room(id) => {
                Err(EngineError::ContextLost { context: id, reason: MADE_ROOM.to_owned() })
            }
            _ => Err(EngineError::UnknownContext(text.chars().take(80).collect())),
        }
    }

    pub(crate) fn view(&self) -> ClusterView {
        let record = self.record();
        let live = record.state.takes_work();
        ClusterView {
            driver_ip: if live { record.driver_ip.clone() } else { String::new() },
            id: self.id.clone(),
            jdbc_port: record.jdbc_port,
            name: record.settings.cluster_name.clone(),
            num_workers: if live { record.workers } else { 0 },
            status: record.state.status(),
        }
    }

    /// Hands a request to the task, without waiting for what comes of it.
    pub(crate) async fn tell(&self, request: Request) -> Result<(), EngineError> {
        let sent = self.requests.send((request, None)).await;
        sent.map_err(|_| EngineError::Stopping)
    }

    /// Hands a request to the task and waits for what comes of it.
    pub(crate) async fn ask(&self, request: Request) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send((request, Some(reply))).await.map_err(|_| EngineError::Stopping)?;
        answer.await.unwrap_or(Err(EngineError::Stopping))
    }

    /// Waits until the cluster is no longer on its way up, and its driver known to be there or not.
    pub(crate) async fn settled(&self) -> Result<(), EngineError> {
        self.known.clone().wait_for(|known| *known).await.map_err(|_| EngineError::Stopping)?;
        let mut record = self.record.clone();
        let on_its_way = |state: &ClusterState| matches!(state, ClusterState::Pending | ClusterState::Restarting);
        let settled = record.wait_for(|record| !on_its_way(&record.state)).await;
        match settled.map(|record| record.state.clone()) {
            Ok(state) if state.takes_work() => Ok(()),
            Ok(state) => Err(EngineError::ClusterNotRunning {
                cluster: self.id.to_string(),
                reason: state.reason().map(str::to_owned),
            }),
            Err(_) => Err(EngineError::Stopping),
        }
    }
}

/// Starts a cluster's task.
pub(crate) fn start(
    record: ClusterRecord,
    store: Store,
    launcher: Arc<dyn Launcher>,
    board: Arc<Board>,
    stop: CancellationToken,
    tasks: &TaskTracker,
) -> Cluster {
    let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
    let (known, is_known) = watch::channel(!record.state.has_driver());
    let (socket, listens) = watch::channel(None);
    let (inner, inner_inbox) = mpsc::channel(16);
    let id = record.id.clone();
    let (shown, is_shown) = watch::channel(Arc::new(record.clone()));
    let span = tracing::info_span!("cluster", cluster.id = %record.id);
    let task = Task {
        record,
        shown,
        store,
        launcher,
        board: board.clone(),
        known,
        socket,
        link: None,
        connecting: None,
        sent: HashMap::new(),
        applied: 0,
        starts: Vec::new(),
        starts_by: None,
        spec: None,
        inner,
        child: None,
        killed_because: None,
        attempt: 0,
        enders: Vec::new(),
        end_by: None,
    };
    tasks.spawn(task.run(inbox, inner_inbox, stop).instrument(span));
    Cluster { id, record: is_shown, board, requests, known: is_known, socket: listens }
}

/// What the task itself meets and gets over; nobody waits for it.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

type Reply = Option<oneshot::Sender<Result<(), EngineError>>>;

struct Task {
    /// What is known of the cluster; every change of it is shown.
    record: ClusterRecord,
    shown: watch::Sender<Arc<ClusterRecord>>,
    store: Store,
    launcher: Arc<dyn Launcher>,
    board: Arc<Board>,
    known: watch::Sender<bool>,
    socket: watch::Sender<Option<PathBuf>>,
    link: Option<Link>,
    /// The attempt at one, if one is under way.
    connecting: Option<AbortHandle>,
    /// The highest number that was sent over this link, of each context.
    sent: HashMap<ContextId, u64>,
    /// The last event of this driver that is in the store.
    applied: u64,
    /// Starts of commands, and output, that are shown and not yet in the store, and when they must be. They are not
    /// acknowledged: with the link they are forgotten, and the next one brings them again.
    starts: Vec<Arrived>,
    starts_by: Option<Instant>,
    /// What the driver was told; absent when there is none to look after.
    spec: Option<DriverSpec>,
    inner: mpsc::Sender<Inner>,
    /// The driver where it is a child of this process, so that its exit is heard of.
    child: Option<ChildDriver>,
    /// Why the driver was killed, where that was this task's doing.
    killed_because: Option<String>,
    /// Counts launches and reconnects: a late word of an earlier one is dropped.
    attempt: u64,
    enders: Vec<oneshot::Sender<Result<(), EngineError>>>,
    end_by: Option<Instant>,
}

/// A driver that this process started.
struct ChildDriver {
    attempt: u64,
    pid: i32,
}

/// What the task's own helpers report.
enum Inner {
    Connected(u64, Result<Link, String>),
    Exited(u64, ExitStatus),
}

/// What it means that nobody listens on a driver's socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// The driver was just launched.
    IsYetToCome,
    /// A driver listens as long as it lives.
    IsGone,
}

enum Event {
    Request(Request, Reply),
    Driver(Vec<Arrived>),
    Inner(Inner),
    StartsDeadline,
    EndDeadline,
    Idle,
    Stop,
}

impl Task {
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<(Request, Reply)>,
        mut inner: mpsc::Receiver<Inner>,
        stop: CancellationToken,
    ) {
        if matches!(self.record.state, ClusterState::Terminating | ClusterState::Restarting) {
            self.end_by = Some(Instant::now() + END_DEADLINE); // an earlier server was stopped over it
        }
        if self.record.state.has_driver() {
            self.reattach(Duration::ZERO);
        }
        let mut statements = self.board.watch_statements();
        loop {
            let idle_by = self.idle_by();
            let event = tokio::select! {
                biased; // what the driver reports is put away before it is asked for more
                () = stop.cancelled() => Event::Stop,
                batch = next_events(self.link.as_mut()) => Event::Driver(batch),
                Some(report) = inner.recv() => Event::Inner(report),
                Some((request, reply)) = requests.recv() => Event::Request(request, reply),
                () = until(self.starts_by) => Event::StartsDeadline,
                () = until(self.end_by) => Event::EndDeadline,
                () = until(idle_by) => Event::Idle,
                Ok(()) = statements.changed() => continue, // with another idle time
            };
            if self.handle(event).await.is_break() {
                return;
            }
        }
    }

    async fn handle(&mut self, event: Event) -> ControlFlow<()> {
        match event {
            Event::Stop => return ControlFlow::Break(()),
            Event::Request(request, reply) => return self.asked(request, reply).await,
            Event::Driver(batch) if batch.is_empty() => {
                tracing::warn!("the link to the driver ended");
                self.reattach(Duration::ZERO);
            }
            Event::Driver(batch) => self.reported(batch).await,
            Event::Inner(Inner::Connected(attempt, result)) if attempt == self.attempt => match result {
                Ok(link) => self.connected(link).await,
                Err(reason) => match &self.child {
                    // Its exit is heard of, and says more.
                    Some(child) => {
                        self.killed_because = Some(reason);
                        process::signal(child.pid, Signal::SIGKILL);
                    }
                    None => self.driver_lost(TerminationCode::DriverUnreachable, reason).await,
                },
            },
            Event::Inner(Inner::Exited(attempt, status))
                if self.child.as_ref().is_some_and(|child| child.attempt == attempt) =>
            {
                self.child = None;
                self.exited(status).await;
            }
            Event::Inner(_) => {}
            Event::StartsDeadline => self.put_away(Vec::new()).await,
            Event::EndDeadline => self.end_by_force().await,
            Event::Idle => self.end_idle().await,
        }
        ControlFlow::Continue(())
    }

    // ---- the driver's life ----

    async fn launch(&mut self) {
        self.forget_driver();
        let spec = match self.allowed_spec() {
            Ok(spec) => self.with_libraries(spec).await,
            Err(reason) => return self.driver_lost(TerminationCode::InvalidArgument, reason).await,
        };
        self.sweep(&spec);
        match self.launcher.launch(&spec) {
            Ok(child) => {
                if let Some(mut child) = child {
                    let (inner, attempt) = (self.inner.clone(), self.attempt);
                    self.child = Some(ChildDriver { attempt, pid: child.id().unwrap_or_default().cast_signed() });
                    tokio::spawn(async move {
                        if let Ok(status) = child.wait().await {
                            let _ = inner.send(Inner::Exited(attempt, status)).await;
                        }
                    });
                }
                self.connect(&spec, Duration::ZERO, LISTEN_DEADLINE, Absent::IsYetToCome);
                self.spec = Some(spec);
            }
            Err(error) => {
                let reason = format!("the driver cannot be started: {error}");
                self.driver_lost(TerminationCode::DriverUnexpectedFailure, reason).await;
            }
        }
    }

    /// What a driver is told that is launched now. What its settings may be can have changed since they were stored.
    fn allowed_spec(&self) -> Result<DriverSpec, String> {
        self.record.settings.check().map_err(|bad| bad.to_string())?;
        self.launcher.check(&self.record.settings)?;
        self.launcher.spec(&self.record)
    }

    /// Goes back to a driver that was there before this task, or before its link ended.
    fn reattach(&mut self, pause: Duration) {
        self.drop_link();
        let spec = self.spec.clone().map_or_else(|| self.launcher.spec(&self.record), Ok);
        match spec {
            Ok(spec) => {
                // The exit of a child is heard of, and says more than that nobody listens.
                let absent = if self.child.is_some() { Absent::IsYetToCome } else { Absent::IsGone };
                // One that was asked to end does not answer any more, and has its own deadline.
                let left = self.end_by.map(|end_by| end_by.saturating_duration_since(Instant::now()));
                self.connect(&spec, pause, left.unwrap_or(REATTACH_DEADLINE), absent);
                self.spec = Some(spec);
            }
            Err(reason) => {
                let (inner, attempt) = (self.inner.clone(), self.attempt);
                tokio::spawn(async move {
                    let _ = inner.send(Inner::Connected(attempt, Err(reason))).await;
                });
            }
        }
    }

    fn connect(&mut self, spec: &DriverSpec, pause: Duration, deadline: Duration, absent: Absent) {
        let (inner, attempt) = (self.inner.clone(), self.attempt);
        let (socket, cluster) = (spec.link_socket(), self.record.id.clone());
        let (store, board, launcher) = (self.store.clone(), self.board.clone(), self.launcher.clone());
        let connecting = tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let end = Instant::now() + deadline;
            let result = loop {
                match Link::connect(&socket, &cluster, &store, &board, &launcher).await {
                    Ok(link) => break Ok(link),
                    Err(error) if Instant::now() >= end || (absent == Absent::IsGone && nobody_listens(&error)) => {
                        break Err(format!("its driver does not answer: {error}"));
                    }
                    Err(_) => tokio::time::sleep(CONNECT_EVERY).await,
                }
            };
            let _ = inner.send(Inner::Connected(attempt, result)).await;
        });
        self.connecting = Some(connecting.abort_handle());
    }

    async fn connected(&mut self, link: Link) {
        let settled = self.settle(&link).await;
        match settled {
            Ok(()) => {
                tracing::info!("connected to the driver, process {}", link.pid);
                self.link = Some(link);
                self.socket.send_replace(self.spec.as_ref().map(DriverSpec::link_socket));
                self.known.send_replace(true);
                if self.end_by.is_some() {
                    self.send(ToDriver::Stop {}, None);
                }
            }
            Err(error) => {
                tracing::error!("the store and the driver could not be settled: {error}");
                self.reattach(RETRY_PAUSE);
            }
        }
    }

    /// Brings the store and the driver to the same view after a connection was made.
    async fn settle(&mut self, link: &Link) -> Result<(), Trouble> {
        let cluster = &self.record.id;
        self.applied = self.store.begin_generation(cluster, &link.generation).await?;
        if self.applied > 0 {
            push(link, ToDriver::Ack { event: self.applied }, None).await?;
        }
        if self.end_by.is_some() {
            return Ok(()); // it is to end: nothing more is asked of it
        }
        let held: HashMap<ContextId, u64> = link.contexts.iter().map(|held| (held.context, held.accepted)).collect();
        self.sent.clone_from(&held);
        let mut lost = Vec::new();
        let known = self.store.contexts(cluster).await?;
        for context in &known {
            match &context.state {
                ContextState::Error { .. } => {}
                _ if held.contains_key(&context.id) => {}
                // Its `open` was still on its way when the server or the link ended.
                ContextState::Pending => {
                    push(link, ToDriver::Open { context: context.id, language: context.language }, None).await?;
                }
                ContextState::Running => lost.push(Change::ContextFailed {
                    context: context.id,
                    reason: "the driver does not know this context any more".to_owned(),
                }),
            }
        }
        let live = |id: ContextId| known.iter().any(|record| record.id == id && !record.state.is_over());
        for context in held.into_keys().filter(|id| !live(*id)) {
            push(link, ToDriver::Close { context }, None).await?;
        }
        self.find(lost).await?;
        self.settle_libraries(link).await?;
        let mut dropped = Vec::new();
        for command in self.store.open_commands(cluster).await? {
            let (context, id) = (command.context, command.id);
            let is_new = command.sequence > self.sent.get(&context).copied().unwrap_or(0);
            if is_new && command.state == CommandState::Cancelling {
                // The driver never heard of it.
                dropped.push(Change::CommandCancelled { command: id, lost: None });
            } else if is_new {
                let source = self.store.command_source(context, id).await?.unwrap_or_default();
                let (sequence, language, timeout_seconds) =
                    (command.sequence, command.language, command.timeout_seconds);
                let execute = ToDriver::Execute { context, command: id, sequence, language, timeout_seconds };
                push(link, execute, Some(source.into())).await?;
                self.sent.insert(context, sequence);
            } else if command.state == CommandState::Cancelling {
                push(link, ToDriver::Cancel { context, command: id }, None).await?;
            }
        }
        self.find(dropped).await
    }

    /// Stores and shows what was found out without the driver's word.
    async fn find(&self, changes: Vec<Change>) -> Result<(), Trouble> {
        if !changes.is_empty() {
            self.store.change(&self.record.id, changes.clone()).await?;
            changes.iter().for_each(|change| self.board.show(change));
        }
        Ok(())
    }

    async fn exited(&mut self, status: ExitStatus) {
        // What it reported before its end is read first: it says more than the exit does.
        while let Some(link) = self.link.as_mut() {
            let batch = tokio::time::timeout(LAST_WORDS, link.events(BATCH_MAX)).await.unwrap_or_default();
            if batch.is_empty() {
                self.link = None;
            } else {
                self.reported(batch).await;
            }
        }
        let log = self.spec.as_ref().map(|spec| process::last_lines(&spec.folder.join("driver.log"), LOG_LINES));
        let how = match self.killed_because.take() {
            // A driver that had died by itself was not killed by the signal above.
            Some(reason) if status.signal() == Some(Signal::SIGKILL as i32) => reason,
            _ => process::words(status),
        };
        let reason = format!("its driver process ended: {how}\n{}", log.unwrap_or_default());
        self.driver_lost(TerminationCode::DriverUnexpectedFailure, reason).await;
    }

    /// There is no driver any more, whether that was asked for or not.
    async fn driver_lost(&mut self, code: TerminationCode, reason: String) {
        self.forget_driver();
        if let Some(spec) = self.spec.take() {
            self.sweep(&spec);
        }
        self.end_by = None;
        let reason = reason.trim().to_owned();
        let lost = ClusterEvent::Lost { code, reason: reason.clone() };
        match self.store.cluster_event(&self.record.id, lost, Cause::Driver).await {
            Ok(record) => {
                // Who sees that it has ended sees none of its contexts.
                if record.state == ClusterState::Terminated {
                    self.forget_contexts().await;
                }
                self.show(record);
                match &self.record.state {
                    ClusterState::Terminated => tracing::info!("the cluster has ended"),
                    // The old driver of a restart.
                    ClusterState::Pending => Box::pin(self.launch()).await,
                    state => {
                        tracing::error!("the cluster is lost: {}", state.reason().unwrap_or_default());
                        self.board.show(&Change::ClusterLost { code, reason });
                    }
                }
            }
            Err(error) => tracing::error!("the loss of the driver could not be stored: {error}"),
        }
        self.known.send_replace(true);
        self.enders.drain(..).for_each(|reply| answer(Some(reply), Ok(())));
    }

    /// Shows what is known of the cluster now.
    fn show(&mut self, record: ClusterRecord) {
        self.record = record.clone();
        self.shown.send_replace(Arc::new(record));
    }

    /// The contexts of a driver that is gone, or is to go, are no more.
    async fn forget_contexts(&mut self) {
        if let Err(error) = self.store.delete_contexts_of(&self.record.id).await {
            tracing::error!("the contexts of an ended driver could not be deleted: {error}");
        }
        self.board.clear();
    }

    async fn end_by_force(&mut self) {
        tracing::warn!("the driver did not end within {END_DEADLINE:?}; it is killed");
        let reason = "the driver did not end when it was asked to".to_owned();
        self.driver_lost(TerminationCode::DriverUnreachable, reason).await;
    }

    /// Ends what this task has with a driver, if there is one. Nothing is heard of it after this.
    fn forget_driver(&mut self) {
        self.drop_link();
        self.killed_because = None;
        if let Some(child) = self.child.take() {
            process::signal(child.pid, Signal::SIGKILL);
        }
    }

    /// Nothing is heard of the link, or of an attempt at one, after this.
    fn drop_link(&mut self) {
        self.attempt += 1;
        // A driver takes the newest connection: a late one would take it from the one that is meant.
        if let Some(connecting) = self.connecting.take() {
            connecting.abort();
        }
        self.link = None;
        self.socket.send_replace(None);
        self.starts.clear();
        self.starts_by = None;
    }

    /// Kills an earlier driver of this cluster and what it may have left behind.
    fn sweep(&self, spec: &DriverSpec) {
        match kill_holder(&spec.folder) {
            Ok(true) => tracing::warn!("killed a driver that did not answer"),
            Ok(false) => {}
            Err(error) => tracing::error!("cannot tell whether a driver is left: {error}"),
        }
        let mark = spec.folder.join("mark");
        if let Ok(found) = std::fs::read_to_string(&mark) {
            let count = process::sweep(&found);
            if count > 0 {
                tracing::warn!("ended {count} processes that a driver had left behind");
            }
            let _ = std::fs::remove_file(mark);
        }
    }

    // ---- what the driver reports ----

    async fn reported(&mut self, mut batch: Vec<Arrived>) {
        // A driver sends again what was not acknowledged, some of which may be in the store.
        batch.retain(|arrived| arrived.number > self.applied);
        if !batch.iter().all(can_wait) {
            return self.put_away(batch).await;
        }
        for arrived in &batch {
            match &arrived.what {
                DriverEvent::Started { command, .. } => {
                    self.board.show(&Change::CommandStarted { command: *command });
                }
                DriverEvent::Output { command, .. } => self.board.print(*command, &output(arrived)),
                _ => {}
            }
        }
        self.starts.extend(batch);
        self.starts_by.get_or_insert(Instant::now() + START_PATIENCE);
        let bytes: usize = self.starts.iter().filter_map(|waits| waits.payload.as_ref()).map(Bytes::len).sum();
        if self.starts.len() > BATCH_MAX || bytes > WAITING_BYTES_MAX {
            self.put_away(Vec::new()).await;
        }
    }

    /// Puts events into the store, after the starts that wait for them, and then on the board.
    async fn put_away(&mut self, batch: Vec<Arrived>) {
        self.starts_by = None;
        let mut events = std::mem::take(&mut self.starts);
        events.extend(batch);
        let last = events.last().map_or(self.applied, |arrived| arrived.number);
        let Some(generation) = self.link.as_ref().map(|link| link.generation.clone()) else { return };
        let changes: Vec<Change> = events.into_iter().map(change).collect();
        match self.store.apply(&self.record.id, &generation, last, changes.clone()).await {
            Ok(Applied::Now | Applied::Before) => self.applied = self.applied.max(last),
            // Not acknowledged: the driver keeps them, and a new link brings them again.
            Ok(Applied::OtherGeneration) => return self.reattach(RETRY_PAUSE),
            Err(error) => {
                tracing::error!("events could not be stored: {error}");
                return self.reattach(RETRY_PAUSE);
            }
        }
        for change in &changes {
            self.board.show(change);
        }
        self.show_cluster(&changes).await;
        self.send(ToDriver::Ack { event: last }, None);
    }

    async fn show_cluster(&mut self, changes: &[Change]) {
        let moved = |change: &Change| {
            matches!(change, Change::ClusterReady | Change::ClusterLost { .. } | Change::ClusterResized { .. })
        };
        if !changes.iter().any(moved) {
            return;
        }
        match self.store.cluster(&self.record.id).await {
            Ok(Some(record)) => {
                tracing::info!("the cluster is {}", record.state.name());
                self.show(record);
            }
            Ok(None) => {}
            Err(error) => tracing::error!("the cluster's state could not be read: {error}"),
        }
    }

    // ---- what users ask ----

    async fn open(&mut self, context: ContextId, language: Language) {
        let state = self.record.state.clone();
        let outcome = match state {
            // The cluster was lost or ended while the context was stored: nobody else would tell it.
            ClusterState::Error { reason } => self.find(vec![Change::ContextFailed { context, reason }]).await,
            state if !state.has_driver() || !self.board.has(context) => {
                self.board.remove(context);
                self.store.delete_context(&self.record.id, context).await.map(drop).map_err(Trouble::from)
            }
            _ => return self.send(ToDriver::Open { context, language }, None),
        };
        if let Err(error) = outcome {
            tracing::error!(context.id = %context, "the end of context `{context}` could not be stored: {error}");
        }
    }

    fn pass_on(&mut self, request: Request) {
        match request {
            Request::Close { context } => {
                self.sent.remove(&context);
                self.send(ToDriver::Close { context }, None);
            }
            Request::Cancel { context, command } => self.send(ToDriver::Cancel { context, command }, None),
            Request::Install { libraries } => {
                libraries.into_iter().for_each(|library| self.send(ToDriver::Install { library }, None));
            }
            Request::Execute { context, command, sequence, language, source, timeout_seconds } => {
                let sent = self.sent.get(&context).copied().unwrap_or(0);
                // A new link has sent it already, out of the store.
                if self.link.is_some() && sequence > sent {
                    self.sent.insert(context, sequence);
                    let execute = ToDriver::Execute { context, command, sequence, language, timeout_seconds };
                    self.send(execute, Some(source));
                }
            }
            other => tracing::error!("{other:?} is no request for a driver"),
        }
    }

    fn send(&mut self, message: ToDriver, payload: Option<Bytes>) {
        let Some(link) = &self.link else { return };
        if !link.send(message, payload) {
            tracing::warn!("the driver does not read its link; connecting again");
            self.reattach(Duration::ZERO);
        }
    }
}

async fn push(link: &Link, message: ToDriver, payload: Option<Bytes>) -> Result<(), Trouble> {
    match link.push(message, payload).await {
        true => Ok(()),
        false => Err("the driver does not read its link".into()),
    }
}

async fn next_events(link: Option<&mut Link>) -> Vec<Arrived> {
    match link {
        Some(link) => link.events(BATCH_MAX).await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn nobody_listens(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound)
}

fn answer(reply: Reply, result: Result<(), EngineError>) {
    if let Some(reply) = reply {
        // Whoever asked may have hung up; what was asked is done all the same.
        let _ = reply.send(result);
    }
}

/// Whether an event may be shown before it is stored: with it, nothing is lost that the driver does not hold.
fn can_wait(arrived: &Arrived) -> bool {
    matches!(arrived.what, DriverEvent::Started { .. } | DriverEvent::Output { .. })
}

/// What an event says that a command has printed.
fn output(arrived: &Arrived) -> Output {
    let start = if let DriverEvent::Output { offset, .. } = arrived.what { offset } else { 0 };
    let text = String::from_utf8_lossy(arrived.payload.as_deref().unwrap_or_default()).into_owned();
    Output { start, text }
}

/// What an event of the driver changes.
fn change(arrived: Arrived) -> Change {
    match arrived.what {
        DriverEvent::Ready { .. } => Change::ClusterReady,
        DriverEvent::Resized { executors, reason } => Change::ClusterResized { workers: executors, reason },
        DriverEvent::Failed { code, reason } => Change::ClusterLost { code, reason },
        DriverEvent::Library { library, step, messages } => Change::Library { library, event: event(step), messages },
        DriverEvent::ContextRunning { context } => Change::ContextRunning { context },
        DriverEvent::ContextFailed { context, reason } => Change::ContextFailed { context, reason },
        DriverEvent::Streams { context, active } => Change::ContextStreams { context, active },
        DriverEvent::Started { command, .. } => Change::CommandStarted { command },
        DriverEvent::Output { command, .. } => Change::CommandPrinted { command, output: output(&arrived) },
        DriverEvent::Cancelled { command, lost, .. } => Change::CommandCancelled { command, lost },
        DriverEvent::Lost { command, reason, .. } => Change::CommandLost { command, reason },
        DriverEvent::Finished { command, .. } => match results(arrived.payload) {
            Ok(results) => Change::CommandFinished { command, results },
            Err(reason) => Change::CommandLost { command, reason },
        },
    }
}

fn results(payload: Option<Bytes>) -> Result<Results, String> {
    let bytes = payload.ok_or("the driver sent no results")?;
    let text = String::from_utf8(bytes.into()).map_err(|_| "the driver sent results that are no text")?;
    Results::from_json(text).map_err(|error| format!("the driver sent results that are no JSON: {error}"))
}
