//! `/api/2.0/libraries/…`

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Answer;
use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;

/// The libraries of a cluster: none is kept, and then the list is left out.
#[derive(Serialize)]
pub(crate) struct Statuses {
    cluster_id: String,
}

/// `GET /api/2.0/libraries/cluster-status`. dbt waits for the libraries before it makes a context.
pub(crate) async fn cluster_status(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Statuses> {
    let cluster = app.engine.cluster(ask.need("cluster_id")?)?;
    Ok(Json(Statuses { cluster_id: cluster.id.to_string() }))
}
