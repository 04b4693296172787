//! Commands, their sources and their results.

use firesteel_api::commands::CommandView;
use firesteel_api::results::Results;
use firesteel_api::{ClusterId, CommandId, ContextId, Language};
use firesteel_model::limits::COMMAND_BYTES_MAX;
use firesteel_model::{CommandEvent, CommandState, ContextState};
use rusqlite::{OptionalExtension, Row, params};

use crate::columns::{self, integer, number, parsed, unreadable};
use crate::error::bounded;
use crate::events::move_command;
use crate::store::now_ms;
use crate::{Store, StoreError};

/// What a source may have at most, whatever the configuration allows; the protocol's payload has the same bound.
const SOURCE_BYTES_MAX: usize = 64 * 1024 * 1024;
const _: () = assert!(COMMAND_BYTES_MAX <= SOURCE_BYTES_MAX, "the default bound must fit");

/// A command that is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCommand {
    /// The command.
    pub id: CommandId,
    /// Its context.
    pub context: ContextId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// The language it is written in.
    pub language: Language,
    /// The code, as it was sent.
    pub source: String,
    /// How long it may run, where whoever sent it said so.
    pub timeout_seconds: Option<u64>,
}

/// One command, without its source and results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRecord {
    /// The command.
    pub id: CommandId,
    /// Its context.
    pub context: ContextId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its number in its context, from 1.
    pub sequence: u64,
    /// The language it is written in.
    pub language: Language,
    /// How long it may run, where whoever sent it said so.
    pub timeout_seconds: Option<u64>,
    /// What it is doing.
    pub state: CommandState,
    /// When it was stored, in Unix milliseconds.
    pub created_ms: u64,
    /// When its start was stored.
    pub started_ms: Option<u64>,
    /// When its end was stored.
    pub ended_ms: Option<u64>,
}

impl Store {
    /// Adds a command, Queued, and returns the number that it got: the next one of its context, without gaps in the
    /// order of the calls. Refuses when the context is gone or has lost its engine.
    pub async fn insert_command(&self, command: NewCommand) -> Result<u64, StoreError> {
        bounded("command", &command.source, SOURCE_BYTES_MAX)?;
        self.write("store a command", move |db| {
            let NewCommand { id, context, cluster, language, source, timeout_seconds } = command;
            let (sequence, state) = db
                .prepare_cached(
                    "UPDATE contexts SET sequence_last = sequence_last + 1 WHERE id = ?1 AND cluster = ?2
                     RETURNING sequence_last, state, reason",
                )?
                .query_row(params![context.to_string(), cluster.as_str()], |row| {
                    Ok((row.get::<_, i64>("sequence_last")?, columns::state(row, ContextState::from_parts)?))
                })
                .optional()?
                .ok_or(StoreError::NoContext(context))?;
            if let ContextState::Error { reason } = state {
                return Err(StoreError::ContextLost { context, reason }.into());
            }
            let added = db
                .prepare_cached(
                    "INSERT INTO commands (id, context, cluster, sequence, language, state, created_ms, timeout_seconds)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING",
                )?
                .execute(params![
                    id.to_string(),
                    context.to_string(),
                    cluster.as_str(),
                    sequence,
                    language.as_str(),
                    CommandState::Queued.name(),
                    integer(now_ms()),
                    timeout_seconds.map(integer),
                ])?;
            if added == 0 {
                return Err(StoreError::Taken(id.to_string()).into());
            }
            db.prepare_cached("INSERT INTO sources (command, text) VALUES (?1, ?2)")?
                .execute(params![db.last_insert_rowid(), source])?;
            Ok(u64::try_from(sequence).unwrap_or_default())
        })
        .await
    }

    /// Takes note that a command's cancel was asked, and returns what it is doing then: `Cancelling`, or the state in
    /// which it was over. `None` when there is no such command.
    pub async fn ask_cancel(&self, context: ContextId, id: CommandId) -> Result<Option<CommandState>, StoreError> {
        self.write("cancel a command", move |db| {
            let cluster = db
                .prepare_cached("SELECT cluster FROM commands WHERE id = ?1 AND context = ?2")?
                .query_row([id.to_string(), context.to_string()], |row| parsed(row, "cluster"))
                .optional()?;
            match cluster {
                Some(cluster) => move_command(db, &cluster, id, CommandEvent::CancelAsked),
                None => Ok(None),
            }
        })
        .await
    }

