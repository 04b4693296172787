//! Schedules: when something is to be done to a cluster, and what becomes of times that passed unnoticed.
//!
//! The clock is the caller's. Times are Unix milliseconds. The days of a time zone come from the system's database, or, where there is
//! none, from the one in this program.

use std::str::FromStr as _;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// How late something may be done and still count as in time.
pub const IN_TIME: Duration = Duration::from_secs(60);

/// How late something is done after the server was down, unless the schedule says otherwise.
pub const CATCH_UP_MINUTES: u32 = 10;

/// The most that a schedule can say.
pub const CATCH_UP_MINUTES_MAX: u32 = 7 * 24 * 60;

/// How many of the times that were missed are told apart; of more, the latest are.
pub const MISSED_MAX: usize = 20;

/// How many times are looked at to find those that were missed. One that was due each second for a day has fewer.
const LOOKED_AT_MAX: usize = 100_000;

/// A longer expression is refused.
const CRON_CHARS_MAX: usize = 200;

/// What is to be done to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Start it, or leave it running; with a number of workers, at that size.
    Start {
        /// The number of workers; as it was when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        num_workers: Option<u32>,
    },
    /// Change the number of workers.
    Resize {
        /// The number of workers.
        num_workers: u32,
    },
    /// End it.
    End,
}

impl Action {
    /// In words, for a list.
    pub fn words(&self) -> String {
        match self {
            Self::Start { num_workers: None } => "start".to_owned(),
            Self::Start { num_workers: Some(workers) } => format!("start with {workers} workers"),
            Self::Resize { num_workers } => format!("resize to {num_workers} workers"),
            Self::End => "end".to_owned(),
        }
    }
}

/// Why a schedule cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSchedule {
    /// The expression is none.
    #[error("`{cron}` is not a cron expression such as `0 7 * * mon-fri`: {reason}")]
    Cron {
        /// What was given.
        cron: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The expression names no time that ever comes.
    #[error("`{0}` never comes")]
    Never(String),
    /// The time zone is not known.
    #[error("`{0}` is not a time zone such as `Europe/Berlin` or `UTC`")]
    Zone(String),
}

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub struct Times {
    cron: Cron,
    zone: TimeZone,
}

impl Times {
    /// Reads an expression of five fields, or six with seconds first, and the name of a time zone. `now_ms` tells whether a time of it is still to
    /// come.
    pub fn read(cron: &str, zone: &str, now_ms: u64) -> Result<Self, BadSchedule> {
        let bad = |reason: String| BadSchedule::Cron { cron: cron.chars().take(CRON_CHARS_MAX).collect(), reason };
        if cron.len() > CRON_CHARS_MAX {
            return Err(bad(format!("it is longer than {CRON_CHARS_MAX} characters")));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let parsed = parser.parse(cron).map_err(|error| bad(error.to_string()))?;
        let zone = TimeZone::get(zone).map_err(|_| BadSchedule::Zone(zone.chars().take(80).collect()))?;
        let times = Self { cron: parsed, zone };
        match times.after(now_ms) {
            Some(_) => Ok(times),
            None => Err(BadSchedule::Never(cron.to_owned())),
        }
    }

    /// Returns the first time after another.
    ///
    /// A clock that is put forward: what falls into the hour that is not there comes right behind it. A clock that is put back: what is due at a
    /// fixed time comes once, what is due again and again goes on.
    pub fn after(&self, ms: u64) -> Option<u64> {
        let from = Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&from, false).ok()?;
        u64::try_from(next.timestamp().as_millisecond()).ok().filter(|next| *next > ms)
    }

