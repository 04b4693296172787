//! `/api/1.2/commands/events`: a command while it runs, as server-sent events.
//!
//! What it prints, how far its Spark jobs are and what it is doing, each as it comes. The id of an event is the offset up to
//! which output was told, so that a client that lost its connection goes on where it was: with `Last-Event-ID`, as browsers
//! do by themselves, or with `offset`.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use firesteel_api::commands::CommandStatus;
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::output::offset;
use crate::engine::{EngineError, Follow, News};
use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::{ApiError, Failure};

/// How often a stream without news says that it is alive: well below the minute after which proxies give up.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// After how long a browser whose stream was lost asks again.
const RETRY: Duration = Duration::from_secs(1);

/// What the id of a stream's last event ends with.
const END: &str = "-end";

/// Tells proxies to pass each event on at once.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// `GET /api/1.2/commands/events`
pub(crate) async fn events(
    State(app): State<AppState>,
    _user: User,
    headers: HeaderMap,
    ask: Params,
) -> Result<Response, ApiError> {
    let (context, cluster) = (ask.need("contextId")?, ask.need("clusterId")?);
    let command = ask.need("commandId")?;
    let offset = match headers.get("last-event-id").filter(|id| !id.is_empty()) {
        None => offset(&ask)?,
        Some(id) => match seen(id)? {
            Some(offset) => offset,
            // Nothing more will come. A browser that is answered anything else asks for ever.
            None => return Ok(StatusCode::NO_CONTENT.into_response()),
        },
    };
    let Ok(place) = app.streams.clone().try_acquire_owned() else {
        return Err(EngineError::TooManyStreams(app.settings.event_streams_max).into());
    };
    let follow = app.engine.follow(cluster, context, command, offset).await?;
    let news = Telling { follow, stop: app.stop.clone(), _place: place };
    Ok(([UNBUFFERED], Sse::new(news.events()).keep_alive(KeepAlive::new().interval(HEARTBEAT))).into_response())
}

/// Reads the id of the last event that a client has seen: the offset to go on at; `None` when that was the end.
fn seen(id: &HeaderValue) -> Result<Option<u64>, Failure> {
    let text = id.to_str().unwrap_or_default();
    let (digits, is_end) = text.strip_suffix(END).map_or((text, false), |digits| (digits, true));
    match digits.parse() {
        Ok(_) if is_end => Ok(None),
        Ok(offset) => Ok(Some(offset)),
        Err(_) => Err(Failure::malformed("`Last-Event-ID` is not the id of an event of commands/events")),
    }
}

/// One stream.
struct Telling {
    follow: Follow,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Telling {
    /// Each event as it comes, until the command is over or gone, or the server stops.
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(Some(self), |telling| async {
            let mut telling = telling?;
            let stop = telling.stop.clone();
            let news = tokio::select! {
                biased;
                news = telling.follow.next() => news,
                () = stop.cancelled() => return None,
            };
            match news {
                Ok(Some(news)) => {
                    let event = event(&news, telling.follow.offset());
                    Some((Ok(event), Some(telling)))
                }
                Ok(None) => None,
                Err(gone @ (EngineError::UnknownContext(_) | EngineError::UnknownCommand(_))) => {
                    let last = named("gone", &json!({"error": gone.to_string()}));
                    Some((Ok(last), None))
                }
                // The client asks again and then hears why.
                Err(broken) => {
                    error!(error = %broken, "a stream of events broke: {broken}");
                    None
                }
            }
        })
    }
}

fn event(news: &News, offset: u64) -> Event {
    match news {
        News::Output { output, skipped } => {
            let told = json!({"data": output.text, "offset": output.start, "nextOffset": offset, "skipped": skipped});
            named("output", &told).id(offset.to_string())
        }
        News::Progress(progress) => named("progress", &json!(progress)),
        News::Status(status) => status_event(*status).retry(RETRY),
        News::End(status) => status_event(*status).id(format!("{offset}{END}")),
    }
}

fn status_event(status: CommandStatus) -> Event {
    named("status", &json!({"status": status}))
}

fn named(name: &str, data: &Value) -> Event {
    // JSON has no line breaks outside of its strings, and none inside of them unescaped.
    Event::default().event(name).data(data.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_an_offset_or_the_end_and_nothing_else() {
        let seen = |text: &'static str| seen(&HeaderValue::from_static(text)).map_err(|failure| failure.to_string());
        assert_eq!(seen("17"), Ok(Some(17)));
        assert_eq!(seen("17-end"), Ok(None));
        for bad in ["x", "-end", "-1", "1.5", "17-END"] {
            assert!(seen(bad).unwrap_err().contains("Last-Event-ID"), "{bad}");
        }
    }
}
