//! The calls about clusters, of 2.1.

use firesteel_api::ClusterId;
use firesteel_api::v2::clusters::{ClusterDetails, ClusterList, ClusterRef, Done};
use firesteel_api::v2::events::ClusterEventView;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Api, ApiError};

/// A page of a cluster's history.
#[derive(Deserialize)]
struct Events {
    events: Vec<ClusterEventView>,
}

/// A piece of a log.
#[derive(Deserialize)]
struct Piece {
    data: String,
    next_offset: u64,
}

impl Api {
    /// Lists the clusters, page by page.
    pub(super) async fn cluster_details(&self) -> Result<Vec<ClusterDetails>, ApiError> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let query = [("page_token", token)];
            let page: ClusterList = self.ask(self.get_at("/api/2.1/clusters/list", &query)).await?;
            all.extend(page.clusters);
            token = page.next_page_token;
            if token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Returns one cluster, asking again while the server cannot be reached.
    pub(super) async fn cluster(&self, id: &ClusterId) -> Result<ClusterDetails, ApiError> {
        let query = [("cluster_id", id.to_string())];
        self.ask_patiently(|| self.get_at("/api/2.1/clusters/get", &query)).await
    }

    /// Makes a cluster.
    pub(super) async fn create_cluster(&self, settings: &Value) -> Result<ClusterId, ApiError> {
        let ClusterRef { cluster_id } = self.ask(self.post_at("/api/2.1/clusters/create", settings)).await?;
        Ok(cluster_id)
    }

    /// Makes a call that has nothing to say.
    pub(super) async fn change_cluster(&self, verb: &str, body: &Value) -> Result<(), ApiError> {
        let Done {} = self.ask(self.post_at(&format!("/api/2.1/clusters/{verb}"), body)).await?;
        Ok(())
    }

    /// Returns the latest events of a cluster, the latest first.
    pub(super) async fn cluster_events(&self, id: &ClusterId, count: u32) -> Result<Vec<ClusterEventView>, ApiError> {
        let body = json!({"cluster_id": id, "limit": count});
        let Events { events } = self.ask(self.post_at("/api/2.1/clusters/events", &body)).await?;
        Ok(events)
    }

    /// Returns a piece of a cluster's log, and where the next one begins.
    pub(super) async fn cluster_log(
        &self,
        id: &ClusterId,
        log: &str,
        offset: Option<u64>,
        follow: bool,
    ) -> Result<(String, u64), ApiError> {
        let mut query = vec![("cluster_id", id.to_string()), ("log", log.to_owned()), ("follow", follow.to_string())];
        query.extend(offset.map(|offset| ("offset", offset.to_string())));
        let piece: Piece = self.ask_patiently(|| self.get_at("/api/2.1/clusters/logs", &query)).await?;
        Ok((piece.data, piece.next_offset))
    }
}
