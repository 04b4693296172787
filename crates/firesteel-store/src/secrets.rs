//! Secret scopes, the secrets in them, and who may do what with a scope. A value leaves the store only for whoever asks
//! for it by name.

use std::fmt;

use rusqlite::{Connection, OptionalExtension, params};

use crate::columns::{integer, number};
use crate::error::Failure;
use crate::store::now_ms;
use crate::{Store, StoreError};

/// Scopes of one server.
const SCOPES_MAX: usize = 1_000;
/// Secrets of one scope.
const SECRETS_MAX: usize = 1_000;
/// Bytes of one value.
const SECRET_BYTES_MAX: usize = 128 * 1024;
/// Bytes of the name of a scope or of a secret.
const SECRET_NAME_BYTES_MAX: usize = 128;

/// A secret without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRecord {
    /// Its name in its scope.
    pub key: String,
    /// When it was last put, in Unix milliseconds.
    pub updated_ms: u64,
}

/// The value of a secret. It is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(pub Vec<u8>);

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue")
    }
}

/// Who may do what with a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretAcl {
    /// The user or group.
    pub principal: String,
    /// `READ`, `WRITE` or `MANAGE`.
    pub permission: String,
}

impl Store {
    /// Makes a scope.
    pub async fn create_scope(&self, scope: &str) -> Result<(), StoreError> {
        let scope = name("scope", scope)?;
        self.write("store a secret scope", move |db| {
            let count: i64 = db.query_row("SELECT count(*) FROM secret_scopes", [], |row| row.get(0))?;
            if count.unsigned_abs() >= SCOPES_MAX as u64 {
                return Err(StoreError::Full { what: "secret scopes", max: SCOPES_MAX }.into());
            }
            let made = db
                .prepare_cached("INSERT OR IGNORE INTO secret_scopes (name, created_ms) VALUES (?1, ?2)")?
                .execute(params![scope, integer(now_ms())])?;
            if made == 0 { Err(StoreError::Exists { what: "scope", name: scope }.into()) } else { Ok(()) }
        })
        .await
    }

    /// Deletes a scope with its secrets.
    pub async fn delete_scope(&self, scope: &str) -> Result<(), StoreError> {
        let scope = scope.to_owned();
        self.write("delete a secret scope", move |db| {
            let gone = db.prepare_cached("DELETE FROM secret_scopes WHERE name = ?1")?.execute([&scope])?;
            if gone == 0 { Err(StoreError::Missing { what: "scope", name: scope }.into()) } else { Ok(()) }
        })
        .await
    }

    /// Returns the names of the scopes.
    pub async fn scopes(&self) -> Result<Vec<String>, StoreError> {
        self.read_bulk("list the secret scopes", |db| {
            db.prepare_cached("SELECT name FROM secret_scopes ORDER BY name")?
                .query_map([], |row| row.get(0))?
                .collect()
        })
        .await
    }

