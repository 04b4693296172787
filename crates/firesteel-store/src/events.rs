//! What a driver's events come to, applied once each.
//!
//! An event's changes and its number are stored in one transaction, and the server acknowledges an event only when that
//! is done. An event that comes again, after a crash between the two, is recognised by its number. Every change goes
//! through the model, so that one which is late (the command is over, the context was destroyed) changes nothing.

use firesteel_api::libraries::Library;
use firesteel_api::results::Results;
use firesteel_api::v2::termination::TerminationCode;
use firesteel_api::{ClusterId, CommandId, ContextId};
use firesteel_model::history as rules;
use firesteel_model::{Cause, ClusterEvent, CommandEvent, CommandState, ContextEvent, ContextState, LibraryEvent};
use rusqlite::{Connection, OptionalExtension, params};

use crate::clusters::need;
use crate::columns::{self, integer, number, parsed};
use crate::error::Failure;
use crate::lives::{count_workers, move_cluster};
use crate::store::now_ms;
use crate::{Output, Store, StoreError, history, installs, outputs};

/// The results of one command; the protocol's payload has the same bound.
const RESULTS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The results of all commands of one context. The oldest make room for the latest.
const CONTEXT_RESULTS_BYTES_MAX: u64 = if cfg!(test) { 4 * 1024 } else { 256 * 1024 * 1024 };

/// What a driver's event, or the server's own finding, changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Spark is up.
    ClusterReady,
    /// The driver failed or is gone, and every context and open command of the cluster with it.
    ClusterLost {
        /// The word for it.
        code: TerminationCode,
        /// What is known of it.
        reason: String,
    },
    /// There are so many workers, and no more are on their way.
    ClusterResized {
        /// How many.
        workers: u32,
        /// Why there are fewer than there should be, where that is so.
        reason: Option<String>,
    },
    /// The context takes commands.
    ContextRunning {
        /// The context.
        context: ContextId,
    },
    /// The context could not be made or lost its engine, and every open command of it.
    ContextFailed {
        /// The context.
        context: ContextId,
        /// What is known of it.
        reason: String,
    },
    /// The context has so many live streaming queries.
    ContextStreams {
        /// The context.
        context: ContextId,
        /// How many.
        active: usize,
    },
    /// A library of the cluster is further.
    Library {
        /// The library.
        library: Library,
        /// What has happened to it.
        event: LibraryEvent,
        /// What the installer said.
        messages: Vec<String>,
    },
    /// The interpreter took the command.
    CommandStarted {
        /// The command.
        command: CommandId,
    },
    /// The code printed something.
    CommandPrinted {
        /// The command.
        command: CommandId,
        /// What, and where in all that it prints.
        output: Output,
    },
    /// The code ended. The results are kept unless a cancel was accepted before.
    CommandFinished {
        /// The command.
        command: CommandId,
        /// What it came to.
        results: Results,
    },
    /// The code has stopped because it was asked to.
    CommandCancelled {
        /// The command.
        command: CommandId,
        /// What was lost with it.
        lost: Option<String>,
    },
    /// The engine failed under the command.
    CommandLost {
        /// The command.
        command: CommandId,
        /// What is known of it.
        reason: String,
    },
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Its changes are in the store now. It can be acknowledged.
    Now,
    /// They had been before. It can be acknowledged (again).
    Before,
    /// It comes from a driver that is not, or no longer, the cluster's; nothing was changed.
    OtherGeneration,
}

impl Store {
    /// Stores what an event of a driver changes, together with its number. `generation` must have been announced by
    /// [`begin_generation`](Self::begin_generation).
    pub async fn apply(
        &self,
        cluster: &ClusterId,
        generation: &str,
        event: u64,
        changes: Vec<Change>,
    ) -> Result<Applied, StoreError> {
        let (cluster, generation) = (cluster.clone(), generation.to_owned());
        self.write("apply an event", move |db| {
            let (current, acked): (String, u64) = db
                .prepare_cached("SELECT generation, event_acked FROM clusters WHERE id = ?1")?
                .query_row([cluster.as_str()], |row| Ok((row.get("generation")?, number(row, "event_acked")?)))
                .optional()?
                .ok_or_else(|| StoreError::NoCluster(cluster.clone()))?;
            if current != generation {
                return Ok(Applied::OtherGeneration);
            }
            if event <= acked {
                return Ok(Applied::Before);
            }
            for change in changes {
                make(db, &cluster, change)?;
            }
            db.prepare_cached("UPDATE clusters SET event_acked = ?2 WHERE id = ?1")?
                .execute(params![cluster.as_str(), integer(event)])?;
            Ok(Applied::Now)
        })
        .await
    }

