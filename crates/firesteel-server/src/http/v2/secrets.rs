//! `/api/2.0/secrets/…` (reference, section 16).

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use firesteel_api::v2::dbfs::Done;
use firesteel_api::v2::secrets::{Acl, AclList, Scope, ScopeList, Secret, SecretKey, SecretList};
use firesteel_store::SecretValue;

use super::Answer;
use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::Failure;
use crate::http::parts::decoded;

/// Where secrets are.
const BACKEND: &str = "DATABRICKS";

/// `POST /api/2.0/secrets/scopes/create`
pub(crate) async fn create_scope(State(app): State<AppState>, user: User, ask: Params) -> Answer<Done> {
    let scope = ask.need("scope")?;
    match ask.text("scope_backend_type")?.unwrap_or(BACKEND) {
        "" | BACKEND => {}
        other => return Err(Failure::bad_value("scope_backend_type", other, BACKEND).into()),
    }
    app.kept.store.create_scope(scope).await?;
    let manager = ask.text("initial_manage_principal")?.filter(|name| !name.is_empty()).unwrap_or(&user.name);
    app.kept.store.put_secret_acl(scope, manager, Some("MANAGE")).await?;
    Ok(Json(Done {}))
}

/// `POST /api/2.0/secrets/scopes/delete`
pub(crate) async fn delete_scope(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Done> {
    app.kept.store.delete_scope(ask.need("scope")?).await?;
    Ok(Json(Done {}))
}

/// `GET /api/2.0/secrets/scopes/list`
pub(crate) async fn list_scopes(State(app): State<AppState>, _user: User) -> Answer<ScopeList> {
    let names = app.kept.store.scopes().await?;
    let scopes = names.into_iter().map(|name| Scope { name, backend_type: BACKEND.to_owned() }).collect();
    Ok(Json(ScopeList { scopes }))
}

/// `POST /api/2.0/secrets/put`
pub(crate) async fn put(State(app): State<AppState>, _user: User, mut ask: Params) -> Answer<Done> {
    let (scope, key) = (ask.need("scope")?.to_owned(), ask.need("key")?.to_owned());
    let value = match (ask.text("string_value")?.is_some(), ask.text("bytes_value")?.is_some()) {
        (true, false) => ask.take("string_value")?.into_bytes(),
        (false, true) => decoded("bytes_value", &ask.take("bytes_value")?)?.to_vec(),
        _ => {
            let message = "give the value either as `string_value` or, in base64, as `bytes_value`";
            return Err(Failure::malformed(message).into());
        }
    };
    app.kept.store.put_secret(&scope, &key, SecretValue(value)).await?;
    Ok(Json(Done {}))
}

/// `POST /api/2.0/secrets/delete`
pub(crate) async fn delete(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Done> {
    app.kept.store.delete_secret(ask.need("scope")?, ask.need("key")?).await?;
    Ok(Json(Done {}))
}

/// `GET /api/2.0/secrets/list`
pub(crate) async fn list(State(app): State<AppState>, _user: User, ask: Params) -> Answer<SecretList> {
    let found = app.kept.store.secrets(ask.need("scope")?).await?;
    let key = |secret: firesteel_store::SecretRecord| SecretKey {
        key: secret.key,
        last_updated_timestamp: secret.updated_ms,
    };
    Ok(Json(SecretList { secrets: found.into_iter().map(key).collect() }))
}

/// `GET /api/2.0/secrets/get`
pub(crate) async fn get(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Secret> {
    let key = ask.need("key")?;
    let value = app.kept.store.secret(ask.need("scope")?, key).await?;
    Ok(Json(Secret { key: key.to_owned(), value: BASE64_STANDARD.encode(value.0) }))
}

/// `POST /api/2.0/secrets/acls/put`
pub(crate) async fn put_acl(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Done> {
    let permission = match ask.need("permission")? {
        "READ" => "READ",
        "WRITE" => "WRITE",
        "MANAGE" => "MANAGE",
        other => return Err(Failure::bad_value("permission", other, "READ, WRITE or MANAGE").into()),
    };
    app.kept.store.put_secret_acl(ask.need("scope")?, ask.need("principal")?, Some(permission)).await?;
    Ok(Json(Done {}))
}

/// `POST /api/2.0/secrets/acls/delete`
pub(crate) async fn delete_acl(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Done> {
    app.kept.store.put_secret_acl(ask.need("scope")?, ask.need("principal")?, None).await?;
    Ok(Json(Done {}))
}

/// `GET /api/2.0/secrets/acls/get`
pub(crate) async fn get_acl(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Acl> {
    let principal = ask.need("principal")?;
    let all = app.kept.store.secret_acls(ask.need("scope")?).await?;
    let found = all.into_iter().find(|acl| acl.principal == principal);
    let acl =
        found.ok_or_else(|| firesteel_store::StoreError::Missing { what: "ACL of", name: principal.to_owned() })?;
    Ok(Json(Acl { principal: acl.principal, permission: acl.permission }))
}

/// `GET /api/2.0/secrets/acls/list`
pub(crate) async fn list_acls(State(app): State<AppState>, _user: User, ask: Params) -> Answer<AclList> {
    let all = app.kept.store.secret_acls(ask.need("scope")?).await?;
    let items = all.into_iter().map(|acl| Acl { principal: acl.principal, permission: acl.permission }).collect();
    Ok(Json(AclList { items }))
}
