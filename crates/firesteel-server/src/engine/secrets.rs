//! What user code asks about secrets, answered out of the store.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use firesteel_driver::protocol::secrets::{SecretAnswer, SecretAsk, SecretWhat};
use firesteel_store::{Store, StoreError};

/// Answers one question.
pub(crate) async fn answer(store: &Store, ask: SecretAsk) -> SecretAnswer {
    let SecretAsk { ask, what } = ask;
    let answered = match &what {
        SecretWhat::Get { scope, key } => store
            .secret(scope, key)
            .await
            .map(|value| SecretAnswer { value: Some(BASE64_STANDARD.encode(value.0)), ..named(ask, Vec::new()) }),
        SecretWhat::List { scope } => {
            store.secrets(scope).await.map(|all| named(ask, all.into_iter().map(|secret| secret.key).collect()))
        }
        SecretWhat::Scopes => store.scopes().await.map(|all| named(ask, all)),
    };
    answered.unwrap_or_else(|error| SecretAnswer::refusal(ask, worded(&what, &error)))
}

fn named(ask: u64, names: Vec<String>) -> SecretAnswer {
    SecretAnswer { ask, error: None, value: None, names }
}

/// What is not there, in the words that code written for the service looks for.
fn worded(what: &SecretWhat, error: &StoreError) -> String {
    match (what, error) {
        (SecretWhat::Get { scope, key }, StoreError::Missing { .. }) => {
            format!("Secret does not exist with scope: {scope} and key: {key}")
        }
        (SecretWhat::List { scope }, StoreError::Missing { .. }) => format!("Secret scope does not exist: {scope}"),
        _ => error.to_string(),
    }
}
