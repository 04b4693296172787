//! Schedules: calls of our own under `/api/1.2/schedules/`. Times are RFC 3339 in UTC.

use serde::{Deserialize, Serialize};

/// One schedule, as `schedules/list` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleEntry {
    /// Its name.
    pub name: String,
    /// The cluster, by its id or its name.
    pub cluster: String,
    /// When, as a cron expression.
    pub cron: String,
    /// By the clock of which time zone.
    pub time_zone: String,
    /// `start`, `resize` or `end`.
    pub action: String,
    /// The number of workers that a start or a resize sets.
    pub num_workers: Option<u32>,
    /// How late it is still done, where the server was down at its time.
    pub catch_up_minutes: u32,
    /// `user`, or `config` for one of the server's configuration.
    pub origin: String,
    /// When it is due next.
    pub next: Option<String>,
    /// What became of its last time.
    pub last: Option<RunEntry>,
}

/// What became of one time of a schedule, as `schedules/runs` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEntry {
    /// The schedule.
    pub schedule: String,
    /// The time.
    pub due: String,
    /// When it was dealt with.
    pub at: String,
    /// `begun`, `done`, `failed` or `missed`.
    pub outcome: String,
    /// What came of it, or why it was not done.
    pub detail: String,
}

/// The answer of `schedules/add` and `schedules/remove`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRef {
    /// The schedule.
    pub name: String,
}
