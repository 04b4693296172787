//! Schedules on a clock that the test sets.

use firesteel_model::schedule::{Action, read};
use firesteel_store::{NewRun, RunOutcome, RunRecord, ScheduleOrigin, ScheduleRecord};

use super::*;

fn at(time: &str) -> u64 {
    read(&format!("2026-11-25T{time}Z")).unwrap()
}

fn schedule(name: &str, cron: &str, action: Action) -> ScheduleRecord {
    ScheduleRecord {
        name: name.into(),
        cluster: CLUSTER.into(),
        cron: cron.into(),
        time_zone: "UTC".into(),
        action,
        catch_up_minutes: 10,
        origin: ScheduleOrigin::User,
        created_ms: at("00:00:00"),
        checked_ms: at("00:00:00"),
    }
}

impl Bench {
    /// What became of a schedule's times, the first first, once nothing is under way.
    async fn became_of(&self, name: &str) -> Vec<(u64, RunOutcome, String)> {
        let runs = async {
            loop {
                let runs = self.engine.schedule_runs(Some(name), 100).await.unwrap();
                if runs.iter().all(|run| run.outcome != RunOutcome::Begun) {
                    return runs;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let shown = |run: RunRecord| (run.due_ms, run.outcome, run.detail);
        soon("the runs to end", runs).await.into_iter().rev().map(shown).collect()
    }
}

#[tokio::test]
async fn a_cluster_goes_down_at_night_and_up_in_the_morning_and_each_time_is_dealt_with_once() {
    let mut bench = Bench::running_with(Limits::default(), true).await;
    bench.engine.add_schedule(schedule("night", "0 22 * * *", Action::End)).await.unwrap();
    bench.engine.add_schedule(schedule("morning", "0 7 * * *", Action::Start { num_workers: Some(3) })).await.unwrap();

    // A cluster that runs is brought to its size.
    assert_eq!(bench.engine.look_at_schedules(at("06:59:59")).await.unwrap(), Some(at("07:00:00")));
    assert_eq!(bench.became_of("morning").await, []);
    assert_eq!(bench.engine.look_at_schedules(at("07:00:00")).await.unwrap(), Some(at("22:00:00")));
    let resized = (at("07:00:00"), RunOutcome::Done, "resized to 3 workers".to_owned());
    assert_eq!(bench.became_of("morning").await, std::slice::from_ref(&resized));
    assert!(matches!(bench.driver.asked().await, Some((ToDriver::Resize { .. }, _))));
    bench.driver.say(DriverEvent::Resized { executors: 3, reason: None }).await;
    bench.until(ClusterStatus::Running).await;
    bench.engine.look_at_schedules(at("07:00:30")).await.unwrap();
    assert_eq!(bench.became_of("morning").await, [resized]);

    bench.engine.look_at_schedules(at("22:00:01")).await.unwrap();
    assert_eq!(bench.became_of("night").await, [(at("22:00:00"), RunOutcome::Done, "ended".to_owned())]);
    while !matches!(bench.driver.asked().await, Some((ToDriver::Stop {}, _))) {}
    bench.driver.hang_up();
    bench.kill_child(Signal::SIGTERM);
    bench.until(ClusterStatus::Terminated).await;

    // One that is down is launched at the size of the schedule.
    let launches = bench.launches();
    let next_day = |time: &str| at(time) + 24 * 60 * 60 * 1000;
    bench.engine.look_at_schedules(next_day("07:00:02")).await.unwrap();
    assert_eq!(bench.became_of("morning").await.pop().unwrap().2, "started");
    assert_eq!(bench.launches(), launches + 1);
    assert_eq!(bench.engine.cluster_record(CLUSTER).unwrap().settings.num_workers, 3);
    bench.engine.stop(OnStop::LeaveClusters).await;
}

#[tokio::test]
async fn what_a_server_that_was_down_missed_is_noted_and_the_last_is_made_up_for_in_its_window() {
    let mut bench = Bench::running().await;
    let hourly = schedule("hourly", "0 * * * *", Action::Start { num_workers: None });
    bench.engine.add_schedule(hourly.clone()).await.unwrap();
    bench.engine.add_schedule(ScheduleRecord { name: "strict".into(), catch_up_minutes: 0, ..hourly }).await.unwrap();
    bench.engine.look_at_schedules(at("01:00:00")).await.unwrap();
    bench.became_of("hourly").await;
    // What was under way when the server ended is left in the middle.
    let begun = NewRun { due_ms: at("01:30:00"), outcome: RunOutcome::Begun, detail: String::new() };
    bench.store.note_runs("hourly", at("01:30:00"), at("01:30:00"), vec![begun]).await.unwrap();
    bench.restart().await;
    bench.driver.accept().await;
    let now = at("04:09:00");
    bench.engine.keep_schedules(Vec::new(), Arc::new(move || now)).await.unwrap();

    let missed = |time: &str| (at(time), RunOutcome::Missed, "the server was down".to_owned());
    let ran = |time: &str| (at(time), RunOutcome::Done, "it ran already".to_owned());
    let abandoned = (at("01:30:00"), RunOutcome::Failed, "the server ended before it was done".to_owned());
    let all = async {
        while bench.became_of("strict").await.len() < 4 || bench.became_of("hourly").await.len() < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("both schedules to be looked at", all).await;
    assert_eq!(
        bench.became_of("hourly").await,
        [ran("01:00:00"), abandoned, missed("02:00:00"), missed("03:00:00"), ran("04:00:00")]
    );
    assert_eq!(
        bench.became_of("strict").await,
        [ran("01:00:00"), missed("02:00:00"), missed("03:00:00"), missed("04:00:00")]
    );
    bench.engine.stop(OnStop::LeaveClusters).await;
}

#[tokio::test]
async fn what_cannot_be_done_says_why_and_what_is_no_schedule_is_refused() {
    let bench = Bench::empty(Limits::default(), false).await;
    bench.store.insert_cluster(record(ClusterState::Terminated), Cause::Server).await.unwrap();
    bench.engine.adopt(record(ClusterState::Terminated)).await.unwrap();
    let resize = schedule("resize", "0 7 * * *", Action::Resize { num_workers: 2 });
    bench.engine.add_schedule(resize.clone()).await.unwrap();
    bench.engine.look_at_schedules(at("07:00:00")).await.unwrap();
    let failed = (at("07:00:00"), RunOutcome::Failed, format!("Cluster {CLUSTER} is not running"));
    assert_eq!(bench.became_of("resize").await, [failed]);
    let view = bench.engine.schedules(at("08:00:00")).await.unwrap().pop().unwrap();
    assert_eq!(view.next_ms, Some(at("07:00:00") + 24 * 60 * 60 * 1000));
    assert_eq!(view.last.map(|run| run.outcome), Some(RunOutcome::Failed));

    let refused = async |schedule: ScheduleRecord| bench.engine.add_schedule(schedule).await.unwrap_err().to_string();
    assert_eq!(refused(resize.clone()).await, "there is a schedule `resize` already; remove it first");
    let other = ScheduleRecord { name: "other".into(), ..resize };
    assert!(refused(ScheduleRecord { cron: "often".into(), ..other.clone() }).await.contains("not a cron expression"));
    assert!(refused(ScheduleRecord { time_zone: "Nowhere".into(), ..other.clone() }).await.contains("not a time zone"));
    assert!(refused(ScheduleRecord { name: "a b".into(), ..other.clone() }).await.contains("not a name"));
    assert!(refused(ScheduleRecord { catch_up_minutes: u32::MAX, ..other.clone() }).await.contains("minutes at most"));
    let nowhere = refused(ScheduleRecord { cluster: "nowhere".into(), ..other.clone() }).await;
    assert_eq!(nowhere, "Cluster nowhere does not exist");
    assert!(matches!(bench.engine.remove_schedule("other").await, Err(EngineError::UnknownSchedule(_))));
    bench.engine.remove_schedule("resize").await.unwrap();
    let own = ScheduleRecord { origin: ScheduleOrigin::Config, ..other };
    bench.engine.keep_schedules(vec![own], Arc::new(|| at("00:00:00"))).await.unwrap();
    let kept = bench.engine.remove_schedule("other").await.unwrap_err().to_string();
    assert!(kept.contains("firesteel.toml"), "{kept}");

    // One of the configuration that has the name of a user's.
    let users = schedule("mine", "0 7 * * *", Action::End);
    bench.engine.add_schedule(users.clone()).await.unwrap();
    let same = ScheduleRecord { origin: ScheduleOrigin::Config, ..users };
    let taken = bench.engine.keep_schedules(vec![same], Arc::new(|| at("00:00:00"))).await.unwrap_err().to_string();
    assert!(taken.contains("`mine`") && taken.contains("another name"), "{taken}");
    bench.engine.stop(OnStop::LeaveClusters).await;
}
