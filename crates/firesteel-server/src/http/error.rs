//! How a refusal or a failure is spelled: its status and its JSON body.
//!
//! Every error has two faces. Paths of 1.2 answer exactly `{"error"}`, and 500 for whatever a call refuses; all
//! other paths answer `{"error_code", "message"}`. Statuses other than 500 are left to what is decided before a
//! call is known or read: authentication, unknown paths, wrong methods, bodies that are too large. The texts avoid
//! the words that make stock clients repeat a request for minutes, except where waiting helps.

use std::fmt;

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use firesteel_api::errors::{Error2, Error12};
use firesteel_api::language::UnknownLanguage;
use tracing::error;

use crate::engine::EngineError;

/// Which of the two bodies a path answers errors with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `{"error"}`.
    V1_2,
    /// `{"error_code", "message"}`.
    V2,
}

impl Style {
    /// Returns the style of a tidied path.
    pub(crate) fn of(path: &str) -> Self {
        match path.strip_prefix("/api/1.2") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Self::V1_2,
            _ => Self::V2,
        }
    }
}

/// A refusal or failure, with what both styles need to spell it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The status on paths of 1.2.
    status: StatusCode,
    /// The status and the code word everywhere else.
    v2: (StatusCode, &'static str),
    message: String,
}

impl Failure {
    /// Something that has the same status on every path.
    pub(crate) fn plain(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, v2: (status, code), message: message.into() }
    }

    /// A call that was understood and is refused: 500 under 1.2, which knows no other status.
    pub(crate) fn call(v2: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, v2: (v2, code), message: message.into() }
    }

    /// A parameter that is absent or empty.
    pub(crate) fn missing(name: &str) -> Self {
        let message = format!("requirement failed: missing {name}");
        Self::call(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)
    }

    /// A parameter that is there and is none.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::call(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)
    }

    /// A parameter that is none of what it may be.
    pub(crate) fn bad_value(name: &str, value: &str, expected: &str) -> Self {
        let value: String = value.chars().take(80).collect();
        let message = format!("`{name}` is `{}`; it must be {expected}", value.escape_debug());
        Self::call(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)
    }

    /// Something that failed on this side of the call.
    pub(crate) fn server(message: String) -> Self {
        error!("a call failed on the server's side: {message}");
        Self::call(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", message)
    }

    /// Parameters that cannot be read.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::call(StatusCode::BAD_REQUEST, "MALFORMED_REQUEST", message)
    }

    /// A body or a parameter beyond its bound.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::plain(StatusCode::PAYLOAD_TOO_LARGE, "MAX_REQUEST_SIZE_EXCEEDED", message)
    }

    /// A path that the server does not have. This one has the 2.x body on every path.
    pub(crate) fn unknown_path(method: &Method, path: &str) -> Response {
        let path: String = path.chars().take(200).collect();
        let message = format!("No API found for '{method} {path}'");
        Self::plain(StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND", message).respond(Style::V2)
    }

    /// A path that the server has, with another method. The router adds `Allow`.
    pub(crate) fn wrong_method(method: &Method, path: &str) -> Response {
        let message = format!("`{path}` does not take {method}; the Allow header says what it takes");
        Self::plain(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message).respond(Style::of(path))
    }

    /// A handler that panicked.
    pub(crate) fn panicked(request_id: &str) -> Self {
        let message = format!("the server failed on this request; its log has the cause under `{request_id}`");
        Self::plain(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", message)
    }

    /// Spells the failure as a response.
    pub(crate) fn respond(self, style: Style) -> Response {
        match style {
            Style::V1_2 => (self.status, Json(Error12 { error: self.message })).into_response(),
            Style::V2 => {
                let (status, code) = self.v2;
                (status, Json(Error2 { error_code: code.to_owned(), message: self.message })).into_response()
            }
        }
    }

    /// Spells a refused Basic credential, with the challenge that clients without preemptive authentication wait for.
    pub(crate) fn challenge(self, style: Style) -> Response {
        let mut response = self.respond(style);
        let challenge = HeaderValue::from_static("Basic realm=\"firesteel\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        response
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<UnknownLanguage> for Failure {
    fn from(unknown: UnknownLanguage) -> Self {
        Self::call(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", unknown.to_string())
    }
}

/// The table of `docs/api.md`: each way the engine refuses, once.
impl From<EngineError> for Failure {
    fn from(refusal: EngineError) -> Self {
        let (status, code) = match &refusal {
            EngineError::UnknownCluster(_) | EngineError::BadPageToken { .. } => {
                (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE")
            }
            EngineError::ClusterNotReady { .. }
            | EngineError::ClusterNotRunning { .. }
            | EngineError::UnexpectedState { .. } => (StatusCode::BAD_REQUEST, "INVALID_STATE"),
            EngineError::Pinned(_)
            | EngineError::BadSettings(_)
            | EngineError::BadLibrary(_)
            | EngineError::BadSchedule(_) => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
            EngineError::NameTaken(_) => (StatusCode::BAD_REQUEST, "RESOURCE_ALREADY_EXISTS"),
            EngineError::UnknownContext(_)
            | EngineError::UnknownCommand(_)
            | EngineError::UnknownLibrary(_)
            | EngineError::UnknownSchedule(_)
            | EngineError::RowsGone { .. } => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
            EngineError::TooManyClusters { .. }
            | EngineError::TooManyContexts(_)
            | EngineError::TooManyStreams(_)
            | EngineError::QueueFull { .. }
            | EngineError::QueueTooLarge { .. } => (StatusCode::BAD_REQUEST, "QUOTA_EXCEEDED"),
            EngineError::NotOver { .. } | EngineError::ContextLost { .. } => (StatusCode::BAD_REQUEST, "INVALID_STATE"),
            EngineError::NoTable { .. } => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
            EngineError::LanguageUnavailable(_) => (StatusCode::BAD_REQUEST, "FEATURE_DISABLED"),
            EngineError::Stopping => (StatusCode::INTERNAL_SERVER_ERROR, "TEMPORARILY_UNAVAILABLE"),
            EngineError::Store(_) => {
                error!(error = %refusal, "a call failed on the server's side: {refusal}");
                (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR")
            }
        };
        Self::call(status, code, refusal.to_string())
    }
}

/// What a handler of 1.2 fails with.
#[derive(Debug)]
pub(crate) struct ApiError(Failure);

impl<E: Into<Failure>> From<E> for ApiError {
    fn from(failure: E) -> Self {
        Self(failure.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.0.respond(Style::V1_2)
    }
}
