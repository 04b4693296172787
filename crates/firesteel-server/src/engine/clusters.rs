//! What users ask of clusters as a whole: make, start, restart, resize, edit, end and delete them, and read what is known.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use firesteel_api::ClusterId;
use firesteel_api::v2::catalog::{NodeType, SparkVersions};
use firesteel_api::v2::events::{ClusterEventView, ClusterSize};
use firesteel_model::{Cause, ClusterSettings};
use firesteel_store::{ClusterRecord, HistoryQuery, StoreError};

use super::cluster::{Cluster, Request};
use super::{Engine, EngineError, retention};

/// The port of the first cluster's JDBC service, as in the reference's samples (section 7.1).
const JDBC_PORT_FIRST: u16 = 10_000;

/// How often another id is made when one is taken: ids have random parts.
const ID_ATTEMPTS: usize = 20;

impl Engine {
    /// Makes a cluster and launches its driver.
    pub async fn create_cluster(
        &self,
        settings: ClusterSettings,
        owner: &str,
        cause: Cause,
    ) -> Result<ClusterId, EngineError> {
        self.check(&settings)?;
        // One at a time: two callers do not get the same port, or the last place.
        let _turn = self.0.creating.lock().await;
        self.need_room()?;
        retention::drop_ended(self).await;
        let mut attempts = 0;
        let record = loop {
            let port = self.free_port();
            let record = ClusterRecord::new(new_cluster_id(), settings.clone(), owner, port, now_ms());
            match self.0.store.insert_cluster(record.clone(), cause.clone()).await {
                Ok(()) => break record,
                Err(StoreError::Taken(_)) if attempts < ID_ATTEMPTS => attempts += 1,
                Err(error) => return Err(error.into()),
            }
        };
        let id = record.id.clone();
        self.adopt(record).await?.ask(Request::Start { cause: Cause::Server }).await?;
        Ok(id)
    }

    /// Launches the driver of a cluster that has none. A user is refused where there is one.
    pub async fn start_cluster(&self, cluster: &str, cause: Cause) -> Result<(), EngineError> {
        let cluster = self.find(cluster)?;
        let _turn = self.0.creating.lock().await;
        if !cluster.state().has_driver() {
            self.need_room()?;
        }
        cluster.ask(Request::Start { cause }).await
    }

    /// Ends a cluster's driver and launches another. Its contexts and commands are gone when this returns.
    pub async fn restart_cluster(&self, cluster: &str, cause: Cause) -> Result<ClusterId, EngineError> {
        self.with(cluster, Request::Restart { cause }).await
    }

    /// Ends a cluster, which stays listed; returns when that is under way.
    pub async fn end_cluster(&self, cluster: &str, cause: Cause) -> Result<ClusterId, EngineError> {
        self.with(cluster, Request::End { cause, wait: false }).await
    }

    /// Changes the number of workers of a cluster that runs; returns when that is under way.
    pub async fn resize_cluster(
        &self,
        cluster: &str,
        size: ClusterSize,
        cause: Cause,
    ) -> Result<ClusterId, EngineError> {
        let settings = self.cluster_record(cluster)?.settings.clone().resized(size);
        self.check(&settings)?;
        self.with(cluster, Request::Resize { settings: Box::new(settings), cause }).await
    }

    /// Gives a cluster other settings; one that runs on the old ones is restarted.
    pub async fn edit_cluster(
        &self,
        cluster: &str,
        settings: ClusterSettings,
        cause: Cause,
    ) -> Result<ClusterId, EngineError> {
        self.find(cluster)?;
        self.check(&settings)?;
        self.with(cluster, Request::Edit { settings: Box::new(settings), cause }).await
    }

    /// Keeps a cluster however long it has been ended, or no longer.
    pub async fn pin_cluster(&self, cluster: &str, pinned: bool, cause: Cause) -> Result<ClusterId, EngineError> {
        self.with(cluster, Request::Pin { pinned, cause }).await
    }

    /// Gives a cluster to another user.
    pub async fn give_cluster(&self, cluster: &str, owner: &str) -> Result<ClusterId, EngineError> {
        self.with(cluster, Request::Give { owner: owner.to_owned() }).await
    }

