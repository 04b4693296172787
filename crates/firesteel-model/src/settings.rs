//! What a user wants of a cluster: the record that its drivers are launched from, each time it is started.

use std::collections::BTreeMap;

use firesteel_api::v2::events::{Autoscale, ClusterSize};
use serde::{Deserialize, Serialize};

use crate::policy::{self, NotAllowed};

/// Workers of one cluster: far more than one driver can use well.
pub const WORKERS_MAX: u32 = 1_000;

/// The longest idle time, in minutes, as at the service.
pub const IDLE_MINUTES_MAX: u32 = 10_000;

/// Characters of a name, a tag or any other word of a user's.
const WORD_CHARS_MAX: usize = 256;

/// Tags of one cluster.
const TAGS_MAX: usize = 100;

/// What of a user's settings makes no sense or is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// An entry of `spark_conf` or `spark_env_vars`.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// A number out of range.
    #[error("`{name}` is {value}; it must be from {min} to {max}")]
    Range {
        /// The key.
        name: &'static str,
        /// What was given.
        value: u32,
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
    /// A text that is too long.
    #[error("`{0}` is longer than {WORD_CHARS_MAX} characters")]
    Long(&'static str),
    /// Too many tags.
    #[error("`custom_tags` has more than {TAGS_MAX} entries")]
    Tags,
}

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
    /// Spark's configuration, as [`policy`](crate::policy) lets it through.
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

    /// Refuses what makes no sense or is not allowed, whatever the backend. What it has is the launcher's to say.
    pub fn check(&self) -> Result<(), BadSettings> {
        let range = |name, value, min, max| match (min..=max).contains(&value) {
            true => Ok(()),
            false => Err(BadSettings::Range { name, value, min, max }),
        };
        match self.autoscale {
            Some(Autoscale { min_workers, max_workers }) => {
                range("autoscale.max_workers", max_workers, 1, WORKERS_MAX)?;
                range("autoscale.min_workers", min_workers, 0, max_workers)?;
            }
            None => range("num_workers", self.num_workers, 0, WORKERS_MAX)?,
        }
        range("autotermination_minutes", self.autotermination_minutes, 0, IDLE_MINUTES_MAX)?;
        let words = [
            ("cluster_name", Some(&self.cluster_name)),
            ("spark_version", self.spark_version.as_ref()),
            ("node_type_id", self.node_type_id.as_ref()),
            ("driver_node_type_id", self.driver_node_type_id.as_ref()),
            ("backend", self.backend.as_ref()),
            ("data_security_mode", self.data_security_mode.as_ref()),
            ("single_user_name", self.single_user_name.as_ref()),
        ];
        let tags =
            self.custom_tags.iter().flat_map(|(key, value)| [("custom_tags", Some(key)), ("custom_tags", Some(value))]);
        let is_long = |word: &Option<&String>| word.is_some_and(|word| word.chars().count() > WORD_CHARS_MAX);
        if let Some((name, _)) = words.into_iter().chain(tags).find(|(_, word)| is_long(word)) {
            return Err(BadSettings::Long(name));
        }
        if self.custom_tags.len() > TAGS_MAX {
            return Err(BadSettings::Tags);
        }
        policy::check_conf(&self.spark_conf)?;
        policy::check_env(&self.spark_env_vars)?;
        Ok(())
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
    fn numbers_out_of_range_and_long_words_are_refused_by_name() {
        let check = |json: &str, said: &str| {
            let settings: ClusterSettings = serde_json::from_str(json).unwrap();
            let refused = settings.check().unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
        };
        check(r#"{"num_workers": 1001}"#, "`num_workers` is 1001; it must be from 0 to 1000");
        check(r#"{"autoscale": {"min_workers": 3, "max_workers": 2}}"#, "`autoscale.min_workers` is 3");
        check(r#"{"autotermination_minutes": 10001}"#, "`autotermination_minutes`");
        check(r#"{"spark_conf": {"spark.plugins": "x"}}"#, "`spark.plugins` is not allowed");
        check(r#"{"spark_env_vars": {"LD_PRELOAD": "x"}}"#, "`LD_PRELOAD` is not allowed");
        let long = ClusterSettings { cluster_name: "x".repeat(257), ..ClusterSettings::default() };
        assert_eq!(long.check(), Err(BadSettings::Long("cluster_name")));
    }

    #[test]
    fn a_name_and_an_idle_time_need_no_restart() {
        let old = ClusterSettings::default();
        let renamed = ClusterSettings { cluster_name: "y".into(), autotermination_minutes: 9, ..old.clone() };
        assert!(!old.needs_restart(&renamed));
        assert!(old.needs_restart(&ClusterSettings { spark_version: Some("4.1.1".into()), ..renamed }));
    }
}
