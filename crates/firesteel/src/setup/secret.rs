//! Text that must not be seen: a password or a token.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A password or a token. It prints as stars wherever it is printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Takes text as a secret.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Makes `prefix` and 256 random bits. The text holds letters, digits, `-` and `_` only, so that it needs no
    /// quoting in a shell, a netrc file or a URL.
    pub(crate) fn generate(prefix: &str) -> Self {
        let bits: [u8; 32] = rand::random();
        Self(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bits)))
    }

    /// Returns the text itself, where it is needed.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_random_plain_and_hidden() {
        let (a, b) = (Secret::generate("fst_"), Secret::generate("fst_"));
        assert_ne!(a, b);
        assert_eq!(a.expose().len(), "fst_".len() + 43);
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(a.expose().chars().all(plain));
        assert!(!format!("{a:?}").contains(a.expose()));
    }
}
