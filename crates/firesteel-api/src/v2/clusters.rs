//! Clusters as 2.0 and 2.1 show them (reference, section 13).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ClusterId;
use crate::v2::events::Autoscale;
use crate::v2::termination::TerminationReason;

/// The state of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ClusterState {
    /// Its driver is being started.
    Pending,
    /// It takes contexts and commands.
    Running,
    /// Its old driver is being ended, for a fresh one.
    Restarting,
    /// Its size is being changed.
    Resizing,
    /// It is being ended.
    Terminating,
    /// It has ended.
    Terminated,
    /// It could not be started, or was lost.
    Error,
}

/// A node that a cluster runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its address for the cluster's other nodes.
    pub host_private_ip: String,
    /// Names it.
    pub node_id: String,
    /// Its address.
    pub private_ip: String,
    /// Its name.
    pub public_dns: String,
    /// Since when it is there, in Unix milliseconds.
    pub start_timestamp: u64,
}

/// One cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterDetails {
    /// The bounds of a size that follows the load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<Autoscale>,
    /// After how many idle minutes it is ended; 0 is never.
    pub autotermination_minutes: u32,
    /// Where its executors run, by the name in the configuration.
    pub backend: String,
    /// The cores of its driver's node and its workers; absent while it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_cores: Option<f64>,
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The memory of the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_memory_mb: Option<u64>,
    /// The name its owner gave it.
    pub cluster_name: String,
    /// Who made it: always `API`.
    pub cluster_source: String,
    /// Whose it is.
    pub creator_user_name: String,
    /// The owner's own notes.
    pub custom_tags: BTreeMap<String, String>,
    /// As its owner set it; without meaning here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_security_mode: Option<String>,
    /// What the server notes about it.
    pub default_tags: BTreeMap<String, String>,
    /// The node of its driver; absent while it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<Node>,
    /// The kind of that node.
    pub driver_node_type_id: String,
    /// The nodes of its workers.
    pub executors: Vec<Node>,
    /// The port of the JDBC service.
    pub jdbc_port: u16,
    /// When it was restarted last, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_restarted_time: Option<u64>,
    /// When its contexts were lost last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_state_loss_time: Option<u64>,
    /// The kind of its workers' nodes.
    pub node_type_id: String,
    /// The number of workers that is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_workers: Option<u32>,
    /// As its owner set it; without meaning here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub single_user_name: Option<String>,
    /// Its own part of Spark's configuration.
    pub spark_conf: BTreeMap<String, String>,
    /// A number that no other life of its driver has; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spark_context_id: Option<u64>,
    /// What is set in its environment.
    pub spark_env_vars: BTreeMap<String, String>,
    /// The runtime.
    pub spark_version: String,
    /// When it was made, in Unix milliseconds.
    pub start_time: u64,
    /// What it is doing.
    pub state: ClusterState,
    /// More about that, for a reader.
    pub state_message: String,
    /// When it ended; absent while it lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminated_time: Option<u64>,
    /// Why it ended last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_reason: Option<TerminationReason>,
}

/// The answer of `clusters/list`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterList {
    /// One page of clusters, ended ones included.
    pub clusters: Vec<ClusterDetails>,
    /// Asks for the next page; empty on the last.
    pub next_page_token: String,
    /// Asks for the page before; empty on the first.
    pub prev_page_token: String,
}

/// The answer of `clusters/create`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRef {
    /// The cluster.
    pub cluster_id: ClusterId,
}

/// The answer of calls that have nothing to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}
