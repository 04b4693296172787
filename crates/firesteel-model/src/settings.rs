//! What a user wants of a cluster: the record that its drivers are launched from, each time it is started.

use std::collections::BTreeMap;

use firesteel_api::v2::events::{Autoscale, ClusterSize};
use serde::{Deserialize, Serialize};

/// What a user wants of a cluster, by the names of 2.x. It is stored as JSON; what is absent there is as by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterSettings {
    /// The name its owner gave it.
    pub cluster_name: String,
    /// The runtime, as one of `clusters/spark-versions`; the default one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spark_version: Option<String>,
    /// The fixed number of workers. 0 runs Spark inside the driver.
    pub num_workers: u32,
    /// The bounds of a number of workers that follows the load; `num_workers` means nothing beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<Autoscale>,
    /// The kind of the workers' nodes, as one of `clusters/list-node-types`; the backend's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_type_id: Option<String>,
    /// The kind of the driver's node; that of the workers when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_node_type_id: Option<String>,
    /// Spark's configuration, as the policy lets it through.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub spark_conf: BTreeMap<String, String>,
    /// What is set in the environment of Spark's JVM and of user code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub spark_env_vars: BTreeMap<String, String>,
    /// The owner's own notes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_tags: BTreeMap<String, String>,
    /// After how many idle minutes it is ended; 0 is never.
    pub autotermination_minutes: u32,
    /// Where its executors run, by the name in the configuration; the default one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Kept for clients that read it back; without meaning here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_security_mode: Option<String>,
    /// Kept for clients that read it back; without meaning here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub single_user_name: Option<String>,
}

impl ClusterSettings {
    /// The least number of workers.
    pub fn workers_min(&self) -> u32 {
        self.autoscale.map_or(self.num_workers, |bounds| bounds.min_workers)
    }

    /// The largest number of workers; the least one too where the size is fixed.
    pub fn workers_max(&self) -> u32 {
        self.autoscale.map_or(self.num_workers, |bounds| bounds.max_workers)
    }

    /// The size as 2.x shows it.
    pub fn size(&self) -> ClusterSize {
        let num_workers = self.autoscale.is_none().then_some(self.num_workers);
        ClusterSize { autoscale: self.autoscale, num_workers }
    }

    /// Sets another size.
    #[must_use]
    pub fn resized(mut self, size: ClusterSize) -> Self {
        self.autoscale = size.autoscale;
        self.num_workers = size.num_workers.unwrap_or_default();
        self
    }

    /// The kind of the driver's node, where one was named.
    pub fn driver_node(&self) -> Option<&str> {
        self.driver_node_type_id.as_deref().or(self.node_type_id.as_deref())
    }

    /// Tells whether a driver launched from `other` would differ in more than what it is told while it runs.
    pub fn needs_restart(&self, other: &Self) -> bool {
        let launched = |settings: &Self| Self {
            cluster_name: String::new(),
            custom_tags: BTreeMap::new(),
            autotermination_minutes: 0,
            data_security_mode: None,
            single_user_name: None,
            ..settings.clone()
        };
        launched(self) != launched(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_stored_is_as_by_default_and_the_rest_reads_back() {
        let settings: ClusterSettings = serde_json::from_str(r#"{"cluster_name": "x", "num_workers": 2}"#).unwrap();
        assert_eq!((settings.workers_min(), settings.workers_max()), (2, 2));
        let sized = settings
            .resized(ClusterSize { autoscale: Some(Autoscale { min_workers: 1, max_workers: 4 }), num_workers: None });
        assert_eq!((sized.workers_min(), sized.workers_max()), (1, 4));
        let text = serde_json::to_string(&sized).unwrap();
        assert_eq!(serde_json::from_str::<ClusterSettings>(&text).unwrap(), sized);
    }

    #[test]
    fn a_name_and_an_idle_time_need_no_restart() {
        let old = ClusterSettings::default();
        let renamed = ClusterSettings { cluster_name: "y".into(), autotermination_minutes: 9, ..old.clone() };
        assert!(!old.needs_restart(&renamed));
        assert!(old.needs_restart(&ClusterSettings { spark_version: Some("4.1.1".into()), ..renamed }));
    }
}
