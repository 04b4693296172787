//! Every bound that a user can meet, by name, with its default. The values are those of the reference, section 6.

use std::time::Duration;

use serde::Deserialize;

/// Clusters that have a driver at the same time.
pub const CLUSTERS_MAX: usize = 20;
/// Contexts of one cluster.
pub const CONTEXTS_MAX: usize = 150;
/// Commands that wait in one context.
pub const QUEUE_MAX: usize = 1_000;
/// The source text of one command.
pub const COMMAND_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Rows of one table.
pub const ROWS_MAX: usize = 10_000;
/// One table, as JSON.
pub const TABLE_BYTES_MAX: usize = 2_000_000;
/// The text of one result.
pub const TEXT_CHARS_MAX: usize = 50_000;
/// What one command prints, as it is kept while it runs and after; of what is beyond, the last. The most that the service
/// lets a driver be set to.
pub const OUTPUT_BYTES_MAX: usize = 20_000_000;
/// The file of one library.
pub const LIBRARY_BYTES_MAX: u64 = 10 << 30;
/// How long the installer of one library may take.
pub const LIBRARY_SECONDS_MAX: u64 = 900;
/// Event streams open at a time: one for each context, and as many again.
pub const EVENT_STREAMS_MAX: usize = 300;
/// One table result on disk: all its rows, as Arrow.
pub const RESULT_BYTES_MAX: u64 = 2 << 30;
/// How long the rest of a query may run behind its first rows.
pub const RESULT_SECONDS_MAX: u64 = 600;
/// All table results of one cluster on disk; the oldest make room.
pub const RESULTS_BYTES_MAX: u64 = 8 << 30;
/// How long a status call is held while there is nothing new to say.
pub const HOLD_MAX: Duration = Duration::from_secs(2);

/// How long code that is to stop may go on until it loses what it runs in: what a big step of a numeric library may take.
pub const CANCEL_SECONDS_MAX: u64 = 10;

/// The sources that wait in one context, together.
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a context is at rest until it may make room for another on a full cluster.
pub const CONTEXT_IDLE_SECONDS: u64 = 24 * 60 * 60;

/// The bounds of one server: the defaults above, changed where the configuration file says so.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Clusters that have a driver at the same time.
    pub clusters_max: usize,
    /// Contexts of one cluster.
    pub contexts_max: usize,
    /// Commands that wait in one context.
    pub queue_max: usize,
    /// The sources that wait in one context, together.
    pub queue_bytes_max: usize,
    /// The source text of one command.
    pub command_bytes_max: usize,
    /// How long a command may run; 0 is no limit.
    pub command_seconds_max: u64,
    /// How long code that is to stop may go on until it loses what it runs in.
    pub cancel_seconds_max: u64,
    /// How long a context is at rest until it may make room for another on a full cluster.
    pub context_idle_seconds: u64,
    /// The memory of one Python or R process of a context; 0 is no limit.
    pub context_memory_mb: u64,
    /// Rows of one table.
    pub rows_max: usize,
    /// One table, as JSON.
    pub table_bytes_max: usize,
    /// The text of one result.
    pub text_chars_max: usize,
    /// What one command prints, as it is kept while it runs and after.
    pub output_bytes_max: usize,
    /// The file of one library.
    pub library_bytes_max: u64,
    /// How long the installer of one library may take.
    pub library_seconds_max: u64,
    /// Event streams open at a time.
    pub event_streams_max: usize,
    /// One table result on disk: all its rows, as Arrow. With 0, nothing is kept beyond what the results object has.
    pub result_bytes_max: u64,
    /// How long the rest of a query may run behind its first rows, in seconds; 0 is no limit.
    pub result_seconds_max: u64,
    /// All table results of one cluster on disk; the oldest make room.
    pub results_bytes_max: u64,
    /// How long a status call is held while there is nothing new to say.
    pub hold_max_ms: u64,
}

