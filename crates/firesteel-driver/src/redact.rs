//! Takes secrets out of what user code prints and answers.
//!
//! The values that user code has asked for are known here, and replaced wherever they appear: in all that a command answers. Code that changes a value, letter by letter for one, gets it past this:
//! it keeps secrets out of sight, not from whoever may run code.

use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use bytes::Bytes;

/// What stands where a secret was.
const REDACTED: &str = "[REDACTED]";
/// Values that are known at a time; the oldest is forgotten for another.
const VALUES_MAX: usize = 1_000;

/// The secrets of one driver. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    /// Each as it is.
    values: Vec<Vec<u8>>,
    /// Finds the values, and how JSON writes them where that differs. `None` while there are none.
    finder: Option<Arc<Finder>>,
}

struct Finder {
    automaton: AhoCorasick,
    patterns: Vec<Vec<u8>>,
}

impl Secrets {
    /// Learns a value. An empty one, or one that is mere white space, hides nothing.
    pub(crate) fn learn(&self, value: &[u8]) {
        if value.trim_ascii().is_empty() {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.values.iter().any(|own| own == value) {
            return;
        }
        if known.values.len() == VALUES_MAX {
            known.values.remove(0);
        }
        known.values.push(value.to_vec());
        known.finder = Finder::new(&known.values).map(Arc::new);
    }

    /// Replaces every secret in a whole text.
    pub(crate) fn redact(&self, text: Bytes) -> Bytes {
        match self.finder() {
            Some(finder) if finder.automaton.is_match(&text[..]) => finder.replaced(&text).into(),
            _ => text,
        }
    }

    fn finder(&self) -> Option<Arc<Finder>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).finder.clone()
    }
}

impl Finder {
    fn new(values: &[Vec<u8>]) -> Option<Self> {
        let mut patterns = values.to_vec();
        for value in values {
            let Ok(json) = serde_json::to_vec(&String::from_utf8_lossy(value)) else { continue };
            let inner = json[1..json.len() - 1].to_vec();
            if inner != *value {
                patterns.push(inner);
            }
        }
        // The longest first: a value within another does not leave the rest of that one.
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&patterns).ok()?;
        Some(Self { automaton, patterns })
    }

    fn replaced(&self, text: &[u8]) -> Vec<u8> {
        self.automaton.replace_all_bytes(text, &vec![REDACTED; self.patterns.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[&str]) -> Secrets {
        let secrets = Secrets::default();
        values.iter().for_each(|value| secrets.learn(value.as_bytes()));
        secrets
    }

    #[track_caller]
    fn check(values: &[&str], text: &str, expected: &str) {
        let seen = secrets(values).redact(Bytes::from(text.to_owned()));
        assert_eq!(String::from_utf8_lossy(&seen), expected);
    }

    #[test]
    fn a_value_is_replaced_wherever_it_is() {
        check(&[], "as it is", "as it is");
        check(&["hunter2"], "a hunter2, hunter2b", "a [REDACTED], [REDACTED]b");
        check(&["ab", "abcd"], "abcd ab", "[REDACTED] [REDACTED]");
        check(&["a\"\n"], r#"{"data":"a\"\n"}"#, r#"{"data":"[REDACTED]"}"#);
        check(&["", " \n"], "a b", "a b");
    }
}