    /// Ends a cluster and deletes all that is known of it, its folder included.
    pub async fn delete_cluster(&self, cluster: &str, cause: Cause) -> Result<(), EngineError> {
        let cluster = self.find(cluster)?;
        if cluster.record().pinned {
            return Err(EngineError::Pinned(cluster.id().to_string()));
        }
        cluster.ask(Request::End { cause, wait: true }).await?;
        cluster.ask(Request::Forget).await?;
        self.0.clusters.write().expect("no holder of the clusters panics").remove(cluster.id());
        if let Err(error) = self.0.launcher.remove(cluster.id()) {
            tracing::error!(cluster.id = %cluster.id(), "the folder of a deleted cluster is left: {error}");
        }
        Ok(())
    }

    /// Returns what is known of one cluster.
    pub fn cluster_record(&self, cluster: &str) -> Result<Arc<ClusterRecord>, EngineError> {
        Ok(self.find(cluster)?.record())
    }

    /// Returns what is known of every cluster, ended ones included, in the order of their creation.
    pub fn cluster_records(&self) -> Vec<Arc<ClusterRecord>> {
        let mut records: Vec<_> = self.read().values().map(Cluster::record).collect();
        records.sort_by_key(|record| record.created_ms);
        records
    }

    /// Returns a part of a cluster's history, and how many lines the whole query has.
    pub async fn cluster_history(
        &self,
        cluster: &str,
        query: HistoryQuery,
    ) -> Result<(Vec<ClusterEventView>, u64), EngineError> {
        Ok(self.0.store.history(self.find(cluster)?.id(), query).await?)
    }

    /// Returns the folder of a cluster's logs.
    pub fn cluster_logs(&self, cluster: &str) -> Result<Option<Box<Path>>, EngineError> {
        Ok(self.0.launcher.folder(self.find(cluster)?.id()).map(Into::into))
    }

    /// Returns the runtimes that clusters can be made with.
    pub fn spark_versions(&self) -> SparkVersions {
        self.0.launcher.spark_versions()
    }

    /// Returns the kinds of nodes that the backends offer.
    pub fn node_types(&self) -> Vec<NodeType> {
        self.0.launcher.node_types()
    }

    /// Returns the name of the backend of clusters that name none.
    pub fn default_backend(&self) -> String {
        self.0.launcher.default_backend()
    }

    async fn with(&self, cluster: &str, request: Request) -> Result<ClusterId, EngineError> {
        let cluster = self.find(cluster)?;
        cluster.ask(request).await?;
        Ok(cluster.id().clone())
    }

    fn check(&self, settings: &ClusterSettings) -> Result<(), EngineError> {
        settings.check().map_err(|bad| EngineError::BadSettings(bad.to_string()))?;
        self.0.launcher.check(settings).map_err(EngineError::BadSettings)
    }

    fn need_room(&self) -> Result<(), EngineError> {
        let limit = self.0.limits.clusters_max;
        let live = self.read().values().filter(|cluster| cluster.state().has_driver()).count();
        if live < limit { Ok(()) } else { Err(EngineError::TooManyClusters { limit }) }
    }

    fn free_port(&self) -> u16 {
        let taken: Vec<u16> = self.read().values().map(|cluster| cluster.record().jdbc_port).collect();
        (JDBC_PORT_FIRST..).find(|port| !taken.contains(port)).unwrap_or(JDBC_PORT_FIRST)
    }
}

/// The time that goes into records.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Makes an id of the service's form, `MMDD-HHMMSS-<word><digits>` (reference, section 1.6).
fn new_cluster_id() -> ClusterId {
    const WORDS: [&str; 8] = ["ember", "flint", "forge", "glow", "kindle", "pyre", "spark", "tinder"];
    let word = WORDS[usize::from(rand::random::<u8>()) % WORDS.len()];
    let number = rand::random::<u16>() % 1000;
    let now = jiff::Zoned::now().strftime("%m%d-%H%M%S").to_string();
    format!("{now}-{word}{number}").parse().expect("digits, dashes and a word make a cluster id")
}
