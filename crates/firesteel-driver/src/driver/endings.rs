//! How Spark's JVM ended, in plain words and in the one word that 2.x has for it.

use std::path::Path;
use std::process::ExitStatus;

use firesteel_api::v2::termination::TerminationCode;

use crate::process;

/// How many lines of a log are quoted when its writer died.
pub(super) const LOG_LINES: usize = 8;

/// How many lines of a log are searched for what the JVM said of its memory.
const SEARCHED_LINES: usize = 60;

/// The exit status of a JVM under `-XX:+ExitOnOutOfMemoryError`.
const JVM_OUT_OF_MEMORY: i32 = 3;

/// The exit status that Spark's own handler of uncaught errors has for an `OutOfMemoryError`.
const SPARK_OUT_OF_MEMORY: i32 = 52;

/// Where the kernel counts the processes that it ended for want of memory.
const KERNEL_COUNTS: &str = "/proc/vmstat";

/// How often the kernel has ended a process for want of memory, where it tells.
pub(super) fn memory_kills() -> Option<u64> {
    let counts = std::fs::read_to_string(KERNEL_COUNTS).ok()?;
    let line = counts.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
    line.trim().parse().ok()
}

/// What is known of a JVM that ended.
pub(super) struct JvmEnd<'a> {
    pub(super) status: ExitStatus,
    /// Why this driver killed it, where it did.
    pub(super) killed_because: Option<String>,
    /// Whether Spark had been up.
    pub(super) was_up: bool,
    /// Whether the kernel has ended processes for want of memory since the JVM was started.
    pub(super) memory_kill: bool,
    pub(super) log: &'a Path,
}

impl JvmEnd<'_> {
    /// The word for the end, and the words.
    pub(super) fn told(self) -> (TerminationCode, String) {
        let out_of_memory = self.out_of_memory();
        let how = self.killed_because.unwrap_or_else(|| process::words(self.status));
        let lines = process::last_lines(self.log, LOG_LINES);
        let (code, why) = match out_of_memory {
            Some(why) => (TerminationCode::DriverOutOfMemory, why),
            None if self.was_up => (TerminationCode::SparkError, ""),
            None => (TerminationCode::SparkStartupFailure, ""),
        };
        (code, format!("Spark's JVM ended: {how}{why}; the last lines of its log:\n{lines}"))
    }

    fn out_of_memory(&self) -> Option<&'static str> {
        let said = || process::last_lines(self.log, SEARCHED_LINES).contains("java.lang.OutOfMemoryError");
        match self.status.code() {
            None if self.memory_kill && self.killed_because.is_none() => {
                Some(". The machine was out of memory: the kernel ended it. Give Spark less of it, or the machine more")
            }
            Some(JVM_OUT_OF_MEMORY | SPARK_OUT_OF_MEMORY) if said() => {
                Some(". It was out of memory: give the driver more with `spark.driver.memory`, or bring less to it")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    /// Tells the end of a JVM with a wait status and a log.
    #[track_caller]
    fn check(status: i32, memory_kill: bool, was_up: bool, log: &str, code: TerminationCode, said: &str) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, log).unwrap();
        let status = ExitStatus::from_raw(status);
        let end = JvmEnd { status, killed_because: None, was_up, memory_kill, log: file.path() };
        let (found, words) = end.told();
        assert_eq!(found, code, "{words}");
        assert!(words.contains(said), "{words}");
    }

    #[test]
    fn an_end_for_want_of_memory_is_told_apart() {
        use TerminationCode as C;
        let heap = "Terminating due to java.lang.OutOfMemoryError: Java heap space\n";
        check(3 << 8, false, true, heap, C::DriverOutOfMemory, "spark.driver.memory");
        check(3 << 8, false, true, "exit(3)", C::SparkError, "exit status 3");
        check(9, true, true, "", C::DriverOutOfMemory, "the kernel ended it");
        check(9, false, true, "", C::SparkError, "signal 9");
        check(1 << 8, false, false, "no master\n", C::SparkStartupFailure, "no master");
    }
}
