//! What a cluster can be made of: `clusters/spark-versions`, `list-node-types`, `list-zones` of 2.x (reference, section 13).

use serde::{Deserialize, Serialize};

/// A runtime that clusters can be made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparkVersion {
    /// What `spark_version` says to have it.
    pub key: String,
    /// What it is, for a reader.
    pub name: String,
}

/// A kind of node that a backend offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeType {
    /// What kind of thing it is.
    pub category: String,
    /// What it is, for a reader.
    pub description: String,
    /// The same as `node_type_id`.
    pub instance_type_id: String,
    /// Always false.
    pub is_deprecated: bool,
    /// Its memory.
    pub memory_mb: u64,
    /// What `node_type_id` says to have it.
    pub node_type_id: String,
    /// Its cores.
    pub num_cores: f64,
}

/// The answer of `clusters/spark-versions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparkVersions {
    /// What a cluster gets that names none.
    pub default_version_key: String,
    /// All of them.
    pub versions: Vec<SparkVersion>,
}

/// The answer of `clusters/list-node-types`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeTypes {
    /// All of them.
    pub node_types: Vec<NodeType>,
}

/// The answer of `clusters/list-zones`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zones {
    /// The one that clusters are made in.
    pub default_zone: String,
    /// All of them.
    pub zones: Vec<String>,
}
