//! What a cluster's contexts and open commands are doing, for readers that wait for it to change.
//!
//! Writers are the cluster's task, after a change is in the store, and the engine's calls for what they add. A command that
//! is over leaves the board; the store has it. Locks are held for a few lines, never across an `await`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use firesteel_api::commands::Progress;
use firesteel_api::{CommandId, ContextId};
use firesteel_model::{CommandEvent, CommandState, ContextEvent, ContextState, Limits};
use firesteel_store::{Change, CommandRecord, ContextRecord, Output, now_ms};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::engine::live::Live;

/// The board of one cluster.
pub(crate) struct Board {
    entries: Mutex<HashMap<ContextId, Entry>>,
    /// When a context was made, or a command was queued or over, for the last time.
    active: Mutex<Instant>,
    /// How many statements run over JDBC.
    statements: watch::Sender<usize>,
    /// Contexts that made room for others.
    made_room: Mutex<HashSet<ContextId>>,
}

struct Entry {
    state: watch::Sender<ContextState>,
    /// When a command of it was last queued or over, in Unix milliseconds.
    used_ms: u64,
    /// Its live streaming queries.
    streams: usize,
    /// Who holds it may store a command of this context and send it.
    turn: Arc<tokio::sync::Mutex<()>>,
    open: HashMap<CommandId, Open>,
    /// The bytes of the open commands' sources. Those of before this server count nothing: they were bounded then.
    sources: HashMap<CommandId, usize>,
}

/// A command that is not over.
struct Open {
    state: watch::Sender<CommandState>,
    live: watch::Sender<Live>,
}

impl Open {
    fn new(state: CommandState) -> Self {
        Self { state: watch::Sender::new(state), live: watch::Sender::default() }
    }
}

/// What a follower of a command looks at. Both end when it is over.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) state: watch::Receiver<CommandState>,
    pub(crate) live: watch::Receiver<Live>,
}

impl Entry {
    fn new(state: ContextState, used_ms: u64, streams: usize) -> Self {
        Self {
            state: watch::Sender::new(state),
            used_ms,
            streams,
            turn: Arc::default(),
            open: HashMap::new(),
            sources: HashMap::new(),
        }
    }

    /// Tells whether it does nothing and has not since then. One that is lost will never do anything again.
    fn is_idle(&self, since_ms: u64) -> bool {
        let at_rest = *self.state.borrow() == ContextState::Running && self.used_ms <= since_ms && self.streams == 0;
        self.open.is_empty() && (at_rest || self.state.borrow().is_over())
    }

    fn close(&mut self, command: CommandId) {
        self.open.remove(&command);
        self.sources.remove(&command);
        self.used_ms = now_ms();
    }
}

/// What became of a command that is to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It is on the board.
    Taken,
    /// As many are open as may.
    TooMany,
    /// The sources of those that are open have as many bytes as they may.
    TooLarge,
}

impl Board {
    pub(crate) fn new(
        contexts: Vec<ContextRecord>,
        commands: Vec<CommandRecord>,
        made_room: impl IntoIterator<Item = ContextId>,
    ) -> Self {
        let entry = |record: ContextRecord| {
            let streams = usize::try_from(record.streams).unwrap_or(usize::MAX);
            (record.id, Entry::new(record.state, record.used_ms, streams))
        };
        let mut entries: HashMap<ContextId, Entry> = contexts.into_iter().map(entry).collect();
        for command in commands {
            if let Some(entry) = entries.get_mut(&command.context) {
                entry.open.insert(command.id, Open::new(command.state));
            }
        }
        Self {
            entries: Mutex::new(entries),
            active: Mutex::new(Instant::now()),
            statements: watch::Sender::default(),
            made_room: Mutex::new(made_room.into_iter().collect()),
        }
    }

    /// Adds a Pending context unless there are `max` already.
    pub(crate) fn add(&self, context: ContextId, max: usize) -> bool {
        let mut entries = self.lock();
        let room = entries.len() < max;
        if room {
            entries.insert(context, Entry::new(ContextState::Pending, now_ms(), 0));
            self.note_activity();
        }
        room
    }

    pub(crate) fn remove(&self, context: ContextId) {
        self.lock().remove(&context);
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
        self.statements(0);
        self.made_room.lock().expect("no holder of the set panics").clear();
    }

    /// Returns the context that has been idle for the longest, if one has been since then.
    pub(crate) fn idlest(&self, since_ms: u64) -> Option<ContextId> {
        let entries = self.lock();
        let idle = entries.iter().filter(|(_, entry)| entry.is_idle(since_ms));
        idle.min_by_key(|(_, entry)| (!entry.state.borrow().is_over(), entry.used_ms)).map(|(id, _)| *id)
    }

