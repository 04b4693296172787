//! Execution contexts. A destroyed one is deleted, with its commands and results.

use firesteel_api::{ClusterId, ContextId, Language};
use firesteel_model::ContextState;
use rusqlite::{OptionalExtension, Row, params};

use crate::columns::{self, integer, number, parsed};
use crate::store::now_ms;
use crate::{Store, StoreError};

/// One context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextRecord {
    /// The context.
    pub id: ContextId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// The language of commands that name none.
    pub language: Language,
    /// What it is doing.
    pub state: ContextState,
    /// When it was made, in Unix milliseconds.
    pub created_ms: u64,
    /// The number of its last command; 0 before the first.
    pub sequence_last: u64,
    /// When a command of it was last sent or ended, in Unix milliseconds; when it was made, before the first.
    pub used_ms: u64,
    /// Its live streaming queries.
    pub streams: u64,
}

/// How many contexts of a cluster that made room for others are remembered: the latest.
const DISCONNECTED_MAX: u64 = if cfg!(test) { 3 } else { 1_000 };

/// The columns of a record.
const RECORD: &str =
    "SELECT *, max(created_ms, coalesce((SELECT max(max(created_ms, coalesce(ended_ms, 0))) FROM commands
                      WHERE commands.context = contexts.id), 0)) AS used_ms FROM contexts";

impl Store {
    /// Adds a context, Pending. [`StoreError::Taken`] when there is one with this id.
    pub async fn insert_context(
        &self,
        cluster: &ClusterId,
        id: ContextId,
        language: Language,
    ) -> Result<ContextRecord, StoreError> {
        let state = ContextState::Pending;
        let now = now_ms();
        let context = ContextRecord {
            id,
            cluster: cluster.clone(),
            language,
            state,
            created_ms: now,
            sequence_last: 0,
            used_ms: now,
            streams: 0,
        };
        self.write("store a context", move |db| {
            let known =
                db.prepare_cached("SELECT 1 FROM clusters WHERE id = ?1")?.exists([context.cluster.as_str()])?;
            if !known {
                return Err(StoreError::NoCluster(context.cluster).into());
            }
            let added = db
                .prepare_cached(
                    "INSERT INTO contexts (id, cluster, language, state, created_ms, sequence_last, results_bytes)
                     VALUES (?1, ?2, ?3, ?4, ?5, 0, 0) ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    id.to_string(),
                    context.cluster.as_str(),
                    language.as_str(),
                    context.state.name(),
                    integer(context.created_ms),
                ])?;
            if added == 0 { Err(StoreError::Taken(id.to_string()).into()) } else { Ok(context) }
        })
        .await
    }

    /// Returns a context of a cluster.
    pub async fn context(&self, cluster: &ClusterId, id: ContextId) -> Result<Option<ContextRecord>, StoreError> {
        self.read("look up a context", |db| {
            db.prepare_cached(&format!("{RECORD} WHERE id = ?1 AND cluster = ?2"))?
                .query_row(params![id.to_string(), cluster.as_str()], record)
                .optional()
        })
        .await
    }

    /// Returns the contexts of a cluster, in the order of their creation.
    pub async fn contexts(&self, cluster: &ClusterId) -> Result<Vec<ContextRecord>, StoreError> {
        let cluster = cluster.clone();
        self.read_bulk("list the contexts", move |db| {
            db.prepare_cached(&format!("{RECORD} WHERE cluster = ?1 ORDER BY created_ms, id"))?
                .query_map([cluster.as_str()], record)?
                .collect()
        })
        .await
    }

    /// Returns up to `limit` contexts of a cluster, the newest first, of those older than `before`.
    pub async fn contexts_page(
        &self,
        cluster: &ClusterId,
        before: Option<ContextId>,
        limit: usize,
    ) -> Result<Vec<ContextRecord>, StoreError> {
        let cluster = cluster.clone();
        // Ids sort by time, and are numbers.
        let before = before.map_or_else(|| i64::MAX.to_string(), |id| id.to_string());
        self.read_bulk("list the contexts", move |db| {
            db.prepare_cached(&format!(
                "{RECORD} WHERE cluster = ?1 AND CAST(id AS INTEGER) < CAST(?2 AS INTEGER)
                 ORDER BY CAST(id AS INTEGER) DESC LIMIT ?3"
            ))?
            .query_map(params![cluster.as_str(), before, integer(limit as u64)], record)?
            .collect()
        })
        .await
    }

    /// Deletes a context of a cluster, its commands and their results; tells whether there was one.
    pub async fn delete_context(&self, cluster: &ClusterId, id: ContextId) -> Result<bool, StoreError> {
        let cluster = cluster.clone();
        self.write("delete a context", move |db| {
            let deleted = db
                .prepare_cached("DELETE FROM contexts WHERE id = ?1 AND cluster = ?2")?
                .execute(params![id.to_string(), cluster.as_str()])?;
            Ok(deleted > 0)
        })
        .await
    }

    /// Deletes a context like [`delete_context`](Self::delete_context) and remembers that it made room for another.
    pub async fn disconnect_context(&self, cluster: &ClusterId, id: ContextId) -> Result<bool, StoreError> {
        let cluster = cluster.clone();
        self.write("disconnect a context", move |db| {
            let deleted = db
                .prepare_cached("DELETE FROM contexts WHERE id = ?1 AND cluster = ?2")?
                .execute(params![id.to_string(), cluster.as_str()])?;
            if deleted == 0 {
                return Ok(false);
            }
            db.prepare_cached("INSERT INTO disconnected (context, cluster) VALUES (?1, ?2)")?
                .execute(params![id.to_string(), cluster.as_str()])?;
            db.prepare_cached(
                "DELETE FROM disconnected WHERE cluster = ?1 AND number <=
                 (SELECT number FROM disconnected WHERE cluster = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute(params![cluster.as_str(), integer(DISCONNECTED_MAX)])?;
            Ok(true)
        })
        .await
    }

    /// Returns the contexts of a cluster that made room for others, as far back as they are remembered.
    pub async fn disconnected_contexts(&self, cluster: &ClusterId) -> Result<Vec<ContextId>, StoreError> {
        let cluster = cluster.clone();
        self.read_bulk("list the disconnected contexts", move |db| {
            db.prepare_cached("SELECT context FROM disconnected WHERE cluster = ?1 ORDER BY number")?
                .query_map([cluster.as_str()], |row| parsed(row, "context"))?
                .collect()
        })
        .await
    }

    /// Deletes every context of a cluster, their commands and their results; returns how many contexts there were.
    pub async fn delete_contexts_of(&self, cluster: &ClusterId) -> Result<usize, StoreError> {
        let cluster = cluster.clone();
        self.write("delete the contexts of a cluster", move |db| {
            db.prepare_cached("DELETE FROM disconnected WHERE cluster = ?1")?.execute([cluster.as_str()])?;
            Ok(db.prepare_cached("DELETE FROM contexts WHERE cluster = ?1")?.execute([cluster.as_str()])?)
        })
        .await
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<ContextRecord> {
    Ok(ContextRecord {
        id: parsed(row, "id")?,
        cluster: parsed(row, "cluster")?,
        language: parsed(row, "language")?,
        state: columns::state(row, ContextState::from_parts)?,
        created_ms: number(row, "created_ms")?,
        sequence_last: number(row, "sequence_last")?,
        used_ms: number(row, "used_ms")?,
        streams: number(row, "streams")?,
    })
}
