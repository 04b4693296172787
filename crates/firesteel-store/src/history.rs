//! The history of each cluster: what has happened to it, bounded.

use firesteel_api::ClusterId;
use firesteel_api::v2::events::{ClusterEventView, EventType};
use firesteel_model::history::Entry;
use rusqlite::{Connection, params, params_from_iter};

use crate::clusters::json;
use crate::columns::{integer, number};
use crate::error::Failure;
use crate::store::now_ms;
use crate::{Store, StoreError};

/// Lines of one cluster's history. The oldest make room for the latest.
const HISTORY_MAX: i64 = if cfg!(test) { 10 } else { 1_000 };

/// Which part of a cluster's history is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// From when, in Unix milliseconds.
    pub start_ms: Option<u64>,
    /// Until when, included.
    pub end_ms: Option<u64>,
    /// Only these; all of them when empty.
    pub types: Vec<EventType>,
    /// The oldest first, in place of the newest.
    pub ascending: bool,
    /// How many to pass over.
    pub offset: u64,
    /// How many at most.
    pub limit: u64,
}

impl Store {
    /// Adds a line to a cluster's history.
    pub async fn note(&self, id: &ClusterId, entry: Entry) -> Result<(), StoreError> {
        let id = id.clone();
        self.write("write a cluster's history", move |db| add(db, &id, &entry)).await
    }

    /// Returns a part of a cluster's history, and how many lines the whole query has.
    pub async fn history(
        &self,
        id: &ClusterId,
        query: HistoryQuery,
    ) -> Result<(Vec<ClusterEventView>, u64), StoreError> {
        let id = id.clone();
        self.read_bulk("read a cluster's history", move |db| read(db, &id, &query)).await
    }
}

/// Adds a line, within a transaction, and drops the oldest beyond the bound.
pub(crate) fn add(db: &Connection, id: &ClusterId, entry: &Entry) -> Result<(), Failure> {
    let details = serde_json::to_string(&entry.details).expect("details are text and numbers");
    db.prepare_cached("INSERT INTO cluster_events (cluster, happened_ms, type, details_json) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![id.as_str(), integer(now_ms()), word(entry.kind), details])?;
    db.prepare_cached(
        "DELETE FROM cluster_events WHERE cluster = ?1 AND number <= (
             SELECT number FROM cluster_events WHERE cluster = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![id.as_str(), HISTORY_MAX])?;
    Ok(())
}

fn read(db: &Connection, id: &ClusterId, query: &HistoryQuery) -> rusqlite::Result<(Vec<ClusterEventView>, u64)> {
    let marks = vec!["?"; query.types.len()].join(", ");
    let types = if query.types.is_empty() { String::new() } else { format!("AND type IN ({marks})") };
    let chosen = format!("FROM cluster_events WHERE cluster = ? AND happened_ms BETWEEN ? AND ? {types}");
    let mut values: Vec<rusqlite::types::Value> = vec![
        id.as_str().to_owned().into(),
        integer(query.start_ms.unwrap_or_default()).into(),
        integer(query.end_ms.unwrap_or(u64::MAX)).into(),
    ];
    values.extend(query.types.iter().map(|kind| word(*kind).into()));
    let total = db
        .prepare_cached(&format!("SELECT count(*) AS total {chosen}"))?
        .query_row(params_from_iter(&values), |row| number(row, "total"))?;
    let order = if query.ascending { "ASC" } else { "DESC" };
    values.extend([integer(query.limit).into(), integer(query.offset).into()]);
    let lines = db
        .prepare_cached(&format!("SELECT * {chosen} ORDER BY number {order} LIMIT ? OFFSET ?"))?
        .query_map(params_from_iter(&values), |row| {
            Ok(ClusterEventView {
                cluster_id: id.clone(),
                details: json(&row.get::<_, String>("details_json")?)?,
                timestamp: number(row, "happened_ms")?,
                r#type: json(&format!("\"{}\"", row.get::<_, String>("type")?))?,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok((lines, total))
}

/// The word of a type, as it is stored and as it travels.
fn word(kind: EventType) -> String {
    let value = serde_json::to_value(kind).expect("a type is a word");
    value.as_str().expect("a type is a word").to_owned()
}
