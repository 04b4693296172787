//! `GET /.well-known/databricks-config`: the one path that needs no credentials.
//!
//! Clients of the SDKs fetch it once before their first call. `workspace_id` is left out on purpose: a client that
//! learns one sends it along with every later request.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use crate::http::AppState;
use crate::http::error::{Failure, Style};
use crate::http::listen::Link;

const PATH: &str = "/.well-known/databricks-config";

/// Tells whether a request needs no credentials.
pub(crate) fn is_open(request: &Request) -> bool {
    request.uri().path() == PATH && matches!(*request.method(), Method::GET | Method::HEAD)
}

#[derive(Serialize)]
pub(crate) struct Config {
    oidc_endpoint: String,
}

pub(crate) async fn config(State(app): State<AppState>, request: Request) -> Result<Json<Config>, Response> {
    let base = match &app.settings.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => {
            let scheme = if Link::of(&request).tls { "https" } else { "http" };
            let host = host(&request).ok_or_else(|| {
                let message = "the Host header is missing or is not a host name with an optional port";
                Failure::plain(StatusCode::BAD_REQUEST, "MALFORMED_REQUEST", message).respond(Style::V2)
            })?;
            format!("{scheme}://{host}")
        }
    };
    Ok(Json(Config { oidc_endpoint: format!("{base}/oidc") }))
}

/// Returns the host the client asked for, when it is nothing but a host and perhaps a port.
fn host(request: &Request) -> Option<&str> {
    let authority = request.uri().authority().map(axum::http::uri::Authority::as_str);
    let host = || request.headers().get(header::HOST)?.to_str().ok();
    let host = authority.or_else(host)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    (!host.is_empty() && host.len() <= 255 && host.bytes().all(allowed)).then_some(host)
}