    /// Tells whether a context has been idle since then.
    pub(crate) fn is_idle(&self, context: ContextId, since_ms: u64) -> bool {
        self.lock().get(&context).is_some_and(|entry| entry.is_idle(since_ms))
    }

    /// Removes a context that makes room for another.
    pub(crate) fn make_room(&self, context: ContextId) {
        self.made_room.lock().expect("no holder of the set panics").insert(context);
        self.remove(context);
    }

    /// Tells whether a context made room for another.
    pub(crate) fn made_room(&self, context: ContextId) -> bool {
        self.made_room.lock().expect("no holder of the set panics").contains(&context)
    }

    pub(crate) fn has(&self, context: ContextId) -> bool {
        self.lock().contains_key(&context)
    }

    /// Returns the lock that orders a context's commands.
    pub(crate) fn turn(&self, context: ContextId) -> Option<Arc<tokio::sync::Mutex<()>>> {
        self.lock().get(&context).map(|entry| entry.turn.clone())
    }

    /// Adds a Queued command with so many bytes of source, unless it has no room; `None` when the context is gone. A command that
    /// is alone always has room.
    pub(crate) fn queue(&self, context: ContextId, command: CommandId, bytes: usize, limits: &Limits) -> Option<Room> {
        let mut entries = self.lock();
        let entry = entries.get_mut(&context)?;
        if entry.open.len() >= limits.queue_max {
            return Some(Room::TooMany);
        }
        let waiting: usize = entry.sources.values().sum();
        if !entry.open.is_empty() && waiting + bytes > limits.queue_bytes_max {
            return Some(Room::TooLarge);
        }
        entry.open.insert(command, Open::new(CommandState::Queued));
        entry.sources.insert(command, bytes);
        entry.used_ms = now_ms();
        self.note_activity();
        Some(Room::Taken)
    }

    /// Returns how many commands are on the board.
    #[cfg(test)]
    pub(crate) fn open_commands(&self) -> usize {
        self.lock().values().map(|entry| entry.open.len()).sum()
    }

    /// Takes back a command that could not be stored.
    pub(crate) fn unqueue(&self, context: ContextId, command: CommandId) {
        if let Some(entry) = self.lock().get_mut(&context) {
            entry.close(command);
        }
    }

    /// Shows a command as Cancelling; tells whether it was Queued.
    pub(crate) fn cancel_asked(&self, context: ContextId, command: CommandId) -> bool {
        let entries = self.lock();
        let Some(shown) = entries.get(&context).and_then(|entry| entry.open.get(&command)) else {
            return false;
        };
        let was_queued = *shown.state.borrow() == CommandState::Queued;
        move_on(&shown.state, CommandEvent::CancelAsked);
        was_queued
    }

    /// Returns a context's state, after waiting up to `hold` for a Pending one to change; `None` when it is gone.
    pub(crate) async fn context(&self, context: ContextId, hold: Duration) -> Option<ContextState> {
        let mut shown = self.lock().get(&context).map(|entry| entry.state.subscribe())?;
        wait(&mut shown, hold, |state| *state != ContextState::Pending).await
    }

    /// Returns an open command's state, after waiting up to `hold` for it to be over. `None` when it is not on the board:
    /// it is over, or was never there.
    pub(crate) async fn command(&self, context: ContextId, command: CommandId, hold: Duration) -> Option<CommandState> {
        let mut shown = self.lock().get(&context)?.open.get(&command)?.state.subscribe();
        wait(&mut shown, hold, CommandState::is_over).await
    }

    /// Returns what an open command shows; `None` when it is not on the board.
    pub(crate) fn watch(&self, context: ContextId, command: CommandId) -> Option<Watched> {
        let entries = self.lock();
        let open = entries.get(&context)?.open.get(&command)?;
        Some(Watched { state: open.state.subscribe(), live: open.live.subscribe() })
    }

    /// Returns what the open commands of a context are doing.
    pub(crate) fn open(&self, context: ContextId) -> HashMap<CommandId, CommandState> {
        let entries = self.lock();
        let open = entries.get(&context).into_iter().flat_map(|entry| &entry.open);
        open.map(|(id, open)| (*id, open.state.borrow().clone())).collect()
    }

    /// Shows output that is not in the store yet.
    pub(crate) fn print(&self, command: CommandId, output: &Output) {
        if let Some(open) = find(&mut self.lock(), command) {
            open.live.send_if_modified(|live| live.print(output));
        }
    }

    /// Shows how far a command's Spark jobs are. This is never in the store.
    pub(crate) fn progress(&self, context: ContextId, command: CommandId, progress: Progress) {
        if let Some(open) = self.lock().get(&context).and_then(|entry| entry.open.get(&command)) {
            open.live.send_modify(|live| live.progress = Some(progress));
        }
    }

