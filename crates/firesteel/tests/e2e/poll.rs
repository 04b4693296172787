//! Waiting for conditions.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long anything may take before the case fails: far more than it needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `done` agrees with what is seen, and returns that; panics with the last sight after [`PATIENCE`].
#[track_caller]
pub(crate) fn until<T: Debug>(what: &str, mut look: impl FnMut() -> T, done: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = look();
        if done(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}; last seen: {seen:#?}");
        std::thread::sleep(PAUSE);
    }
}
