//! Secret scopes and secrets (reference, section 16).

use serde::{Deserialize, Serialize};

/// One scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Its name.
    pub name: String,
    /// Where its secrets are: always `DATABRICKS`, which is the server itself.
    pub backend_type: String,
}

/// The answer of `secrets/scopes/list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeList {
    /// Every scope, by name.
    #[serde(default)]
    pub scopes: Vec<Scope>,
}

/// One secret without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretKey {
    /// Its name in its scope.
    pub key: String,
    /// When it was last put, in Unix milliseconds.
    pub last_updated_timestamp: u64,
}

/// The answer of `secrets/list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretList {
    /// The secrets of the scope, by name.
    #[serde(default)]
    pub secrets: Vec<SecretKey>,
}

/// The answer of `secrets/get`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Its name in its scope.
    pub key: String,
    /// Its value, in base64.
    pub value: String,
}

/// Who may do what with a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// The user or group.
    pub principal: String,
    /// `READ`, `WRITE` or `MANAGE`.
    pub permission: String,
}

/// The answer of `secrets/acls/list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclList {
    /// Everyone who is named.
    #[serde(default)]
    pub items: Vec<Acl>,
}
