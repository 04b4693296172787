//! The store through its public face, on files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use firesteel_api::commands::CommandStatus;
use firesteel_api::results::Results;
use firesteel_api::v2::events::EventType;
use firesteel_api::v2::termination::{TerminationCode, TerminationReason};
use firesteel_api::{ClusterId, CommandId, ContextId, Language};
use firesteel_model::{Cause, ClusterEvent, ClusterSettings, ClusterState, CommandState, ContextState};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::{Applied, Change, ClusterRecord, CommandRecord, HistoryQuery, NewCommand, Output, Store, StoreError};

/// A store with one running cluster, whose driver is `first`, and one running context.
struct Bench {
    store: Store,
    cluster: ClusterId,
    context: ContextId,
    dir: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (cluster, context) = (cluster_id("c1"), ContextId::generate());
        store.insert_cluster(cluster_record("c1"), ann()).await.unwrap();
        store.begin_generation(&cluster, "first").await.unwrap();
        store.insert_context(&cluster, context, Language::Python).await.unwrap();
        let up = vec![Change::ClusterReady, Change::ContextRunning { context }];
        store.change(&cluster, up).await.unwrap();
        Self { store, cluster, context, dir }
    }

    /// Closes the store and opens it again.
    fn reopen(self) -> Self {
        let Self { store, cluster, context, dir } = self;
        drop(store);
        Self { store: Store::open(dir.path()).unwrap(), cluster, context, dir }
    }

    fn new_command(&self) -> NewCommand {
        NewCommand {
            timeout_seconds: None,
            id: CommandId::generate(),
            context: self.context,
            cluster: self.cluster.clone(),
            language: Language::Python,
            source: "x = 40\nx + 2".into(),
        }
    }

    async fn queued(&self) -> CommandId {
        let command = self.new_command();
        let id = command.id;
        self.store.insert_command(command).await.unwrap();
        id
    }

    async fn change(&self, changes: impl IntoIterator<Item = Change>) {
        self.store.change(&self.cluster, changes.into_iter().collect()).await.unwrap();
    }

    async fn apply(&self, event: u64, change: Change) -> Applied {
        self.store.apply(&self.cluster, "first", event, vec![change]).await.unwrap()
    }

    async fn record(&self, id: CommandId) -> CommandRecord {
        self.store.command(self.context, id).await.unwrap().unwrap()
    }

    /// Returns what a command printed from an offset on, and where that begins.
    async fn output(&self, id: CommandId, offset: u64, bytes: usize) -> (u64, String) {
        let output = self.store.output(self.context, id, offset, bytes).await.unwrap().unwrap().output;
        (output.start, output.text)
    }

    /// Returns the status of a command and its results as JSON.
    async fn view(&self, id: CommandId) -> (CommandStatus, String) {
        let view = self.store.command_view(self.context, id).await.unwrap().unwrap();
        (view.status, view.results.map(|results| results.as_json().to_owned()).unwrap_or_default())
    }
}

fn cluster_id(id: &str) -> ClusterId {
    id.parse().unwrap()
}

fn cluster_record(id: &str) -> ClusterRecord {
    let settings = ClusterSettings { cluster_name: "peaceJam".into(), num_workers: 2, ..ClusterSettings::default() };
    ClusterRecord { state: ClusterState::Pending, ..ClusterRecord::new(cluster_id(id), settings, "ann", 10_000, 1) }
}

fn ann() -> Cause {
    Cause::User("ann".into())
}

fn lost(reason: &str) -> Change {
    Change::ClusterLost { code: TerminationCode::DriverOutOfMemory, reason: reason.into() }
}

fn finished(command: CommandId, text: &str) -> Change {
    Change::CommandFinished { command, results: Results::text(text) }
}