/// A bound outside the range in which the server works.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`limits.{name}` is {value}; it must be from {min} to {max}")]
pub struct BadLimit {
    /// The key.
    pub name: &'static str,
    /// What was given.
    pub value: u64,
    /// The least that works.
    pub min: u64,
    /// The most that works.
    pub max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clusters_max: CLUSTERS_MAX,
            contexts_max: CONTEXTS_MAX,
            queue_max: QUEUE_MAX,
            queue_bytes_max: QUEUE_BYTES_MAX,
            command_bytes_max: COMMAND_BYTES_MAX,
            command_seconds_max: 0,
            cancel_seconds_max: CANCEL_SECONDS_MAX,
            context_idle_seconds: CONTEXT_IDLE_SECONDS,
            context_memory_mb: 0,
            rows_max: ROWS_MAX,
            table_bytes_max: TABLE_BYTES_MAX,
            text_chars_max: TEXT_CHARS_MAX,
            output_bytes_max: OUTPUT_BYTES_MAX,
            library_bytes_max: LIBRARY_BYTES_MAX,
            library_seconds_max: LIBRARY_SECONDS_MAX,
            event_streams_max: EVENT_STREAMS_MAX,
            result_bytes_max: RESULT_BYTES_MAX,
            result_seconds_max: RESULT_SECONDS_MAX,
            results_bytes_max: RESULTS_BYTES_MAX,
            hold_max_ms: 2_000,
        }
    }
}

impl Limits {
    /// Refuses the first bound that is outside its range.
    ///
    /// Bytes and characters end at what a payload frame of the protocol holds, and a hold at what the least patient
    /// client waits for an answer (5 s), with a second to spare. A hold of 0 answers every status call at once.
    pub fn check(&self) -> Result<(), BadLimit> {
        const BULK_MAX: u64 = 48 * 1024 * 1024;
        const YEAR: u64 = 366 * 24 * 60 * 60;
        const DISK_MAX: u64 = 1 << 50;
        let bounds = [
            ("clusters_max", self.clusters_max as u64, 1, 1_000),
            ("contexts_max", self.contexts_max as u64, 1, 10_000),
            ("queue_max", self.queue_max as u64, 1, 100_000),
            ("command_bytes_max", self.command_bytes_max as u64, 1, BULK_MAX),
            ("queue_bytes_max", self.queue_bytes_max as u64, 1, 1 << 40),
            ("command_seconds_max", self.command_seconds_max, 0, YEAR),
            ("cancel_seconds_max", self.cancel_seconds_max, 1, 600),
            ("context_idle_seconds", self.context_idle_seconds, 1, YEAR),
            // Below this an interpreter with its libraries does not start.
            ("context_memory_mb", self.context_memory_mb, 0, 1 << 24),
            ("rows_max", self.rows_max as u64, 1, 10_000_000),
            ("table_bytes_max", self.table_bytes_max as u64, 1_000, BULK_MAX),
            // As JSON, a character takes up to six bytes.
            ("text_chars_max", self.text_chars_max as u64, 1, BULK_MAX / 6),
            ("output_bytes_max", self.output_bytes_max as u64, 0, BULK_MAX),
            ("library_bytes_max", self.library_bytes_max, 1, 1 << 36),
            ("library_seconds_max", self.library_seconds_max, 1, YEAR),
            // Each holds a connection of its own over HTTP/1.1; those have a bound too.
            ("event_streams_max", self.event_streams_max as u64, 0, 10_000),
            ("result_bytes_max", self.result_bytes_max, 0, DISK_MAX),
            ("result_seconds_max", self.result_seconds_max, 0, YEAR),
            ("results_bytes_max", self.results_bytes_max, 0, DISK_MAX),
            ("hold_max_ms", self.hold_max_ms, 0, 4_000),
        ];
        match bounds.into_iter().find(|(_, value, min, max)| value < min || value > max) {
            Some((name, value, min, max)) => Err(BadLimit { name, value, min, max }),
            None => Ok(()),
        }
    }

    /// Returns how long a status call is held.
    pub fn hold_max(&self) -> Duration {
        Duration::from_millis(self.hold_max_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_the_default() {
        let limits: Limits = serde_json::from_str(r#"{"rows_max": 1000}"#).unwrap();
        assert_eq!(limits, Limits { rows_max: 1000, ..Limits::default() });
        assert_eq!(limits.check(), Ok(()));
        assert_eq!(limits.hold_max(), HOLD_MAX);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let refused = serde_json::from_str::<Limits>(r#"{"row_max": 1000}"#).unwrap_err();
        assert!(refused.to_string().contains("row_max"), "{refused}");
    }

    #[test]
    fn a_bound_out_of_range_is_refused_by_name() {
        let refused = Limits { hold_max_ms: 60_000, ..Limits::default() }.check().unwrap_err();
        assert_eq!(refused.to_string(), "`limits.hold_max_ms` is 60000; it must be from 0 to 4000");
    }
}
