//! Schedules and what became of their times.

use firesteel_model::schedule::Action;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::columns::{self, integer, number, unreadable};
use crate::error::{Failure, bounded};
use crate::{Store, StoreError};

/// How many schedules there may be.
const SCHEDULES_MAX: u32 = 1_000;

/// How many runs are kept of each schedule; of more, the latest are.
const RUNS_KEPT: u32 = 200;

/// One schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRecord {
    /// Its name, which no other has.
    pub name: String,
    /// The cluster, by its id or its name.
    pub cluster: String,
    /// When, as a cron expression.
    pub cron: String,
    /// By the clock of which time zone.
    pub time_zone: String,
    /// What.
    pub action: Action,
    /// How late it is still done, where the server was down at its time.
    pub catch_up_minutes: u32,
    /// Who made it.
    pub origin: ScheduleOrigin,
    /// When it was made.
    pub created_ms: u64,
    /// Up to when every time of it was dealt with.
    pub checked_ms: u64,
}

/// Who made a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleOrigin {
    /// The configuration: it goes when it is no longer there.
    Config,
    /// A user.
    User,
}

impl ScheduleOrigin {
    /// The name that is stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::User => "user",
        }
    }
}

/// What became of one time of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// Counts all runs of all schedules.
    pub number: u64,
    /// The schedule.
    pub schedule: String,
    /// The time.
    pub due_ms: u64,
    /// When it was dealt with.
    pub at_ms: u64,
    /// How it went.
    pub outcome: RunOutcome,
    /// What came of it, or why it was not done.
    pub detail: String,
}

/// How a run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// It is under way.
    Begun,
    /// It was done.
    Done,
    /// It could not be done.
    Failed,
    /// The server was down.
    Missed,
}

impl RunOutcome {
    /// The name that is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Missed => "missed",
        }
    }
}

/// A run that is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// The time.
    pub due_ms: u64,
    /// How it goes.
    pub outcome: RunOutcome,
    /// What is known of it.
    pub detail: String,
}

impl Store {
    /// Adds a schedule. [`StoreError::Taken`] when there is one with this name.
    pub async fn insert_schedule(&self, schedule: ScheduleRecord) -> Result<(), StoreError> {
        check(&schedule)?;
        self.write("store a schedule", move |db| {
            let count: u32 = db.prepare_cached("SELECT count(*) FROM schedules")?.query_row([], |row| row.get(0))?;
            if count >= SCHEDULES_MAX {
                return Err(StoreError::TooMany { what: "schedules", max: SCHEDULES_MAX }.into());
            }
            let added = insert(db, &schedule, "ON CONFLICT DO NOTHING")?;
            if added == 0 { Err(StoreError::Taken(schedule.name).into()) } else { Ok(()) }
        })
        .await
    }

    /// Makes the schedules of the configuration those that are given. One that is as it was goes on; one that comes at other times
    /// begins anew, and keeps its runs. A name that a user took is [`StoreError::Taken`].
    pub async fn configure_schedules(&self, schedules: Vec<ScheduleRecord>) -> Result<(), StoreError> {
        schedules.iter().try_for_each(check)?;
        self.write("store the schedules of the configuration", move |db| {
            for old in all(db)?.into_iter().filter(|old| old.origin == ScheduleOrigin::Config) {
                if schedules.iter().all(|new| new.name != old.name) {
                    delete(db, &old.name)?;
                }
            }
            for new in &schedules {
                match one(db, &new.name)? {
                    Some(old) if old.origin != new.origin => {
                        return Err(StoreError::Taken(new.name.clone()).into());
                    }
                    Some(old) => {
                        let same = old.cron == new.cron && old.time_zone == new.time_zone;
                        let checked_ms = if same { old.checked_ms } else { new.checked_ms };
                        let kept = ScheduleRecord { checked_ms, created_ms: old.created_ms, ..new.clone() };
                        insert(db, &kept, UPDATE)?;
                    }
                    None => {
                        insert(db, new, "")?;
                    }
                }
            }
            Ok(())
        })
        .await
    }

    /// Returns the schedules, by name.
    pub async fn schedules(&self) -> Result<Vec<ScheduleRecord>, StoreError> {
        self.read_bulk("list the schedules", all).await
    }

    /// Returns one schedule.
    pub async fn schedule(&self, name: &str) -> Result<Option<ScheduleRecord>, StoreError> {
        self.read("look up a schedule", |db| one(db, name)).await
    }

    /// Deletes a schedule and its runs; tells whether there was one.
    pub async fn delete_schedule(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write("delete a schedule", move |db| Ok(delete(db, &name)?)).await
    }