    /// Stores a secret, in place of one of that name.
    pub async fn put_secret(&self, scope: &str, key: &str, value: SecretValue) -> Result<(), StoreError> {
        let (scope, key) = (scope.to_owned(), name("key", key)?);
        let bytes = value.0.len();
        if bytes > SECRET_BYTES_MAX {
            return Err(StoreError::TooLarge { what: "secret", bytes, max: SECRET_BYTES_MAX });
        }
        self.write("store a secret", move |db| {
            need_scope(db, &scope)?;
            let count: i64 = db
                .prepare_cached("SELECT count(*) FROM secrets WHERE scope = ?1 AND key <> ?2")?
                .query_row([&scope, &key], |row| row.get(0))?;
            if count.unsigned_abs() >= SECRETS_MAX as u64 {
                return Err(StoreError::Full { what: "secrets in this scope", max: SECRETS_MAX }.into());
            }
            db.prepare_cached(
                "INSERT OR REPLACE INTO secrets (scope, key, value, updated_ms) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![scope, key, value.0, integer(now_ms())])?;
            Ok(())
        })
        .await
    }

    /// Deletes a secret.
    pub async fn delete_secret(&self, scope: &str, key: &str) -> Result<(), StoreError> {
        let (scope, key) = (scope.to_owned(), key.to_owned());
        self.write("delete a secret", move |db| {
            need_scope(db, &scope)?;
            let gone =
                db.prepare_cached("DELETE FROM secrets WHERE scope = ?1 AND key = ?2")?.execute([&scope, &key])?;
            if gone == 0 { Err(StoreError::Missing { what: "secret", name: key }.into()) } else { Ok(()) }
        })
        .await
    }

    /// Returns the secrets of a scope by name, without their values.
    pub async fn secrets(&self, scope: &str) -> Result<Vec<SecretRecord>, StoreError> {
        let asked = scope.to_owned();
        let found = self
            .read_bulk("list the secrets", move |db| {
                let known = db.prepare_cached("SELECT 1 FROM secret_scopes WHERE name = ?1")?.exists([&asked])?;
                let secrets = db
                    .prepare_cached("SELECT key, updated_ms FROM secrets WHERE scope = ?1 ORDER BY key")?
                    .query_map([&asked], |row| {
                        Ok(SecretRecord { key: row.get("key")?, updated_ms: number(row, "updated_ms")? })
                    })?
                    .collect::<rusqlite::Result<_>>()?;
                Ok(known.then_some(secrets))
            })
            .await?;
        found.ok_or_else(|| StoreError::Missing { what: "scope", name: scope.to_owned() })
    }

    /// Returns the value of a secret.
    pub async fn secret(&self, scope: &str, key: &str) -> Result<SecretValue, StoreError> {
        let found = self
            .read("look up a secret", |db| {
                db.prepare_cached("SELECT value FROM secrets WHERE scope = ?1 AND key = ?2")?
                    .query_row([scope, key], |row| row.get(0))
                    .optional()
            })
            .await?;
        found.map(SecretValue).ok_or_else(|| StoreError::Missing {
            what: "secret with scope and key",
            name: format!("{scope}/{key}").chars().take(300).collect(),
        })
    }

    /// Says what a principal may do with a scope; `None` takes that away.
    pub async fn put_secret_acl(
        &self,
        scope: &str,
        principal: &str,
        permission: Option<&'static str>,
    ) -> Result<(), StoreError> {
        let (scope, principal) = (scope.to_owned(), principal.to_owned());
        self.write("store who may use a secret scope", move |db| {
            need_scope(db, &scope)?;
            let Some(permission) = permission else {
                let gone = db
                    .prepare_cached("DELETE FROM secret_acls WHERE scope = ?1 AND principal = ?2")?
                    .execute([&scope, &principal])?;
                let missing = StoreError::Missing { what: "ACL of", name: principal };
                return if gone == 0 { Err(missing.into()) } else { Ok(()) };
            };
            db.prepare_cached("INSERT OR REPLACE INTO secret_acls (scope, principal, permission) VALUES (?1, ?2, ?3)")?
                .execute(params![scope, principal, permission])?;
            Ok(())
        })
        .await
    }

    /// Returns who may do what with a scope.
    pub async fn secret_acls(&self, scope: &str) -> Result<Vec<SecretAcl>, StoreError> {
        self.secrets(scope).await?;
        let scope = scope.to_owned();
        self.read_bulk("list who may use a secret scope", move |db| {
            db.prepare_cached("SELECT principal, permission FROM secret_acls WHERE scope = ?1 ORDER BY principal")?
                .query_map([&scope], |row| {
                    Ok(SecretAcl { principal: row.get("principal")?, permission: row.get("permission")? })
                })?
                .collect()
        })
        .await
    }
}

fn need_scope(db: &Connection, scope: &str) -> Result<(), Failure> {
    if db.prepare_cached("SELECT 1 FROM secret_scopes WHERE name = ?1")?.exists([scope])? {
        return Ok(());
    }
    Err(StoreError::Missing { what: "scope", name: scope.chars().take(300).collect() }.into())
}

/// Checks the name of a scope or of a secret.
fn name(what: &'static str, text: &str) -> Result<String, StoreError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@ /".contains(c);
    if text.is_empty() || text.len() > SECRET_NAME_BYTES_MAX || !text.chars().all(fits) {
        return Err(StoreError::BadName { what, max: SECRET_NAME_BYTES_MAX });
    }
    Ok(text.to_owned())
}
