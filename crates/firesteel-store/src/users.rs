//! Users and the hashes of their passwords.

use std::fmt;

use rusqlite::{OptionalExtension, params};

use crate::error::bounded;
use crate::{Store, StoreError};

/// One user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// The name under which the user signs in.
    pub name: String,
    /// The hash of the password, in the form that its verifier reads.
    pub password_hash: String,
}

impl fmt::Debug for UserRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRecord").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Store {
    /// Adds a user, or gives one another password.
    pub async fn put_user(&self, name: &str, password_hash: &str) -> Result<(), StoreError> {
        bounded("user name", name, 256)?;
        bounded("password hash", password_hash, 1_024)?;
        let (name, password_hash) = (name.to_owned(), password_hash.to_owned());
        self.write("store a user", move |db| {
            db.prepare_cached(
                "INSERT INTO users (name, password_hash) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash",
            )?
            .execute(params![name, password_hash])?;
            Ok(())
        })
        .await
    }

    /// Returns a user.
    pub async fn user(&self, name: &str) -> Result<Option<UserRecord>, StoreError> {
        self.read("look up a user", |db| {
            db.prepare_cached("SELECT name, password_hash FROM users WHERE name = ?1")?
                .query_row([name], |row| {
                    Ok(UserRecord { name: row.get("name")?, password_hash: row.get("password_hash")? })
                })
                .optional()
        })
        .await
    }

    /// Returns the names of all users, sorted.
    pub async fn users(&self) -> Result<Vec<String>, StoreError> {
        self.read_bulk("list the users", |db| {
            db.prepare_cached("SELECT name FROM users ORDER BY name")?.query_map([], |row| row.get(0))?.collect()
        })
        .await
    }

    /// Deletes a user and the user's tokens; tells whether there was one.
    pub async fn delete_user(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write("delete a user", move |db| {
            Ok(db.prepare_cached("DELETE FROM users WHERE name = ?1")?.execute([name])? > 0)
        })
        .await
    }
}