    /// Returns what is to be done now: `checked_ms` is up to when everything was dealt with.
    pub fn due(&self, checked_ms: u64, now_ms: u64, catch_up: Duration) -> Due {
        let mut passed = Vec::new();
        let mut at = checked_ms;
        while let Some(next) = self.after(at).filter(|next| *next <= now_ms && passed.len() < LOOKED_AT_MAX) {
            passed.push(next);
            at = next;
        }
        let Some(last) = passed.pop() else { return Due::default() };
        let late = Duration::from_millis(now_ms - last);
        let run = (late <= IN_TIME.max(catch_up)).then_some(last);
        if run.is_none() {
            passed.push(last);
        }
        let more = passed.len().saturating_sub(MISSED_MAX);
        Due { run, missed: passed.split_off(more), more }
    }
}

/// What became due since the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The time that is dealt with now: the last one, where it is not too late.
    pub run: Option<u64>,
    /// The latest of the times that were missed.
    pub missed: Vec<u64>,
    /// How many were missed before those.
    pub more: usize,
}

/// Tells the zone of this machine, by its name; `UTC` where it has none.
pub fn own_zone() -> String {
    TimeZone::system().iana_name().unwrap_or("UTC").to_owned()
}

/// Writes a time as RFC 3339 does, in UTC.
pub fn written(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| ms.to_string(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Reads a time as [`written`] writes it.
pub fn read(text: &str) -> Option<u64> {
    u64::try_from(Timestamp::from_str(text).ok()?.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(cron: &str, zone: &str) -> Times {
        Times::read(cron, zone, 0).unwrap()
    }

    /// The next `count` times after one, as UTC.
    fn next(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let times = times(cron, zone);
        let mut at = read(from).unwrap();
        let mut step = || {
            at = times.after(at).unwrap();
            written(at).replace(":00Z", "Z")
        };
        (0..count).map(|_| step()).collect()
    }

    #[test]
    fn times_follow_the_clock_of_the_zone() {
        let cases: &[(&str, &str, &str, &[&str])] = &[
            ("0 7 * * mon-fri", "UTC", "2026-11-27T08:00:00Z", &["2026-11-30T07:00Z", "2026-12-01T07:00Z"]),
            ("0 7 * * *", "Europe/Berlin", "2026-11-25T00:00:00Z", &["2026-11-25T06:00Z", "2026-11-26T06:00Z"]),
            ("30 5 1 * *", "Asia/Kolkata", "2026-01-15T00:00:00Z", &["2026-02-01T00:00Z"]),
            ("*/15 * * * * *", "UTC", "2026-01-01T00:00:05Z", &["2026-01-01T00:00:15Z", "2026-01-01T00:00:30Z"]),
            ("@daily", "America/New_York", "2026-07-01T12:00:00Z", &["2026-07-02T04:00Z"]),
            // Clocks are put forward on 29 March 2026: 02:30 is not there, and what is due then comes when it is 03:00.
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-03-28T00:00:00Z",
                &["2026-03-28T01:30Z", "2026-03-29T01:00Z", "2026-03-30T00:30Z"],
            ),
            ("0 7 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", &["2026-03-28T06:00Z", "2026-03-29T05:00Z"]),
            ("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:40:00Z", &["2026-03-29T01:00Z", "2026-03-29T01:30Z"]),
            // They are put back on 25 October: 02:30 is there twice, and what is due then comes once.
            ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", &["2026-10-25T00:30Z", "2026-10-26T01:30Z"]),
            (
                "30 * * * *",
                "Europe/Berlin",
                "2026-10-24T23:40:00Z",
                &["2026-10-25T00:30Z", "2026-10-25T01:30Z", "2026-10-25T02:30Z"],
            ),
        ];
        for (cron, zone, from, expected) in cases {
            assert_eq!(next(cron, zone, from, expected.len()), *expected, "{cron} {zone}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_what_is_wrong() {
        let refused = |cron: &str, zone: &str| Times::read(cron, zone, 0).unwrap_err().to_string();
        assert!(refused("0 25 * * *", "UTC").starts_with("`0 25 * * *` is not a cron expression"));
        assert!(refused("every day", "UTC").contains("not a cron expression"));
        assert!(refused("", "UTC").contains("not a cron expression"));
        assert!(refused(&"1,".repeat(200), "UTC").contains("longer than 200"));
        assert!(refused("0 7 * * * 1 2026", "UTC").contains("not a cron expression"));
        assert_eq!(refused("0 0 30 2 *", "UTC"), "`0 0 30 2 *` never comes");
        assert_eq!(
            refused("0 7 * * *", "Mars/Olympus"),
            "`Mars/Olympus` is not a time zone such as `Europe/Berlin` or `UTC`"
        );
    }

    #[test]
    fn what_was_missed_is_told_and_only_the_last_is_made_up_for_in_its_window() {
        let hourly = times("0 * * * *", "UTC");
        let at = |text: &str| read(text).unwrap();
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let due = |from: &str, now: &str, window: u64| {
            let due = hourly.due(at(from), at(now), minutes(window));
            (due.run.map(written), due.missed.into_iter().map(written).collect::<Vec<_>>(), due.more)
        };
        let text = |text: &str| text.to_owned();
        let (six, seven, eight) = ("2026-01-01T06:00:00Z", "2026-01-01T07:00:00Z", "2026-01-01T08:00:00Z");
        assert_eq!(due("2026-01-01T05:30:00Z", "2026-01-01T05:59:59Z", 0), (None, vec![], 0));
        assert_eq!(due("2026-01-01T05:30:00Z", six, 0), (Some(text(six)), vec![], 0));
        // What was dealt with at its own time is not dealt with again.
        assert_eq!(due(six, "2026-01-01T06:00:30Z", 0), (None, vec![], 0));
        assert_eq!(due("2026-01-01T05:30:00Z", "2026-01-01T06:01:00Z", 0), (Some(text(six)), vec![], 0));
        assert_eq!(due("2026-01-01T05:30:00Z", "2026-01-01T06:01:01Z", 0), (None, vec![text(six)], 0));
        assert_eq!(
            due("2026-01-01T05:30:00Z", "2026-01-01T08:09:00Z", 10),
            (Some(text(eight)), vec![text(six), text(seven)], 0)
        );
        assert_eq!(
            due("2026-01-01T05:30:00Z", "2026-01-01T08:11:00Z", 10),
            (None, vec![text(six), text(seven), text(eight)], 0)
        );
        let long = hourly.due(at("2026-01-01T00:30:00Z"), at("2026-01-11T00:30:00Z"), Duration::ZERO);
        assert_eq!((long.run, long.missed.len(), long.more), (None, MISSED_MAX, 240 - MISSED_MAX));
        assert_eq!(long.missed.last().copied().map(written), Some(text("2026-01-11T00:00:00Z")));
    }

    #[test]
    fn an_action_reads_as_it_is_written() {
        for (action, json) in [
            (Action::Start { num_workers: None }, r#"{"action":"start"}"#),
            (Action::Start { num_workers: Some(4) }, r#"{"action":"start","num_workers":4}"#),
            (Action::Resize { num_workers: 2 }, r#"{"action":"resize","num_workers":2}"#),
            (Action::End, r#"{"action":"end"}"#),
        ] {
            assert_eq!(serde_json::to_string(&action).unwrap(), json);
            assert_eq!(serde_json::from_str::<Action>(json).unwrap(), action);
        }
    }

    proptest! {
        #[test]
        fn every_time_is_dealt_with_once(start in 1_700_000_000_000u64..1_900_000_000_000, steps in prop::collection::vec(1u64..10_800_000, 1..20)) {
            let times = times("*/20 * * * *", "Europe/Berlin");
            let (mut now, mut seen) = (start, Vec::new());
            for step in steps {
                let due = times.due(now, now + step, Duration::from_secs(600));
                prop_assert_eq!(due.more, 0);
                seen.extend(due.missed);
                seen.extend(due.run);
                now += step;
            }
            let mut expected = Vec::new();
            let mut at = start;
            while let Some(next) = times.after(at).filter(|next| *next <= now) {
                expected.push(next);
                at = next;
            }
            prop_assert_eq!(seen, expected);
        }
    }
}
