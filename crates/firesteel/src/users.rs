//! The users and tokens of the store, as the edge asks for them.

use firesteel_server::http::{Credentials, CredentialsError};
use firesteel_store::Store;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// The store's users.
pub(crate) struct StoredUsers(Store);

impl StoredUsers {
    pub(crate) fn new(store: Store) -> Self {
        Self(store)
    }
}

impl Credentials for StoredUsers {
    fn password_hash<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<Option<String>, CredentialsError>> {
        let found = async move { self.0.user(user).await };
        found.map(|found| found.map(|user| user.map(|user| user.password_hash)).map_err(unreadable)).boxed()
    }

    fn token_user(&self, sha256: [u8; 32]) -> BoxFuture<'_, Result<Option<String>, CredentialsError>> {
        let found = async move { self.0.token_user(sha256).await };
        found.map(|found| found.map_err(unreadable)).boxed()
    }
}

fn unreadable(error: firesteel_store::StoreError) -> CredentialsError {
    CredentialsError(error.to_string())
}
