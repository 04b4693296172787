//! Slows down who guesses.
//!
//! Every check of a password that is not remembered, and every unknown token, counts as an attempt of its user and
//! of its address; a right password takes its own back. Past a few attempts each one waits, longer with every one,
//! up to two seconds. Nobody is refused: someone with the right password, behind the same address as a guesser,
//! waits that long once, and is then remembered.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Attempts that cost nothing.
const FREE: u32 = 5;
const FIRST_DELAY: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(2);
/// A source that was quiet for so long starts anew.
const FORGET: Duration = Duration::from_secs(60);
/// Sources that are counted at a time.
const SOURCES_MAX: usize = 4096;

#[derive(Default)]
pub(super) struct Throttle {
    hasher: RandomState,
    sources: Mutex<HashMap<Source, Attempts>>,
}

/// Who guesses. Users are kept as hashes: names are as long as a guesser likes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    User(u64),
    Peer(IpAddr),
}

struct Attempts {
    count: u32,
    last: Instant,
}

impl Throttle {
    /// Counts an attempt and returns how long it has to wait.
    pub(super) fn attempt(&self, user: Option<&str>, peer: IpAddr) -> Duration {
        let now = Instant::now();
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = self.sources(user, peer).map(|source| {
            let Some(source) = source else { return 0 };
            make_room(&mut sources, &source, now);
            let attempts = sources.entry(source).or_insert(Attempts { count: 0, last: now });
            if now - attempts.last > FORGET {
                attempts.count = 0;
            }
            attempts.last = now;
            attempts.count = attempts.count.saturating_add(1);
            attempts.count
        });
        delay(counts.into_iter().max().unwrap_or(0))
    }

    /// Takes an attempt back, because it was right.
    pub(super) fn forgive(&self, user: &str, peer: IpAddr) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        for source in self.sources(Some(user), peer).into_iter().flatten() {
            if let Some(attempts) = sources.get_mut(&source) {
                attempts.count = attempts.count.saturating_sub(1);
            }
        }
    }

    fn sources(&self, user: Option<&str>, peer: IpAddr) -> [Option<Source>; 2] {
        let peer = match peer.to_canonical() {
            // One host has a whole /64 of these.
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
            v4 => v4,
        };
        [user.map(|user| Source::User(self.hasher.hash_one(user))), Some(Source::Peer(peer))]
    }
}

fn make_room(sources: &mut HashMap<Source, Attempts>, newcomer: &Source, now: Instant) {
    if sources.len() < SOURCES_MAX || sources.contains_key(newcomer) {
        return;
    }
    sources.retain(|_, attempts| now - attempts.last <= FORGET);
    if sources.len() >= SOURCES_MAX {
        let mildest = sources.iter().min_by_key(|(_, attempts)| (attempts.count, attempts.last));
        let mildest = mildest.map(|(source, _)| *source);
        mildest.and_then(|source| sources.remove(&source));
    }
}

fn delay(count: u32) -> Duration {
    match count.checked_sub(FREE + 1) {
        None => Duration::ZERO,
        Some(over) => FIRST_DELAY.saturating_mul(1 << over.min(16)).min(DELAY_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test(start_paused = true)]
    async fn guessing_gets_slower_and_is_forgotten() {
        let throttle = Throttle::default();
        let delays: Vec<u128> = (0..14).map(|_| throttle.attempt(Some("u"), PEER).as_millis()).collect();
        assert_eq!(delays, [0, 0, 0, 0, 0, 100, 200, 400, 800, 1600, 2000, 2000, 2000, 2000]);
        assert_eq!(throttle.attempt(Some("v"), PEER), DELAY_MAX);
        let elsewhere = "10.0.0.1".parse().unwrap();
        assert_eq!(throttle.attempt(Some("u"), elsewhere), DELAY_MAX);
        assert_eq!(throttle.attempt(Some("w"), elsewhere), Duration::ZERO);
        tokio::time::advance(FORGET * 2).await;
        assert_eq!(throttle.attempt(Some("u"), PEER), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn right_passwords_never_add_up() {
        let throttle = Throttle::default();
        for _ in 0..100 {
            assert_eq!(throttle.attempt(Some("u"), PEER), Duration::ZERO);
            throttle.forgive("u", PEER);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_sources_is_bounded_and_the_worst_stay() {
        let throttle = Throttle::default();
        for _ in 0..10 {
            throttle.attempt(Some("hunted"), PEER);
        }
        for n in 0..2 * SOURCES_MAX {
            throttle.attempt(Some(&n.to_string()), PEER);
        }
        assert_eq!(throttle.sources.lock().unwrap().len(), SOURCES_MAX);
        assert!(throttle.attempt(Some("hunted"), "10.0.0.1".parse().unwrap()) > Duration::ZERO);
    }
}
