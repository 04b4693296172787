//! `/api/2.0/clusters/…` and `/api/2.1/clusters/…`: what clients ask before they make a context.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use firesteel_api::v2::clusters::{ClusterDetails, ClusterList};

use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::{Failure, Style};

/// `GET /api/2.1/clusters/get`. An unknown cluster is 400 with the text that stock clients turn into "does not exist".
pub(crate) async fn get(State(app): State<AppState>, _user: User, ask: Params) -> Response {
    let found = ask.need("cluster_id").and_then(|id| app.engine.cluster(id).map_err(Failure::from));
    match found {
        Ok(view) => Json(ClusterDetails::from(view)).into_response(),
        Err(failure) => failure.respond(Style::V2),
    }
}

/// `GET /api/2.1/clusters/list`
pub(crate) async fn list(State(app): State<AppState>, _user: User) -> Json<ClusterList> {
    let clusters = app.engine.clusters().into_iter().map(ClusterDetails::from).collect();
    Json(ClusterList { clusters, ..ClusterList::default() })
}
