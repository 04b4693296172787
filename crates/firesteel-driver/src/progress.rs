//! How far the Spark jobs of running commands are, added up and on its way to the server.
//!
//! This is of the moment: it has no place among the events, the latest is all that is kept, and it may be lost.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use firesteel_api::commands::Progress;
use firesteel_api::{CommandId, ContextId};
use tokio::sync::Notify;

use crate::protocol::interpreters::JobProgress;

/// How many open jobs of one command are counted one by one.
const OPEN_JOBS_MAX: usize = 1000;

/// The jobs of one running command, added up.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// When the command began, in Unix milliseconds. Jobs that began before are another's.
    since_ms: u64,
    ended: Progress,
    open: BTreeMap<u64, JobProgress>,
}

impl Tally {
    /// Counts jobs that begin from now on. The JVM's clock is this machine's.
    pub(crate) fn begin() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::since(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }

    fn since(since_ms: u64) -> Self {
        Self { since_ms, ended: Progress::default(), open: BTreeMap::new() }
    }

    /// Takes what was said of a job and returns how far all are; `None` when it is not of this command.
    pub(crate) fn take(&mut self, job: JobProgress) -> Option<Progress> {
        if job.began_ms < self.since_ms {
            return None;
        }
        self.open.remove(&job.job);
        if job.over {
            add(&mut self.ended, &job);
        } else if self.open.len() < OPEN_JOBS_MAX {
            self.open.insert(job.job, job);
        }
        let mut all = self.ended;
        self.open.values().for_each(|job| add(&mut all, job));
        Some(all)
    }
}

fn add(sum: &mut Progress, job: &JobProgress) {
    let is_well = job.over && job.stages == job.stages_done;
    sum.jobs.all += 1;
    sum.jobs.done += u64::from(is_well);
    sum.stages.all += job.stages;
    sum.stages.done += job.stages_done;
    sum.tasks.all += job.tasks;
    sum.tasks.done += job.tasks_done;
}

/// The latest progress of each context. Cheap to clone: every clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Latest {
    shown: Arc<Mutex<Shown>>,
    bell: Arc<Notify>,
}

#[derive(Default)]
struct Shown {
    of: HashMap<ContextId, (u64, CommandId, Progress)>,
    last: u64,
}

/// One command's progress, with the number of its telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) number: u64,
    pub(crate) context: ContextId,
    pub(crate) command: CommandId,
    pub(crate) progress: Progress,
}

impl Latest {
    /// Puts a context's progress in the place of what was there.
    pub(crate) fn put(&self, context: ContextId, command: CommandId, progress: Progress) {
        let mut shown = self.lock();
        shown.last += 1;
        let number = shown.last;
        shown.of.insert(context, (number, command, progress));
        drop(shown);
        self.bell.notify_waiters();
    }

    /// Forgets a context.
    pub(crate) fn forget(&self, context: ContextId) {
        self.lock().of.remove(&context);
    }

    /// Waits for the oldest of what was told after `number`. Cancel-safe.
    pub(crate) async fn after(&self, number: u64) -> Told {
        loop {
            let rung = self.bell.notified();
            if let Some(told) = self.first_after(number) {
                return told;
            }
            rung.await;
        }
    }

    fn first_after(&self, number: u64) -> Option<Told> {
        let shown = self.lock();
        let later = shown.of.iter().filter(|(_, (told, ..))| *told > number);
        let first = later.min_by_key(|(_, (told, ..))| *told);
        first.map(|(context, (number, command, progress))| Told {
            number: *number,
            context: *context,
            command: *command,
            progress: *progress,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().expect("no holder of the progress panics")
    }
}

#[cfg(test)]
mod tests {
    use firesteel_api::commands::Count;
    use futures_util::FutureExt;

    use super::*;

    fn job(job: u64, began_ms: u64, tasks_done: u64, over: bool) -> JobProgress {
        let stages_done = u64::from(tasks_done == 10);
        JobProgress { job, began_ms, stages: 1, stages_done, tasks: 10, tasks_done, over }
    }

    fn counts(progress: Progress) -> [(u64, u64); 3] {
        [progress.jobs, progress.stages, progress.tasks].map(|Count { done, all }| (done, all))
    }

    #[test]
    fn jobs_are_added_up_and_another_command_s_are_left_out() {
        let mut tally = Tally::since(100);
        assert_eq!(tally.take(job(1, 99, 5, false)), None);
        assert_eq!(tally.take(job(2, 100, 5, false)).map(counts), Some([(0, 1), (0, 1), (5, 10)]));
        assert_eq!(tally.take(job(3, 101, 0, false)).map(counts), Some([(0, 2), (0, 2), (5, 20)]));
        assert_eq!(tally.take(job(2, 100, 10, true)).map(counts), Some([(1, 2), (1, 2), (10, 20)]));
        assert_eq!(tally.take(job(4, 102, 10, true)).map(counts), Some([(2, 3), (2, 3), (20, 30)]));
        assert_eq!(tally.take(job(3, 101, 3, true)).map(counts), Some([(2, 3), (2, 3), (23, 30)]));
    }

    #[test]
    fn the_latest_takes_the_place_of_what_was_not_told() {
        let latest = Latest::default();
        let (context, command) = ("1".parse().unwrap(), CommandId::generate());
        let mut tally = Tally::since(0);
        for done in 0..10 {
            latest.put(context, command, tally.take(job(1, 1, done, false)).unwrap());
        }
        let told = latest.after(0).now_or_never().unwrap();
        assert_eq!(told.progress.tasks, Count { done: 9, all: 10 });
        assert_eq!(latest.after(told.number).now_or_never(), None);
        latest.forget(context);
        assert_eq!(latest.after(0).now_or_never(), None);
    }
}