    /// Stores what the server found out by itself, such as commands that a driver does not know, all of it or nothing.
    pub async fn change(&self, cluster: &ClusterId, changes: Vec<Change>) -> Result<(), StoreError> {
        let cluster = cluster.clone();
        self.write("apply changes", move |db| changes.into_iter().try_for_each(|change| make(db, &cluster, change)))
            .await
    }
}

fn make(db: &Connection, cluster: &ClusterId, change: Change) -> Result<(), Failure> {
    match change {
        Change::ClusterReady => drop(move_cluster(db, cluster, &ClusterEvent::Ready, &Cause::Driver)?),
        Change::ClusterLost { code, reason } => {
            drop(move_cluster(db, cluster, &ClusterEvent::Lost { code, reason }, &Cause::Driver)?);
        }
        Change::ClusterResized { workers, reason } => resize(db, cluster, workers, reason)?,
        Change::ContextRunning { context } => move_context(db, cluster, context, ContextEvent::Ready)?,
        Change::ContextFailed { context, reason } => lose_context(db, cluster, context, &reason)?,
        Change::ContextStreams { context, active } => {
            db.prepare_cached("UPDATE contexts SET streams = ?3 WHERE id = ?1 AND cluster = ?2")?.execute(params![
                context.to_string(),
                cluster.as_str(),
                integer(active as u64)
            ])?;
        }
        Change::Library { library, event, messages } => installs::report(db, cluster, &library, event, &messages)?,
        Change::CommandStarted { command } => drop(move_command(db, cluster, command, CommandEvent::Started)?),
        Change::CommandCancelled { command, lost } => {
            drop(move_command(db, cluster, command, CommandEvent::Interrupted { lost })?);
        }
        Change::CommandLost { command, reason } => {
            drop(move_command(db, cluster, command, CommandEvent::EngineLost { reason })?);
        }
        Change::CommandPrinted { command, output } => outputs::append(db, command, &output)?,
        Change::CommandFinished { command, results } => finish(db, cluster, command, &results)?,
    }
    Ok(())
}

fn resize(db: &Connection, cluster: &ClusterId, workers: u32, reason: Option<String>) -> Result<(), Failure> {
    let before = need(db, cluster)?;
    count_workers(db, cluster, workers)?;
    if let Some(entry) = reason.map(|reason| rules::shortage(workers, reason)) {
        history::add(db, cluster, &entry)?;
    }
    let after = move_cluster(db, cluster, &ClusterEvent::ResizeEnded, &Cause::Driver)?;
    if before.state != after.state
        && let Some(entry) = rules::resized(before.workers, workers, &after.settings)
    {
        history::add(db, cluster, &entry)?;
    }
    Ok(())
}

/// Marks every context of a cluster, and every open command, as lost.
pub(crate) fn lose_contexts(db: &Connection, cluster: &ClusterId, reason: &str) -> Result<(), Failure> {
    let contexts: Vec<ContextId> = db
        .prepare_cached("SELECT id FROM contexts WHERE cluster = ?1")?
        .query_map([cluster.as_str()], |row| parsed(row, "id"))?
        .collect::<Result<_, _>>()?;
    contexts.into_iter().try_for_each(|context| lose_context(db, cluster, context, reason))
}

fn lose_context(db: &Connection, cluster: &ClusterId, context: ContextId, reason: &str) -> Result<(), Failure> {
    move_context(db, cluster, context, ContextEvent::Lost { reason: reason.to_owned() })?;
    let commands: Vec<CommandId> = db
        .prepare_cached(
            "SELECT id FROM commands WHERE cluster = ?1 AND context = ?2 AND state IN ('Queued', 'Running', 'Cancelling')",
        )?
        .query_map(params![cluster.as_str(), context.to_string()], |row| parsed(row, "id"))?
        .collect::<Result<_, _>>()?;
    for command in commands {
        move_command(db, cluster, command, CommandEvent::EngineLost { reason: reason.to_owned() })?;
    }
    Ok(())
}

