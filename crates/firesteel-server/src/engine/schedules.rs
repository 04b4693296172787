//! Schedules: what is done to clusters at fixed times, and what became of each time.
//!
//! A look deals with all that became due since the last one, and notes it in the store before it is begun: nothing is done twice, and what a server
//! that was down could not do is noted as missed. The clock is the caller's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use firesteel_api::v2::events::ClusterSize;
use firesteel_model::schedule::{self, Action, CATCH_UP_MINUTES_MAX, Times};
use firesteel_model::{Cause, ClusterState};
use firesteel_store::{NewRun, RunOutcome, RunRecord, ScheduleOrigin, ScheduleRecord, StoreError};
use tokio::time::Instant;

use super::{Engine, EngineError};

/// Tells the time, in Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How long nothing is looked at: a machine that slept, or a clock that was set, is noticed within it.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// How long a cluster is waited for that is on its way somewhere else.
const SETTLE_DEADLINE: Duration = Duration::from_secs(600);

/// How often it is asked again.
const SETTLE_EVERY: Duration = Duration::from_millis(500);

/// A schedule as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleView {
    /// The schedule.
    pub schedule: ScheduleRecord,
    /// When it is due next, in Unix milliseconds.
    pub next_ms: Option<u64>,
    /// What became of its last time.
    pub last: Option<RunRecord>,
}

/// A time of a schedule that is dealt with now.
struct Firing {
    due_ms: u64,
    number: u64,
    schedule: ScheduleRecord,
}

impl Engine {
    /// Makes the schedules of the configuration those that are given, and does from now on what the schedules say, until the engine stops.
    pub async fn keep_schedules(&self, configured: Vec<ScheduleRecord>, clock: Clock) -> Result<(), EngineError> {
        let now = clock();
        configured.iter().try_for_each(|schedule| check(schedule, now))?;
        self.0.store.configure_schedules(configured).await.map_err(|error| match error {
            StoreError::Taken(name) => EngineError::BadSchedule(format!(
                "`[[schedules]]` has a schedule `{name}`, and so has `firesteel schedules add`: give the one in firesteel.toml another name"
            )),
            other => refused(other),
        })?;
        self.0.store.abandon_runs("the server ended before it was done").await?;
        let engine = self.clone();
        self.0.tasks.spawn(async move { engine.watch_schedules(clock).await });
        Ok(())
    }

    /// Adds a schedule. A cluster that is not there is refused.
    pub async fn add_schedule(&self, schedule: ScheduleRecord) -> Result<(), EngineError> {
        check(&schedule, schedule.created_ms)?;
        self.scheduled_cluster(&schedule.cluster)?;
        self.0.store.insert_schedule(schedule).await.map_err(refused)?;
        self.0.schedules_changed.notify_one();
        Ok(())
    }

    /// Deletes a schedule and what is known of its times. One of the configuration is refused.
    pub async fn remove_schedule(&self, name: &str) -> Result<(), EngineError> {
        let unknown = || EngineError::UnknownSchedule(name.chars().take(80).collect());
        match self.0.store.schedule(name).await?.ok_or_else(unknown)?.origin {
            ScheduleOrigin::Config => Err(EngineError::BadSchedule(format!(
                "schedule `{name}` is one of the server's configuration; take it out of firesteel.toml and start the server again"
            ))),
            ScheduleOrigin::User if self.0.store.delete_schedule(name).await? => Ok(()),
            ScheduleOrigin::User => Err(unknown()),
        }
    }

    /// Returns the schedules, by name.
    pub async fn schedules(&self, now_ms: u64) -> Result<Vec<ScheduleView>, EngineError> {
        let mut views = Vec::new();
        for schedule in self.0.store.schedules().await? {
            let last = self.0.store.runs(Some(&schedule.name), 1).await?.pop();
            let next_ms = times(&schedule, now_ms).ok().and_then(|times| times.after(now_ms));
            views.push(ScheduleView { schedule, next_ms, last });
        }
        Ok(views)
    }

    /// Returns what became of the latest times of a schedule, or of all, the last first.
    pub async fn schedule_runs(&self, name: Option<&str>, max: u32) -> Result<Vec<RunRecord>, EngineError> {
        if let Some(name) = name
            && self.0.store.schedule(name).await?.is_none()
        {
            return Err(EngineError::UnknownSchedule(name.chars().take(80).collect()));
        }
        Ok(self.0.store.runs(name, max).await?)
    }

