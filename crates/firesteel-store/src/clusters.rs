//! Clusters, ended ones included.

use firesteel_api::ClusterId;
use firesteel_model::{ClusterEvent, ClusterState};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::columns::{self, integer, number, parsed};
use crate::error::{Failure, bounded};
use crate::events::lose_contexts;
use crate::{Store, StoreError};

/// One cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRecord {
    /// The cluster.
    pub id: ClusterId,
    /// The name its owner gave it.
    pub name: String,
    /// What it is doing.
    pub state: ClusterState,
    /// The number of workers that is wanted.
    pub num_workers: u32,
    /// The port of the JDBC service.
    pub jdbc_port: u16,
    /// The address of the driver; empty when there is none.
    pub driver_ip: String,
    /// The runtime by its name in the configuration; the default one when absent.
    pub runtime: Option<String>,
    /// The backend by its name in the configuration.
    pub backend: String,
    /// When it was made, in Unix milliseconds.
    pub created_ms: u64,
    /// Which driver the events come from; empty before the first.
    pub generation: String,
    /// The last event of that driver which is in the store.
    pub event_acked: u64,
    /// What it was made from, as JSON of the server's own.
    pub spec_json: String,
}

impl Store {
    /// Adds a cluster. [`StoreError::Taken`] when there is one with this id.
    pub async fn insert_cluster(&self, cluster: ClusterRecord) -> Result<(), StoreError> {
        check(&cluster)?;
        self.write("store a cluster", move |db| {
            let added = db
                .prepare_cached(
                    "INSERT INTO clusters (id, name, state, reason, num_workers, jdbc_port, driver_ip, runtime, backend,
                                           created_ms, generation, event_acked, spec_json)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    cluster.id.as_str(),
                    cluster.name,
                    cluster.state.name(),
                    cluster.state.reason().map(columns::reason),
                    cluster.num_workers,
                    cluster.jdbc_port,
                    cluster.driver_ip,
                    cluster.runtime,
                    cluster.backend,
                    integer(cluster.created_ms),
                    cluster.generation,
                    integer(cluster.event_acked),
                    cluster.spec_json,
                ])?;
            if added == 0 { Err(StoreError::Taken(cluster.id.to_string()).into()) } else { Ok(()) }
        })
        .await
    }

    /// Stores what may be edited of a cluster: its name, workers, port, address, runtime, backend and spec. The rest is
    /// left as it is: `state` has [`cluster_event`](Self::cluster_event), and `generation` and `event_acked` belong to
    /// [`begin_generation`](Self::begin_generation) and [`apply`](Self::apply).
    pub async fn update_cluster(&self, cluster: ClusterRecord) -> Result<(), StoreError> {
        check(&cluster)?;
        self.write("update a cluster", move |db| {
            let updated = db
                .prepare_cached(
                    "UPDATE clusters SET name = ?2, num_workers = ?3, jdbc_port = ?4, driver_ip = ?5, runtime = ?6,
                                         backend = ?7, spec_json = ?8
                     WHERE id = ?1",
                )?
                .execute(params![
                    cluster.id.as_str(),
                    cluster.name,
                    cluster.num_workers,
                    cluster.jdbc_port,
                    cluster.driver_ip,
                    cluster.runtime,
                    cluster.backend,
                    cluster.spec_json,
                ])?;
            if updated == 0 { Err(StoreError::NoCluster(cluster.id).into()) } else { Ok(()) }
        })
        .await
    }

    /// Puts a cluster through an event and returns what it is doing then. What the model refuses is
    /// [`StoreError::Refused`]. When the driver is lost, so are the contexts and the open commands, in the same
    /// transaction.
    pub async fn cluster_event(&self, id: &ClusterId, event: ClusterEvent) -> Result<ClusterState, StoreError> {
        let id = id.clone();
        self.write("change a cluster", move |db| move_cluster(db, &id, event)).await
    }

    /// Takes note of which driver events come from now on. A driver that is known keeps its place; for a new one the
    /// count of events begins at 0. Returns the last event that is in the store.
    pub async fn begin_generation(&self, id: &ClusterId, generation: &str) -> Result<u64, StoreError> {
        bounded("generation", generation, 256)?;
        let (id, generation) = (id.clone(), generation.to_owned());
        self.write("take note of a driver", move |db| {
            db.prepare_cached(
                "UPDATE clusters SET event_acked = CASE generation WHEN ?2 THEN event_acked ELSE 0 END, generation = ?2
                 WHERE id = ?1 RETURNING event_acked",
            )?
            .query_row(params![id.as_str(), generation], |row| number(row, "event_acked"))
            .optional()?
            .ok_or_else(|| StoreError::NoCluster(id).into())
        })
        .await
    }

    /// Returns a cluster.
    pub async fn cluster(&self, id: &ClusterId) -> Result<Option<ClusterRecord>, StoreError> {
        self.read("look up a cluster", |db| {
            db.prepare_cached("SELECT * FROM clusters WHERE id = ?1")?.query_row([id.as_str()], record).optional()
        })
        .await
    }

    /// Returns all clusters, ended ones included, in the order of their creation.
    pub async fn clusters(&self) -> Result<Vec<ClusterRecord>, StoreError> {
        self.read_bulk("list the clusters", |db| {
            db.prepare_cached("SELECT * FROM clusters ORDER BY created_ms, id")?.query_map([], record)?.collect()
        })
        .await
    }

    /// Deletes a cluster for good, with its contexts, commands and results; tells whether there was one.
    pub async fn delete_cluster(&self, id: &ClusterId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write("delete a cluster", move |db| {
            Ok(db.prepare_cached("DELETE FROM clusters WHERE id = ?1")?.execute([id.as_str()])? > 0)
        })
        .await
    }
}

/// Puts a cluster through an event, within a transaction.
pub(crate) fn move_cluster(db: &Connection, id: &ClusterId, event: ClusterEvent) -> Result<ClusterState, Failure> {
    let before = db
        .prepare_cached("SELECT state, reason FROM clusters WHERE id = ?1")?
        .query_row([id.as_str()], |row| columns::state(row, ClusterState::from_parts))
        .optional()?
        .ok_or_else(|| StoreError::NoCluster(id.clone()))?;
    if let ClusterEvent::Lost { reason } = &event {
        lose_contexts(db, id, reason)?;
    }
    let after = before.clone().after(event).map_err(StoreError::Refused)?;
    if after != before {
        db.prepare_cached("UPDATE clusters SET state = ?2, reason = ?3 WHERE id = ?1")?.execute(params![
            id.as_str(),
            after.name(),
            after.reason().map(columns::reason)
        ])?;
    }
    Ok(after)
}

fn check(cluster: &ClusterRecord) -> Result<(), StoreError> {
    bounded("cluster name", &cluster.name, 4_096)?;
    bounded("cluster spec", &cluster.spec_json, 1024 * 1024)
}

fn record(row: &Row<'_>) -> rusqlite::Result<ClusterRecord> {
    Ok(ClusterRecord {
        id: parsed(row, "id")?,
        name: row.get("name")?,
        state: columns::state(row, ClusterState::from_parts)?,
        num_workers: row.get("num_workers")?,
        jdbc_port: row.get("jdbc_port")?,
        driver_ip: row.get("driver_ip")?,
        runtime: row.get("runtime")?,
        backend: row.get("backend")?,
        created_ms: number(row, "created_ms")?,
        generation: row.get("generation")?,
        event_acked: number(row, "event_acked")?,
        spec_json: row.get("spec_json")?,
    })
}