fn move_context(db: &Connection, cluster: &ClusterId, id: ContextId, event: ContextEvent) -> Result<(), Failure> {
    let before = db
        .prepare_cached("SELECT state, reason FROM contexts WHERE id = ?1 AND cluster = ?2")?
        .query_row(params![id.to_string(), cluster.as_str()], |row| columns::state(row, ContextState::from_parts))
        .optional()?;
    let Some(before) = before else {
        return Ok(()); // destroyed meanwhile
    };
    let after = before.clone().after(event);
    if after != before {
        db.prepare_cached("UPDATE contexts SET state = ?2, reason = ?3 WHERE id = ?1")?.execute(params![
            id.to_string(),
            after.name(),
            after.reason().map(columns::reason)
        ])?;
    }
    Ok(())
}

/// Puts a command through an event and returns what it is doing then; `None` when it is gone with its context.
pub(crate) fn move_command(
    db: &Connection,
    cluster: &ClusterId,
    id: CommandId,
    event: CommandEvent,
) -> Result<Option<CommandState>, Failure> {
    let before = db
        .prepare_cached("SELECT state, reason FROM commands WHERE id = ?1 AND cluster = ?2")?
        .query_row(params![id.to_string(), cluster.as_str()], |row| columns::state(row, CommandState::from_parts))
        .optional()?;
    let Some(before) = before else {
        return Ok(None);
    };
    let after = before.clone().after(event);
    if after != before {
        let now = integer(now_ms());
        let started = (after == CommandState::Running).then_some(now);
        let ended = after.is_over().then_some(now);
        db.prepare_cached(
            "UPDATE commands SET state = ?2, reason = ?3, started_ms = coalesce(?4, started_ms), ended_ms = ?5
             WHERE id = ?1",
        )?
        .execute(params![
            id.to_string(),
            after.name(),
            after.reason().map(columns::reason),
            started,
            ended
        ])?;
    }
    Ok(Some(after))
}

/// Ends a command and keeps its results, if they are what clients will see.
fn finish(db: &Connection, cluster: &ClusterId, id: CommandId, results: &Results) -> Result<(), Failure> {
    let was_over = db
        .prepare_cached("SELECT ended_ms IS NOT NULL FROM commands WHERE id = ?1")?
        .query_row([id.to_string()], |row| row.get(0))
        .optional()?;
    if was_over != Some(false) || move_command(db, cluster, id, CommandEvent::Done)? != Some(CommandState::Finished) {
        return Ok(());
    }
    let refused;
    let json = match results.as_json() {
        json if json.len() <= RESULTS_BYTES_MAX => json,
        // Refusing the event would leave the command running for ever.
        json => {
            let text = format!("The results have {} bytes; at most {RESULTS_BYTES_MAX} are kept.", json.len());
            refused = Results::error(&text, &text);
            refused.as_json()
        }
    };
    let (number, context): (i64, String) = db
        .prepare_cached(
            "INSERT INTO results (command, context, json) SELECT number, context, ?2 FROM commands WHERE id = ?1
             RETURNING command, context",
        )?
        .query_row(params![id.to_string(), json], |row| Ok((row.get("command")?, row.get("context")?)))?;
    make_room(db, &context, number, json.len() as u64)
}

/// Counts the latest results of a context and drops its oldest until the rest fits; never the latest.
fn make_room(db: &Connection, context: &str, latest: i64, added: u64) -> Result<(), Failure> {
    let mut kept: u64 = db
        .prepare_cached("SELECT results_bytes FROM contexts WHERE id = ?1")?
        .query_row([context], |row| number(row, "results_bytes"))?;
    kept = kept.saturating_add(added);
    while kept > CONTEXT_RESULTS_BYTES_MAX {
        let oldest: Option<u64> = db
            .prepare_cached(
                "DELETE FROM results
                 WHERE command = (SELECT min(command) FROM results WHERE context = ?1 AND command <> ?2)
                 RETURNING octet_length(json) AS bytes",
            )?
            .query_row(params![context, latest], |row| number(row, "bytes"))
            .optional()?;
        let Some(bytes) = oldest else {
            break;
        };
        kept = kept.saturating_sub(bytes);
    }
    db.prepare_cached("UPDATE contexts SET results_bytes = ?2 WHERE id = ?1")?
        .execute(params![context, integer(kept)])?;
    Ok(())
}