    /// Notes that all times of a schedule up to `checked_ms` were dealt with, and how, in one transaction. Returns the numbers of the
    /// runs; none where the schedule is gone.
    pub async fn note_runs(
        &self,
        name: &str,
        checked_ms: u64,
        at_ms: u64,
        runs: Vec<NewRun>,
    ) -> Result<Vec<u64>, StoreError> {
        let name = name.to_owned();
        self.write("note what became of a schedule", move |db| {
            let known = db
                .prepare_cached("UPDATE schedules SET checked_ms = ?2 WHERE name = ?1")?
                .execute(params![name, integer(checked_ms)])?;
            if known == 0 {
                return Ok(Vec::new());
            }
            let mut numbers = Vec::new();
            for run in &runs {
                db.prepare_cached(
                    "INSERT INTO schedule_runs (schedule, due_ms, at_ms, outcome, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    name,
                    integer(run.due_ms),
                    integer(at_ms),
                    run.outcome.name(),
                    columns::reason(&run.detail)
                ])?;
                numbers.push(u64::try_from(db.last_insert_rowid()).unwrap_or_default());
            }
            db.prepare_cached(
                "DELETE FROM schedule_runs WHERE schedule = ?1 AND number <= (
                     SELECT number FROM schedule_runs WHERE schedule = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute(params![name, RUNS_KEPT])?;
            Ok(numbers)
        })
        .await
    }

    /// Notes how a run went that was under way.
    pub async fn end_run(&self, number: u64, outcome: RunOutcome, detail: &str) -> Result<(), StoreError> {
        let detail = columns::reason(detail).to_owned();
        self.write("note how a run went", move |db| {
            db.prepare_cached("UPDATE schedule_runs SET outcome = ?2, detail = ?3 WHERE number = ?1")?
                .execute(params![integer(number), outcome.name(), detail])?;
            Ok(())
        })
        .await
    }

    /// Notes of every run that is under way that it was left in the middle: nobody works on it any more.
    pub async fn abandon_runs(&self, detail: &str) -> Result<(), StoreError> {
        let detail = columns::reason(detail).to_owned();
        self.write("note that runs were left", move |db| {
            db.prepare_cached("UPDATE schedule_runs SET outcome = ?1, detail = ?2 WHERE outcome = ?3")?
                .execute(params![RunOutcome::Failed.name(), detail, RunOutcome::Begun.name()])?;
            Ok(())
        })
        .await
    }

    /// Returns the latest runs, of one schedule or of all, the last first.
    pub async fn runs(&self, schedule: Option<&str>, max: u32) -> Result<Vec<RunRecord>, StoreError> {
        let schedule = schedule.map(str::to_owned);
        self.read_bulk("list the runs of schedules", move |db| {
            db.prepare_cached(
                "SELECT * FROM schedule_runs WHERE ?1 IS NULL OR schedule = ?1 ORDER BY number DESC LIMIT ?2",
            )?
            .query_map(params![schedule, max], run)?
            .collect()
        })
        .await
    }
}

const UPDATE: &str = "ON CONFLICT (name) DO UPDATE SET cluster = excluded.cluster, cron = excluded.cron,
    time_zone = excluded.time_zone, action_json = excluded.action_json, catch_up_minutes = excluded.catch_up_minutes,
    checked_ms = excluded.checked_ms";

fn insert(db: &Connection, schedule: &ScheduleRecord, conflict: &str) -> Result<usize, Failure> {
    let action = serde_json::to_string(&schedule.action).expect("an action is plain data");
    let sql = format!(
        "INSERT INTO schedules (name, cluster, cron, time_zone, action_json, catch_up_minutes, origin, created_ms, checked_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) {conflict}"
    );
    Ok(db.prepare_cached(&sql)?.execute(params![
        schedule.name,
        schedule.cluster,
        schedule.cron,
        schedule.time_zone,
        action,
        schedule.catch_up_minutes,
        schedule.origin.name(),
        integer(schedule.created_ms),
        integer(schedule.checked_ms),
    ])?)
}

fn delete(db: &Connection, name: &str) -> rusqlite::Result<bool> {
    Ok(db.prepare_cached("DELETE FROM schedules WHERE name = ?1")?.execute([name])? > 0)
}

fn all(db: &Connection) -> rusqlite::Result<Vec<ScheduleRecord>> {
    db.prepare_cached("SELECT * FROM schedules ORDER BY name")?.query_map([], record)?.collect()
}

fn one(db: &Connection, name: &str) -> rusqlite::Result<Option<ScheduleRecord>> {
    db.prepare_cached("SELECT * FROM schedules WHERE name = ?1")?.query_row([name], record).optional()
}

fn record(row: &Row<'_>) -> rusqlite::Result<ScheduleRecord> {
    let (action, origin): (String, String) = (row.get("action_json")?, row.get("origin")?);
    Ok(ScheduleRecord {
        name: row.get("name")?,
        cluster: row.get("cluster")?,
        cron: row.get("cron")?,
        time_zone: row.get("time_zone")?,
        action: serde_json::from_str(&action).map_err(unreadable)?,
        catch_up_minutes: row.get("catch_up_minutes")?,
        origin: if origin == ScheduleOrigin::Config.name() { ScheduleOrigin::Config } else { ScheduleOrigin::User },
        created_ms: number(row, "created_ms")?,
        checked_ms: number(row, "checked_ms")?,
    })
}

