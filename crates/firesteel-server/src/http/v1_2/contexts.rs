//! `/api/1.2/contexts/…`

use axum::Json;
use axum::extract::State;
use firesteel_api::contexts::{ContextRef, ContextView};

use super::{Answer, change, held};
use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;

/// `POST /api/1.2/contexts/create`
pub(crate) async fn create(State(app): State<AppState>, _user: User, ask: Params) -> Answer<ContextRef> {
    let cluster = ask.need("clusterId")?.to_owned();
    let language = ask.language()?;
    let engine = app.engine.clone();
    let id = change(&app, async move { engine.create_context(&cluster, language).await }).await?;
    Ok(Json(ContextRef { id }))
}

/// `GET /api/1.2/contexts/status`
pub(crate) async fn status(State(app): State<AppState>, _user: User, ask: Params) -> Answer<ContextView> {
    let (context, cluster) = (ask.need("contextId")?, ask.need("clusterId")?);
    Ok(Json(held(&app, |hold| app.engine.context(cluster, context, hold)).await?))
}

/// `POST /api/1.2/contexts/destroy`
pub(crate) async fn destroy(State(app): State<AppState>, _user: User, ask: Params) -> Answer<ContextRef> {
    let (context, cluster) = (ask.need("contextId")?.to_owned(), ask.need("clusterId")?.to_owned());
    let engine = app.engine.clone();
    let id = change(&app, async move { engine.destroy_context(&cluster, &context).await }).await?;
    Ok(Json(ContextRef { id }))
}
