//! `/api/2.0/libraries/…` (reference, section 14).

use axum::Json;
use axum::extract::State;
use firesteel_api::libraries::Library;
use firesteel_api::v2::dbfs::Done;
use firesteel_api::v2::libraries::{AllClusterLibraries, ClusterLibraries};
use firesteel_model::library::check;

use super::Answer;
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::Failure;
use crate::http::{AppState, change};

/// `GET /api/2.0/libraries/cluster-status`
pub(crate) async fn cluster_status(State(app): State<AppState>, _user: User, ask: Params) -> Answer<ClusterLibraries> {
    Ok(Json(app.engine.cluster_libraries(ask.need("cluster_id")?).await?))
}

/// `GET /api/2.0/libraries/all-cluster-statuses`
pub(crate) async fn all_cluster_statuses(State(app): State<AppState>, _user: User) -> Answer<AllClusterLibraries> {
    Ok(Json(AllClusterLibraries { statuses: app.engine.all_cluster_libraries().await? }))
}

/// `POST /api/2.0/libraries/install`: all of them, or none where one cannot be had.
pub(crate) async fn install(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Done> {
    let (cluster, libraries) = (ask.need("cluster_id")?.to_owned(), libraries(&ask)?);
    for library in &libraries {
        check(library).map_err(|refused| Failure::invalid(refused.to_string()))?;
    }
    let engine = app.engine.clone();
    change(&app, async move { engine.install(&cluster, libraries).await }).await?;
    Ok(Json(Done {}))
}

/// `POST /api/2.0/libraries/uninstall`. It takes effect at the cluster's restart.
pub(crate) async fn uninstall(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Done> {
    let (cluster, libraries) = (ask.need("cluster_id")?.to_owned(), libraries(&ask)?);
    let engine = app.engine.clone();
    change(&app, async move { engine.uninstall(&cluster, libraries).await }).await?;
    Ok(Json(Done {}))
}

fn libraries(ask: &Params) -> Result<Vec<Library>, Failure> {
    match ask.nested::<Vec<Library>>("libraries")? {
        Some(libraries) if !libraries.is_empty() => Ok(libraries),
        _ => Err(Failure::missing("libraries")),
    }
}
