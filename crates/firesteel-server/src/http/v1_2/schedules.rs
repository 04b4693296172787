//! `/api/1.2/schedules/…`: calls of our own, which no client of the service makes.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use firesteel_api::schedules::{RunEntry, ScheduleEntry, ScheduleRef};
use firesteel_model::schedule::{Action, CATCH_UP_MINUTES, CATCH_UP_MINUTES_MAX, own_zone, written};
use firesteel_store::{RunRecord, ScheduleOrigin, ScheduleRecord};

use super::{Answer, change};
use crate::engine::schedules::ScheduleView;
use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::Failure;

/// How many runs are shown unless asked otherwise, and at most.
const RUNS_SHOWN: u64 = 50;
const RUNS_SHOWN_MAX: u64 = 1_000;

/// More workers are no number of workers.
const WORKERS_MAX: u64 = 100_000;

/// `GET /api/1.2/schedules/list`
pub(crate) async fn list(State(app): State<AppState>, _user: User) -> Answer<Vec<ScheduleEntry>> {
    let views = app.engine.schedules(now_ms()).await?;
    Ok(Json(views.into_iter().map(entry).collect()))
}

/// `POST /api/1.2/schedules/add`
pub(crate) async fn add(State(app): State<AppState>, _user: User, ask: Params) -> Answer<ScheduleRef> {
    let schedule = schedule(&ask, now_ms())?;
    let (engine, name) = (app.engine.clone(), schedule.name.clone());
    change(&app, async move { engine.add_schedule(schedule).await }).await?;
    Ok(Json(ScheduleRef { name }))
}

/// `POST /api/1.2/schedules/remove`
pub(crate) async fn remove(State(app): State<AppState>, _user: User, ask: Params) -> Answer<ScheduleRef> {
    let name = ask.need("name")?.to_owned();
    let (engine, gone) = (app.engine.clone(), name.clone());
    change(&app, async move { engine.remove_schedule(&gone).await }).await?;
    Ok(Json(ScheduleRef { name }))
}

/// `GET /api/1.2/schedules/runs`
pub(crate) async fn runs(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Vec<RunEntry>> {
    let limit = ask.number("limit", 1..=RUNS_SHOWN_MAX)?.unwrap_or(RUNS_SHOWN);
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let runs = app.engine.schedule_runs(ask.optional("name")?, limit).await?;
    Ok(Json(runs.into_iter().map(run).collect()))
}

fn schedule(ask: &Params, now_ms: u64) -> Result<ScheduleRecord, Failure> {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let workers = ask.number("numWorkers", 0..=WORKERS_MAX)?.map(small);
    let action = match (ask.need("action")?, workers) {
        ("start", num_workers) => Action::Start { num_workers },
        ("resize", Some(num_workers)) => Action::Resize { num_workers },
        ("resize", None) => return Err(Failure::missing("numWorkers")),
        ("end", None) => Action::End,
        ("end", Some(_)) => return Err(Failure::malformed("`numWorkers` has no meaning for `end`")),
        (other, _) => {
            let other: String = other.chars().take(80).collect();
            return Err(Failure::malformed(format!("`action` is `{other}`; it must be `start`, `resize` or `end`")));
        }
    };
    let catch_up = ask.number("catchUpMinutes", 0..=u64::from(CATCH_UP_MINUTES_MAX))?;
    Ok(ScheduleRecord {
        name: ask.need("name")?.to_owned(),
        cluster: ask.need("cluster")?.to_owned(),
        cron: ask.need("cron")?.to_owned(),
        time_zone: ask.optional("timeZone")?.map_or_else(own_zone, str::to_owned),
        action,
        catch_up_minutes: catch_up.map_or(CATCH_UP_MINUTES, small),
        origin: ScheduleOrigin::User,
        created_ms: now_ms,
        checked_ms: now_ms,
    })
}

fn entry(view: ScheduleView) -> ScheduleEntry {
    let ScheduleView { schedule, next_ms, last } = view;
    let (action, num_workers) = match schedule.action {
        Action::Start { num_workers } => ("start", num_workers),
        Action::Resize { num_workers } => ("resize", Some(num_workers)),
        Action::End => ("end", None),
    };
    ScheduleEntry {
        name: schedule.name,
        cluster: schedule.cluster,
        cron: schedule.cron,
        time_zone: schedule.time_zone,
        action: action.to_owned(),
        num_workers,
        catch_up_minutes: schedule.catch_up_minutes,
        origin: schedule.origin.name().to_owned(),
        next: next_ms.map(written),
        last: last.map(run),
    }
}

fn run(run: RunRecord) -> RunEntry {
    RunEntry {
        schedule: run.schedule,
        due: written(run.due_ms),
        at: written(run.at_ms),
        outcome: run.outcome.name().to_owned(),
        detail: run.detail,
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
