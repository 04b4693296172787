//! The calls of 2.x that clients of 1.2 make around it, one file per noun.

use axum::Json;
use axum::response::{IntoResponse, Response};

use crate::http::error::{Failure, Style};

pub(crate) mod clusters;
pub(crate) mod dbfs;
pub(crate) mod fs;
pub(crate) mod jobs;
pub(crate) mod libraries;
mod refusals;
pub(crate) mod scim;
pub(crate) mod secrets;
pub(crate) mod workspace;

/// What a handler of 2.x returns.
type Answer<T> = Result<Json<T>, Refused>;

/// What a handler of 2.x fails with.
#[derive(Debug)]
pub(crate) struct Refused(Failure);

impl<E: Into<Failure>> From<E> for Refused {
    fn from(failure: E) -> Self {
        Self(failure.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.0.respond(Style::V2)
    }
}
