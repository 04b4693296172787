//! The rule of spares: how many interpreters of a language are to be in the making.
//!
//! Pure: the driver tells what there is and who waits, this says what to do. After failures it holds back, so that
//! an interpreter that cannot be made is not tried without end.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use firesteel_api::{ContextId, Language};

use crate::spec::SpareCounts;

/// How many interpreters of one language are made at the same time: each costs seconds of a core for Scala.
const MAKING_MAX: usize = 2;

/// How long no spare is made after a failure.
const HOLD_BACK: Duration = Duration::from_secs(10);

/// Who waits for an interpreter of one language, and what went wrong lately.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    waiting: HashMap<Language, VecDeque<ContextId>>,
    failed: HashMap<Language, Instant>,
}

impl Spares {
    /// A context needs an interpreter. Asking again changes nothing.
    pub(crate) fn want(&mut self, language: Language, context: ContextId) {
        let waiting = self.waiting.entry(language).or_default();
        if !waiting.contains(&context) {
            waiting.push_back(context);
        }
    }

    /// The context that has waited longest, if any; it waits no more.
    pub(crate) fn next(&mut self, language: Language) -> Option<ContextId> {
        self.waiting.get_mut(&language)?.pop_front()
    }

    /// A context waits no more.
    pub(crate) fn leave(&mut self, context: ContextId) {
        for waiting in self.waiting.values_mut() {
            waiting.retain(|waiter| *waiter != context);
        }
    }

    /// An interpreter could not be made.
    pub(crate) fn failed(&mut self, language: Language, now: Instant) {
        self.failed.insert(language, now);
    }

    /// An interpreter was made.
    pub(crate) fn made(&mut self, language: Language) {
        self.failed.remove(&language);
    }

    /// How many more are to be made, with so many spares there and so many in the making.
    pub(crate) fn missing(
        &self,
        language: Language,
        spares: usize,
        making: usize,
        counts: SpareCounts,
        now: Instant,
    ) -> usize {
        let waiting = self.waiting.get(&language).map_or(0, VecDeque::len);
        let held_back = self.failed.get(&language).is_some_and(|failed| now.duration_since(*failed) < HOLD_BACK);
        let kept = match language {
            _ if held_back => 0,
            Language::Scala => counts.scala,
            Language::Python => counts.python,
            Language::Sql => counts.sql,
            Language::R => counts.r,
        };
        (waiting + kept).saturating_sub(spares + making).min(MAKING_MAX.saturating_sub(making))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: SpareCounts = SpareCounts { scala: 1, python: 2, sql: 0, r: 0 };

    #[test]
    fn those_who_wait_are_served_in_order_and_spares_are_made_beside() {
        let mut spares = Spares::default();
        let now = Instant::now();
        let [a, b] = [ContextId::generate(), ContextId::generate()];
        assert_eq!(spares.missing(Language::Python, 0, 0, COUNTS, now), 2);
        assert_eq!(spares.missing(Language::Python, 2, 0, COUNTS, now), 0);
        spares.want(Language::Python, a);
        spares.want(Language::Python, b);
        spares.want(Language::Python, a);
        assert_eq!(spares.missing(Language::Python, 0, 0, COUNTS, now), MAKING_MAX);
        assert_eq!(spares.missing(Language::Python, 0, MAKING_MAX, COUNTS, now), 0);
        assert_eq!(spares.next(Language::Python), Some(a));
        spares.leave(b);
        assert_eq!(spares.next(Language::Python), None);
    }

    #[test]
    fn after_a_failure_only_those_who_wait_are_served() {
        let mut spares = Spares::default();
        let now = Instant::now();
        spares.failed(Language::Scala, now);
        assert_eq!(spares.missing(Language::Scala, 0, 0, COUNTS, now), 0);
        spares.want(Language::Scala, ContextId::generate());
        assert_eq!(spares.missing(Language::Scala, 0, 0, COUNTS, now), 1);
        assert_eq!(spares.missing(Language::Scala, 0, 0, COUNTS, now + HOLD_BACK), 2);
    }
}