    /// Shows what is in the store now.
    pub(crate) fn show(&self, change: &Change) {
        use Change::{CommandCancelled, CommandFinished, CommandLost, ContextStreams};
        if let CommandFinished { .. } | CommandCancelled { .. } | CommandLost { .. } | ContextStreams { .. } = change {
            self.note_activity();
        }
        let mut entries = self.lock();
        match change {
            // It was not idle while it came up.
            Change::ClusterReady => self.note_activity(),
            Change::ClusterResized { .. } | Change::Library { .. } => {}
            Change::ClusterLost { reason, .. } => entries.values_mut().for_each(|entry| lose(entry, reason)),
            Change::ContextRunning { context } => {
                if let Some(entry) = entries.get_mut(context) {
                    entry.state.send_modify(|state| *state = state.clone().after(ContextEvent::Ready));
                }
            }
            Change::ContextStreams { context, active } => {
                if let Some(entry) = entries.get_mut(context) {
                    (entry.streams, entry.used_ms) = (*active, now_ms());
                }
            }
            Change::ContextFailed { context, reason } => {
                if let Some(entry) = entries.get_mut(context) {
                    lose(entry, reason);
                }
            }
            Change::CommandPrinted { command, output } => {
                if let Some(open) = find(&mut entries, *command) {
                    open.live.send_if_modified(|live| {
                        let is_new = live.print(output);
                        live.stored(output.stop());
                        is_new
                    });
                }
            }
            Change::CommandStarted { command } => move_command(&mut entries, *command, CommandEvent::Started),
            Change::CommandFinished { command, .. } => move_command(&mut entries, *command, CommandEvent::Done),
            Change::CommandCancelled { command, lost } => {
                move_command(&mut entries, *command, CommandEvent::Interrupted { lost: lost.clone() });
            }
            Change::CommandLost { command, reason } => {
                move_command(&mut entries, *command, CommandEvent::EngineLost { reason: reason.clone() });
            }
        }
    }

    /// So many statements run over JDBC now.
    pub(crate) fn statements(&self, active: usize) {
        let changed = self.statements.send_if_modified(|running| std::mem::replace(running, active) != active);
        if changed {
            self.note_activity();
        }
    }

    /// Wakes whoever waits for an idle time when statements begin or end over JDBC.
    pub(crate) fn watch_statements(&self) -> watch::Receiver<usize> {
        self.statements.subscribe()
    }

    /// Since when nothing has run or waited; `None` while something does, be it a streaming query or a statement over JDBC alone.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let at_rest = self.lock().values().all(|entry| entry.open.is_empty() && entry.streams == 0);
        let is_idle = at_rest && *self.statements.borrow() == 0;
        is_idle.then(|| *self.active.lock().expect("no holder of a time panics"))
    }

    /// The time in which the cluster is idle begins anew.
    pub(crate) fn note_activity(&self) {
        *self.active.lock().expect("no holder of a time panics") = Instant::now();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ContextId, Entry>> {
        self.entries.lock().expect("no holder of the board panics")
    }
}

/// Waits up to `hold` for a value to be as wanted and returns what it is then; `None` when its sender is gone before.
async fn wait<T: Clone>(shown: &mut watch::Receiver<T>, hold: Duration, wanted: impl FnMut(&T) -> bool) -> Option<T> {
    let changed =
        tokio::time::timeout(hold, shown.wait_for(wanted)).await.map(|changed| changed.map(|state| state.clone()));
    match changed {
        Ok(state) => state.ok(),
        Err(_) => Some(shown.borrow().clone()),
    }
}

fn find(entries: &mut HashMap<ContextId, Entry>, command: CommandId) -> Option<&mut Open> {
    entries.values_mut().find_map(|entry| entry.open.get_mut(&command))
}

fn move_command(entries: &mut HashMap<ContextId, Entry>, command: CommandId, event: CommandEvent) {
    let Some(entry) = entries.values_mut().find(|entry| entry.open.contains_key(&command)) else { return };
    let over = entry.open.get(&command).is_some_and(|shown| move_on(&shown.state, event));
    if over {
        entry.close(command);
    }
}

/// Puts a shown command through an event; tells whether it is over.
fn move_on(shown: &watch::Sender<CommandState>, event: CommandEvent) -> bool {
    shown.send_modify(|state| *state = state.clone().after(event));
    shown.borrow().is_over()
}

fn lose(entry: &mut Entry, reason: &str) {
    let lost = || reason.to_owned();
    entry.state.send_modify(|state| *state = state.clone().after(ContextEvent::Lost { reason: lost() }));
    entry.sources.clear();
    for (_, shown) in entry.open.drain() {
        move_on(&shown.state, CommandEvent::EngineLost { reason: lost() });
    }
}
