//! Clusters as 1.2 shows them (reference, section 7).

use serde::{Deserialize, Serialize};

use crate::ClusterId;

/// The status of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterStatus {
    /// Its driver is being started.
    Pending,
    /// It takes contexts and commands.
    Running,
    /// It is being resized; it still takes contexts and commands.
    Reconfiguring,
    /// It is being ended.
    Terminating,
    /// It has ended. It stays listed.
    Terminated,
    /// It could not be started, or was lost.
    Error,
}

/// One cluster: these six keys and no other, strict clients count them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterView {
    /// The address of the driver; empty when there is none.
    pub driver_ip: String,
    /// The cluster.
    pub id: ClusterId,
    /// The port of the JDBC service, a number.
    pub jdbc_port: u16,
    /// The name its owner gave it.
    pub name: String,
    /// The number of workers beside the driver.
    pub num_workers: u32,
    /// What it is doing.
    pub status: ClusterStatus,
}

/// The answer of `create`, `resize`, `restart` and `delete`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRef {
    /// The cluster.
    pub id: ClusterId,
}
