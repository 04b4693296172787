//! How clusters change: every event of one's life, and what its owner edits, each with its line of the history in the
//! same transaction.

use firesteel_api::ClusterId;
use firesteel_api::v2::events::{EventDetails, EventType};
use firesteel_api::v2::termination::TerminationReason;
use firesteel_model::history::{self as rules, Entry};
use firesteel_model::{Cause, ClusterEvent, ClusterSettings, ClusterState};
use rusqlite::{Connection, OptionalExtension, params};

use crate::clusters::{need, settings_json};
use crate::columns::{self, integer, number};
use crate::error::{Failure, bounded};
use crate::events::lose_contexts;
use crate::store::now_ms;
use crate::{ClusterRecord, Store, StoreError, history, installs};

impl Store {
    /// Puts a cluster through an event and returns what is known of it then. What the model refuses is
    /// [`StoreError::Refused`]. When the driver is lost, so are the contexts and the open commands, in the same
    /// transaction.
    pub async fn cluster_event(
        &self,
        id: &ClusterId,
        event: ClusterEvent,
        cause: Cause,
    ) -> Result<ClusterRecord, StoreError> {
        let id = id.clone();
        self.write("change a cluster", move |db| move_cluster(db, &id, &event, &cause)).await
    }

    /// Stores other settings.
    pub async fn edit_cluster(
        &self,
        id: &ClusterId,
        settings: ClusterSettings,
        cause: Cause,
    ) -> Result<ClusterRecord, StoreError> {
        let (id, json) = (id.clone(), settings_json(&settings)?);
        self.write("edit a cluster", move |db| {
            let before = need(db, &id)?;
            set_settings(db, &id, &json)?;
            let details = EventDetails {
                cluster_size: Some(settings.size()),
                previous_cluster_size: Some(before.settings.size()),
                user: cause.user(),
                ..EventDetails::default()
            };
            history::add(db, &id, &Entry { kind: EventType::Edited, details })?;
            Ok(ClusterRecord { settings, ..before })
        })
        .await
    }

    /// Stores another size, and that it was asked for.
    pub async fn resize_cluster(
        &self,
        id: &ClusterId,
        settings: ClusterSettings,
        cause: Cause,
    ) -> Result<ClusterRecord, StoreError> {
        let (id, json) = (id.clone(), settings_json(&settings)?);
        self.write("resize a cluster", move |db| {
            set_settings(db, &id, &json)?;
            move_cluster(db, &id, &ClusterEvent::ResizeAsked, &cause)
        })
        .await
    }

    /// Keeps a cluster however long it has been ended, or no longer.
    pub async fn pin_cluster(&self, id: &ClusterId, pinned: bool, cause: Cause) -> Result<ClusterRecord, StoreError> {
        let id = id.clone();
        self.write("pin a cluster", move |db| {
            let before = need(db, &id)?;
            if before.pinned != pinned {
                db.prepare_cached("UPDATE clusters SET pinned = ?2 WHERE id = ?1")?
                    .execute(params![id.as_str(), pinned])?;
                let kind = if pinned { EventType::Pinned } else { EventType::Unpinned };
                let details = EventDetails { user: cause.user(), ..EventDetails::default() };
                history::add(db, &id, &Entry { kind, details })?;
            }
            Ok(ClusterRecord { pinned, ..before })
        })
        .await
    }

    /// Gives a cluster to another user.
    pub async fn give_cluster(&self, id: &ClusterId, owner: &str) -> Result<ClusterRecord, StoreError> {
        bounded("owner of a cluster", owner, 256)?;
        let (id, owner) = (id.clone(), owner.to_owned());
        self.write("give a cluster to another user", move |db| {
            let before = need(db, &id)?;
            db.prepare_cached("UPDATE clusters SET owner = ?2 WHERE id = ?1")?.execute(params![id.as_str(), owner])?;
            Ok(ClusterRecord { owner, ..before })
        })
        .await
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
}

fn set_settings(db: &Connection, id: &ClusterId, json: &str) -> Result<(), Failure> {
    db.prepare_cached("UPDATE clusters SET settings_json = ?2 WHERE id = ?1")?.execute(params![id.as_str(), json])?;
    Ok(())
}

/// Takes note of how many workers there are.
pub(crate) fn count_workers(db: &Connection, id: &ClusterId, workers: u32) -> Result<(), Failure> {
    db.prepare_cached("UPDATE clusters SET workers = ?2 WHERE id = ?1")?.execute(params![id.as_str(), workers])?;
    Ok(())
}

/// Puts a cluster through an event, within a transaction.
pub(crate) fn move_cluster(
    db: &Connection,
    id: &ClusterId,
    event: &ClusterEvent,
    cause: &Cause,
) -> Result<ClusterRecord, Failure> {
    let mut record = need(db, id)?;
    if let ClusterEvent::Lost { reason, .. } = event {
        lose_contexts(db, id, reason)?;
        installs::driver_gone(db, id)?;
    }
    let before = record.state.clone();
    let after = before.clone().after(event.clone()).map_err(StoreError::Refused)?;
    if let (true, ClusterEvent::Lost { code, .. }) = (before != after, event)
        && let Some(failure) = rules::failure(&after, *code)
    {
        history::add(db, id, &failure)?;
    }
    if let Some(entry) = rules::entry(&before, &after, event, cause, &record.settings, record.workers) {
        history::add(db, id, &entry)?;
    }
    if after != before {
        record.ending = rules::ending(&before, &after, event, cause).or(record.ending);
        record.state = after;
        stamp(&mut record, event);
        put_state(db, &record)?;
    }
    Ok(record)
}

/// Sets the times that a new state has.
fn stamp(record: &mut ClusterRecord, event: &ClusterEvent) {
    let now = now_ms();
    if *event == ClusterEvent::RestartAsked {
        record.restarted_ms = Some(now);
    }
    match &record.state {
        // It is launched now, or as soon as the old driver has ended.
        ClusterState::Pending | ClusterState::Restarting => {
            record.started_ms = Some(now);
            record.terminated_ms = None;
            record.ending = None;
            record.workers = 0;
        }
        ClusterState::Terminated | ClusterState::Error { .. } => {
            record.terminated_ms = Some(now);
            record.workers = 0;
        }
        ClusterState::Running | ClusterState::Reconfiguring | ClusterState::Terminating => {}
    }
}

fn put_state(db: &Connection, record: &ClusterRecord) -> Result<(), Failure> {
    let ending = |ending: &TerminationReason| serde_json::to_string(ending).expect("a reason is text");
    db.prepare_cached(
        "UPDATE clusters SET state = ?2, reason = ?3, workers = ?4, started_ms = ?5, restarted_ms = ?6,
                             terminated_ms = ?7, ending_json = ?8
         WHERE id = ?1",
    )?
    .execute(params![
        record.id.as_str(),
        record.state.name(),
        record.state.reason().map(columns::reason),
        record.workers,
        record.started_ms.map(integer),
        record.restarted_ms.map(integer),
        record.terminated_ms.map(integer),
        record.ending.as_ref().map(ending),
    ])?;
    Ok(())
}
