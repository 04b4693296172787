//! Passwords: hashing, checking, and remembering what was checked.
//!
//! Basic credentials arrive with every request and an Argon2 check costs tens of milliseconds and 19 MiB. So checks
//! run off the async threads, few at a time, and their outcome is remembered under a keyed digest of user, stored
//! hash and password. The stored hash being part of the key, a changed password or a removed user takes effect at
//! once, for right and wrong guesses alike. The key is random and lives as long as the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::error;

/// Outcomes remembered of each kind. A flood of wrong guesses cannot push out right ones.
const REMEMBERED_MAX: usize = 1024;
const REMEMBER_RIGHT: Duration = Duration::from_secs(300);
const REMEMBER_WRONG: Duration = Duration::from_secs(60);
/// Checks that may wait for their turn: about four seconds of work on two cores.
const WAITING_MAX: usize = 256;

/// Hashes a password for storage: Argon2id, in the form that names its parameters and salt.
///
/// This takes tens of milliseconds on purpose; call it off the async threads.
pub fn hash_password(password: &str) -> String {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.expect("the default parameters are valid and the system gives random bytes").to_string()
}

/// One claim, ready to be looked up or checked.
pub(super) struct Question {
    digest: [u8; 32],
    password: SecretString,
    stored: Option<String>,
}

pub(super) struct Passwords {
    key: [u8; 32],
    right: Mutex<Remembered>,
    wrong: Mutex<Remembered>,
    turns: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Passwords {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            key: rand::random(),
            right: Mutex::new(Remembered::new(REMEMBER_RIGHT)),
            wrong: Mutex::new(Remembered::new(REMEMBER_WRONG)),
            turns: Arc::new(Semaphore::new(cores)),
            waiting: Semaphore::new(WAITING_MAX),
        }
    }

    /// Asks whether a password is that of a user, whose stored hash this is, if there is such a user.
    pub(super) fn question(&self, user: &str, password: SecretString, stored: Option<String>) -> Question {
        let mut digest = Sha256::new_with_prefix(self.key);
        let parts = [user, stored.as_deref().unwrap_or_default(), password.expose_secret()];
        for part in parts {
            // The length before each part keeps `ab`, `c` apart from `a`, `bc`.
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Question { digest: digest.finalize().into(), password, stored }
    }

    /// Returns what is remembered.
    pub(super) fn known(&self, question: &Question) -> Option<bool> {
        let holds = |outcomes: &Mutex<Remembered>| {
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).holds(&question.digest)
        };
        if holds(&self.right) { Some(true) } else { holds(&self.wrong).then_some(false) }
    }

    /// Checks, when its turn comes. `None` when too many are waiting.
    pub(super) async fn check(&self, question: Question) -> Option<bool> {
        let _place = self.waiting.try_acquire().ok()?;
        let turn = self.turns.clone().acquire_owned().await.expect("nobody closes this semaphore");
        // The same credentials often arrive on many connections at once; the first one has answered for all.
        if let Some(known) = self.known(&question) {
            return Some(known);
        }
        let digest = question.digest;
        let checked = tokio::task::spawn_blocking(move || {
            let right = is_right(&question);
            drop(turn);
            right
        });
        let right = checked.await.unwrap_or_else(|broken| {
            error!(error = %broken, "a password check broke: {broken}");
            false
        });
        let outcomes = if right { &self.right } else { &self.wrong };
        outcomes.lock().unwrap_or_else(PoisonError::into_inner).add(digest);
        Some(right)
    }
}

/// An unknown user costs as much time as a wrong password, so that the time does not tell the two apart.
fn is_right(question: &Question) -> bool {
    static NOBODY: OnceLock<String> = OnceLock::new();
    let nobody = || NOBODY.get_or_init(|| hash_password("nobody has this password"));
    let stored = question.stored.as_ref().unwrap_or_else(|| nobody());
    let Ok(hash) = PasswordHash::new(stored) else {
        error!("a stored password hash is not readable; its user cannot sign in until the password is set again");
        return false;
    };
    let password = question.password.expose_secret().as_bytes();
    // The comparison inside is constant in time.
    let matches = Argon2::default().verify_password(password, &hash).is_ok();
    matches && question.stored.is_some()
}

/// A bounded set of digests, each forgotten after a time.
struct Remembered {
    keep: Duration,
    until: HashMap<[u8; 32], Instant>,
}

impl Remembered {
    fn new(keep: Duration) -> Self {
        Self { keep, until: HashMap::new() }
    }

    /// A plain look-up is enough: the digests are keyed, so their bits tell a guesser nothing.
    fn holds(&self, digest: &[u8; 32]) -> bool {
        self.until.get(digest).is_some_and(|until| Instant::now() < *until)
    }

    fn add(&mut self, digest: [u8; 32]) {
        let now = Instant::now();
        if self.until.len() >= REMEMBERED_MAX {
            self.until.retain(|_, until| now < *until);
        }
        if self.until.len() >= REMEMBERED_MAX {
            let oldest = self.until.iter().min_by_key(|(_, until)| **until).map(|(digest, _)| *digest);
            oldest.and_then(|oldest| self.until.remove(&oldest));
        }
        self.until.insert(digest, now + self.keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(passwords: &Passwords, user: &str, password: &str, stored: Option<&str>) -> Question {
        passwords.question(user, password.into(), stored.map(str::to_owned))
    }

    #[tokio::test]
    async fn a_checked_password_is_remembered_until_its_stored_hash_changes() {
        let passwords = Passwords::new();
        let stored = hash_password("right");
        assert!(stored.starts_with("$argon2id$"), "{stored}");
        for (password, right) in [("right", true), ("wrong", false)] {
            assert_eq!(passwords.known(&ask(&passwords, "u", password, Some(&stored))), None);
            assert_eq!(passwords.check(ask(&passwords, "u", password, Some(&stored))).await, Some(right));
            assert_eq!(passwords.known(&ask(&passwords, "u", password, Some(&stored))), Some(right));
            assert_eq!(passwords.known(&ask(&passwords, "v", password, Some(&stored))), None);
            assert_eq!(passwords.known(&ask(&passwords, "u", password, Some("changed"))), None);
            assert_eq!(passwords.known(&ask(&passwords, "u", password, None)), None);
        }
    }

    #[tokio::test]
    async fn an_unknown_user_and_an_unreadable_hash_are_wrong() {
        let passwords = Passwords::new();
        let nobody = ask(&passwords, "u", "nobody has this password", None);
        assert_eq!(passwords.check(nobody).await, Some(false));
        assert_eq!(passwords.check(ask(&passwords, "u", "p", Some("p"))).await, Some(false));
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_outcomes_expire() {
        let mut remembered = Remembered::new(Duration::from_secs(10));
        for n in 0..3 * REMEMBERED_MAX {
            remembered.add(Sha256::digest(n.to_le_bytes()).into());
            tokio::time::advance(Duration::from_micros(1)).await;
        }
        let last = Sha256::digest((3 * REMEMBERED_MAX - 1).to_le_bytes()).into();
        assert_eq!(remembered.until.len(), REMEMBERED_MAX);
        assert!(remembered.holds(&last));
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(!remembered.holds(&last));
    }
}
