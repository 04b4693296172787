//! The table of every route.

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};

use crate::http::error::Failure;
use crate::http::v1_2::{clusters, commands, contexts};
use crate::http::v2::{clusters as clusters_v2, scim};
use crate::http::{AppState, edge, well_known};

/// Returns the whole edge as a service: what [`serve`](crate::http::serve) puts behind each connection.
pub fn router(app: AppState) -> Router {
    let routes = Router::new()
        .route("/.well-known/databricks-config", get(well_known::config))
        .route("/api/1.2/clusters/list", get(clusters::list))
        .route("/api/1.2/clusters/status", get(clusters::status))
        .route("/api/1.2/commands/cancel", post(commands::cancel))
        .route("/api/1.2/commands/execute", post(commands::execute))
        .route("/api/1.2/commands/status", get(commands::status))
        .route("/api/1.2/contexts/create", post(contexts::create))
        .route("/api/1.2/contexts/destroy", post(contexts::destroy))
        .route("/api/1.2/contexts/status", get(contexts::status))
        .route("/api/2.0/clusters/get", get(clusters_v2::get))
        .route("/api/2.0/clusters/list", get(clusters_v2::list))
        .route("/api/2.0/preview/scim/v2/Me", get(scim::me))
        .route("/api/2.1/clusters/get", get(clusters_v2::get))
        .route("/api/2.1/clusters/list", get(clusters_v2::list))
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .with_state(app.clone());
    // Around the routes and not in them, because the path is tidied before a route is chosen by it.
    Router::new().fallback_service(routes).layer(from_fn_with_state(app, edge::around))
}

async fn wrong_method(request: Request) -> Response {
    Failure::wrong_method(request.method(), request.uri().path())
}

async fn unknown_path(request: Request) -> Response {
    Failure::unknown_path(request.method(), request.uri().path())
}
