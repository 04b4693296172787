//! The HTTP edge: sockets, TLS, authentication, parameters, and one function per call of the API.
//!
//! A request travels downwards through this list: [`serve`] accepts the connection and speaks HTTP/1.1 or 2 on it;
//! `edge` names the request, tidies its path, asks `auth` who is calling and catches what breaks; `router` picks
//! the function; `body` reads its parameters, whatever their encoding; `v1_2` and `v2` make one call of the engine
//! and put its answer into JSON; `error` spells what was refused. The edge keeps no state of the API: every fact in
//! an answer is the engine's.

use std::sync::Arc;
use std::time::Duration;

use firesteel_model::limits;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use crate::engine::Engine;
use crate::files::Kept;

mod auth;
mod body;
mod edge;
mod error;
mod incoming;
mod listen;
mod parts;
mod path;
mod router;
mod strict;
mod v1_2;
mod v2;
mod well_known;

#[cfg(test)]
mod tests;

pub use auth::{Auth, Credentials, CredentialsError, hash_password, hash_token};
pub use listen::{serve, tls_config};
pub use router::router;

/// What every handler can reach. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    engine: Engine,
    kept: Kept,
    auth: Arc<Auth>,
    settings: Arc<Settings>,
    /// Cancelled when the server stops: held answers are given at once.
    stop: CancellationToken,
    /// Places for event streams.
    streams: Arc<Semaphore>,
    /// Changes under way whose caller may have hung up.
    changes: TaskTracker,
}

impl AppState {
    /// Puts the edge in front of an engine and of what users keep. [`serve`] connects it to the token that stops the server.
    pub fn new(engine: Engine, kept: Kept, auth: Arc<Auth>, settings: Settings) -> Self {
        Self {
            engine,
            kept,
            auth,
            streams: Arc::new(Semaphore::new(settings.event_streams_max)),
            settings: Arc::new(settings),
            stop: CancellationToken::new(),
            changes: TaskTracker::new(),
        }
    }
}

/// Carries a change out even if the caller hangs up: only the wait for its outcome ends with the connection.
async fn change<T, E, F>(app: &AppState, change: F) -> Result<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let outcome = app.changes.spawn(change.instrument(Span::current())).await;
    // Nobody cancels the task, so it has an outcome or has panicked; the panic is this request's.
    outcome.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))
}

/// What the operator can set about the edge.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a status call may wait for something to say. Stock clients give up after 5 s; keep well below.
    pub hold: Duration,
    /// Bytes of the text of one command.
    pub command_bytes_max: usize,
    /// Bytes of the file of one library.
    pub library_bytes_max: u64,
    /// Event streams open at a time.
    pub event_streams_max: usize,
    /// Rows of one page of a table.
    pub page_rows_max: usize,
    /// Bytes of the rows of one page.
    pub page_bytes_max: usize,
    /// Answers every client as the strict one wants it: error results without `summary`, tables as text.
    /// `sbt-databricks` is recognised by its `User-Agent` and needs no setting, except in builds before 2018.
    pub strict: bool,
    /// The number sent as `x-databricks-org-id`.
    pub org_id: u64,
    /// The address under which clients reach the server, such as `https://spark.example.com`, when the `Host` header
    /// does not tell it.
    pub public_url: Option<String>,
    /// The bounds of connections.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hold: limits::HOLD_MAX,
            command_bytes_max: limits::COMMAND_BYTES_MAX,
            library_bytes_max: limits::LIBRARY_BYTES_MAX,
            event_streams_max: limits::EVENT_STREAMS_MAX,
            page_rows_max: limits::ROWS_MAX,
            page_bytes_max: limits::TABLE_BYTES_MAX,
            strict: false,
            org_id: 1,
            public_url: None,
            limits: Limits::default(),
        }
    }
}

/// The bounds of connections and of the patience with them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at a time; further ones wait in the listener's backlog.
    pub connections_max: usize,
    /// Time for a TLS handshake.
    pub handshake: Duration,
    /// Time for the head of a request, counted from the end of the one before: also how long an idle
    /// HTTP/1.1 connection is kept. Clients poll at most every 10 s or so.
    pub head: Duration,
    /// Time without a byte of a body under way.
    pub body_idle: Duration,
    /// Time in which a client takes no byte of its answer.
    pub write_idle: Duration,
    /// Bytes of a request's head. Over HTTP/1.1 a head that arrives with one read may be up to twice as large.
    pub head_bytes_max: usize,
    /// Header lines of a request over HTTP/1.1.
    pub headers_max: usize,
    /// Requests under way on one HTTP/2 connection.
    pub streams_max: u32,
    /// Time for requests under way once the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            body_idle: Duration::from_secs(30),
            write_idle: Duration::from_secs(60),
            head_bytes_max: 64 * 1024,
            headers_max: 100,
            streams_max: 128,
            drain: Duration::from_secs(10),
        }
    }
}
