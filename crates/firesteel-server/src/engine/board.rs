//! What a cluster's contexts and open commands are doing, for readers that wait for it to change.
//!
//! Writers are the cluster's task, after a change is in the store, and the engine's calls for what they add. A command that
//! is over leaves the board; the store has it. Locks are held for a few lines, never across an `await`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use firesteel_api::{CommandId, ContextId};
use firesteel_model::{CommandEvent, CommandState, ContextEvent, ContextState};
use firesteel_store::{Change, CommandRecord, ContextRecord};
use tokio::sync::watch;
use tokio::time::Instant;

/// The board of one cluster.
pub(crate) struct Board {
    entries: Mutex<HashMap<ContextId, Entry>>,
    /// When a context was made, or a command was queued or over, for the last time.
    active: Mutex<Instant>,
}

struct Entry {
    state: watch::Sender<ContextState>,
    /// Who holds it may store a command of this context and send it.
    turn: Arc<tokio::sync::Mutex<()>>,
    open: HashMap<CommandId, watch::Sender<CommandState>>,
}

impl Entry {
    fn new(state: ContextState) -> Self {
        Self { state: watch::Sender::new(state), turn: Arc::default(), open: HashMap::new() }
    }
}

impl Board {
    pub(crate) fn new(contexts: Vec<ContextRecord>, commands: Vec<CommandRecord>) -> Self {
        let mut entries: HashMap<ContextId, Entry> =
            contexts.into_iter().map(|record| (record.id, Entry::new(record.state))).collect();
        for command in commands {
            if let Some(entry) = entries.get_mut(&command.context) {
                entry.open.insert(command.id, watch::Sender::new(command.state));
            }
        }
        Self { entries: Mutex::new(entries), active: Mutex::new(Instant::now()) }
    }

    /// Adds a Pending context unless there are `max` already.
    pub(crate) fn add(&self, context: ContextId, max: usize) -> bool {
        let mut entries = self.lock();
        let room = entries.len() < max;
        if room {
            entries.insert(context, Entry::new(ContextState::Pending));
            self.note_activity();
        }
        room
    }

    pub(crate) fn remove(&self, context: ContextId) {
        self.lock().remove(&context);
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    pub(crate) fn has(&self, context: ContextId) -> bool {
        self.lock().contains_key(&context)
    }

    /// Returns the lock that orders a context's commands.
    pub(crate) fn turn(&self, context: ContextId) -> Option<Arc<tokio::sync::Mutex<()>>> {
        self.lock().get(&context).map(|entry| entry.turn.clone())
    }

    /// Adds a Queued command; false when the context has `max` open ones already, `None` when it is gone.
    pub(crate) fn queue(&self, context: ContextId, command: CommandId, max: usize) -> Option<bool> {
        let mut entries = self.lock();
        let entry = entries.get_mut(&context)?;
        let room = entry.open.len() < max;
        if room {
            entry.open.insert(command, watch::Sender::new(CommandState::Queued));
            self.note_activity();
        }
        Some(room)
    }

    /// Returns how many commands are on the board.
    #[cfg(test)]
    pub(crate) fn open_commands(&self) -> usize {
        self.lock().values().map(|entry| entry.open.len()).sum()
    }

    /// Takes back a command that could not be stored.
    pub(crate) fn unqueue(&self, context: ContextId, command: CommandId) {
        if let Some(entry) = self.lock().get_mut(&context) {
            entry.open.remove(&command);
        }
    }

    /// Shows a command as Cancelling; tells whether it was Queued.
    pub(crate) fn cancel_asked(&self, context: ContextId, command: CommandId) -> bool {
        let entries = self.lock();
        let Some(shown) = entries.get(&context).and_then(|entry| entry.open.get(&command)) else {
            return false;
        };
        let was_queued = *shown.borrow() == CommandState::Queued;
        move_on(shown, CommandEvent::CancelAsked);
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
        let mut shown = self.lock().get(&context)?.open.get(&command)?.subscribe();
        wait(&mut shown, hold, CommandState::is_over).await
    }

    /// Shows what is in the store now.
    pub(crate) fn show(&self, change: &Change) {
        if let Change::CommandFinished { .. } | Change::CommandCancelled { .. } | Change::CommandLost { .. } = change {
            self.note_activity();
        }
        let mut entries = self.lock();
        match change {
            // It was not idle while it came up.
            Change::ClusterReady => self.note_activity(),
            Change::ClusterResized { .. } => {}
            Change::ClusterLost { reason, .. } => entries.values_mut().for_each(|entry| lose(entry, reason)),
            Change::ContextRunning { context } => {
                if let Some(entry) = entries.get_mut(context) {
                    entry.state.send_modify(|state| *state = state.clone().after(ContextEvent::Ready));
                }
            }
            Change::ContextFailed { context, reason } => {
                if let Some(entry) = entries.get_mut(context) {
                    lose(entry, reason);
                }
            }
            Change::CommandStarted { command } => move_command(&mut entries, *command, CommandEvent::Started),
            Change::CommandFinished { command, .. } => move_command(&mut entries, *command, CommandEvent::Done),
            Change::CommandCancelled { command } => move_command(&mut entries, *command, CommandEvent::Interrupted),
            Change::CommandLost { command, reason } => {
                move_command(&mut entries, *command, CommandEvent::EngineLost { reason: reason.clone() });
            }
        }
    }

    /// Since when nothing has run or waited; `None` while something does.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let is_idle = self.lock().values().all(|entry| entry.open.is_empty());
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

fn move_command(entries: &mut HashMap<ContextId, Entry>, command: CommandId, event: CommandEvent) {
    let Some(entry) = entries.values_mut().find(|entry| entry.open.contains_key(&command)) else { return };
    let over = entry.open.get(&command).is_some_and(|shown| move_on(shown, event));
    if over {
        entry.open.remove(&command);
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
    for (_, shown) in entry.open.drain() {
        move_on(&shown, CommandEvent::EngineLost { reason: lost() });
    }
}
