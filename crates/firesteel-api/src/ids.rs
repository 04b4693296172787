//! One type per identifier, checked where text enters (reference, section 1.6).

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Text that is not an identifier of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind} id")]
pub struct BadId {
    kind: &'static str,
    text: String,
}

impl BadId {
    fn new(kind: &'static str, text: &str) -> Self {
        Self { kind, text: text.chars().take(80).collect() }
    }
}

/// Names one cluster, such as `1122-124010-spark42`. 1 to 64 letters, digits, `-` and `_`, so that it is
/// safe as the name of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterId(String);

impl ClusterId {
    /// Returns the identifier as it travels.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if (1..=64).contains(&text.len()) && text.chars().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId::new("cluster", text))
        }
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one execution context: a number inside, a decimal string on the wire because it exceeds 2^53.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContextId(u64);

impl ContextId {
    /// Makes a new identifier: 42 bits of Unix milliseconds, then 21 random bits. It has the 19 digits of
    /// the service's own, fits a signed 64-bit column until 2109 and sorts by time.
    pub fn generate() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX) & ((1 << 42) - 1);
        Self((millis << 21) | u64::from(rand::random::<u32>() >> 11))
    }
}

impl FromStr for ContextId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let digits = !text.is_empty() && text.len() <= 19 && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(number) if digits && number <= i64::MAX as u64 => Ok(Self(number)),
            _ => Err(BadId::new("context", text)),
        }
    }
}

impl fmt::Display for ContextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names one command: a UUID in its usual text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommandId(uuid::Uuid);

impl CommandId {
    /// Makes a new random identifier.
    pub fn generate() -> Self {
        Self(uuid::Uuid::new_v4())
    }
}

impl FromStr for CommandId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        match uuid::Uuid::try_parse(text) {
            // One spelling only: the other forms that parse would be a second name for the same thing.
            Ok(id) if id.to_string().eq_ignore_ascii_case(text) => Ok(Self(id)),
            _ => Err(BadId::new("command", text)),
        }
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names one library: a small number, which is the `object_id` of its node in the workspace too (reference, section 1.6);
/// a decimal string on the wire of 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LibraryId(u64);

impl LibraryId {
    /// Returns the number; at most 2^53, so that every client reads it whole as `object_id`.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl From<u32> for LibraryId {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

impl FromStr for LibraryId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let digits = !text.is_empty() && text.len() <= 16 && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(number) if digits && number <= 1 << 53 => Ok(Self(number)),
            _ => Err(BadId::new("library", text)),
        }
    }
}

impl fmt::Display for LibraryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Lets an id travel as a string: what serde needs beside `FromStr` and `Display`.
macro_rules! string_id {
    ($($id:ty),*) => {$(
        impl TryFrom<String> for $id {
            type Error = BadId;

            fn try_from(text: String) -> Result<Self, BadId> {
                text.parse()
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> Self {
                id.to_string()
            }
        }
    )*};
}

string_id!(ClusterId, ContextId, CommandId, LibraryId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_id_has_the_nineteen_digits_of_the_service() {
        let id = ContextId::generate().to_string();
        assert_eq!(id.len(), 19, "{id}");
        assert_eq!(id.parse::<ContextId>().unwrap().to_string(), id);
    }

    #[test]
    fn ids_refuse_what_could_be_a_path_or_another_spelling() {
        for bad in ["", "..", "a/b", "a b", "é", &"x".repeat(65)] {
            assert!(bad.parse::<ClusterId>().is_err(), "{bad}");
        }
        for bad in ["", "-1", "+1", "1e3", "99999999999999999999", "0x10", " 1"] {
            assert!(bad.parse::<ContextId>().is_err(), "{bad}");
        }
        for bad in ["", "-1", "1a", "99999999999999999"] {
            assert!(bad.parse::<LibraryId>().is_err(), "{bad}");
        }
        for bad in ["", "1", "{3a601163-d3c7-40f9-9c61-deb92c7a2c9d}", "3a601163d3c740f99c61deb92c7a2c9d"] {
            assert!(bad.parse::<CommandId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_travel_as_strings() {
        let id: ContextId = "3558513128163162828".parse().unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"3558513128163162828\"");
        assert!(serde_json::from_str::<ContextId>("\"x\"").is_err());
    }
}