fn run(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    let outcome: String = row.get("outcome")?;
    let known = [RunOutcome::Begun, RunOutcome::Done, RunOutcome::Failed, RunOutcome::Missed];
    Ok(RunRecord {
        number: number(row, "number")?,
        schedule: row.get("schedule")?,
        due_ms: number(row, "due_ms")?,
        at_ms: number(row, "at_ms")?,
        outcome: known.into_iter().find(|known| known.name() == outcome).unwrap_or(RunOutcome::Failed),
        detail: row.get("detail")?,
    })
}

fn check(schedule: &ScheduleRecord) -> Result<(), StoreError> {
    bounded("name of a schedule", &schedule.name, 128)?;
    bounded("cluster of a schedule", &schedule.cluster, 512)?;
    bounded("cron expression", &schedule.cron, 512)?;
    bounded("time zone", &schedule.time_zone, 128)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(name: &str, origin: ScheduleOrigin) -> ScheduleRecord {
        ScheduleRecord {
            name: name.into(),
            cluster: "default".into(),
            cron: "0 7 * * *".into(),
            time_zone: "UTC".into(),
            action: Action::Start { num_workers: Some(2) },
            catch_up_minutes: 10,
            origin,
            created_ms: 5,
            checked_ms: 5,
        }
    }

    fn missed(due_ms: u64) -> NewRun {
        NewRun { due_ms, outcome: RunOutcome::Missed, detail: "the server was down".into() }
    }

    #[tokio::test]
    async fn a_schedule_is_kept_with_the_latest_of_its_runs() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let own = schedule("morning", ScheduleOrigin::User);
        store.insert_schedule(own.clone()).await.unwrap();
        assert!(matches!(store.insert_schedule(own.clone()).await, Err(StoreError::Taken(_))));
        let first = store.note_runs("morning", 60, 61, vec![missed(50), missed(60)]).await.unwrap();
        store.end_run(first[1], RunOutcome::Done, "started").await.unwrap();
        let runs = store.runs(Some("morning"), 10).await.unwrap();
        let seen: Vec<_> = runs.iter().map(|run| (run.due_ms, run.at_ms, run.outcome, run.detail.as_str())).collect();
        let expected = [(60, 61, RunOutcome::Done, "started"), (50, 61, RunOutcome::Missed, "the server was down")];
        assert_eq!(seen, expected);
        for due in 100..100 + u64::from(RUNS_KEPT) + 20 {
            store.note_runs("morning", due, due, vec![missed(due)]).await.unwrap();
        }
        drop(store);
        let store = Store::open(dir.path()).unwrap();
        let runs = store.runs(None, 10_000).await.unwrap();
        assert_eq!((runs.len(), runs[0].due_ms), (200, 319));
        let checked = ScheduleRecord { checked_ms: 319, ..own };
        assert_eq!(store.schedules().await.unwrap(), [checked]);
        assert!(store.delete_schedule("morning").await.unwrap());
        assert!(!store.delete_schedule("morning").await.unwrap());
        assert!(store.runs(None, 10).await.unwrap().is_empty());
        assert!(store.note_runs("morning", 1, 1, vec![missed(1)]).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_configuration_s_schedules_are_those_it_names() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let own = schedule("own", ScheduleOrigin::User);
        store.insert_schedule(own.clone()).await.unwrap();
        let [kept, changed, gone] = ["kept", "changed", "gone"].map(|name| schedule(name, ScheduleOrigin::Config));
        store.configure_schedules(vec![kept.clone(), changed.clone(), gone]).await.unwrap();
        for name in ["kept", "changed"] {
            store.note_runs(name, 90, 90, vec![missed(90)]).await.unwrap();
        }
        let changed = ScheduleRecord { cron: "0 8 * * *".into(), checked_ms: 200, ..changed };
        store.configure_schedules(vec![kept.clone(), changed.clone()]).await.unwrap();
        let kept = ScheduleRecord { checked_ms: 90, ..kept };
        assert_eq!(store.schedules().await.unwrap(), [changed.clone(), kept, own]);
        assert_eq!(store.runs(Some("changed"), 10).await.unwrap().len(), 1);
        let taken = store.configure_schedules(vec![schedule("own", ScheduleOrigin::Config)]).await;
        assert!(matches!(taken, Err(StoreError::Taken(_))));
        assert_eq!(store.schedule("changed").await.unwrap(), Some(changed));
    }

    #[tokio::test]
    async fn a_run_that_nobody_works_on_any_more_has_failed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.insert_schedule(schedule("s", ScheduleOrigin::User)).await.unwrap();
        let begun = NewRun { due_ms: 1, outcome: RunOutcome::Begun, detail: String::new() };
        store.note_runs("s", 1, 1, vec![begun, missed(0)]).await.unwrap();
        store.abandon_runs("the server ended").await.unwrap();
        let runs = store.runs(None, 10).await.unwrap();
        assert_eq!((runs[1].outcome, runs[1].detail.as_str()), (RunOutcome::Failed, "the server ended"));
        assert_eq!(runs[0].outcome, RunOutcome::Missed);
    }
}
