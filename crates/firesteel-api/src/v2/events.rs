//! What has happened to a cluster, as `clusters/events` of 2.x tells it (reference, section 13).

use serde::{Deserialize, Serialize};

use crate::ClusterId;
use crate::v2::termination::TerminationReason;

/// What happened. The words are those of the service's list that can happen here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventType {
    /// It was made.
    Creating,
    /// A driver is launched for an ended cluster.
    Starting,
    /// A driver is ended for a fresh one.
    Restarting,
    /// Spark is up.
    Running,
    /// Its settings were changed.
    Edited,
    /// Another number of workers was asked for.
    Resizing,
    /// The workers that were asked for are there.
    UpsizeCompleted,
    /// Workers were lost, or could not be had.
    NodesLost,
    /// Spark, or the master it runs on, failed.
    SparkException,
    /// The driver does not answer, or is gone.
    DriverNotResponding,
    /// It is being ended, or has failed.
    Terminating,
    /// Its owner wants it kept.
    Pinned,
    /// It is kept no longer than others.
    Unpinned,
    /// How many workers it has, by its load.
    AutoscalingStatsReport,
}

/// A number of workers: fixed, or from one to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSize {
    /// The bounds of a size that follows the load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<Autoscale>,
    /// A fixed number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_workers: Option<u32>,
}

/// The bounds of a size that follows the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autoscale {
    /// The least number of workers.
    pub min_workers: u32,
    /// The largest.
    pub max_workers: u32,
}

/// What else is known of what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventDetails {
    /// What the size was changed by: `USER_REQUEST` or `AUTOSCALE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The size that is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_size: Option<ClusterSize>,
    /// The number of workers that there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_num_workers: Option<u32>,
    /// What is known of the driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_state_message: Option<String>,
    /// The size that was set before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_cluster_size: Option<ClusterSize>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<TerminationReason>,
    /// The number of workers that is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_num_workers: Option<u32>,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// One thing that happened to a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterEventView {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// What else is known.
    pub details: EventDetails,
    /// When, in Unix milliseconds.
    pub timestamp: u64,
    /// What.
    pub r#type: EventType,
}
