//! Clusters as 2.0 and 2.1 show them (reference, section 13).

use serde::{Deserialize, Serialize};

use crate::ClusterId;
use crate::clusters::{ClusterStatus, ClusterView};

/// The state of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ClusterState {
    /// Its driver is being started.
    Pending,
    /// It takes contexts and commands.
    Running,
    /// Its size is being changed.
    Resizing,
    /// It is being ended.
    Terminating,
    /// It has ended.
    Terminated,
    /// It could not be started, or was lost.
    Error,
}

impl From<ClusterStatus> for ClusterState {
    fn from(status: ClusterStatus) -> Self {
        match status {
            ClusterStatus::Pending => Self::Pending,
            ClusterStatus::Running => Self::Running,
            ClusterStatus::Reconfiguring => Self::Resizing,
            ClusterStatus::Terminating => Self::Terminating,
            ClusterStatus::Terminated => Self::Terminated,
            ClusterStatus::Error => Self::Error,
        }
    }
}

/// One cluster, with the keys that clients of 1.2 look for before they make a context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterDetails {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The name its owner gave it.
    pub cluster_name: String,
    /// Who made it: always `API`.
    pub cluster_source: String,
    /// The port of the JDBC service.
    pub jdbc_port: u16,
    /// The number of workers beside the driver.
    pub num_workers: u32,
    /// What it is doing.
    pub state: ClusterState,
}

impl From<ClusterView> for ClusterDetails {
    fn from(view: ClusterView) -> Self {
        Self {
            cluster_id: view.id,
            cluster_name: view.name,
            cluster_source: "API".to_owned(),
            jdbc_port: view.jdbc_port,
            num_workers: view.num_workers,
            state: view.status.into(),
        }
    }
}

/// The answer of `clusters/list`: everything on one page, so both tokens are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterList {
    /// Every cluster, ended ones included.
    pub clusters: Vec<ClusterDetails>,
    /// Empty: there is no further page.
    pub next_page_token: String,
    /// Empty: there is no page before.
    pub prev_page_token: String,
}
