//! `clusters/spark-versions`, `list-node-types` and `list-zones`: what clusters can be made of.

use axum::Json;
use axum::extract::State;
use firesteel_api::v2::catalog::{NodeTypes, SparkVersions, Zones};

use crate::http::AppState;
use crate::http::auth::User;

/// The one place there is.
const ZONE: &str = "local";

/// `GET clusters/spark-versions`
pub(crate) async fn spark_versions(State(app): State<AppState>, _user: User) -> Json<SparkVersions> {
    Json(app.engine.spark_versions())
}

/// `GET clusters/list-node-types`
pub(crate) async fn node_types(State(app): State<AppState>, _user: User) -> Json<NodeTypes> {
    Json(NodeTypes { node_types: app.engine.node_types() })
}

/// `GET clusters/list-zones`
pub(crate) async fn zones(_user: User) -> Json<Zones> {
    Json(Zones { default_zone: ZONE.to_owned(), zones: vec![ZONE.to_owned()] })
}
