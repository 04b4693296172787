//! `/api/1.2/contexts/list` and `/api/1.2/commands/list`

use axum::Json;
use axum::extract::State;
use firesteel_api::commands::CommandList;
use firesteel_api::contexts::ContextList;

use super::Answer;
use crate::engine::{PAGE_DEFAULT, PAGE_MAX, Page};
use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::Failure;

/// `GET /api/1.2/contexts/list`
pub(crate) async fn contexts(State(app): State<AppState>, _user: User, ask: Params) -> Answer<ContextList> {
    Ok(Json(app.engine.contexts(ask.need("clusterId")?, page(&ask)?).await?))
}

/// `GET /api/1.2/commands/list`
pub(crate) async fn commands(State(app): State<AppState>, _user: User, ask: Params) -> Answer<CommandList> {
    let (context, cluster) = (ask.need("contextId")?, ask.need("clusterId")?);
    Ok(Json(app.engine.commands(cluster, context, page(&ask)?).await?))
}

fn page(ask: &Params) -> Result<Page, Failure> {
    let limit = ask.number("limit", 1..=PAGE_MAX as u64)?;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE_DEFAULT);
    let token = ask.optional("pageToken")?.map(str::to_owned);
    Ok(Page { limit, token })
}
