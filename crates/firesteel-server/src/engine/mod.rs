//! The engine: every cluster's task behind one cloneable handle.
//!
//! - `cluster`: one cluster's task, the only writer of that cluster's state.
//! - `clusters`: what users ask of clusters as a whole; `retention`: how long ended ones stay listed.
//! - `board`: what its contexts and commands are doing, for readers that wait.
//! - `idle`: contexts that make room for others.
//! - `live`, `follow`: what a command prints and how far it is, on the board and for one who follows it.
//! - `libraries`: those that were uploaded, and what clusters have of them.
//! - `lists`: pages of contexts and commands.
//! - `link`: the connection to its driver.
//! - `reading`, `results`: the rows of a table that a driver keeps, and how they are read.
//! - `launch`: how a driver is started.
//! - `schedules`: what is done to clusters at fixed times.
//! - `secrets`: what user code asks about secrets.
//!
//! Nothing here knows HTTP or SQL: what must survive a restart goes through `firesteel_store`, and is there before a
//! caller is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use firesteel_api::clusters::ClusterView;
use firesteel_api::commands::CommandView;
use firesteel_api::contexts::ContextView;
use firesteel_api::{ClusterId, CommandId, ContextId, Language};
use firesteel_model::{Cause, ClusterState, Limits};
use firesteel_store::{ClusterRecord, NewCommand, Store, StoreError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod board;
mod cluster;
mod clusters;
mod error;
mod follow;
mod idle;
pub mod launch;
mod libraries;
mod link;
mod lists;
mod live;
mod reading;
mod results;
mod retention;
pub mod schedules;
mod secrets;
#[cfg(test)]
mod tests;

pub use error::EngineError;
pub(crate) use firesteel_driver::protocol::results::{ResultEnd, ResultEnded};
pub use follow::{Follow, News, OUTPUT_PAGE_BYTES_MAX};
pub use lists::{PAGE_DEFAULT, PAGE_MAX, Page};
pub(crate) use reading::{Part, Reading};
pub(crate) use results::Table;

use crate::engine::board::{Board, Room};
use crate::engine::cluster::{Cluster, Request};
use crate::engine::launch::Launcher;

/// How long `cancel` waits for the driver to drop a command that was queued, so that the caller's next look finds
/// it Cancelled.
const DROP_WAIT: Duration = Duration::from_millis(500);

/// What becomes of the clusters when the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStop {
    /// They are ended, as by Ctrl-C in a terminal.
    EndClusters,
    /// They go on and wait for the next server, as under a service manager.
    LeaveClusters,
}

