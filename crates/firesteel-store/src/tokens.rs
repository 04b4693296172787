//! Access tokens. Only their SHA-256 is kept: a token is long and random, so that no slow hash is needed, and a look-up
//! by it gives away nothing about a token that would match.

use std::fmt;

use rusqlite::{OptionalExtension, params};

use crate::columns::{integer, number};
use crate::error::bounded;
use crate::store::now_ms;
use crate::{Store, StoreError};

/// One access token.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// The hash of the token, which also names it.
    pub sha256: [u8; 32],
    /// Who may sign in with it.
    pub user: String,
    /// What it is for, in the user's words.
    pub comment: String,
    /// When it was made, in Unix milliseconds.
    pub created_ms: u64,
}

impl fmt::Debug for TokenRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRecord").field("user", &self.user).field("comment", &self.comment).finish_non_exhaustive()
    }
}

impl Store {
    /// Adds a token. One that is there already gets the user and the comment given now.
    pub async fn put_token(&self, user: &str, sha256: [u8; 32], comment: &str) -> Result<(), StoreError> {
        bounded("comment", comment, 1_024)?;
        let (user, comment) = (user.to_owned(), comment.to_owned());
        self.write("store a token", move |db| {
            let known = db.prepare_cached("SELECT 1 FROM users WHERE name = ?1")?.exists([&user])?;
            if !known {
                return Err(StoreError::NoUser(user).into());
            }
            db.prepare_cached(
                "INSERT INTO tokens (sha256, user, comment, created_ms) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (sha256) DO UPDATE SET user = excluded.user, comment = excluded.comment",
            )?
            .execute(params![sha256, user, comment, integer(now_ms())])?;
            Ok(())
        })
        .await
    }

    /// Returns whose token has this hash.
    pub async fn token_user(&self, sha256: [u8; 32]) -> Result<Option<String>, StoreError> {
        self.read("look up a token", |db| {
            db.prepare_cached("SELECT user FROM tokens WHERE sha256 = ?1")?
                .query_row([sha256], |row| row.get(0))
                .optional()
        })
        .await
    }

    /// Returns the tokens of a user, the oldest first.
    pub async fn tokens(&self, user: &str) -> Result<Vec<TokenRecord>, StoreError> {
        let user = user.to_owned();
        self.read_bulk("list the tokens", move |db| {
            db.prepare_cached("SELECT * FROM tokens WHERE user = ?1 ORDER BY created_ms, sha256")?
                .query_map([user], |row| {
                    Ok(TokenRecord {
                        sha256: row.get("sha256")?,
                        user: row.get("user")?,
                        comment: row.get("comment")?,
                        created_ms: number(row, "created_ms")?,
                    })
                })?
                .collect()
        })
        .await
    }

    /// Deletes a token; tells whether there was one.
    pub async fn delete_token(&self, sha256: [u8; 32]) -> Result<bool, StoreError> {
        self.write("delete a token", move |db| {
            Ok(db.prepare_cached("DELETE FROM tokens WHERE sha256 = ?1")?.execute([sha256])? > 0)
        })
        .await
    }
}
