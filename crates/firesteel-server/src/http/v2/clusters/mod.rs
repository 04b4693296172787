//! `/api/2.0/clusters/…` and `/api/2.1/clusters/…`, the same under both.
//!
//! - `settings`: what `create`, `edit`, `update` and `resize` say of a cluster.
//! - `view`: how a cluster is shown, alone and in a list.
//! - `events`: its history.
//! - `catalog`: what it can be made of.
//! - `logs`: its logs, which is ours alone.

use axum::Json;
use axum::extract::State;
use firesteel_api::v2::clusters::{ClusterDetails, ClusterList, ClusterRef, Done};
use firesteel_model::Cause;

use crate::engine::{Engine, EngineError};
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::Failure;
use crate::http::v2::Answer;
use crate::http::{AppState, change};

pub(crate) mod catalog;
pub(crate) mod events;
pub(crate) mod logs;
mod settings;
mod view;

/// Where clusters begin in a list of their own.
const PAGE_MAX: usize = 100;

/// `GET` and `POST clusters/get`. An unknown cluster is 400 with the text that stock clients turn into "does not exist".
pub(crate) async fn get(State(app): State<AppState>, _user: User, ask: Params) -> Answer<ClusterDetails> {
    let record = app.engine.cluster_record(ask.need("cluster_id")?)?;
    Ok(Json(view::details(&record, &app.engine)))
}

/// `GET clusters/list`: a page, by `page_size` and `page_token`, or everything.
pub(crate) async fn list(State(app): State<AppState>, _user: User, ask: Params) -> Answer<ClusterList> {
    let records = app.engine.cluster_records();
    let size: usize = ask.parsed("page_size", "a number from 1 to 100")?.unwrap_or(PAGE_MAX);
    let first: usize = ask.parsed("page_token", "a token of an answer before")?.unwrap_or_default();
    if !(1..=PAGE_MAX).contains(&size) {
        return Err(Failure::invalid("`page_size` must be a number from 1 to 100").into());
    }
    let page = records.iter().skip(first).take(size);
    let next = first.saturating_add(size);
    let token = |at: Option<usize>| at.map(|at| at.to_string()).unwrap_or_default();
    Ok(Json(ClusterList {
        clusters: page.map(|record| view::details(record, &app.engine)).collect(),
        next_page_token: token((next < records.len()).then_some(next)),
        prev_page_token: token((first > 0).then(|| first.saturating_sub(size))),
    }))
}

/// `POST clusters/create`
pub(crate) async fn create(State(app): State<AppState>, user: User, ask: Params) -> Answer<ClusterRef> {
    let settings = settings::read(&ask)?;
    let (engine, name) = (app.engine.clone(), user.name);
    let create = async move { engine.create_cluster(settings, &name, Cause::User(name.clone())).await };
    let cluster_id = change(&app, create).await?;
    Ok(Json(ClusterRef { cluster_id }))
}

/// `POST clusters/edit`: all settings anew.
pub(crate) async fn edit(State(app): State<AppState>, user: User, ask: Params) -> Answer<Done> {
    let id = ask.need("cluster_id")?.to_owned();
    let settings = settings::read(&ask)?;
    done(&app, user, |engine, cause| async move { engine.edit_cluster(&id, settings, cause).await.map(drop) }).await
}

/// `POST clusters/update`: the settings that `update_mask` names.
pub(crate) async fn update(State(app): State<AppState>, user: User, ask: Params) -> Answer<Done> {
    let id = ask.need("cluster_id")?.to_owned();
    let settings = settings::masked(&app.engine.cluster_record(&id)?.settings, &ask)?;
    done(&app, user, |engine, cause| async move { engine.edit_cluster(&id, settings, cause).await.map(drop) }).await
}

/// `POST clusters/resize`
pub(crate) async fn resize(State(app): State<AppState>, user: User, ask: Params) -> Answer<Done> {
    let id = ask.need("cluster_id")?.to_owned();
    let size = settings::size(&ask)?;
    done(&app, user, |engine, cause| async move { engine.resize_cluster(&id, size, cause).await.map(drop) }).await
}

/// `POST clusters/start`
pub(crate) async fn start(State(app): State<AppState>, user: User, ask: Params) -> Answer<Done> {
    let id = ask.need("cluster_id")?.to_owned();
    done(&app, user, |engine, cause| async move { engine.start_cluster(&id, cause).await }).await
}

/// `POST clusters/restart`
pub(crate) async fn restart(State(app): State<AppState>, user: User, ask: Params) -> Answer<Done> {
    let id = ask.need("cluster_id")?.to_owned();
    done(&app, user, |engine, cause| async move { engine.restart_cluster(&id, cause).await.map(drop) }).await
}

/// `POST clusters/delete`: the cluster is ended and stays listed.
pub(crate) async fn delete(State(app): State<AppState>, user: User, ask: Params) -> Answer<Done> {
    let id = ask.need("cluster_id")?.to_owned();
    done(&app, user, |engine, cause| async move { engine.end_cluster(&id, cause).await.map(drop) }).await
}

/// `POST clusters/permanent-delete`: the cluster is ended and no longer known when this is answered.
pub(crate) async fn permanent_delete(State(app): State<AppState>, user: User, ask: Params) -> Answer<Done> {
    let id = ask.need("cluster_id")?.to_owned();
    done(&app, user, |engine, cause| async move { engine.delete_cluster(&id, cause).await }).await
}

/// `POST clusters/pin`
pub(crate) async fn pin(State(app): State<AppState>, user: User, ask: Params) -> Answer<Done> {
    let id = ask.need("cluster_id")?.to_owned();
    done(&app, user, |engine, cause| async move { engine.pin_cluster(&id, true, cause).await.map(drop) }).await
}

/// `POST clusters/unpin`
pub(crate) async fn unpin(State(app): State<AppState>, user: User, ask: Params) -> Answer<Done> {
    let id = ask.need("cluster_id")?.to_owned();
    done(&app, user, |engine, cause| async move { engine.pin_cluster(&id, false, cause).await.map(drop) }).await
}

/// `POST clusters/change-owner`
pub(crate) async fn change_owner(State(app): State<AppState>, user: User, ask: Params) -> Answer<Done> {
    let (id, owner) = (ask.need("cluster_id")?.to_owned(), ask.need("owner_username")?.to_owned());
    done(&app, user, |engine, _| async move { engine.give_cluster(&id, &owner).await.map(drop) }).await
}

/// Carries out what a user asks, and has nothing to say of it.
async fn done<F>(app: &AppState, user: User, ask: impl FnOnce(Engine, Cause) -> F) -> Answer<Done>
where
    F: Future<Output = Result<(), EngineError>> + Send + 'static,
{
    change(app, ask(app.engine.clone(), Cause::User(user.name))).await?;
    Ok(Json(Done {}))
}
