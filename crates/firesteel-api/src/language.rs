//! The language of a context or a command (reference, section 2.1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A language that a context can be made for and a command written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Scala, as the REPL of Spark's own Scala version takes it.
    Scala,
    /// Python with IPython's semantics.
    Python,
    /// Spark SQL.
    Sql,
    /// R.
    R,
}

impl Language {
    /// Every language, in the order in which they are documented.
    pub const ALL: [Self; 4] = [Self::Scala, Self::Python, Self::Sql, Self::R];

    /// Returns the name that travels, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scala => "scala",
            Self::Python => "python",
            Self::Sql => "sql",
            Self::R => "r",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no language.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Unsupported language: {0}")]
pub struct UnknownLanguage(pub String);

impl FromStr for Language {
    type Err = UnknownLanguage;

    /// Case does not matter: some clients send `Scala`.
    fn from_str(text: &str) -> Result<Self, UnknownLanguage> {
        let known = Self::ALL.into_iter().find(|language| language.as_str().eq_ignore_ascii_case(text.trim()));
        known.ok_or_else(|| UnknownLanguage(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_value_is_lower_case_and_any_case_is_read() {
        assert_eq!("Scala".parse(), Ok(Language::Scala));
        assert_eq!("PYTHON".parse(), Ok(Language::Python));
        assert_eq!(serde_json::to_string(&Language::Sql).unwrap(), "\"sql\"");
        assert_eq!("cobol".parse::<Language>().unwrap_err().to_string(), "Unsupported language: cobol");
    }
}
