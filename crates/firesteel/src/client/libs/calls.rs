//! The calls about libraries.

use firesteel_api::clusters::ClusterRef;
use firesteel_api::libraries::{ALL_CLUSTERS, LibraryRef, LibraryView, ListedLibrary};
use firesteel_api::v2::libraries::ClusterLibraries;
use firesteel_api::{ClusterId, LibraryId};
use serde_json::{Value, json};

use crate::client::api::{Api, ApiError};
use crate::client::failure::Failure;

/// The clusters that a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Clusters {
    /// This one.
    One(ClusterId),
    /// All, those made later too.
    All,
}

impl Clusters {
    fn word(&self) -> &str {
        match self {
            Self::One(id) => id.as_str(),
            Self::All => ALL_CLUSTERS,
        }
    }
}

/// Returns every library that was uploaded.
pub(super) async fn list(api: &Api) -> Result<Vec<ListedLibrary>, ApiError> {
    api.ask_patiently(|| api.get_at("/api/1.2/libraries/list", &[])).await
}

/// Returns one library.
pub(super) async fn status(api: &Api, id: LibraryId) -> Result<LibraryView, ApiError> {
    let query = [("libraryId", id.to_string())];
    api.ask_patiently(|| api.get_at("/api/1.2/libraries/status", &query)).await
}

/// Returns the libraries of a cluster.
pub(super) async fn of_cluster(api: &Api, id: &ClusterId) -> Result<ClusterLibraries, ApiError> {
    let query = [("cluster_id", id.to_string())];
    api.ask_patiently(|| api.get_at("/api/2.0/libraries/cluster-status", &query)).await
}

/// Attaches a library to clusters, or detaches it from them.
pub(super) async fn change(api: &Api, verb: &str, id: LibraryId, clusters: &Clusters) -> Result<(), ApiError> {
    let body = json!({"libraryId": id, "clusterId": clusters.word()});
    let path = format!("/api/1.2/libraries/{verb}");
    match clusters {
        Clusters::One(_) => api.ask::<ClusterRef>(api.post_at(&path, &body)).await.map(drop),
        Clusters::All => api.ask::<Value>(api.post_at(&path, &body)).await.map(drop),
    }
}

/// Deletes a library.
pub(super) async fn delete(api: &Api, id: LibraryId) -> Result<(), ApiError> {
    let LibraryRef { .. } = api.ask(api.post_at("/api/1.2/libraries/delete", &json!({"libraryId": id}))).await?;
    Ok(())
}

/// Finds a library by its id, or by its name where only one has it.
pub(super) async fn find(api: &Api, text: &str) -> Result<LibraryId, Failure> {
    let libraries = list(api).await?;
    if let Some(found) = libraries.iter().find(|library| library.id.to_string() == text) {
        return Ok(found.id);
    }
    let place = |library: &ListedLibrary| format!("{}/{}", library.folder.trim_end_matches('/'), library.name);
    let mut named = libraries.iter().filter(|library| library.name == text || place(library) == text);
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one.id),
        (Some(_), Some(_)) => Err(Failure::Usage(format!("several libraries are named `{text}`; give the id of one"))),
        (None, _) => Err(Failure::Usage(format!("there is no library `{text}`; see `firesteel libs list`"))),
    }
}
