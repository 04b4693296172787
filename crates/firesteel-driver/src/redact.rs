//! Takes secrets out of what user code prints and answers.
//!
//! The values that user code has asked for are known here, and replaced wherever they appear: in what a command prints,
//! also where a value comes in pieces, and in what it answers. Code that changes a value, letter by letter for one, gets
//! it past this: it keeps secrets out of sight, not from whoever may run code.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, BuildError, Input, MatchKind};
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
    /// Finds the values. `None` while there are none.
    finder: Option<Arc<Finder>>,
}

struct Finder {
    automaton: AhoCorasick,
    /// The values, and how JSON writes them where that differs; sorted.
    patterns: Vec<Vec<u8>>,
    /// How many bytes the longest of them has.
    longest: usize,
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
        match Finder::new(&known.values) {
            Ok(finder) => known.finder = Some(Arc::new(finder)),
            Err(error) => tracing::error!("a secret that was read will not be taken out of what is printed: {error}"),
        }
    }

    /// Replaces every secret in a whole text.
    pub(crate) fn redact(&self, text: Bytes) -> Bytes {
        match self.redacted(&text) {
            Cow::Owned(redacted) => redacted.into(),
            Cow::Borrowed(_) => text,
        }
    }

    /// Returns a whole text with every secret replaced.
    pub(crate) fn redacted<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        match self.finder() {
            Some(finder) if finder.automaton.is_match(text) => Cow::Owned(finder.replaced(text)),
            _ => Cow::Borrowed(text),
        }
    }

    /// Whether none is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.finder().is_none()
    }

    /// Whether one is in a whole text.
    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        self.finder().is_some_and(|finder| finder.automaton.is_match(text))
    }

    /// Returns by how many bytes a whole text may grow when its secrets are replaced; `None` when there is none in it.
    pub(crate) fn growth(&self, text: &[u8]) -> Option<usize> {
        let finder = self.finder()?;
        let count = finder.automaton.find_iter(text).count();
        (count > 0).then(|| count.saturating_mul(REDACTED.len()))
    }

    fn finder(&self) -> Option<Arc<Finder>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).finder.clone()
    }
}

impl Finder {
    fn new(values: &[Vec<u8>]) -> Result<Self, BuildError> {
        let mut patterns = values.to_vec();
        for value in values {
            let Ok(json) = serde_json::to_vec(&String::from_utf8_lossy(value)) else { continue };
            let inner = json[1..json.len() - 1].to_vec();
            if inner != *value {
                patterns.push(inner);
            }
        }
        patterns.sort_unstable();
        // What was replaced stays as it is, should a secret be a part of that: printed text passes here again as a result.
        let all = patterns.iter().map(Vec::as_slice).chain([REDACTED.as_bytes()]);
        // The longest first: a value within another does not leave the rest of that one.
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(all)?;
        let longest = patterns.iter().map(Vec::len).max().unwrap_or(0);
        Ok(Self { automaton, patterns, longest })
    }

    fn replaced(&self, text: &[u8]) -> Vec<u8> {
        self.automaton.replace_all_bytes(text, &vec![REDACTED; self.automaton.patterns_len()])
    }

    /// Replaces the secrets of a text that may go on. Returns what is seen of it, and how many of its bytes that comes
    /// from: the rest is the beginning of a secret, perhaps of a longer one than is there already.
    fn settled(&self, text: &[u8]) -> (Vec<u8>, usize) {
        let (mut seen, mut from, mut begun) = (Vec::new(), 0, self.begun(text, 0));
        while let Some(found) = self.automaton.find(Input::new(text).range(from..)).filter(|it| it.start() < begun) {
            seen.extend_from_slice(&text[from..found.start()]);
            seen.extend_from_slice(REDACTED.as_bytes());
            from = found.end();
            if from > begun {
                begun = self.begun(text, from);
            }
        }
        seen.extend_from_slice(&text[from..begun]);
        (seen, begun)
    }

    /// The first place, `from` or behind it, from which on the text is the beginning of a secret; else its end.
    fn begun(&self, text: &[u8], from: usize) -> usize {
        let first = from.max((text.len() + 1).saturating_sub(self.longest));
        (first..text.len()).find(|place| self.is_beginning(&text[*place..])).unwrap_or(text.len())
    }

