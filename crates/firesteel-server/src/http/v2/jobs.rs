//! `/api/2.0/jobs/list`. There are no jobs here, and a client that looks for those that use a library is told so.

use axum::Json;
use serde::Serialize;

use crate::http::auth::User;

/// No jobs.
#[derive(Serialize)]
pub(crate) struct Jobs {
    has_more: bool,
    jobs: [(); 0],
}

/// `GET /api/2.0/jobs/list`
pub(crate) async fn list(_user: User) -> Json<Jobs> {
    Json(Jobs { has_more: false, jobs: [] })
}