#[tokio::test]
async fn a_user_gets_another_password_and_loses_tokens_when_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put_user("ann", "hash-1").await.unwrap();
    store.put_user("ann", "hash-2").await.unwrap();
    let ann = store.user("ann").await.unwrap().unwrap();
    assert_eq!((ann.name.as_str(), ann.password_hash.as_str()), ("ann", "hash-2"));
    assert!(!format!("{ann:?}").contains("hash"), "a hash must not get into a log");
    assert_eq!(store.user("bob").await.unwrap(), None);

    store.put_token("ann", [1; 32], "ci").await.unwrap();
    store.put_token("ann", [2; 32], "laptop").await.unwrap();
    assert_eq!(store.token_user([1; 32]).await.unwrap().as_deref(), Some("ann"));
    assert_eq!(store.tokens("ann").await.unwrap().len(), 2);
    assert!(store.delete_token([1; 32]).await.unwrap());
    assert!(!store.delete_token([1; 32]).await.unwrap());
    assert_eq!(store.token_user([1; 32]).await.unwrap(), None);
    assert!(matches!(store.put_token("bob", [3; 32], "").await, Err(StoreError::NoUser(_))));

    assert_eq!(store.users().await.unwrap(), ["ann"]);
    assert!(store.delete_user("ann").await.unwrap());
    assert_eq!(store.token_user([2; 32]).await.unwrap(), None);
}

#[tokio::test]
async fn a_cluster_reads_back_and_an_edit_leaves_its_state_and_its_events() {
    let bench = Bench::new().await;
    bench.apply(4, Change::ClusterReady).await;
    let settings = ClusterSettings { cluster_name: "batVenom".into(), num_workers: 3, ..ClusterSettings::default() };
    let edited = bench.store.edit_cluster(&bench.cluster, settings.clone(), ann()).await.unwrap();
    let given = bench.store.give_cluster(&bench.cluster, "bob").await.unwrap();
    let pinned = bench.store.pin_cluster(&bench.cluster, true, ann()).await.unwrap();
    assert_eq!((edited.settings, given.owner.as_str(), pinned.pinned), (settings.clone(), "bob", true));
    let expected = ClusterRecord {
        settings,
        state: ClusterState::Running,
        owner: "bob".into(),
        pinned: true,
        generation: "first".into(),
        event_acked: 4,
        ..cluster_record("c1")
    };
    assert_eq!(bench.store.cluster(&bench.cluster).await.unwrap(), Some(expected.clone()));

    let later = ClusterRecord { created_ms: 2, ..cluster_record("a0") };
    bench.store.insert_cluster(later.clone(), ann()).await.unwrap();
    assert_eq!(bench.store.clusters().await.unwrap(), [expected, later.clone()]);
    assert!(matches!(bench.store.insert_cluster(later, ann()).await, Err(StoreError::Taken(_))));
    assert!(matches!(bench.store.give_cluster(&cluster_id("c9"), "x").await, Err(StoreError::NoCluster(_))));
}

#[tokio::test]
async fn what_the_model_refuses_is_not_stored() {
    let bench = Bench::new().await;
    let event = async |event| bench.store.cluster_event(&bench.cluster, event, ann()).await.map(|record| record.state);
    assert_eq!(event(ClusterEvent::EndAsked).await.unwrap(), ClusterState::Terminating);
    assert_eq!(event(ClusterEvent::Ended).await.unwrap(), ClusterState::Terminated);
    let refused = bench.store.resize_cluster(&bench.cluster, ClusterSettings::default(), ann()).await.unwrap_err();
    assert_eq!(refused.to_string(), "a cluster that is Terminated cannot be resized");
    let record = bench.store.cluster(&bench.cluster).await.unwrap().unwrap();
    assert_eq!((record.state, record.settings.num_workers), (ClusterState::Terminated, 2));
}

