//! `/api/1.2/clusters/…`

use axum::Json;
use axum::extract::State;
use firesteel_api::clusters::ClusterView;

use super::Answer;
use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;

/// `GET /api/1.2/clusters/list`: a bare array, ended clusters included.
pub(crate) async fn list(State(app): State<AppState>, _user: User) -> Json<Vec<ClusterView>> {
    Json(app.engine.clusters())
}

/// `GET /api/1.2/clusters/status`
pub(crate) async fn status(State(app): State<AppState>, _user: User, ask: Params) -> Answer<ClusterView> {
    Ok(Json(app.engine.cluster(ask.need("clusterId")?)?))
}
