//! The table of every route.

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};

use crate::http::error::Failure;
use crate::http::v1_2::{clusters, commands, contexts, events, libraries, lists, output, results, schedules};
use crate::http::v2::{clusters as clusters_v2, dbfs, fs, jobs, libraries as libraries_v2, scim, secrets, workspace};
use crate::http::{AppState, edge, well_known};

/// Returns the whole edge as a service: what [`serve`](crate::http::serve) puts behind each connection.
pub fn router(app: AppState) -> Router {
    let routes = Router::new()
        .route("/.well-known/databricks-config", get(well_known::config))
        .route("/api/1.2/clusters/create", post(clusters::create))
        .route("/api/1.2/clusters/delete", post(clusters::delete))
        .route("/api/1.2/clusters/list", get(clusters::list))
        .route("/api/1.2/clusters/resize", post(clusters::resize))
        .route("/api/1.2/clusters/restart", post(clusters::restart))
        .route("/api/1.2/clusters/status", get(clusters::status))
        .route("/api/1.2/commands/cancel", post(commands::cancel))
        .route("/api/1.2/commands/events", get(events::events))
        .route("/api/1.2/commands/execute", post(commands::execute))
        .route("/api/1.2/commands/list", get(lists::commands))
        .route("/api/1.2/commands/output", get(output::output))
        .route("/api/1.2/commands/result", get(results::result))
        .route("/api/1.2/commands/status", get(commands::status))
        .route("/api/1.2/contexts/create", post(contexts::create))
        .route("/api/1.2/contexts/destroy", post(contexts::destroy))
        .route("/api/1.2/contexts/list", get(lists::contexts))
        .route("/api/1.2/contexts/status", get(contexts::status))
        .route("/api/1.2/libraries/attach", post(libraries::attach))
        .route("/api/1.2/libraries/delete", post(libraries::delete))
        .route("/api/1.2/libraries/detach", post(libraries::detach))
        .route("/api/1.2/libraries/list", get(libraries::list))
        .route("/api/1.2/libraries/status", get(libraries::status))
        .route("/api/1.2/libraries/upload", post(libraries::upload))
        .route("/api/1.2/schedules/add", post(schedules::add))
        .route("/api/1.2/schedules/list", get(schedules::list))
        .route("/api/1.2/schedules/remove", post(schedules::remove))
        .route("/api/1.2/schedules/runs", get(schedules::runs))
        .route("/api/2.0/dbfs/add-block", post(dbfs::add_block))
        .route("/api/2.0/dbfs/close", post(dbfs::close))
        .route("/api/2.0/dbfs/create", post(dbfs::create))
        .route("/api/2.0/dbfs/delete", post(dbfs::delete))
        .route("/api/2.0/dbfs/get-status", get(dbfs::get_status))
        .route("/api/2.0/dbfs/list", get(dbfs::list))
        .route("/api/2.0/dbfs/mkdirs", post(dbfs::mkdirs))
        .route("/api/2.0/dbfs/move", post(dbfs::rename))
        .route("/api/2.0/dbfs/put", post(dbfs::put))
        .route("/api/2.0/dbfs/read", get(dbfs::read))
        .route("/api/2.0/fs/files/{*path}", get(fs::download).put(fs::upload).delete(fs::delete))
        .route("/api/2.0/jobs/list", get(jobs::list))
        .route("/api/2.0/libraries/all-cluster-statuses", get(libraries_v2::all_cluster_statuses))
        .route("/api/2.0/libraries/cluster-status", get(libraries_v2::cluster_status))
        .route("/api/2.0/libraries/install", post(libraries_v2::install))
        .route("/api/2.0/libraries/uninstall", post(libraries_v2::uninstall))
        .route("/api/2.0/preview/scim/v2/Me", get(scim::me))
        .route("/api/2.0/secrets/acls/delete", post(secrets::delete_acl))
        .route("/api/2.0/secrets/acls/get", get(secrets::get_acl))
        .route("/api/2.0/secrets/acls/list", get(secrets::list_acls))
        .route("/api/2.0/secrets/acls/put", post(secrets::put_acl))
        .route("/api/2.0/secrets/delete", post(secrets::delete))
        .route("/api/2.0/secrets/get", get(secrets::get))
        .route("/api/2.0/secrets/list", get(secrets::list))
        .route("/api/2.0/secrets/put", post(secrets::put))
        .route("/api/2.0/secrets/scopes/create", post(secrets::create_scope))
        .route("/api/2.0/secrets/scopes/delete", post(secrets::delete_scope))
        .route("/api/2.0/secrets/scopes/list", get(secrets::list_scopes))
        .route("/api/2.0/workspace/delete", post(workspace::delete))
        .route("/api/2.0/workspace/export", get(workspace::export))
        .route("/api/2.0/workspace/get-status", get(workspace::get_status))
        .route("/api/2.0/workspace/import", post(workspace::import))
        .route("/api/2.0/workspace/list", get(workspace::list))
        .route("/api/2.0/workspace/mkdirs", post(workspace::mkdirs))
        .nest("/api/2.0/clusters", clusters_of_2())
        .nest("/api/2.1/clusters", clusters_of_2())
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .with_state(app.clone());
    // Around the routes and not in them, because the path is tidied before a route is chosen by it.
    Router::new().fallback_service(routes).layer(from_fn_with_state(app, edge::around))
}

/// The calls of 2.x about clusters, the same under both of its versions.
fn clusters_of_2() -> Router<AppState> {
    Router::new()
        .route("/change-owner", post(clusters_v2::change_owner))
        .route("/create", post(clusters_v2::create))
        .route("/delete", post(clusters_v2::delete))
        .route("/edit", post(clusters_v2::edit))
        .route("/events", post(clusters_v2::events::events))
        // One client sends it as POST.
        .route("/get", get(clusters_v2::get).post(clusters_v2::get))
        .route("/list", get(clusters_v2::list))
        .route("/list-node-types", get(clusters_v2::catalog::node_types))
        .route("/list-zones", get(clusters_v2::catalog::zones))
        .route("/logs", get(clusters_v2::logs::logs))
        .route("/permanent-delete", post(clusters_v2::permanent_delete))
        .route("/pin", post(clusters_v2::pin))
        .route("/resize", post(clusters_v2::resize))
        .route("/restart", post(clusters_v2::restart))
        .route("/spark-versions", get(clusters_v2::catalog::spark_versions))
        .route("/start", post(clusters_v2::start))
        .route("/unpin", post(clusters_v2::unpin))
        .route("/update", post(clusters_v2::update))
}

async fn wrong_method(request: Request) -> Response {
    Failure::wrong_method(request.method(), request.uri().path())
}

async fn unknown_path(request: Request) -> Response {
    Failure::unknown_path(request.method(), request.uri().path())
}
