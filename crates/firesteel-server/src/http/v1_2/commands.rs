//! `/api/1.2/commands/…`

use axum::Json;
use axum::extract::State;
use firesteel_api::commands::{CommandRef, CommandView};

use super::{Answer, change, held};
use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::strict::Strict;

/// `POST /api/1.2/commands/execute`
///
/// The text of the command is taken as it is, to the last blank; an empty one is a command that does nothing. `timeoutSeconds` is an
/// extension: how long it may run.
pub(crate) async fn execute(State(app): State<AppState>, _user: User, mut ask: Params) -> Answer<CommandRef> {
    let (context, cluster) = (ask.need("contextId")?.to_owned(), ask.need("clusterId")?.to_owned());
    let language = ask.language()?;
    let timeout = ask.count("timeoutSeconds")?;
    let source = ask.take("command")?;
    let engine = app.engine.clone();
    let id = change(&app, async move { engine.execute(&cluster, &context, language, source, timeout).await }).await?;
    Ok(Json(CommandRef { id }))
}

/// `GET /api/1.2/commands/status`
pub(crate) async fn status(
    State(app): State<AppState>,
    _user: User,
    strict: Strict,
    ask: Params,
) -> Answer<CommandView> {
    let (context, cluster) = (ask.need("contextId")?, ask.need("clusterId")?);
    let command = ask.need("commandId")?;
    let view = held(&app, |hold| app.engine.command(cluster, context, command, hold)).await?;
    Ok(Json(strict.apply(view)))
}

/// `POST /api/1.2/commands/cancel`
pub(crate) async fn cancel(State(app): State<AppState>, _user: User, ask: Params) -> Answer<CommandRef> {
    let (context, cluster) = (ask.need("contextId")?.to_owned(), ask.need("clusterId")?.to_owned());
    let command = ask.need("commandId")?.to_owned();
    let engine = app.engine.clone();
    let id = change(&app, async move { engine.cancel(&cluster, &context, &command).await }).await?;
    Ok(Json(CommandRef { id }))
}
