//! The calls of 1.2, one file per noun. A handler reads its parameters, makes one call of the engine and answers.
//!
//! Parameters are looked at before anything else, `contextId` first: clients test for that.

use std::time::Duration;

use axum::Json;
use tracing::{Instrument, Span};

use crate::engine::EngineError;
use crate::http::AppState;
use crate::http::error::ApiError;

pub(crate) mod clusters;
pub(crate) mod commands;
pub(crate) mod contexts;

/// What a handler of 1.2 returns.
type Answer<T> = Result<Json<T>, ApiError>;

/// Carries a change out even if the caller hangs up: only the wait for its outcome ends with the connection.
pub(crate) async fn change<T, F>(app: &AppState, change: F) -> Result<T, EngineError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, EngineError>> + Send + 'static,
{
    let outcome = app.changes.spawn(change.instrument(Span::current())).await;
    // Nobody cancels the task, so it has an outcome or has panicked; the panic is this request's.
    outcome.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))
}

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
