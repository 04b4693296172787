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
}

impl Store {
    /// Adds a context, Pending. [`StoreError::Taken`] when there is one with this id.
    pub async fn insert_context(
        &self,
        cluster: &ClusterId,
        id: ContextId,
        language: Language,
    ) -> Result<ContextRecord, StoreError> {
        let state = ContextState::Pending;
        let context =
            ContextRecord { id, cluster: cluster.clone(), language, state, created_ms: now_ms(), sequence_last: 0 };
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
            db.prepare_cached("SELECT * FROM contexts WHERE id = ?1 AND cluster = ?2")?
                .query_row(params![id.to_string(), cluster.as_str()], record)
                .optional()
        })
        .await
    }

    /// Returns the contexts of a cluster, in the order of their creation.
    pub async fn contexts(&self, cluster: &ClusterId) -> Result<Vec<ContextRecord>, StoreError> {
        let cluster = cluster.clone();
        self.read_bulk("list the contexts", move |db| {
            db.prepare_cached("SELECT * FROM contexts WHERE cluster = ?1 ORDER BY created_ms, id")?
                .query_map([cluster.as_str()], record)?
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

    /// Deletes every context of a cluster, their commands and their results; returns how many contexts there were.
    pub async fn delete_contexts_of(&self, cluster: &ClusterId) -> Result<usize, StoreError> {
        let cluster = cluster.clone();
        self.write("delete the contexts of a cluster", move |db| {
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
    })
}