    async fn watch_schedules(&self, clock: Clock) {
        loop {
            let next = match self.look_at_schedules(clock()).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!("the schedules could not be looked at: {error}");
                    None
                }
            };
            let wait = next.map_or(LOOK_EVERY, |next| Duration::from_millis(next.saturating_sub(clock())));
            tokio::select! {
                () = self.0.stop.cancelled() => return,
                () = self.0.schedules_changed.notified() => {}
                () = tokio::time::sleep(wait.min(LOOK_EVERY)) => {}
            }
        }
    }

    /// Notes what was missed, begins what is due, and returns when something is due next.
    pub(crate) async fn look_at_schedules(&self, now_ms: u64) -> Result<Option<u64>, EngineError> {
        let mut next: Option<u64> = None;
        let mut firings = BTreeMap::<String, Vec<Firing>>::new();
        for schedule in self.0.store.schedules().await? {
            // It was one when it was stored; a zone may have been renamed since.
            let Ok(times) = times(&schedule, now_ms) else { continue };
            if let Some(firing) = self.note_due(&schedule, &times, now_ms).await? {
                firings.entry(schedule.cluster.clone()).or_default().push(firing);
            }
            next = [next, times.after(now_ms)].into_iter().flatten().min();
        }
        for (_, mut firings) in firings {
            // What is due for one cluster is done in the order of its times.
            firings.sort_by_key(|firing| firing.due_ms);
            let engine = self.clone();
            self.0.tasks.spawn(async move {
                for firing in firings {
                    engine.fire(firing).await;
                }
            });
        }
        Ok(next)
    }

    /// Stores what is due of one schedule; what is to be done now has begun when this returns.
    async fn note_due(
        &self,
        schedule: &ScheduleRecord,
        times: &Times,
        now_ms: u64,
    ) -> Result<Option<Firing>, EngineError> {
        let catch_up = Duration::from_secs(60 * u64::from(schedule.catch_up_minutes));
        let due = times.due(schedule.checked_ms, now_ms, catch_up);
        let missed = |due_ms: &u64| NewRun {
            due_ms: *due_ms,
            outcome: RunOutcome::Missed,
            detail: "the server was down".into(),
        };
        let mut runs: Vec<NewRun> = due.missed.iter().map(missed).collect();
        if let Some(first) = runs.first_mut().filter(|_| due.more > 0) {
            first.detail += &format!(", also at {} earlier times", due.more);
        }
        runs.extend(due.run.map(|due_ms| NewRun { due_ms, outcome: RunOutcome::Begun, detail: String::new() }));
        if runs.is_empty() {
            return Ok(None);
        }
        let missed = due.missed.len() + due.more;
        if missed > 0 {
            tracing::warn!("schedule `{}` was missed {missed} times while the server was down", schedule.name);
        }
        let numbers = self.0.store.note_runs(&schedule.name, now_ms, now_ms, runs).await?;
        let firing = due.run.zip(numbers.last().copied());
        Ok(firing.map(|(due_ms, number)| Firing { due_ms, number, schedule: schedule.clone() }))
    }

    async fn fire(&self, firing: Firing) {
        let Firing { number, schedule, .. } = firing;
        let name = &schedule.name;
        let done = tokio::select! {
            done = self.carry_out(&schedule) => done,
            () = self.0.stop.cancelled() => return, // noted at the next start
        };
        let (outcome, detail) = match done {
            Ok(detail) => {
                tracing::info!("schedule `{name}`: {detail}");
                (RunOutcome::Done, detail)
            }
            Err(error) => {
                tracing::error!("schedule `{name}` failed: {error}");
                (RunOutcome::Failed, error.to_string())
            }
        };
        if let Err(error) = self.0.store.end_run(number, outcome, &detail).await {
            tracing::error!("what became of schedule `{name}` could not be stored: {error}");
        }
    }

    /// Does what a schedule says. A cluster that is on its way somewhere else is waited for.
    async fn carry_out(&self, schedule: &ScheduleRecord) -> Result<String, EngineError> {
        let cause = Cause::User(format!("schedule {}", schedule.name));
        let id = self.scheduled_cluster(&schedule.cluster)?;
        let end = Instant::now() + SETTLE_DEADLINE;
        loop {
            let outcome = match schedule.action {
                Action::Start { num_workers } => self.start_at(&id, num_workers, cause.clone()).await,
                Action::Resize { num_workers } => self.resize_to(&id, num_workers, cause.clone()).await,
                Action::End => self.end_at(&id, cause.clone()).await,
            };
            match outcome {
                Err(EngineError::UnexpectedState { .. } | EngineError::ClusterNotReady { .. })
                    if Instant::now() < end =>
                {
                    tokio::time::sleep(SETTLE_EVERY).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn start_at(&self, id: &str, workers: Option<u32>, cause: Cause) -> Result<String, EngineError> {
        let record = self.cluster_record(id)?;
        match (&record.state, workers) {
            (ClusterState::Terminated | ClusterState::Error { .. }, workers) => {
                if let Some(workers) = workers {
                    let settings = record.settings.clone().resized(fixed(workers));
                    self.edit_cluster(id, settings, cause.clone()).await?;
                }
                self.start_cluster(id, cause).await?;
                Ok("started".to_owned())
            }
            (ClusterState::Terminating, _) => Err(unsettled(id, &record.state)),
            (_, None) => Ok("it ran already".to_owned()),
            (_, Some(workers)) => self.resize_to(id, workers, cause).await,
        }
    }

    async fn resize_to(&self, id: &str, workers: u32, cause: Cause) -> Result<String, EngineError> {
        let record = self.cluster_record(id)?;
        match record.state {
            ClusterState::Terminated | ClusterState::Terminating | ClusterState::Error { .. } => {
                Err(EngineError::ClusterNotRunning {
                    cluster: id.to_owned(),
                    reason: record.state.reason().map(str::to_owned),
                })
            }
            _ if record.settings.autoscale.is_none() && record.settings.num_workers == workers => {
                Ok(format!("it had {workers} workers already"))
            }
            _ => {
                self.resize_cluster(id, fixed(workers), cause).await?;
                Ok(format!("resized to {workers} workers"))
            }
        }
    }

    async fn end_at(&self, id: &str, cause: Cause) -> Result<String, EngineError> {
        if matches!(self.cluster_record(id)?.state, ClusterState::Terminated | ClusterState::Terminating) {
            return Ok("it had ended already".to_owned());
        }
        self.end_cluster(id, cause).await?;
        Ok("ended".to_owned())
    }

    /// Finds the cluster that a schedule means, by its id or its name.
    fn scheduled_cluster(&self, cluster: &str) -> Result<String, EngineError> {
        let clusters = self.clusters();
        if let Some(found) = clusters.iter().find(|view| view.id.as_str() == cluster) {
            return Ok(found.id.to_string());
        }
        let named: Vec<_> = clusters.iter().filter(|view| view.name == cluster).collect();
        match named[..] {
            [one] => Ok(one.id.to_string()),
            [] => Err(EngineError::UnknownCluster(cluster.chars().take(80).collect())),
            _ => Err(EngineError::BadSchedule(format!(
                "{} clusters are called `{cluster}`; name one by its id",
                named.len()
            ))),
        }
    }
}

fn fixed(num_workers: u32) -> ClusterSize {
    ClusterSize { autoscale: None, num_workers: Some(num_workers) }
}

fn unsettled(cluster: &str, state: &ClusterState) -> EngineError {
    EngineError::UnexpectedState { cluster: cluster.to_owned(), status: state.status() }
}

fn times(schedule: &ScheduleRecord, now_ms: u64) -> Result<Times, schedule::BadSchedule> {
    Times::read(&schedule.cron, &schedule.time_zone, now_ms)
}

/// Says what of a schedule cannot be.
fn check(schedule: &ScheduleRecord, now_ms: u64) -> Result<(), EngineError> {
    let bad = |reason: String| Err(EngineError::BadSchedule(reason));
    let name = &schedule.name;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        let shown: String = name.chars().take(80).collect();
        return bad(format!("`{shown}` is not a name for a schedule; use up to 64 letters, digits, `.`, `-` and `_`"));
    }
    if schedule.catch_up_minutes > CATCH_UP_MINUTES_MAX {
        return bad(format!("schedule `{name}`: it can be made up for within {CATCH_UP_MINUTES_MAX} minutes at most"));
    }
    match times(schedule, now_ms) {
        Ok(_) => Ok(()),
        Err(error) => bad(format!("schedule `{name}`: {error}")),
    }
}

fn refused(error: StoreError) -> EngineError {
    match error {
        StoreError::Taken(name) => {
            EngineError::BadSchedule(format!("there is a schedule `{name}` already; remove it first"))
        }
        StoreError::TooMany { .. } | StoreError::TooLarge { .. } => EngineError::BadSchedule(error.to_string()),
        other => other.into(),
    }
}