    /// Returns a command of a context.
    pub async fn command(&self, context: ContextId, id: CommandId) -> Result<Option<CommandRecord>, StoreError> {
        self.read("look up a command", |db| {
            db.prepare_cached("SELECT * FROM commands WHERE id = ?1 AND context = ?2")?
                .query_row([id.to_string(), context.to_string()], record)
                .optional()
        })
        .await
    }

    /// Returns what a command of a context is doing: what a poll asks first.
    pub async fn command_state(&self, context: ContextId, id: CommandId) -> Result<Option<CommandState>, StoreError> {
        self.read("look up a command", |db| {
            db.prepare_cached("SELECT state, reason FROM commands WHERE id = ?1 AND context = ?2")?
                .query_row([id.to_string(), context.to_string()], |row| columns::state(row, CommandState::from_parts))
                .optional()
        })
        .await
    }

    /// Returns a command of a context as clients see it, results and all.
    pub async fn command_view(&self, context: ContextId, id: CommandId) -> Result<Option<CommandView>, StoreError> {
        self.read_bulk("read the results of a command", move |db| {
            // One statement sees one state of the database: never `Finished` without what goes with it.
            db.prepare_cached(
                "SELECT state, reason, json FROM commands LEFT JOIN results ON command = number
                 WHERE id = ?1 AND commands.context = ?2",
            )?
            .query_row([id.to_string(), context.to_string()], |row| {
                let state = columns::state(row, CommandState::from_parts)?;
                let json: Option<String> = row.get("json")?;
                let results = match (&state, json) {
                    (CommandState::Finished, Some(json)) => Some(Results::from_json(json).map_err(unreadable)?),
                    (CommandState::Finished, None) => Some(no_longer_kept()),
                    (state, _) => state.fixed_results(),
                };
                Ok(CommandView { id, results, status: state.status() })
            })
            .optional()
        })
        .await
    }

    /// Returns the code of a command. It is kept as long as the command.
    pub async fn command_source(&self, context: ContextId, id: CommandId) -> Result<Option<String>, StoreError> {
        self.read_bulk("read the source of a command", move |db| {
            db.prepare_cached(
                "SELECT text FROM commands JOIN sources ON command = number WHERE id = ?1 AND commands.context = ?2",
            )?
            .query_row([id.to_string(), context.to_string()], |row| row.get(0))
            .optional()
        })
        .await
    }

    /// Returns up to `limit` commands of a context, the newest first, of those with a number below `before`.
    pub async fn commands_page(
        &self,
        context: ContextId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<CommandRecord>, StoreError> {
        self.read_bulk("list the commands", move |db| {
            db.prepare_cached(
                "SELECT * FROM commands WHERE context = ?1 AND sequence < ?2 ORDER BY sequence DESC LIMIT ?3",
            )?
            .query_map(
                params![context.to_string(), integer(before.unwrap_or(u64::MAX)), integer(limit as u64)],
                record,
            )?
            .collect()
        })
        .await
    }

    /// Returns the commands of a cluster that are not over, by context and then by sequence: what a new connection to
    /// its driver must settle.
    pub async fn open_commands(&self, cluster: &ClusterId) -> Result<Vec<CommandRecord>, StoreError> {
        let cluster = cluster.clone();
        self.read_bulk("list the open commands", move |db| {
            db.prepare_cached(
                "SELECT * FROM commands WHERE cluster = ?1 AND state IN ('Queued', 'Running', 'Cancelling')
                 ORDER BY context, sequence",
            )?
            .query_map([cluster.as_str()], record)?
            .collect()
        })
        .await
    }
}

/// Stands for results that had to make room for later ones of the same context.
fn no_longer_kept() -> Results {
    let text = "The results of this command are no longer kept: later results of its context took their room.";
    Results::error(text, text)
}

fn record(row: &Row<'_>) -> rusqlite::Result<CommandRecord> {
    let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(i64::unsigned_abs));
    Ok(CommandRecord {
        id: parsed(row, "id")?,
        context: parsed(row, "context")?,
        cluster: parsed(row, "cluster")?,
        sequence: number(row, "sequence")?,
        language: parsed(row, "language")?,
        timeout_seconds: time("timeout_seconds")?,
        state: columns::state(row, CommandState::from_parts)?,
        created_ms: number(row, "created_ms")?,
        started_ms: time("started_ms")?,
        ended_ms: time("ended_ms")?,
    })
}
