//! `/api/1.2/clusters/…`

use axum::Json;
use axum::extract::State;
use firesteel_api::clusters::{ClusterRef, ClusterView};
use firesteel_api::v2::events::ClusterSize;
use firesteel_model::{Cause, ClusterSettings};

use super::{Answer, change};
use crate::engine::{Engine, EngineError};
use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::Failure;

/// `GET /api/1.2/clusters/list`: a bare array, ended clusters included.
pub(crate) async fn list(State(app): State<AppState>, _user: User) -> Json<Vec<ClusterView>> {
    Json(app.engine.clusters())
}

/// `GET /api/1.2/clusters/status`
pub(crate) async fn status(State(app): State<AppState>, _user: User, ask: Params) -> Answer<ClusterView> {
    Ok(Json(app.engine.cluster(ask.need("clusterId")?)?))
}

/// `POST /api/1.2/clusters/create`. `useSpot` and `zoneId` mean nothing here.
pub(crate) async fn create(State(app): State<AppState>, user: User, ask: Params) -> Answer<ClusterRef> {
    let settings = ClusterSettings {
        cluster_name: ask.need("name")?.to_owned(),
        spark_version: ask.get("sparkVersion")?.map(str::to_owned),
        num_workers: workers(&ask)?,
        ..ClusterSettings::default()
    };
    let (engine, name) = (app.engine.clone(), user.name);
    let create = async move { engine.create_cluster(settings, &name, Cause::User(name.clone())).await };
    let id = change(&app, create).await?;
    Ok(Json(ClusterRef { id }))
}

/// `POST /api/1.2/clusters/resize`
pub(crate) async fn resize(State(app): State<AppState>, user: User, ask: Params) -> Answer<ClusterRef> {
    let size = ClusterSize { num_workers: Some(workers(&ask)?), autoscale: None };
    changed(&app, user, &ask, |engine, id, cause| async move { engine.resize_cluster(&id, size, cause).await }).await
}

/// `POST /api/1.2/clusters/restart`
pub(crate) async fn restart(State(app): State<AppState>, user: User, ask: Params) -> Answer<ClusterRef> {
    changed(&app, user, &ask, |engine, id, cause| async move { engine.restart_cluster(&id, cause).await }).await
}

/// `POST /api/1.2/clusters/delete`: the cluster is ended and stays listed.
pub(crate) async fn delete(State(app): State<AppState>, user: User, ask: Params) -> Answer<ClusterRef> {
    changed(&app, user, &ask, |engine, id, cause| async move { engine.end_cluster(&id, cause).await }).await
}

fn workers(ask: &Params) -> Result<u32, Failure> {
    ask.need("numWorkerContainers")?;
    Ok(ask.parsed("numWorkerContainers", "a number of workers")?.unwrap_or_default())
}

async fn changed<F>(
    app: &AppState,
    user: User,
    ask: &Params,
    carry_out: impl FnOnce(Engine, String, Cause) -> F,
) -> Answer<ClusterRef>
where
    F: Future<Output = Result<firesteel_api::ClusterId, EngineError>> + Send + 'static,
{
    let id = ask.need("clusterId")?.to_owned();
    let id = change(app, carry_out(app.engine.clone(), id, Cause::User(user.name))).await?;
    Ok(Json(ClusterRef { id }))
}
