//! What happens to every request around its handler.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use tracing::{Instrument, Span, debug, error, info_span};

use crate::http::error::{Failure, Style};
use crate::http::incoming::{self, After, Asked};
use crate::http::listen::Link;
use crate::http::{AppState, path, well_known};

/// Names the request, tidies its path, finds out who is calling, and sees to it that an answer comes whatever
/// happens.
pub(crate) async fn around(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = format!("{:016x}", rand::random::<u64>());
    path::tidy(request.uri_mut());
    let span = info_span!(
        "request",
        request.id = %id,
        http.method = %request.method(),
        // Never the query string: it is the caller's text.
        http.path = request.uri().path(),
    );
    let mut response = answer(&app, request, next, &id).instrument(span.clone()).await;
    response.headers_mut().insert("x-request-id", HeaderValue::try_from(&id).expect("hexadecimal digits"));
    let status = response.status().as_u16();
    span.in_scope(|| {
        debug!(http.status = status, duration_ms = started.elapsed().as_millis(), "answered {status}");
    });
    response
}

async fn answer(app: &AppState, mut request: Request, next: Next, id: &str) -> Response {
    let style = Style::of(request.uri().path());
    let is_head = request.method() == Method::HEAD;
    let is_http1 = request.version() < Version::HTTP_2;
    let asked = Asked::of(request.version(), request.headers());
    let body = std::mem::take(request.body_mut());
    let (body, unread) = incoming::watch(body, app.settings.limits.body_idle);
    *request.body_mut() = body;

    let handled = AssertUnwindSafe(admit(app, request, next, style)).catch_unwind().await;
    let mut response = handled.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
        error!(panic = said, "a handler panicked: {said}");
        Failure::panicked(id).respond(style)
    });
    if unread.discard(asked).await == After::Close && is_http1 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if is_head { without_body(response) } else { response }
}

/// Passes the request on when its sender is known, or need not be.
async fn admit(app: &AppState, mut request: Request, next: Next, style: Style) -> Response {
    if !well_known::is_open(&request) {
        match app.auth.user(request.headers(), Link::of(&request).peer.ip()).await {
            Ok(user) => {
                Span::current().in_scope(|| debug!(user.name = user.name, "called by `{}`", user.name));
                request.extensions_mut().insert(user);
            }
            Err(refusal) => return refusal.respond(style),
        }
    }
    next.run(request).await
}

fn without_body(mut response: Response) -> Response {
    let body = std::mem::replace(response.body_mut(), Body::empty());
    if let Some(length) = body.size_hint().exact() {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
    response
}