    fn is_beginning(&self, text: &[u8]) -> bool {
        // In their order, those that go on behind this text are the next after it.
        let next = self.patterns.partition_point(|pattern| pattern.as_slice() <= text);
        self.patterns.get(next).is_some_and(|pattern| pattern.starts_with(text))
    }
}

/// Takes secrets out of a text that comes in pieces.
pub(crate) struct Screen {
    secrets: Secrets,
    /// The end of what came, where it is the beginning of a secret. Empty while there are none.
    held: Vec<u8>,
}

impl Screen {
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self { secrets, held: Vec::new() }
    }

    /// Takes a piece and returns what may be seen by now.
    pub(crate) fn pass<'a>(&mut self, piece: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(finder) = self.secrets.finder() else { return Cow::Borrowed(piece) };
        self.held.extend_from_slice(piece);
        let (seen, settled) = finder.settled(&self.held);
        self.held.drain(..settled);
        Cow::Owned(seen)
    }

    /// The text is over: returns the rest of it. What comes next is another.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let rest = std::mem::take(&mut self.held);
        self.secrets.finder().map(|finder| finder.replaced(&rest)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    #[test]
    fn what_was_replaced_stays_as_it_is() {
        check(&["RED", "hunter2"], "[REDACTED] RED", "[REDACTED] [REDACTED]");
    }

    /// What each piece lets be seen, and then the end.
    #[track_caller]
    fn check_pieces(values: &[&str], pieces: &[(&str, &str)], rest: &str) {
        let mut screen = Screen::new(secrets(values));
        for (piece, seen) in pieces {
            assert_eq!(String::from_utf8_lossy(&screen.pass(piece.as_bytes())), *seen, "{piece:?}");
        }
        assert_eq!(String::from_utf8_lossy(&screen.finish()), rest);
        assert_eq!(screen.finish(), b"");
    }

    #[test]
    fn a_value_in_pieces_is_replaced_and_only_its_beginning_is_held() {
        check_pieces(&["hunter2"], &[("my hun", "my "), ("ter2 and hunt", "[REDACTED] and "), ("ing", "hunting")], "");
        check_pieces(&["hunter2"], &[("h", ""), ("u", ""), ("x", "hux"), ("h", "")], "h");
        check_pieces(&["a\"b"], &[("{a\\", "{"), ("\"b}", "[REDACTED]}")], "");
    }

    #[test]
    fn of_two_values_that_begin_alike_the_longer_is_replaced() {
        let values = ["ab", "abcd"];
        check_pieces(&values, &[("ab", ""), ("cd", "[REDACTED]")], "");
        check_pieces(&values, &[("abc", ""), ("x", "[REDACTED]cx")], "");
        check_pieces(&values, &[("abc", "")], "[REDACTED]c");
        check_pieces(&["abc", "cab"], &[("abcab", "[REDACTED]"), ("x", "abx")], "");
    }

    #[test]
    fn without_secrets_nothing_is_copied() {
        let secrets = Secrets::default();
        let mut screen = Screen::new(secrets.clone());
        assert!(matches!(screen.pass(b"hun"), Cow::Borrowed(b"hun")));
        secrets.learn(b"hunter2");
        assert_eq!(&*screen.pass(b"hunter2"), REDACTED.as_bytes());
    }

    proptest! {
        #[test]
        fn pieces_show_what_the_whole_shows(
            values in prop::collection::vec("[ab]{1,5}", 1..4),
            text in "[abc]{0,40}",
            sizes in prop::collection::vec(1usize..6, 1..40),
        ) {
            let secrets = secrets(&values.iter().map(String::as_str).collect::<Vec<_>>());
            let mut screen = Screen::new(secrets.clone());
            let (mut seen, mut rest, mut sizes) = (Vec::new(), text.as_bytes(), sizes.into_iter().cycle());
            while !rest.is_empty() {
                let (piece, left) = rest.split_at(sizes.next().unwrap().min(rest.len()));
                seen.extend_from_slice(&screen.pass(piece));
                let held = &screen.held;
                let is_beginning = |value: &String| value.len() > held.len() && value.as_bytes().starts_with(held);
                prop_assert!(held.is_empty() || values.iter().any(is_beginning), "{:?} is held", held);
                rest = left;
            }
            seen.extend(screen.finish());
            prop_assert!(values.iter().all(|value| !String::from_utf8_lossy(&seen).contains(value)));
            prop_assert_eq!(Bytes::from(seen), secrets.redact(Bytes::from(text)));
        }
    }
}
