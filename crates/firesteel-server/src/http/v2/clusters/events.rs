//! `clusters/events`: what has happened to a cluster, by pages.

use axum::Json;
use axum::extract::State;
use firesteel_api::v2::events::{ClusterEventView, EventType};
use firesteel_store::HistoryQuery;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::Failure;
use crate::http::v2::Answer;

/// Events of one page where the call does not say, and at most, as at the service.
const LIMITS: (u64, u64) = (50, 500);

/// The answer.
#[derive(Serialize)]
pub(crate) struct Page {
    events: Vec<ClusterEventView>,
    /// The request for the next page; absent on the last, or clients ask for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page: Option<Value>,
    /// The token of the same, for clients that page by tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
    total_count: u64,
}

/// `POST clusters/events`
pub(crate) async fn events(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Page> {
    let id = ask.need("cluster_id")?;
    let query = query(&ask)?;
    let (events, total_count) = app.engine.cluster_history(id, query.clone()).await?;
    let next = query.offset.saturating_add(events.len() as u64);
    let more = !events.is_empty() && next < total_count;
    Ok(Json(Page {
        events,
        next_page: more.then(|| next_page(id, &query, next)),
        next_page_token: more.then(|| next.to_string()),
        total_count,
    }))
}

fn query(ask: &Params) -> Result<HistoryQuery, Failure> {
    let number = |name| ask.count(name);
    let (usual, max) = LIMITS;
    let limit = number("limit")?.or(number("page_size")?).filter(|limit| *limit > 0).unwrap_or(usual);
    if limit > max {
        return Err(Failure::invalid(format!("`limit` must be at most {max}")));
    }
    let ascending = match ask.get("order")? {
        Some("ASC") => true,
        Some("DESC") | None => false,
        Some(_) => return Err(Failure::invalid("`order` must be ASC or DESC")),
    };
    Ok(HistoryQuery {
        start_ms: number("start_time")?,
        end_ms: number("end_time")?,
        types: types(ask)?,
        ascending,
        offset: number("page_token")?.or(number("offset")?).unwrap_or_default(),
        limit,
    })
}

/// The types that are asked for. One that never happens here is asked for in vain, not in error.
fn types(ask: &Params) -> Result<Vec<EventType>, Failure> {
    let words: Vec<Value> = ask.nested("event_types")?.unwrap_or_default();
    let known: Vec<EventType> = words.iter().filter_map(|word| serde_json::from_value(word.clone()).ok()).collect();
    if known.is_empty() && !words.is_empty() {
        return Err(Failure::invalid("`event_types` names no type of event that clusters here have"));
    }
    Ok(known)
}

fn next_page(id: &str, query: &HistoryQuery, offset: u64) -> Value {
    let mut page = json!({
        "cluster_id": id,
        "limit": query.limit,
        "offset": offset,
        "order": if query.ascending { "ASC" } else { "DESC" },
    });
    let optional = [
        ("start_time", query.start_ms.map(Value::from)),
        ("end_time", query.end_ms.map(Value::from)),
        ("event_types", (!query.types.is_empty()).then(|| json!(query.types))),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            page[name] = value;
        }
    }
    page
}
