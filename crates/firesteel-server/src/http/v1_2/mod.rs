//! The calls of 1.2, one file per noun. A handler reads its parameters, makes one call of the engine and answers.
//!
//! Parameters are looked at before anything else, `contextId` first: clients test for that.

use std::time::Duration;

use crate::engine::EngineError;
use crate::http::AppState;
use crate::http::change;
use crate::http::error::ApiError;
use axum::Json;

pub(crate) mod clusters;
pub(crate) mod commands;
pub(crate) mod contexts;
pub(crate) mod events;
pub(crate) mod libraries;
pub(crate) mod lists;
pub(crate) mod output;
pub(crate) mod results;
pub(crate) mod schedules;

/// What a handler of 1.2 returns.
type Answer<T> = Result<Json<T>, ApiError>;

/// Asks for a status, with time to wait for something to say. The wait ends when the server stops; it ends with the
/// connection too, since this future is dropped then.
pub(crate) async fn held<T, F>(app: &AppState, ask: impl Fn(Duration) -> F) -> Result<T, EngineError>
where
    F: Future<Output = Result<T, EngineError>>,
{
    tokio::select! {
        biased; // an answer that is there is better than the same one asked for again
        view = ask(app.settings.hold) => view,
        () = app.stop.cancelled() => ask(Duration::ZERO).await,
    }
}