/// A handle to every cluster. Cheap to clone.
///
/// Ids arrive as the text a client sent: one that does not parse is one that does not exist.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    store: Store,
    limits: Limits,
    launcher: Arc<dyn Launcher>,
    clusters: RwLock<BTreeMap<ClusterId, Cluster>>,
    /// Who holds it may make a cluster, or start one.
    creating: tokio::sync::Mutex<()>,
    /// Rung when there is a schedule more.
    schedules_changed: tokio::sync::Notify,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Engine {
    /// Starts a task for every cluster in the store; those that had a driver go back to it.
    pub async fn start(store: Store, limits: Limits, launcher: Arc<dyn Launcher>) -> Result<Self, EngineError> {
        let engine = Self(Arc::new(Inner {
            store,
            limits,
            launcher,
            clusters: RwLock::default(),
            creating: tokio::sync::Mutex::default(),
            schedules_changed: tokio::sync::Notify::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }));
        for record in engine.0.store.clusters().await? {
            engine.adopt(record).await?;
        }
        Ok(engine)
    }

    /// Waits until a cluster is Running; its reason when it ends otherwise.
    pub async fn wait_running(&self, cluster: &str) -> Result<(), EngineError> {
        self.find(cluster)?.settled().await
    }

    /// Ends or leaves the clusters, as told, and returns when their tasks are over.
    pub async fn stop(&self, on_stop: OnStop) {
        if on_stop == OnStop::EndClusters {
            let clusters: Vec<Cluster> = self.read().values().cloned().collect();
            // All at once: each waits for its Spark to stop.
            futures_util::future::join_all(
                clusters.iter().map(|cluster| cluster.ask(Request::End { cause: Cause::Server, wait: true })),
            )
            .await;
        }
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Returns every cluster, ended ones included, in the order of their creation.
    pub fn clusters(&self) -> Vec<ClusterView> {
        let mut clusters: Vec<Cluster> = self.read().values().cloned().collect();
        clusters.sort_by_key(|cluster| cluster.record().created_ms);
        clusters.iter().map(Cluster::view).collect()
    }

    /// Returns one cluster.
    pub fn cluster(&self, cluster: &str) -> Result<ClusterView, EngineError> {
        Ok(self.find(cluster)?.view())
    }

    /// Makes a context; it is in the store when this returns.
    pub async fn create_context(&self, cluster: &str, language: Language) -> Result<ContextId, EngineError> {
        let cluster = self.working(cluster)?;
        self.available(language)?;
        let id = ContextId::generate();
        let board = cluster.board();
        // Its place is taken before it is stored: two callers cannot both have the last one.
        while !board.add(id, self.0.limits.contexts_max) {
            if !self.make_room(&cluster).await? {
                return Err(EngineError::TooManyContexts(self.0.limits.contexts_max));
            }
        }
        if let Err(error) = self.0.store.insert_context(cluster.id(), id, language).await {
            board.remove(id);
            return Err(error.into());
        }
        cluster.tell(Request::Open { context: id, language }).await?;
        Ok(id)
    }

    /// Returns a context's status; while it is Pending, waits up to `hold` for that to change.
    pub async fn context(&self, cluster: &str, context: &str, hold: Duration) -> Result<ContextView, EngineError> {
        let cluster = self.find(cluster)?;
        let id = cluster.context_id(context)?;
        match cluster.board().context(id, hold).await {
            Some(state) => Ok(ContextView { id, status: state.status() }),
            None => Err(EngineError::UnknownContext(context.to_owned())),
        }
    }

    /// Ends a context and what it runs.
    pub async fn destroy_context(&self, cluster: &str, context: &str) -> Result<ContextId, EngineError> {
        let cluster = self.find(cluster)?;
        let id = match cluster.context_id(context) {
            // It is gone already, as is wanted.
            Err(EngineError::ContextLost { context, .. }) => return Ok(context),
            id => id?,
        };
        let unknown = || EngineError::UnknownContext(context.to_owned());
        // In turn with `execute`: the driver hears nothing of a context after its end.
        let _turn = cluster.board().turn(id).ok_or_else(unknown)?.lock_owned().await;
        if !self.0.store.delete_context(cluster.id(), id).await? {
            return Err(unknown());
        }
        cluster.board().remove(id);
        cluster.tell(Request::Close { context: id }).await?;
        Ok(id)
    }

    /// Queues a command, which may run for so long where that is said; it is in the store when this returns.
    pub async fn execute(
        &self,
        cluster: &str,
        context: &str,
        language: Language,
        source: String,
        timeout_seconds: Option<u64>,
    ) -> Result<CommandId, EngineError> {
        let cluster = self.working(cluster)?;
        let id = cluster.context_id(context)?;
        self.available(language)?;
        let unknown = || EngineError::UnknownContext(context.to_owned());
        // Held until the driver's queue has it: the driver takes the numbers of a context in order only.
        let _turn = cluster.board().turn(id).ok_or_else(unknown)?.lock_owned().await;
        let command = CommandId::generate();
        match cluster.board().queue(id, command, source.len(), &self.0.limits).ok_or_else(unknown)? {
            Room::Taken => {}
            Room::TooMany => return Err(EngineError::QueueFull { context: id, limit: self.0.limits.queue_max }),
            Room::TooLarge => {
                return Err(EngineError::QueueTooLarge { context: id, limit: self.0.limits.queue_bytes_max });
            }
        }
        let new = NewCommand {
            id: command,
            context: id,
            cluster: cluster.id().clone(),
            language,
            source: source.clone(),
            timeout_seconds,
        };
        let sequence = match self.0.store.insert_command(new).await {
            Ok(sequence) => sequence,
            Err(error) => {
                cluster.board().unqueue(id, command);
                return Err(match error {
                    StoreError::NoContext(_) => unknown(),
                    StoreError::ContextLost { context, reason } => EngineError::ContextLost { context, reason },
                    other => other.into(),
                });
            }
        };
        let source = source.into();
        cluster.tell(Request::Execute { context: id, command, sequence, language, source, timeout_seconds }).await?;
        Ok(command)
    }

    /// Returns a command's status; while it is not over, waits up to `hold` for that to change.
    pub async fn command(
        &self,
        cluster: &str,
        context: &str,
        command: &str,
        hold: Duration,
    ) -> Result<CommandView, EngineError> {
        let cluster = self.find(cluster)?;
        let context_id = cluster.context_id(context)?;
        let unknown = || EngineError::UnknownCommand(command.to_owned());
        let id: CommandId = command.parse().map_err(|_| unknown())?;
        if let Some(state) = cluster.board().command(context_id, id, hold).await
            && !state.is_over()
        {
            return Ok(CommandView { id, results: state.fixed_results(), status: state.status() });
        }
        match self.0.store.command_view(context_id, id).await? {
            Some(view) => Ok(view),
            None if cluster.board().has(context_id) => Err(unknown()),
            None => Err(EngineError::UnknownContext(context.to_owned())),
        }
    }

    /// Begins to follow a command at an offset of its output.
    pub async fn follow(
        &self,
        cluster: &str,
        context: &str,
        command: &str,
        offset: u64,
    ) -> Result<Follow, EngineError> {
        let cluster = self.find(cluster)?;
        let context_id = cluster.context_id(context)?;
        let unknown = || EngineError::UnknownCommand(command.to_owned());
        let id: CommandId = command.parse().map_err(|_| unknown())?;
        let watched = cluster.board().watch(context_id, id);
        if watched.is_none() && self.0.store.command_state(context_id, id).await?.is_none() {
            return Err(unknown());
        }
        Ok(Follow::new(self.0.store.clone(), context_id, id, watched, offset))
    }

    /// Asks a command to stop. Asking twice, or asking one that is over, changes nothing and succeeds.
    pub async fn cancel(&self, cluster: &str, context: &str, command: &str) -> Result<CommandId, EngineError> {
        let cluster = self.find(cluster)?;
        let context_id = cluster.context_id(context)?;
        let unknown = || EngineError::UnknownCommand(command.to_owned());
        let id: CommandId = command.parse().map_err(|_| unknown())?;
        // In turn with `execute`: the driver hears of a command before it hears of its cancel.
        let turn = match cluster.board().turn(context_id) {
            Some(turn) => turn.lock_owned().await,
            None => return Err(EngineError::UnknownContext(context.to_owned())),
        };
        let state = self.0.store.ask_cancel(context_id, id).await?.ok_or_else(unknown)?;
        if state.is_over() {
            return Ok(id);
        }
        let was_queued = cluster.board().cancel_asked(context_id, id);
        cluster.tell(Request::Cancel { context: context_id, command: id }).await?;
        drop(turn);
        if was_queued {
            cluster.board().command(context_id, id, DROP_WAIT).await;
        }
        Ok(id)
    }

    async fn adopt(&self, record: ClusterRecord) -> Result<Cluster, EngineError> {
        let contexts = self.0.store.contexts(&record.id).await?;
        let commands = self.0.store.open_commands(&record.id).await?;
        let made_room = self.0.store.disconnected_contexts(&record.id).await?;
        let board = Arc::new(Board::new(contexts, commands, made_room));
        let id = record.id.clone();
        let launcher = self.0.launcher.clone();
        let stop = self.0.stop.clone();
        let cluster = cluster::start(record, self.0.store.clone(), launcher, board, stop, &self.0.tasks);
        self.0.clusters.write().expect("no holder of the clusters panics").insert(id, cluster.clone());
        Ok(cluster)
    }

    fn find(&self, cluster: &str) -> Result<Cluster, EngineError> {
        let id: Option<ClusterId> = cluster.parse().ok();
        let found = id.and_then(|id| self.read().get(&id).cloned());
        found.ok_or_else(|| EngineError::UnknownCluster(cluster.chars().take(80).collect()))
    }

    /// Returns a cluster that takes contexts and commands.
    fn working(&self, cluster: &str) -> Result<Cluster, EngineError> {
        let cluster = self.find(cluster)?;
        let state = cluster.state();
        let name = cluster.id().to_string();
        match state {
            ClusterState::Running | ClusterState::Reconfiguring => Ok(cluster),
            ClusterState::Pending | ClusterState::Restarting => {
                Err(EngineError::ClusterNotReady { cluster: name, status: state.status() })
            }
            ClusterState::Error { reason } => {
                Err(EngineError::ClusterNotRunning { cluster: name, reason: Some(reason) })
            }
            ClusterState::Terminating | ClusterState::Terminated => {
                Err(EngineError::ClusterNotRunning { cluster: name, reason: None })
            }
        }
    }

    fn available(&self, language: Language) -> Result<(), EngineError> {
        self.0.launcher.lacks(language).map_or(Ok(()), |reason| Err(EngineError::LanguageUnavailable(reason)))
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<ClusterId, Cluster>> {
        self.0.clusters.read().expect("no holder of the clusters panics")
    }
}
