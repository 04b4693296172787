//! Who is calling.
//!
//! Two schemes: Basic with a user's password, or with the literal user `token` and an access token as the password;
//! and Bearer with an access token. No or wrong Basic credentials are answered 401 with a challenge, since some
//! clients only send credentials after one; an unknown Bearer token is answered 403.
//!
//! A token is 256 random bits and stored as its SHA-256, so checking it is one look-up of the digest and comparing
//! digests leaks nothing that helps to guess the token. A password is stored as an Argon2 hash that costs tens of
//! milliseconds, so `passwords` remembers for a while what it has checked. `throttle` slows guessing down; it never
//! refuses.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tracing::error;

use crate::http::error::{Failure, Style};

mod claim;
mod passwords;
mod throttle;

use claim::Claim;
use passwords::Passwords;
use throttle::Throttle;

pub use passwords::hash_password;

/// Where users and tokens are kept. Asked at every request, so it should answer from memory.
pub trait Credentials: Send + Sync + 'static {
    /// Returns the hash that [`hash_password`] made for this user, if there is such a user.
    fn password_hash<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<Option<String>, CredentialsError>>;

    /// Returns the user whom a token stands for, by what [`hash_token`] made of the token, if it is known and valid.
    fn token_user(&self, sha256: [u8; 32]) -> BoxFuture<'_, Result<Option<String>, CredentialsError>>;
}

/// The credentials cannot be read. This says nothing about who is calling.
#[derive(Debug, thiserror::Error)]
#[error("the users and tokens cannot be read: {0}")]
pub struct CredentialsError(pub String);

/// Returns the form in which a token is stored and looked up.
pub fn hash_token(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The user a request was made by. Taking it as an argument is how a handler says that it needs one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// The name the user signs in with.
    pub(crate) name: String,
}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let user = parts.extensions.get::<Self>().cloned();
        user.ok_or_else(|| Refusal::NoCredentials.respond(Style::of(parts.uri.path())))
    }
}

/// Checks credentials.
pub struct Auth {
    credentials: Arc<dyn Credentials>,
    passwords: Passwords,
    throttle: Throttle,
}

impl Auth {
    /// Checks against these.
    pub fn new(credentials: Arc<dyn Credentials>) -> Self {
        Self { credentials, passwords: Passwords::new(), throttle: Throttle::default() }
    }

    /// Tells whether a password is a user's, or a token where the user is `token`: the rules and the patience of a request that comes
    /// from `peer`.
    pub async fn admits(&self, user: String, password: String, peer: IpAddr) -> bool {
        self.claimed(Claim::Password { user, password: password.into() }, peer).await.is_ok()
    }

    /// Tells who made a request.
    pub(crate) async fn user(&self, headers: &HeaderMap, peer: IpAddr) -> Result<User, Refusal> {
        self.claimed(Claim::read(headers), peer).await
    }

    async fn claimed(&self, claim: Claim, peer: IpAddr) -> Result<User, Refusal> {
        match claim {
            Claim::None => Err(Refusal::NoCredentials),
            Claim::Unreadable => Err(Refusal::WrongPassword),
            Claim::Password { user, password } if user == "token" => {
                self.token(&password, peer).await?.ok_or(Refusal::WrongPassword)
            }
            Claim::Password { user, password } => self.password(user, password, peer).await,
            Claim::Bearer(token) => self.token(&token, peer).await?.ok_or(Refusal::UnknownToken),
        }
    }

    async fn token(&self, token: &SecretString, peer: IpAddr) -> Result<Option<User>, Refusal> {
        let found = self.credentials.token_user(hash_token(token.expose_secret())).await?;
        if found.is_none() {
            tokio::time::sleep(self.throttle.attempt(None, peer)).await;
        }
        Ok(found.map(|name| User { name }))
    }

    async fn password(&self, name: String, password: SecretString, peer: IpAddr) -> Result<User, Refusal> {
        let stored = self.credentials.password_hash(&name).await?;
        let question = self.passwords.question(&name, password, stored);
        let right = match self.passwords.known(&question) {
            Some(right) => right,
            None => {
                tokio::time::sleep(self.throttle.attempt(Some(&name), peer)).await;
                let right = self.passwords.check(question).await.ok_or(Refusal::Crowded)?;
                if right {
                    self.throttle.forgive(&name, peer);
                }
                right
            }
        };
        if right { Ok(User { name }) } else { Err(Refusal::WrongPassword) }
    }
}

/// Why a request is not served to whoever sent it.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// No credentials were sent, or none of a known scheme.
    NoCredentials,
    /// Basic credentials that are not right.
    WrongPassword,
    /// A Bearer token that is not known.
    UnknownToken,
    /// More passwords are waiting to be checked than is reasonable.
    Crowded,
    /// Nobody can be told from anybody.
    Broken(CredentialsError),
}

impl From<CredentialsError> for Refusal {
    fn from(broken: CredentialsError) -> Self {
        Self::Broken(broken)
    }
}

impl Refusal {
    /// Spells the refusal as a response.
    pub(crate) fn respond(self, style: Style) -> Response {
        let failure = |status, code, message: &str| Failure::plain(status, code, message);
        match self {
            Self::NoCredentials => {
                let message = "no credentials were sent; send Basic with user and password, or a Bearer token";
                failure(StatusCode::UNAUTHORIZED, "401", message).challenge(style)
            }
            Self::WrongPassword => {
                failure(StatusCode::UNAUTHORIZED, "401", "wrong user name, password or token").challenge(style)
            }
            Self::UnknownToken => failure(StatusCode::FORBIDDEN, "403", "invalid access token").respond(style),
            // The one place where asking again in a moment is right, and harmless since nothing was accepted.
            Self::Crowded => {
                let message = "too many passwords are being checked; ask again in a second";
                let refused = failure(StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED", message);
                ([(header::RETRY_AFTER, "1")], refused.respond(style)).into_response()
            }
            Self::Broken(broken) => {
                error!(error = %broken, "nobody can be authenticated: {broken}");
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                failure(status, "INTERNAL_ERROR", &broken.to_string()).respond(style)
            }
        }
    }
}