/// A cluster's history from its beginning, and how many lines the query has.
async fn history(bench: &Bench, query: HistoryQuery) -> (String, u64) {
    let query = HistoryQuery { ascending: true, ..query };
    let (lines, total) = bench.store.history(&bench.cluster, query).await.unwrap();
    (lines.iter().map(|line| format!("{:?}", line.r#type)).collect::<Vec<_>>().join(" "), total)
}

#[tokio::test]
async fn a_life_leaves_times_reasons_and_a_history() {
    let bench = Bench::new().await;
    let event = |event| bench.store.cluster_event(&bench.cluster, event, ann());
    bench.store.resize_cluster(&bench.cluster, ClusterSettings::default(), ann()).await.unwrap();
    bench.change([Change::ClusterResized { workers: 2, reason: None }]).await;
    assert_eq!(bench.store.cluster(&bench.cluster).await.unwrap().unwrap().workers, 2);
    bench.change([lost("no memory")]).await;
    let failed = bench.store.cluster(&bench.cluster).await.unwrap().unwrap();
    assert!(failed.terminated_ms.is_some() && failed.workers == 0);
    let ending = failed.ending.unwrap();
    assert_eq!(ending.code, TerminationCode::DriverOutOfMemory);
    assert_eq!(ending.parameters[TerminationReason::MESSAGE], "no memory");
    let started = event(ClusterEvent::StartAsked).await.unwrap();
    assert!(started.started_ms.is_some() && started.terminated_ms.is_none() && started.ending.is_none());

    let all = HistoryQuery { limit: 100, ..HistoryQuery::default() };
    let expected = "Creating Running Resizing UpsizeCompleted SparkException Terminating Starting";
    assert_eq!(history(&bench, all.clone()).await, (expected.to_owned(), 7));
    let page = HistoryQuery { offset: 1, limit: 2, ..all.clone() };
    assert_eq!(history(&bench, page).await, ("Running Resizing".to_owned(), 7));
    let some = HistoryQuery { types: vec![EventType::Starting, EventType::Running], ..all.clone() };
    assert_eq!(history(&bench, some).await, ("Running Starting".to_owned(), 2));
    let early = HistoryQuery { end_ms: Some(1), ..all.clone() };
    assert_eq!(history(&bench, early).await, (String::new(), 0));
    // Bounded: the oldest go.
    for pinned in [true, false, true, false, true] {
        bench.store.pin_cluster(&bench.cluster, pinned, ann()).await.unwrap();
    }
    let (lines, total) = history(&bench, all).await;
    assert!(total == 10 && lines.starts_with("Resizing") && lines.ends_with("Pinned"), "{total}: {lines}");
    assert!(bench.store.delete_cluster(&bench.cluster).await.unwrap());
}

#[tokio::test]
async fn a_lost_driver_takes_contexts_and_open_commands_with_it() {
    let bench = Bench::new().await;
    let (done, running, queued) = (bench.queued().await, bench.queued().await, bench.queued().await);
    bench.change([finished(done, "42"), Change::CommandStarted { command: running }]).await;
    assert_eq!(bench.apply(1, lost("out of memory")).await, Applied::Now);

    let cluster = bench.store.cluster(&bench.cluster).await.unwrap().unwrap();
    assert_eq!(cluster.state, ClusterState::Error { reason: "out of memory".into() });
    let context = bench.store.context(&bench.cluster, bench.context).await.unwrap().unwrap();
    assert_eq!(context.state, ContextState::Error { reason: "out of memory".into() });
    assert_eq!(bench.view(done).await, (CommandStatus::Finished, r#"{"resultType":"text","data":"42"}"#.into()));
    for lost in [running, queued] {
        let (status, results) = bench.view(lost).await;
        assert_eq!(status, CommandStatus::Error);
        assert!(results.contains("out of memory"), "{results}");
    }
    assert!(bench.store.open_commands(&bench.cluster).await.unwrap().is_empty());
    let late = bench.store.insert_command(bench.new_command()).await;
    assert!(matches!(late, Err(StoreError::ContextLost { .. })), "{late:?}");
}

#[tokio::test]
async fn a_failed_context_takes_its_open_commands_with_it_and_no_others() {
    let bench = Bench::new().await;
    let other = ContextId::generate();
    bench.store.insert_context(&bench.cluster, other, Language::Scala).await.unwrap();
    let command = bench.queued().await;
    bench.store.insert_command(NewCommand { context: other, ..bench.new_command() }).await.unwrap();
    bench.apply(1, Change::ContextFailed { context: bench.context, reason: "no python".into() }).await;
    assert_eq!(bench.view(command).await.0, CommandStatus::Error);
    let open = bench.store.open_commands(&bench.cluster).await.unwrap();
    assert_eq!(open.iter().map(|command| command.context).collect::<Vec<_>>(), [other]);
}

#[tokio::test]
async fn a_command_goes_from_the_queue_to_its_results() {
    let bench = Bench::new().await;
    let command = bench.queued().await;
    assert_eq!(bench.view(command).await, (CommandStatus::Queued, String::new()));
    bench.apply(1, Change::CommandStarted { command }).await;
    assert_eq!(bench.view(command).await, (CommandStatus::Running, String::new()));
    let record = bench.record(command).await;
    assert!(record.started_ms.is_some() && record.ended_ms.is_none());
    bench.apply(2, finished(command, "42")).await;
    assert_eq!(bench.view(command).await, (CommandStatus::Finished, r#"{"resultType":"text","data":"42"}"#.into()));
    assert!(bench.record(command).await.ended_ms.is_some());
    let source = bench.store.command_source(bench.context, command).await.unwrap();
    assert_eq!(source.as_deref(), Some("x = 40\nx + 2"));
    assert_eq!(bench.store.command(ContextId::generate(), command).await.unwrap(), None);
}

#[tokio::test]
async fn a_result_that_beats_the_interrupt_is_not_shown() {
    let bench = Bench::new().await;
    let command = bench.queued().await;
    bench.apply(1, Change::CommandStarted { command }).await;
    let asked = bench.store.ask_cancel(bench.context, command).await.unwrap();
    assert_eq!(asked, Some(CommandState::Cancelling));
    assert!(bench.view(command).await.1.contains("CommandCancelledException"));
    bench.apply(2, finished(command, "42")).await;
    let (status, results) = bench.view(command).await;
    assert_eq!(status, CommandStatus::Cancelled);
    assert!(results.contains("CommandCancelledException"), "{results}");
    assert_eq!(
        bench.store.ask_cancel(bench.context, command).await.unwrap(),
        Some(CommandState::Cancelled { lost: None })
    );
    assert_eq!(bench.store.ask_cancel(bench.context, CommandId::generate()).await.unwrap(), None);
}

#[tokio::test]
async fn an_event_that_comes_again_changes_nothing() {
    let bench = Bench::new().await;
    let (one, two) = (bench.queued().await, bench.queued().await);
    assert_eq!(bench.apply(1, finished(one, "first")).await, Applied::Now);
    assert_eq!(bench.apply(1, finished(one, "second")).await, Applied::Before);
    assert_eq!(bench.apply(1, finished(two, "second")).await, Applied::Before);
    assert!(bench.view(one).await.1.contains("first"));
    assert_eq!(bench.view(two).await.0, CommandStatus::Queued);

    let bench = bench.reopen();
    assert_eq!(bench.apply(1, finished(two, "again")).await, Applied::Before);
    assert_eq!(bench.apply(2, finished(two, "then")).await, Applied::Now);
}

#[tokio::test]
async fn an_event_of_another_driver_changes_nothing() {
    let bench = Bench::new().await;
    let command = bench.queued().await;
    bench.apply(7, Change::CommandStarted { command }).await;
    let begin = |generation| bench.store.begin_generation(&bench.cluster, generation);
    assert_eq!(begin("first").await.unwrap(), 7, "a known driver keeps its place");
    assert_eq!(begin("second").await.unwrap(), 0);
    assert_eq!(bench.apply(8, finished(command, "late")).await, Applied::OtherGeneration);
    assert_eq!(bench.view(command).await.0, CommandStatus::Running);
}

#[tokio::test]
async fn a_driver_does_not_reach_the_commands_of_another_cluster() {
    let bench = Bench::new().await;
    let command = bench.queued().await;
    bench.store.insert_cluster(cluster_record("c2"), ann()).await.unwrap();
    let foreign = vec![
        finished(command, "forged"),
        Change::CommandCancelled { command, lost: None },
        Change::ContextFailed { context: bench.context, reason: "forged".into() },
    ];
    bench.store.change(&cluster_id("c2"), foreign).await.unwrap();
    assert_eq!(bench.view(command).await.0, CommandStatus::Queued);
    let context = bench.store.context(&bench.cluster, bench.context).await.unwrap().unwrap();
    assert_eq!(context.state, ContextState::Running);
}

#[tokio::test]
async fn a_change_to_what_is_gone_is_passed_over() {
    let bench = Bench::new().await;
    let command = bench.queued().await;
    assert!(bench.store.delete_context(&bench.cluster, bench.context).await.unwrap());
    assert_eq!(bench.apply(1, Change::ContextRunning { context: bench.context }).await, Applied::Now);
    assert_eq!(bench.apply(2, finished(command, "late")).await, Applied::Now);
    assert_eq!(bench.store.command(bench.context, command).await.unwrap(), None);
}

#[tokio::test]
async fn a_destroyed_context_takes_everything_with_it() {
    let bench = Bench::new().await;
    let command = bench.queued().await;
    bench.change([finished(command, "42")]).await;
    assert!(!bench.store.delete_context(&cluster_id("c2"), bench.context).await.unwrap());
    assert!(bench.store.delete_context(&bench.cluster, bench.context).await.unwrap());
    assert!(!bench.store.delete_context(&bench.cluster, bench.context).await.unwrap());
    for table in ["contexts", "commands", "sources", "results"] {
        let sql = format!("SELECT count(*) FROM {table}");
        let left: i64 = bench.store.read("count", |db| db.query_row(&sql, [], |row| row.get(0))).await.unwrap();
        assert_eq!(left, 0, "{table}");
    }
    let late = bench.store.insert_command(bench.new_command()).await;
    assert!(matches!(late, Err(StoreError::NoContext(_))), "{late:?}");
}

#[tokio::test]
async fn a_restart_or_a_deletion_of_a_cluster_empties_it() {
    let bench = Bench::new().await;
    bench.queued().await;
    assert_eq!(bench.store.delete_contexts_of(&bench.cluster).await.unwrap(), 1);
    assert!(bench.store.contexts(&bench.cluster).await.unwrap().is_empty());
    assert!(bench.store.delete_cluster(&bench.cluster).await.unwrap());
    let orphan = bench.store.insert_context(&bench.cluster, ContextId::generate(), Language::Sql).await;
    assert!(matches!(orphan, Err(StoreError::NoCluster(_))), "{orphan:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_tasks_at_once_get_numbers_without_gaps_or_doubles() {
    let bench = Bench::new().await;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let store = bench.store.clone();
            let commands: Vec<_> = (0..4).map(|_| bench.new_command()).collect();
            tokio::spawn(async move {
                let mut sequences = Vec::new();
                for command in commands {
                    sequences.push(store.insert_command(command).await.unwrap());
                }
                sequences
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        let sequences = task.await.unwrap();
        assert!(sequences.is_sorted());
        all.extend(sequences);
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(1..=200));
    let open = bench.store.open_commands(&bench.cluster).await.unwrap();
    assert!(open.iter().map(|command| command.sequence).eq(1..=200), "in the order of the sequence");
}

#[tokio::test]
async fn a_refused_command_gives_its_number_back() {
    let bench = Bench::new().await;
    let taken = bench.new_command();
    assert_eq!(bench.store.insert_command(taken.clone()).await.unwrap(), 1);
    assert!(matches!(bench.store.insert_command(taken).await, Err(StoreError::Taken(_))));
    assert_eq!(bench.store.insert_command(bench.new_command()).await.unwrap(), 2);
}

#[tokio::test]
async fn a_write_whose_caller_went_away_stands() {
    let bench = Bench::new().await;
    let command = bench.new_command();
    let id = command.id;
    let store = bench.store.clone();
    let mut write = Box::pin(async move { store.insert_command(command).await });
    std::future::poll_fn(|cx| std::task::Poll::Ready(write.as_mut().poll(cx).is_pending())).await;
    drop(write);
    let bench = bench.reopen(); // waits for the writer
    assert_eq!(bench.record(id).await.state, CommandState::Queued);
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let bench = Bench::new().await;
    let (done, open) = (bench.queued().await, bench.queued().await);
    bench.apply(1, finished(done, "42")).await;
    let before = (bench.store.clusters().await.unwrap(), bench.store.contexts(&bench.cluster).await.unwrap());
    let bench = bench.reopen();
    let after = (bench.store.clusters().await.unwrap(), bench.store.contexts(&bench.cluster).await.unwrap());
    assert_eq!(before, after);
    assert_eq!(bench.view(done).await.0, CommandStatus::Finished);
    assert_eq!(bench.store.open_commands(&bench.cluster).await.unwrap(), [bench.record(open).await]);
    assert_eq!(bench.store.insert_command(bench.new_command()).await.unwrap(), 3);
}

#[tokio::test]
async fn what_was_answered_is_in_the_files_at_once() {
    let bench = Bench::new().await;
    let mut answered = Vec::new();
    for _ in 0..20 {
        answered.push(bench.queued().await);
    }
    // The files of a process that is killed now.
    let crashed = tempfile::tempdir().unwrap();
    for file in ["firesteel.db", "firesteel.db-wal"] {
        fs::copy(bench.dir.path().join(file), crashed.path().join(file)).unwrap();
    }
    let store = Store::open(crashed.path()).unwrap();
    for id in answered {
        assert_eq!(store.command_state(bench.context, id).await.unwrap(), Some(CommandState::Queued));
    }
}

#[tokio::test]
async fn a_second_server_on_the_folder_is_refused() {
    let bench = Bench::new().await;
    let refused = Store::open(bench.dir.path()).unwrap_err();
    assert!(refused.to_string().contains("give this one another folder"), "{refused}");
    bench.reopen();
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let db = rusqlite::Connection::open(dir.path().join("firesteel.db")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    for _ in 0..2 {
        let refused = Store::open(dir.path()).unwrap_err();
        assert!(matches!(refused, StoreError::Newer { found: 99, .. }), "{refused}");
    }
}

#[tokio::test]
async fn every_file_is_for_its_owner_only() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("data");
    let store = Store::open(&dir).unwrap();
    store.put_user("ann", "hash").await.unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let files: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn the_oldest_results_of_a_context_make_room_for_the_latest() {
    let bench = Bench::new().await;
    let text = "x".repeat(1_500);
    let mut commands = Vec::new();
    for event in 1..=4 {
        let command = bench.queued().await;
        bench.apply(event, finished(command, &text)).await;
        commands.push(command);
    }
    for (at, command) in commands.into_iter().enumerate() {
        let (status, results) = bench.view(command).await;
        assert_eq!(status, CommandStatus::Finished);
        assert_eq!(results.contains("no longer kept"), at < 2, "{at}: {results:.80}");
    }
    // One that is larger than all the room is kept alone.
    let huge = bench.queued().await;
    bench.apply(5, finished(huge, &"y".repeat(10_000))).await;
    assert!(bench.view(huge).await.1.contains("yyyy"));
}

#[tokio::test]
async fn a_source_beyond_the_bound_is_refused() {
    let bench = Bench::new().await;
    let refused =
        bench.store.insert_command(NewCommand { source: "x".repeat(64 << 20 | 1), ..bench.new_command() }).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })));
}

#[tokio::test]
async fn reads_go_on_while_writes_wait_for_the_disk() {
    let bench = Bench::new().await;
    let id = bench.queued().await;
    let (entered, writing) = tokio::sync::oneshot::channel();
    let (leave, may_leave) = std::sync::mpsc::channel::<()>();
    let store = bench.store.clone();
    let write = tokio::spawn(async move {
        store
            .write("hold the writer", move |db| {
                db.execute("UPDATE commands SET state = 'Finished'", [])?;
                entered.send(()).ok();
                may_leave.recv().ok();
                Ok(())
            })
            .await
    });
    writing.await.unwrap();
    assert_eq!(bench.store.command_state(bench.context, id).await.unwrap(), Some(CommandState::Queued));
    leave.send(()).unwrap();
    write.await.unwrap().unwrap();
    assert_eq!(bench.store.command_state(bench.context, id).await.unwrap(), Some(CommandState::Finished));
}

/// Prints what a write and a read take here. The bounds are wide, for busy machines: a write that no longer shares its
/// commit, or a read that waits for one, is beyond them all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_and_reads_are_quick() {
    let bench = Bench::new().await;
    let (mut writes, mut reads) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        let begun = Instant::now();
        let id = bench.queued().await;
        writes.push(begun.elapsed());
        let begun = Instant::now();
        bench.store.command_state(bench.context, id).await.unwrap();
        reads.push(begun.elapsed());
    }
    let begun = Instant::now();
    let tasks: Vec<_> = (0..1_000)
        .map(|_| {
            let (store, command) = (bench.store.clone(), bench.new_command());
            tokio::spawn(async move { store.insert_command(command).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let together = begun.elapsed();
    writes.sort_unstable();
    reads.sort_unstable();
    println!("write p50 {:?} p99 {:?}, read p50 {:?} p99 {:?}", writes[150], writes[297], reads[150], reads[297]);
    println!("1000 writes at once {together:?}");
    assert!(reads[150].as_millis() < 5 && together.as_secs() < 10);
}

/// A step of the property test: an event of the driver, or a cancel, for one of three commands.
fn steps() -> impl Strategy<Value = Vec<(u8, usize)>> {
    proptest::collection::vec((0..7u8, 0..3usize), 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn nothing_leaves_an_over_state_and_results_never_change(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new().await;
            let commands = [bench.queued().await, bench.queued().await, bench.queued().await];
            let mut over: [Option<(CommandStatus, String)>; 3] = [None, None, None];
            for (event, (step, at)) in steps.into_iter().enumerate() {
                let command = commands[at];
                let change = match step {
                    0 => Change::CommandStarted { command },
                    1 => finished(command, &format!("result {event}")),
                    2 => Change::CommandCancelled { command, lost: None },
                    3 => Change::CommandLost { command, reason: format!("reason {event}") },
                    4 if event > 15 => Change::ContextFailed { context: bench.context, reason: "gone".into() },
                    _ => {
                        bench.store.ask_cancel(bench.context, command).await.unwrap();
                        Change::ClusterReady
                    }
                };
                bench.apply(event as u64 + 1, change).await;
                for (command, over) in commands.iter().zip(&mut over) {
                    let view = bench.view(*command).await;
                    match over {
                        Some(before) => prop_assert_eq!(&view, &*before),
                        None if view.0.is_over() => {
                            prop_assert!(!view.1.is_empty(), "an over command has results");
                            *over = Some(view);
                        }
                        None => {}
                    }
                }
            }
            let open = bench.store.open_commands(&bench.cluster).await.unwrap().len();
            prop_assert_eq!(open, over.iter().filter(|over| over.is_none()).count());
            Ok(())
        })?;
    }
}

fn printed(command: CommandId, start: u64, text: &str) -> Change {
    Change::CommandPrinted { command, output: Output { start, text: text.into() } }
}

#[tokio::test]
async fn what_a_command_prints_is_read_from_any_offset_and_survives_its_end_and_a_restart() {
    let bench = Bench::new().await;
    let command = bench.queued().await;
    assert_eq!(bench.output(command, 0, 100).await, (0, String::new()));
    let pieces = ["a", "bc", "é", "twenty bytes and more", "x", "y"];
    let mut start = 0;
    for (event, text) in (1..).zip(pieces) {
        bench.apply(event, printed(command, start, text)).await;
        start += text.len() as u64;
    }
    // An event that comes again, and one whose text is there already, change nothing.
    assert_eq!(bench.apply(1, printed(command, 0, "a")).await, Applied::Before);
    bench.change([printed(command, 1, "bc"), finished(command, "done")]).await;
    let whole = pieces.concat();
    let bench = bench.reopen();
    for offset in 0..=whole.len() {
        let (start, text) = bench.output(command, offset as u64, 100).await;
        let from = whole.floor_char_boundary(offset);
        assert_eq!((start, text.as_str()), (from as u64, &whole[from..]), "from {offset}");
    }
    assert_eq!(bench.output(command, 2, 3).await, (2, "cé".into()));
    assert_eq!(bench.output(command, 3, 1).await, (3, "é".into()));
    assert_eq!(bench.store.output(bench.context, CommandId::generate(), 0, 1).await.unwrap(), None);
}

#[tokio::test]
async fn a_gap_in_the_output_is_passed_over_and_seen_by_the_offset() {
    let bench = Bench::new().await;
    let command = bench.queued().await;
    bench.change([printed(command, 0, "first"), printed(command, 1000, "last")]).await;
    assert_eq!(bench.output(command, 0, 100).await, (0, "first".into()));
    assert_eq!(bench.output(command, 5, 100).await, (1000, "last".into()));
    assert_eq!(bench.output(command, 1004, 100).await, (1004, String::new()));
}

#[tokio::test]
async fn the_output_of_the_oldest_commands_makes_room_and_its_length_stays_known() {
    let bench = Bench::new().await;
    let commands = [bench.queued().await, bench.queued().await, bench.queued().await];
    let big = "x".repeat(2000);
    for command in commands {
        bench.change([printed(command, 0, &big), finished(command, "done")]).await;
    }
    assert_eq!(bench.output(commands[0], 0, 10).await, (2000, String::new()));
    assert_eq!(bench.output(commands[1], 0, 10_000).await, (0, big.clone()));
    // The latest has room beyond the bound.
    let last = bench.queued().await;
    bench.change([printed(last, 0, &"y".repeat(9000))]).await;
    assert_eq!(bench.output(commands[2], 0, 10).await, (2000, String::new()));
    assert_eq!(bench.output(last, 0, 10_000).await.1.len(), 9000);
    bench.store.delete_context(&bench.cluster, bench.context).await.unwrap();
    bench.change([printed(last, 9000, "late")]).await;
}

#[tokio::test]
async fn pages_of_commands_and_contexts_are_complete_and_stay_so_when_more_come() {
    let bench = Bench::new().await;
    let mut commands = Vec::new();
    for _ in 0..7 {
        commands.push(bench.queued().await);
    }
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = bench.store.commands_page(bench.context, before, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.sequence);
        seen.extend(page.iter().map(|record| record.id));
        bench.queued().await;
    }
    assert_eq!(seen, commands.into_iter().rev().collect::<Vec<_>>());

    let contexts: Vec<ContextId> = (1..8).map(|number| number.to_string().parse().unwrap()).collect();
    for id in &contexts {
        bench.store.insert_context(&bench.cluster, *id, Language::Sql).await.unwrap();
    }
    let first = bench.store.contexts_page(&bench.cluster, None, 3).await.unwrap();
    assert_eq!(first[0].id, bench.context, "the newest first");
    bench.store.delete_context(&bench.cluster, first[2].id).await.unwrap();
    let rest = bench.store.contexts_page(&bench.cluster, Some(first[2].id), 100).await.unwrap();
    let mut expected = contexts;
    expected.truncate(5);
    assert_eq!(rest.iter().map(|record| record.id).collect::<Vec<_>>(), expected.into_iter().rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn contexts_that_made_room_are_remembered_the_latest_of_them() {
    let bench = Bench::new().await;
    let mut made_room = vec![bench.context];
    for _ in 0..4 {
        let id = ContextId::generate();
        bench.store.insert_context(&bench.cluster, id, Language::Sql).await.unwrap();
        made_room.push(id);
    }
    for id in &made_room {
        assert!(bench.store.disconnect_context(&bench.cluster, *id).await.unwrap());
        assert!(!bench.store.disconnect_context(&bench.cluster, *id).await.unwrap());
    }
    assert_eq!(bench.store.contexts(&bench.cluster).await.unwrap(), []);
    let bench = bench.reopen();
    assert_eq!(bench.store.disconnected_contexts(&bench.cluster).await.unwrap(), made_room[2..]);
    bench.store.delete_contexts_of(&bench.cluster).await.unwrap();
    assert_eq!(bench.store.disconnected_contexts(&bench.cluster).await.unwrap(), []);
}

#[tokio::test]
async fn a_context_was_used_when_a_command_of_it_was_sent_or_ended() {
    let bench = Bench::new().await;
    let used = async || bench.store.context(&bench.cluster, bench.context).await.unwrap().unwrap();
    let made = used().await;
    assert_eq!((made.used_ms, made.streams), (made.created_ms, 0));
    let command = bench.queued().await;
    let sent = bench.record(command).await.created_ms;
    assert_eq!(used().await.used_ms, sent);
    bench.change([Change::CommandCancelled { command, lost: Some("its process was killed".into()) }]).await;
    let ended = bench.record(command).await;
    assert_eq!(used().await.used_ms, ended.ended_ms.unwrap());
    assert_eq!(ended.state, CommandState::Cancelled { lost: Some("its process was killed".into()) });
    bench.change([Change::ContextStreams { context: bench.context, active: 2 }]).await;
    assert_eq!(used().await.streams, 2);
}
