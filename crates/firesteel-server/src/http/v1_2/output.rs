//! `/api/1.2/commands/output`: what a command has printed so far.

use axum::Json;
use axum::extract::State;
use firesteel_api::commands::CommandOutput;

use super::{Answer, held};
use crate::engine::OUTPUT_PAGE_BYTES_MAX;
use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::Failure;

/// `GET /api/1.2/commands/output`: held until there is more than `offset`, or the command is over.
pub(crate) async fn output(State(app): State<AppState>, _user: User, ask: Params) -> Answer<CommandOutput> {
    let (context, cluster) = (ask.need("contextId")?, ask.need("clusterId")?);
    let command = ask.need("commandId")?;
    let offset = offset(&ask)?;
    let bytes = ask.number("limit", 1..=OUTPUT_PAGE_BYTES_MAX as u64)?;
    let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(OUTPUT_PAGE_BYTES_MAX);
    let engine = &app.engine;
    let output = held(&app, |hold| async move {
        let follow = engine.follow(cluster, context, command, offset).await?;
        follow.output(bytes, hold).await
    });
    Ok(Json(output.await?))
}

/// Returns the parameter `offset`; the beginning when there is none.
pub(super) fn offset(ask: &Params) -> Result<u64, Failure> {
    Ok(ask.number("offset", 0..=i64::MAX as u64)?.unwrap_or(0))
}
