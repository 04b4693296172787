//! `/api/2.0/preview/scim/v2/…`

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::http::AppState;
use crate::http::auth::{User, hash_token};

/// A user as SCIM shows one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Me {
    active: bool,
    display_name: String,
    emails: [Email; 1],
    groups: [(); 0],
    id: String,
    schemas: [&'static str; 1],
    user_name: String,
}

#[derive(Serialize)]
struct Email {
    primary: bool,
    value: String,
}

/// `GET /api/2.0/preview/scim/v2/Me`
pub(crate) async fn me(State(app): State<AppState>, user: User) -> ([(&'static str, String); 1], Json<Me>) {
    let me = Me {
        active: true,
        display_name: user.name.clone(),
        emails: [Email { primary: true, value: user.name.clone() }],
        groups: [],
        id: number(&user.name).to_string(),
        schemas: ["urn:ietf:params:scim:schemas:core:2.0:User"],
        user_name: user.name,
    };
    ([("x-databricks-org-id", app.settings.org_id.to_string())], Json(me))
}

/// A number that is always the same for a name: 15 digits, which every JSON reader holds exactly.
fn number(name: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = hash_token(name);
    100_000_000_000_000 + u64::from_le_bytes([a, b, c, d, e, f, g, h]) % 900_000_000_000_000
}
