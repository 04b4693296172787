//! Clusters, ended ones included: what is known of each. How they change is in `lives`.

use firesteel_api::ClusterId;
use firesteel_api::v2::events::{EventDetails, EventType};
use firesteel_api::v2::termination::TerminationReason;
use firesteel_model::history::Entry;
use firesteel_model::{Cause, ClusterSettings, ClusterState};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;

use crate::columns::{self, integer, number, parsed, unreadable};
use crate::error::{Failure, bounded};
use crate::{Store, StoreError, history, installs};

/// The settings of one cluster, as JSON.
const SETTINGS_BYTES_MAX: usize = 1024 * 1024;

/// One cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRecord {
    /// The cluster.
    pub id: ClusterId,
    /// What its owner wants of it.
    pub settings: ClusterSettings,
    /// What it is doing.
    pub state: ClusterState,
    /// How many workers there are.
    pub workers: u32,
    /// The port of the JDBC service.
    pub jdbc_port: u16,
    /// The address of the driver.
    pub driver_ip: String,
    /// Whose it is.
    pub owner: String,
    /// Whether it is kept however long it has been ended.
    pub pinned: bool,
    /// When it was made, in Unix milliseconds.
    pub created_ms: u64,
    /// When its driver was launched last.
    pub started_ms: Option<u64>,
    /// When it was restarted last.
    pub restarted_ms: Option<u64>,
    /// When it ended; absent while it lives.
    pub terminated_ms: Option<u64>,
    /// Why it ended last; absent before its first end and while it lives.
    pub ending: Option<TerminationReason>,
    /// Which driver the events come from; empty before the first.
    pub generation: String,
    /// The last event of that driver which is in the store.
    pub event_acked: u64,
}

impl ClusterRecord {
    /// Makes the record of a cluster that was not started yet.
    pub fn new(id: ClusterId, settings: ClusterSettings, owner: &str, jdbc_port: u16, created_ms: u64) -> Self {
        Self {
            id,
            settings,
            state: ClusterState::Terminated,
            workers: 0,
            jdbc_port,
            driver_ip: "127.0.0.1".to_owned(),
            owner: owner.to_owned(),
            pinned: false,
            created_ms,
            started_ms: None,
            restarted_ms: None,
            terminated_ms: None,
            ending: None,
            generation: String::new(),
            event_acked: 0,
        }
    }
}

impl Store {
    /// Adds a cluster, and a line to its history. [`StoreError::Taken`] when there is one with this id.
    pub async fn insert_cluster(&self, cluster: ClusterRecord, cause: Cause) -> Result<(), StoreError> {
        let settings = settings_json(&cluster.settings)?;
        self.write("store a cluster", move |db| {
            insert(db, &cluster, &settings)?;
            installs::give_all(db, &cluster.id)?;
            let details = EventDetails {
                cluster_size: Some(cluster.settings.size()),
                user: cause.user(),
                ..EventDetails::default()
            };
            history::add(db, &cluster.id, &Entry { kind: EventType::Creating, details })
        })
        .await
    }

    /// Returns a cluster.
    pub async fn cluster(&self, id: &ClusterId) -> Result<Option<ClusterRecord>, StoreError> {
        self.read("look up a cluster", |db| find(db, id).optional()).await
    }

    /// Returns all clusters, ended ones included, in the order of their creation.
    pub async fn clusters(&self) -> Result<Vec<ClusterRecord>, StoreError> {
        self.read_bulk("list the clusters", |db| {
            db.prepare_cached("SELECT * FROM clusters ORDER BY created_ms, id")?.query_map([], record)?.collect()
        })
        .await
    }

    /// Deletes a cluster for good, with its history, contexts, commands and results; tells whether there was one.
    pub async fn delete_cluster(&self, id: &ClusterId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write("delete a cluster", move |db| {
            Ok(db.prepare_cached("DELETE FROM clusters WHERE id = ?1")?.execute([id.as_str()])? > 0)
        })
        .await
    }
}

fn insert(db: &Connection, cluster: &ClusterRecord, settings: &str) -> Result<(), Failure> {
    let added = db
        .prepare_cached(
            "INSERT INTO clusters (id, settings_json, state, reason, workers, jdbc_port, driver_ip, owner, pinned,
                                   created_ms, generation, event_acked)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            cluster.id.as_str(),
            settings,
            cluster.state.name(),
            cluster.state.reason().map(columns::reason),
            cluster.workers,
            cluster.jdbc_port,
            cluster.driver_ip,
            cluster.owner,
            cluster.pinned,
            integer(cluster.created_ms),
            cluster.generation,
            integer(cluster.event_acked),
        ])?;
    if added == 0 { Err(StoreError::Taken(cluster.id.to_string()).into()) } else { Ok(()) }
}

/// Spells settings as they are stored.
pub(crate) fn settings_json(settings: &ClusterSettings) -> Result<String, StoreError> {
    let json = serde_json::to_string(settings).expect("settings are text and numbers");
    bounded("cluster settings", &json, SETTINGS_BYTES_MAX)?;
    Ok(json)
}

/// Reads one cluster.
pub(crate) fn find(db: &Connection, id: &ClusterId) -> rusqlite::Result<ClusterRecord> {
    db.prepare_cached("SELECT * FROM clusters WHERE id = ?1")?.query_row([id.as_str()], record)
}

/// Reads one cluster, within a transaction that is about it.
pub(crate) fn need(db: &Connection, id: &ClusterId) -> Result<ClusterRecord, Failure> {
    find(db, id).optional()?.ok_or_else(|| StoreError::NoCluster(id.clone()).into())
}

fn record(row: &Row<'_>) -> rusqlite::Result<ClusterRecord> {
    let time =
        |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.and_then(|time| time.try_into().ok()));
    Ok(ClusterRecord {
        id: parsed(row, "id")?,
        settings: json(&row.get::<_, String>("settings_json")?)?,
        state: columns::state(row, ClusterState::from_parts)?,
        workers: row.get("workers")?,
        jdbc_port: row.get("jdbc_port")?,
        driver_ip: row.get("driver_ip")?,
        owner: row.get("owner")?,
        pinned: row.get("pinned")?,
        created_ms: number(row, "created_ms")?,
        started_ms: time("started_ms")?,
        restarted_ms: time("restarted_ms")?,
        terminated_ms: time("terminated_ms")?,
        ending: row.get::<_, Option<String>>("ending_json")?.map(|text| json(&text)).transpose()?,
        generation: row.get("generation")?,
        event_acked: number(row, "event_acked")?,
    })
}

/// Reads a JSON column.
pub(crate) fn json<T: DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(unreadable)
}
