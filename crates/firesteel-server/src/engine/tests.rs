//! The engine whole, with a real store and real sockets; the driver is a fake that each test plays by hand.

mod libraries;
mod life;
mod schedules;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use firesteel_api::clusters::ClusterStatus;
use firesteel_api::commands::{CommandStatus, CommandView};
use firesteel_api::contexts::ContextStatus;
use firesteel_api::libraries::Library;
use firesteel_api::results::{Results, ResultsBody};
use firesteel_api::v2::catalog::{NodeType, SparkVersions};
use firesteel_api::v2::termination::TerminationCode;
use firesteel_api::{ClusterId, CommandId, ContextId, Language};
use firesteel_driver::protocol::VERSION;
use firesteel_driver::protocol::frame;
use firesteel_driver::protocol::interpreters::ResultLimits;
use firesteel_driver::protocol::link::{DriverEvent, FromDriver, HeldContext, ToDriver};
use firesteel_driver::spec::{CommandSpec, DriverSpec, SpareCounts};
use firesteel_model::{Cause, ClusterEvent, ClusterSettings, ClusterState, Limits};
use firesteel_store::{ClusterRecord, NewCommand, Store};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::cluster::Request;
use super::launch::Launcher;
use super::{Engine, EngineError, OnStop};

mod output;
mod results;

/// How long anything may take before its test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A hold that only ends by a change.
const LONG: Duration = Duration::from_secs(3600);

const CLUSTER: &str = "c1";
const PYTHON: Language = Language::Python;

/// Starts nothing, or a child that only sleeps.
struct FakeLauncher {
    folder: PathBuf,
    with_child: bool,
    launches: AtomicUsize,
    /// What the last driver was told to install.
    libraries: Mutex<Vec<Library>>,
    /// The last child.
    pid: AtomicI32,
}

impl Launcher for FakeLauncher {
    fn spec(&self, cluster: &ClusterRecord) -> Result<DriverSpec, String> {
        let nothing = CommandSpec { program: "/bin/false".into(), args: Vec::new(), env: BTreeMap::new() };
        Ok(DriverSpec {
            cluster: cluster.id.clone(),
            folder: self.folder.clone(),
            sockets: self.folder.clone(),
            jvm: nothing.clone(),
            python: nothing,
            r: None,
            executors: None,
            properties: None,
            conf: BTreeMap::new(),
            runtime_version: "17.3".into(),
            limits: ResultLimits {
                rows_max: 1,
                table_bytes_max: 1,
                text_chars_max: 1,
                result_bytes_max: 1,
                result_seconds_max: 1,
            },
            results_bytes_max: 1,
            output_bytes_max: 1_000_000,
            spares: SpareCounts::default(),
            libraries: Vec::new(),
            library_seconds_max: 60,
            orphan_seconds: 1,
            context_memory_mb: 0,
            cancel_seconds_max: 1,
            command_seconds_max: 0,
        })
    }

    fn check(&self, settings: &ClusterSettings) -> Result<(), String> {
        let known = settings.spark_version.as_deref().is_none_or(|version| version == "4.3.0");
        if known { Ok(()) } else { Err("no such runtime".to_owned()) }
    }

    fn spark_versions(&self) -> SparkVersions {
        SparkVersions { default_version_key: "4.3.0".into(), versions: Vec::new() }
    }

    fn node_types(&self) -> Vec<NodeType> {
        Vec::new()
    }

    fn default_backend(&self) -> String {
        "grid".to_owned()
    }

    fn folder(&self, _: &ClusterId) -> Option<PathBuf> {
        Some(self.folder.clone())
    }

    fn remove(&self, _: &ClusterId) -> io::Result<()> {
        std::fs::write(self.folder.join("removed"), "")
    }

    fn lacks(&self, language: Language) -> Option<String> {
        (language == Language::R).then(|| "R is not installed".to_owned())
    }

    fn launch(&self, spec: &DriverSpec) -> io::Result<Option<Child>> {
        self.libraries.lock().unwrap().clone_from(&spec.libraries);
        self.launches.fetch_add(1, Ordering::Relaxed);
        if !self.with_child {
            return Ok(None);
        }
        let child = Command::new("sleep").arg("1000").kill_on_drop(true).spawn()?;
        self.pid.store(child.id().unwrap().cast_signed(), Ordering::Relaxed);
        Ok(Some(child))
    }
}

type Ask = (ToDriver, Option<Bytes>);

/// The driver, played by the test.
struct FakeDriver {
    listener: UnixListener,
    generation: String,
    held: BTreeMap<ContextId, u64>,
    events: VecDeque<(u64, DriverEvent, Option<String>)>,
    last: u64,
    link: Option<(mpsc::UnboundedReceiver<Ask>, OwnedWriteHalf)>,
}

impl FakeDriver {
    fn listen(folder: &Path) -> Self {
        let socket = folder.join("driver.sock");
        let _ = std::fs::remove_file(&socket);
        Self {
            listener: UnixListener::bind(socket).unwrap(),
            generation: format!("{:032x}", rand::random::<u128>()),
            held: BTreeMap::new(),
            events: VecDeque::new(),
            last: 0,
            link: None,
        }
    }

    /// Takes the server's connection, and sends what was not acknowledged.
    async fn accept(&mut self) {
        let (stream, _) = soon("a connection", self.listener.accept()).await.unwrap();
        let (reader, mut writer) = UnixStream::into_split(stream);
        let mut reader = tokio::io::BufReader::new(reader);
        let hello = frame::read::<ToDriver, _>(&mut reader).await.unwrap().unwrap().head;
        assert_eq!(hello, ToDriver::Hello { version: VERSION, cluster: id() });
        let contexts =
            self.held.iter().map(|(context, accepted)| HeldContext { context: *context, accepted: *accepted });
        let welcome = FromDriver::Welcome {
            version: VERSION,
            cluster: id(),
            generation: self.generation.clone(),
            pid: 0,
            contexts: contexts.collect(),
        };
        frame::write(&mut writer, &welcome, None).await.unwrap();
        for (event, what, payload) in &self.events {
            let head = FromDriver::Event { event: *event, what: what.clone() };
            frame::write(&mut writer, &head, payload.as_ref().map(String::as_bytes)).await.unwrap();
        }
        // Read all the time, as the real one does.
        let (asks, inbox) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(message)) = frame::read::<ToDriver, _>(&mut reader).await {
                if asks.send((message.head, message.payload)).is_err() {
                    return;
                }
            }
        });
        self.link = Some((inbox, writer));
    }

    fn hang_up(&mut self) {
        self.link = None;
    }

    async fn say(&mut self, what: DriverEvent) {
        self.say_with(what, None).await;
    }

    async fn say_with(&mut self, what: DriverEvent, payload: Option<String>) {
        self.last += 1;
        self.events.push_back((self.last, what.clone(), payload.clone()));
        if let Some((_, writer)) = &mut self.link {
            let head = FromDriver::Event { event: self.last, what };
            frame::write(writer, &head, payload.as_ref().map(String::as_bytes)).await.unwrap();
        }
    }

    /// So many statements run over JDBC.
    async fn says_statements(&mut self, active: usize) {
        let writer = &mut self.link.as_mut().expect("a link").1;
        frame::write(writer, &FromDriver::Statements { active }, None).await.unwrap();
    }

    /// What the server asks next, acknowledgements aside; `None` when it hung up.
    async fn asked(&mut self) -> Option<(ToDriver, String)> {
        loop {
            let inbox = &mut self.link.as_mut().expect("a link").0;
            let (ask, payload) = soon("the server to ask something", inbox.recv()).await?;
            match ask {
                ToDriver::Ack { event } => self.events.retain(|(number, ..)| *number > event),
                ToDriver::Execute { context, sequence, .. } => {
                    self.held.insert(context, sequence);
                    return Some((ask, String::from_utf8(payload.unwrap().into()).unwrap()));
                }
                ToDriver::Open { context, .. } => {
                    self.held.entry(context).or_default();
                    return Some((ask, String::new()));
                }
                ToDriver::Close { context } => {
                    self.held.remove(&context);
                    return Some((ask, String::new()));
                }
                _ => return Some((ask, String::new())),
            }
        }
    }

    async fn heard(&mut self, expected: ToDriver) {
        assert_eq!(self.asked().await.map(|(ask, _)| ask), Some(expected));
    }

    /// Waits until everything that was said is acknowledged.
    async fn acknowledged(&mut self) {
        while !self.events.is_empty() {
            let inbox = &mut self.link.as_mut().expect("a link").0;
            match soon("an acknowledgement", inbox.recv()).await {
                Some((ToDriver::Ack { event }, _)) => self.events.retain(|(number, ..)| *number > event),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn executed(&mut self, command: CommandId) -> (u64, String) {
        match self.asked().await {
            Some((ToDriver::Execute { command: asked, sequence, .. }, source)) if asked == command => {
                (sequence, source)
            }
            other => panic!("{other:?}"),
        }
    }

    async fn finish(&mut self, context: ContextId, command: CommandId, text: &str) {
        let results = Results::text(text).as_json().to_owned();
        self.say(DriverEvent::Started { context, command }).await;
        self.say_with(DriverEvent::Finished { context, command }, Some(results)).await;
    }

    async fn ready(&mut self) {
        self.say(DriverEvent::Ready {
            spark_version: "4.3.0".into(),
            scala_version: "2.13.18".into(),
            master: "local[*]".into(),
            app_id: "a".into(),
            ui_url: None,
        })
        .await;
    }
}

struct Bench {
    engine: Engine,
    store: Store,
    launcher: Arc<FakeLauncher>,
    driver: FakeDriver,
    limits: Limits,
    dir: TempDir,
}

impl Bench {
    /// An engine without a cluster.
    async fn empty(limits: Limits, with_child: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let launcher = FakeLauncher {
            folder: dir.path().to_owned(),
            with_child,
            launches: 0.into(),
            libraries: Mutex::default(),
            pid: 0.into(),
        };
        let (launcher, driver) = (Arc::new(launcher), FakeDriver::listen(dir.path()));
        let engine = Engine::start(store.clone(), limits.clone(), launcher.clone()).await.unwrap();
        Self { engine, store, launcher, driver, limits, dir }
    }

    /// Makes the cluster, by its known id, and launches its driver.
    async fn launch(&self) {
        self.store.insert_cluster(record(ClusterState::Terminated), Cause::Server).await.unwrap();
        self.engine.adopt(record(ClusterState::Terminated)).await.unwrap();
        self.engine.start_cluster(CLUSTER, Cause::Server).await.unwrap();
    }

    /// An engine with a cluster that runs.
    async fn running() -> Self {
        Self::running_with(Limits::default(), false).await
    }

    async fn running_with(limits: Limits, with_child: bool) -> Self {
        let mut bench = Self::empty(limits, with_child).await;
        bench.launch().await;
        bench.driver.accept().await;
        bench.driver.ready().await;
        soon("the cluster to run", bench.engine.wait_running(CLUSTER)).await.unwrap();
        bench.driver.acknowledged().await;
        bench
    }

    /// A server that is gone, without a word to the driver, and its successor on the same store.
    async fn restart(&mut self) {
        self.engine.stop(OnStop::LeaveClusters).await;
        self.driver.hang_up();
        self.engine = Engine::start(self.store.clone(), self.limits.clone(), self.launcher.clone()).await.unwrap();
    }

    async fn context(&mut self) -> ContextId {
        let context = self.engine.create_context(CLUSTER, PYTHON).await.unwrap();
        self.driver.heard(ToDriver::Open { context, language: PYTHON }).await;
        self.driver.say(DriverEvent::ContextRunning { context }).await;
        assert_eq!(self.context_status(context).await, Some(ContextStatus::Running));
        self.driver.acknowledged().await;
        context
    }

    async fn execute(&self, context: ContextId, source: &str) -> CommandId {
        self.engine.execute(CLUSTER, &context.to_string(), PYTHON, source.into(), None).await.unwrap()
    }

    async fn cancel(&self, context: ContextId, command: CommandId) {
        self.engine.cancel(CLUSTER, &context.to_string(), &command.to_string()).await.unwrap();
    }

    async fn context_status(&self, context: ContextId) -> Option<ContextStatus> {
        let context = context.to_string();
        let view = soon("the context to change", self.engine.context(CLUSTER, &context, LONG)).await;
        view.ok().map(|view| view.status)
    }

    /// A command's view once it is over.
    async fn over(&self, context: ContextId, command: CommandId) -> CommandView {
        soon("the command to end", self.command(context, command, LONG)).await
    }

    async fn command(&self, context: ContextId, command: CommandId, hold: Duration) -> CommandView {
        self.engine.command(CLUSTER, &context.to_string(), &command.to_string(), hold).await.unwrap()
    }

    async fn status(&self, context: ContextId, command: CommandId) -> CommandStatus {
        self.command(context, command, Duration::ZERO).await.status
    }

    async fn until(&self, status: ClusterStatus) {
        let reached = async {
            while self.engine.cluster(CLUSTER).unwrap().status != status {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon("the cluster to change", reached).await;
    }

    /// Ends the child that stands for the driver's process.
    fn kill_child(&self, signal: Signal) {
        firesteel_driver::process::signal(self.launcher.pid.load(Ordering::Relaxed), signal);
    }

    fn launches(&self) -> usize {
        self.launcher.launches.load(Ordering::Relaxed)
    }
}

fn id() -> ClusterId {
    CLUSTER.parse().unwrap()
}

fn record(state: ClusterState) -> ClusterRecord {
    let settings = ClusterSettings { cluster_name: "default".into(), ..ClusterSettings::default() };
    ClusterRecord { state, ..ClusterRecord::new(id(), settings, "ann", 10_000, 1) }
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited for {what}"))
}

#[track_caller]
fn text(view: &CommandView) -> String {
    match view.results.as_ref().expect("results").parse().unwrap() {
        ResultsBody::Text { data, .. } => data,
        ResultsBody::Error { cause, .. } => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_cluster_is_pending_until_spark_is_up() {
    let mut bench = Bench::empty(Limits::default(), false).await;
    bench.launch().await;
    assert_eq!(bench.engine.cluster(CLUSTER).unwrap().status, ClusterStatus::Pending);
    let early = bench.engine.create_context(CLUSTER, PYTHON).await;
    assert!(matches!(early, Err(EngineError::ClusterNotReady { .. })), "{early:?}");
    bench.driver.accept().await;
    // Asked for twice, launched once.
    bench.engine.start_cluster(CLUSTER, Cause::Server).await.unwrap();
    bench.driver.ready().await;
    soon("the cluster to run", bench.engine.wait_running(CLUSTER)).await.unwrap();
    assert_eq!(bench.launches(), 1);
}

#[tokio::test]
async fn a_command_goes_from_the_queue_to_its_result() {
    let mut bench = Bench::running().await;
    let context = bench.context().await;
    let command = bench.execute(context, "40 + 2").await;
    assert_eq!(bench.driver.executed(command).await, (1, "40 + 2".to_owned()));
    assert_eq!(bench.status(context, command).await, CommandStatus::Queued);
    bench.driver.say(DriverEvent::Started { context, command }).await;
    bench.driver.acknowledged().await;
    assert_eq!(bench.status(context, command).await, CommandStatus::Running);
    bench.driver.finish(context, command, "42").await;
    let view = bench.over(context, command).await;
    assert_eq!((view.status, text(&view)), (CommandStatus::Finished, "42".into()));
    let cluster = bench.engine.find(CLUSTER).unwrap();
    assert_eq!(cluster.board().open_commands(), 0);
}

#[tokio::test]
async fn a_poll_is_held_until_something_changes_and_no_longer_than_its_hold() {
    let mut bench = Bench::running().await;
    let context = bench.engine.create_context(CLUSTER, PYTHON).await.unwrap();
    bench.driver.heard(ToDriver::Open { context, language: PYTHON }).await;
    let short = Duration::from_millis(20);
    let view = bench.engine.context(CLUSTER, &context.to_string(), short).await.unwrap();
    assert_eq!(view.status, ContextStatus::Pending);
    let engine = bench.engine.clone();
    let held = tokio::spawn(async move { engine.context(CLUSTER, &context.to_string(), LONG).await });
    bench.driver.say(DriverEvent::ContextRunning { context }).await;
    let view = soon("the poll to end", held).await.unwrap().unwrap();
    assert_eq!(view.status, ContextStatus::Running);

    let command = bench.execute(context, "1").await;
    let view = bench.command(context, command, short).await;
    assert_eq!(view.status, CommandStatus::Queued);
    let engine = bench.engine.clone();
    let (name, asked) = (context.to_string(), command.to_string());
    let held = tokio::spawn(async move { engine.command(CLUSTER, &name, &asked, LONG).await });
    bench.driver.executed(command).await;
    bench.driver.finish(context, command, "1").await;
    let view = soon("the poll to end", held).await.unwrap().unwrap();
    assert_eq!(view.status, CommandStatus::Finished);
}

#[tokio::test]
async fn events_that_come_again_are_applied_once() {
    let mut bench = Bench::running().await;
    let context = bench.context().await;
    let command = bench.execute(context, "1").await;
    bench.driver.executed(command).await;
    bench.driver.finish(context, command, "first").await;
    bench.over(context, command).await;
    bench.driver.acknowledged().await;
    // The driver has not seen the acknowledgement: the same numbers again, which must not be looked at.
    bench.driver.hang_up();
    for number in 1..=bench.driver.last {
        let reason = "not this time".to_owned();
        bench.driver.events.push_back((number, DriverEvent::ContextFailed { context, reason }, None));
    }
    bench.driver.accept().await;
    let next = bench.execute(context, "2").await;
    bench.driver.executed(next).await;
    bench.driver.finish(context, next, "second").await;
    assert_eq!(text(&bench.over(context, next).await), "second");
    assert_eq!(text(&bench.over(context, command).await), "first");
    assert_eq!(bench.context_status(context).await, Some(ContextStatus::Running));
}

#[tokio::test]
async fn what_was_asked_while_the_link_was_down_is_sent_once_and_in_order() {
    let mut bench = Bench::running().await;
    let (context, gone) = (bench.context().await, bench.context().await);
    let running = bench.execute(context, "running").await;
    bench.driver.executed(running).await;
    bench.driver.say(DriverEvent::Started { context, command: running }).await;
    bench.driver.acknowledged().await;
    bench.driver.hang_up();

    let mut commands = Vec::new();
    for n in 0..5 {
        commands.push(bench.execute(context, &n.to_string()).await);
    }
    bench.cancel(context, running).await;
    bench.cancel(context, commands[1]).await;
    bench.engine.destroy_context(CLUSTER, &gone.to_string()).await.unwrap();
    let new = bench.engine.create_context(CLUSTER, PYTHON).await.unwrap();

    bench.driver.accept().await;
    bench.driver.heard(ToDriver::Open { context: new, language: PYTHON }).await;
    bench.driver.heard(ToDriver::Close { context: gone }).await;
    bench.driver.heard(ToDriver::Cancel { context, command: running }).await;
    for (n, command) in commands.iter().enumerate().filter(|(n, _)| *n != 1) {
        assert_eq!(bench.driver.executed(*command).await, (n as u64 + 2, n.to_string()));
    }
    // It was never sent and never will be.
    assert_eq!(bench.over(context, commands[1]).await.status, CommandStatus::Cancelled);
    // What was asked meanwhile waits as a request too, and is passed over: the next thing sent is new.
    let last = bench.execute(context, "last").await;
    assert_eq!(bench.driver.executed(last).await, (7, "last".to_owned()));
    bench.driver.say(DriverEvent::Cancelled { context, command: running, lost: None }).await;
    assert_eq!(bench.over(context, running).await.status, CommandStatus::Cancelled);
}

#[tokio::test]
async fn a_long_queue_is_settled_whole() {
    const COMMANDS: usize = 5_000;
    let mut bench = Bench::running_with(Limits { queue_max: 2 * COMMANDS, ..Limits::default() }, false).await;
    let context = bench.context().await;
    let new = || NewCommand {
        id: CommandId::generate(),
        context,
        cluster: id(),
        language: PYTHON,
        source: "x".repeat(100),
        timeout_seconds: None,
    };
    futures_util::future::try_join_all((0..COMMANDS).map(|_| bench.store.insert_command(new()))).await.unwrap();
    bench.restart().await;
    bench.driver.accept().await;
    for expected in 1..=COMMANDS as u64 {
        match bench.driver.asked().await {
            Some((ToDriver::Execute { sequence, .. }, _)) => assert_eq!(sequence, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_death_of_the_driver_is_told_to_all_it_takes_with_it() {
    let mut bench = Bench::running_with(Limits::default(), true).await;
    let context = bench.context().await;
    let mut reached = Vec::new();
    for n in 0..100 {
        let command = bench.execute(context, &n.to_string()).await;
        bench.driver.executed(command).await;
        reached.push(command);
    }
    let last = bench.execute(context, "last").await;
    bench.driver.executed(last).await;
    std::fs::write(bench.dir.path().join("driver.log"), "starting\nout of paper\n").unwrap();
    // Its last words, which are still on their way when it ends.
    for command in &reached {
        bench.driver.finish(context, *command, "reached").await;
    }
    bench.kill_child(Signal::SIGTERM);
    bench.driver.hang_up();
    let view = bench.over(context, last).await;
    assert_eq!(view.status, CommandStatus::Error);
    let reason = text(&view);
    assert!(reason.contains("killed by signal 15") && reason.contains("out of paper"), "{reason}");
    for command in reached {
        assert_eq!(text(&bench.over(context, command).await), "reached");
    }
    assert_eq!(bench.context_status(context).await, Some(ContextStatus::Error));
    bench.until(ClusterStatus::Error).await;
    let refused = bench.engine.execute(CLUSTER, &context.to_string(), PYTHON, "3".into(), None).await;
    assert!(matches!(refused, Err(EngineError::ClusterNotRunning { reason: Some(_), .. })), "{refused:?}");
    assert_eq!(bench.engine.find(CLUSTER).unwrap().board().open_commands(), 0);
}

#[tokio::test]
async fn a_driver_that_does_not_answer_any_more_is_lost() {
    let mut bench = Bench::running().await;
    let context = bench.context().await;
    bench.driver.hang_up();
    drop(std::fs::remove_file(bench.dir.path().join("driver.sock")));
    bench.until(ClusterStatus::Error).await;
    assert_eq!(bench.context_status(context).await, Some(ContextStatus::Error));
}

#[tokio::test]
async fn a_driver_that_says_it_failed_is_believed_and_its_exit_adds_nothing() {
    let mut bench = Bench::running_with(Limits::default(), true).await;
    let context = bench.context().await;
    bench
        .driver
        .say(DriverEvent::Failed {
            code: TerminationCode::SparkError,
            reason: "Spark's JVM ended: exit status 52".into(),
        })
        .await;
    bench.until(ClusterStatus::Error).await;
    bench.kill_child(Signal::SIGTERM);
    bench.driver.hang_up();
    let refused = bench.engine.execute(CLUSTER, &context.to_string(), PYTHON, "1".into(), None).await.unwrap_err();
    assert!(refused.to_string().contains("exit status 52"), "{refused}");
}

#[tokio::test]
async fn a_cluster_that_was_lost_can_be_started_while_its_old_driver_is_still_there() {
    let mut bench = Bench::running_with(Limits::default(), true).await;
    let context = bench.context().await;
    bench.driver.say(DriverEvent::Failed { code: TerminationCode::SparkError, reason: "out of memory".into() }).await;
    bench.until(ClusterStatus::Error).await;
    // It has neither hung up nor exited.
    let mut old = std::mem::replace(&mut bench.driver, FakeDriver::listen(bench.dir.path()));
    bench.engine.start_cluster(CLUSTER, Cause::Server).await.unwrap();
    bench.driver.accept().await;
    assert!(old.asked().await.is_none(), "the old link is closed");
    bench.driver.ready().await;
    soon("the cluster to run", bench.engine.wait_running(CLUSTER)).await.unwrap();
    assert_eq!(bench.context_status(context).await, None);
    let context = bench.context().await;
    let command = bench.execute(context, "1").await;
    assert_eq!(bench.driver.executed(command).await.0, 1);
    assert_eq!(bench.launches(), 2);
}

#[tokio::test]
async fn an_engine_that_starts_anew_goes_on_with_its_driver() {
    let mut bench = Bench::running().await;
    let context = bench.context().await;
    let (first, second) = (bench.execute(context, "1").await, bench.execute(context, "2").await);
    bench.driver.executed(first).await;
    bench.driver.executed(second).await;
    bench.engine.stop(OnStop::LeaveClusters).await;
    bench.driver.hang_up();
    bench.driver.finish(context, first, "one").await;
    bench.restart().await;
    bench.driver.accept().await;
    assert_eq!(text(&bench.over(context, first).await), "one");
    let third = bench.execute(context, "3").await;
    assert_eq!(bench.driver.executed(third).await.0, 3);
    bench.driver.finish(context, second, "two").await;
    assert_eq!(text(&bench.over(context, second).await), "two");
    assert_eq!(bench.launches(), 1);
}

#[tokio::test]
async fn a_driver_that_was_there_is_not_taken_for_running_before_it_has_answered() {
    let mut bench = Bench::running().await;
    let context = bench.context().await;
    bench.engine.stop(OnStop::LeaveClusters).await;
    std::fs::remove_file(bench.dir.path().join("driver.sock")).unwrap();
    bench.restart().await;
    let refused = soon("the cluster to settle", bench.engine.wait_running(CLUSTER)).await;
    assert!(matches!(refused, Err(EngineError::ClusterNotRunning { reason: Some(_), .. })), "{refused:?}");
    assert_eq!(bench.context_status(context).await, Some(ContextStatus::Error));
}

#[tokio::test]
async fn a_context_that_the_driver_does_not_know_any_more_is_lost() {
    let mut bench = Bench::running().await;
    let context = bench.context().await;
    bench.restart().await;
    bench.driver.held.clear();
    bench.driver.accept().await;
    let status = async {
        while bench.context_status(context).await != Some(ContextStatus::Error) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("the context to be lost", status).await;
    let refused = bench.engine.execute(CLUSTER, &context.to_string(), PYTHON, "1".into(), None).await;
    assert!(matches!(refused, Err(EngineError::ContextLost { .. })), "{refused:?}");
}

#[tokio::test]
async fn an_end_that_an_earlier_server_was_stopped_over_is_carried_out() {
    let mut bench = Bench::running().await;
    bench.context().await;
    bench.engine.stop(OnStop::LeaveClusters).await;
    bench.store.cluster_event(&id(), ClusterEvent::EndAsked, Cause::Server).await.unwrap();
    bench.restart().await;
    bench.driver.accept().await;
    bench.driver.heard(ToDriver::Stop {}).await;
    drop(std::fs::remove_file(bench.dir.path().join("driver.sock")));
    bench.driver.hang_up();
    bench.until(ClusterStatus::Terminated).await;
    assert!(bench.store.contexts(&id()).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_full_says_so() {
    let mut bench = Bench::running_with(Limits { contexts_max: 2, queue_max: 2, ..Limits::default() }, false).await;
    let (context, other) = (bench.context().await, bench.context().await);
    let refused = bench.engine.create_context(CLUSTER, PYTHON).await;
    assert!(matches!(refused, Err(EngineError::TooManyContexts(2))), "{refused:?}");
    bench.engine.destroy_context(CLUSTER, &other.to_string()).await.unwrap();
    bench.driver.heard(ToDriver::Close { context: other }).await;
    bench.context().await;

    let (first, _) = (bench.execute(context, "1").await, bench.execute(context, "2").await);
    let refused = bench.engine.execute(CLUSTER, &context.to_string(), PYTHON, "3".into(), None).await;
    assert!(matches!(refused, Err(EngineError::QueueFull { limit: 2, .. })), "{refused:?}");
    bench.driver.finish(context, first, "1").await;
    bench.over(context, first).await;
    bench.execute(context, "3").await;
}

#[tokio::test]
async fn on_a_full_cluster_the_context_that_is_idle_makes_room() {
    let limits = Limits { contexts_max: 2, context_idle_seconds: 0, ..Limits::default() };
    let mut bench = Bench::running_with(limits, false).await;
    let (busy, idle) = (bench.context().await, bench.context().await);
    let command = bench.execute(busy, "1").await;
    bench.driver.asked().await;
    let made = bench.engine.create_context(CLUSTER, PYTHON).await.unwrap();
    bench.driver.heard(ToDriver::Close { context: idle }).await;
    bench.driver.heard(ToDriver::Open { context: made, language: PYTHON }).await;
    let gone = bench.engine.execute(CLUSTER, &idle.to_string(), PYTHON, "1".into(), None).await.unwrap_err();
    let said = format!("Context ExecutionContextId({idle}) is disconnected. ");
    assert!(gone.to_string().starts_with(&said), "{gone}");
    assert_eq!(bench.engine.destroy_context(CLUSTER, &idle.to_string()).await.unwrap(), idle);

    // One runs, the other is on its way up; later a streaming query is all that runs.
    let full = |refused: Result<ContextId, EngineError>| matches!(refused, Err(EngineError::TooManyContexts(2)));
    assert!(full(bench.engine.create_context(CLUSTER, PYTHON).await));
    bench.driver.say(DriverEvent::Streams { context: busy, active: 1 }).await;
    bench.driver.finish(busy, command, "1").await;
    bench.over(busy, command).await;
    assert!(full(bench.engine.create_context(CLUSTER, PYTHON).await));
    bench.driver.say(DriverEvent::Streams { context: busy, active: 0 }).await;
    bench.driver.acknowledged().await;
    bench.engine.create_context(CLUSTER, PYTHON).await.unwrap();
    bench.driver.heard(ToDriver::Close { context: busy }).await;
}

#[tokio::test]
async fn sources_that_wait_have_so_many_bytes_together() {
    let mut bench = Bench::running_with(Limits { queue_bytes_max: 10, ..Limits::default() }, false).await;
    let context = bench.context().await;
    let first = bench.execute(context, "longer than ten bytes").await;
    let refused = bench.engine.execute(CLUSTER, &context.to_string(), PYTHON, "2".into(), None).await;
    assert!(matches!(refused, Err(EngineError::QueueTooLarge { limit: 10, .. })), "{refused:?}");
    bench.driver.finish(context, first, "1").await;
    bench.over(context, first).await;
    bench.execute(context, "2").await;
    bench.execute(context, "3").await;
}

#[tokio::test]
async fn ids_that_do_not_exist_are_told_apart() {
    let mut bench = Bench::running().await;
    let (context, engine) = (bench.context().await.to_string(), bench.engine.clone());
    let other = CommandId::generate().to_string();
    for unknown in ["nothing", "1"] {
        let refused = engine.create_context(unknown, PYTHON).await;
        assert!(matches!(refused, Err(EngineError::UnknownCluster(_))), "{refused:?}");
        let refused = engine.execute(CLUSTER, unknown, PYTHON, "1".into(), None).await;
        assert!(matches!(refused, Err(EngineError::UnknownContext(_))), "{refused:?}");
        let refused = engine.destroy_context(CLUSTER, unknown).await;
        assert!(matches!(refused, Err(EngineError::UnknownContext(_))), "{refused:?}");
        let refused = engine.cancel(CLUSTER, &context, unknown).await;
        assert!(matches!(refused, Err(EngineError::UnknownCommand(_))), "{refused:?}");
    }
    let refused = engine.command(CLUSTER, &context, &other, LONG).await;
    assert!(matches!(refused, Err(EngineError::UnknownCommand(_))), "{refused:?}");
    let refused = engine.create_context(CLUSTER, Language::R).await;
    assert!(matches!(refused, Err(EngineError::LanguageUnavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn polls_that_are_held_end_with_their_context() {
    let mut bench = Bench::running().await;
    let context = bench.engine.create_context(CLUSTER, PYTHON).await.unwrap();
    let command = bench.execute(context, "1").await;
    let (engine, name) = (bench.engine.clone(), context.to_string());
    let of_context = tokio::spawn({
        let (engine, name) = (engine.clone(), name.clone());
        async move { engine.context(CLUSTER, &name, LONG).await }
    });
    let of_command = tokio::spawn({
        let (engine, name) = (engine.clone(), name.clone());
        async move { engine.command(CLUSTER, &name, &command.to_string(), LONG).await }
    });
    tokio::task::yield_now().await;
    engine.destroy_context(CLUSTER, &name).await.unwrap();
    let view = soon("the poll to end", of_context).await.unwrap();
    assert!(matches!(view, Err(EngineError::UnknownContext(_))), "{view:?}");
    let view = soon("the poll to end", of_command).await.unwrap();
    assert!(matches!(view, Err(EngineError::UnknownContext(_))), "{view:?}");
    // The driver is told what a context runs before it is told of its end.
    bench.driver.heard(ToDriver::Open { context, language: PYTHON }).await;
    bench.driver.executed(command).await;
    bench.driver.heard(ToDriver::Close { context }).await;
    // Late words about what is gone change nothing.
    bench.driver.say(DriverEvent::ContextRunning { context }).await;
    bench.driver.finish(context, command, "late").await;
    bench.driver.acknowledged().await;
    assert_eq!(bench.context_status(context).await, None);
}

#[tokio::test]
async fn a_queued_command_that_is_cancelled_is_shown_so_at_once() {
    let mut bench = Bench::running().await;
    let context = bench.context().await;
    let command = bench.execute(context, "1").await;
    bench.driver.executed(command).await;
    let engine = bench.engine.clone();
    let asked = tokio::spawn(async move { engine.cancel(CLUSTER, &context.to_string(), &command.to_string()).await });
    bench.driver.heard(ToDriver::Cancel { context, command }).await;
    bench.driver.say(DriverEvent::Cancelled { context, command, lost: None }).await;
    soon("the cancel to end", asked).await.unwrap().unwrap();
    assert_eq!(bench.status(context, command).await, CommandStatus::Cancelled);
    // Asking again changes nothing, and is not passed on.
    bench.cancel(context, command).await;
    let next = bench.execute(context, "2").await;
    bench.driver.executed(next).await;
}

#[tokio::test]
async fn a_result_that_meets_a_cancel_is_not_shown() {
    let mut bench = Bench::running().await;
    let context = bench.context().await;
    let command = bench.execute(context, "1").await;
    bench.driver.executed(command).await;
    bench.driver.say(DriverEvent::Started { context, command }).await;
    bench.driver.acknowledged().await;
    bench.cancel(context, command).await;
    assert_eq!(bench.status(context, command).await, CommandStatus::Cancelling);
    bench.driver.finish(context, command, "too late").await;
    assert_eq!(bench.over(context, command).await.status, CommandStatus::Cancelled);
}

#[tokio::test]
async fn clusters_are_ended_or_left_as_told() {
    let mut bench = Bench::running_with(Limits::default(), true).await;
    bench.context().await;
    let engine = bench.engine.clone();
    let stopped = tokio::spawn(async move { engine.stop(OnStop::EndClusters).await });
    bench.driver.heard(ToDriver::Stop {}).await;
    assert_eq!(bench.engine.cluster(CLUSTER).unwrap().status, ClusterStatus::Terminating);
    bench.driver.hang_up();
    bench.kill_child(Signal::SIGTERM);
    soon("the engine to stop", stopped).await.unwrap();
    let record = bench.store.cluster(&id()).await.unwrap().unwrap();
    assert_eq!(record.state, ClusterState::Terminated);

    // Started again it is clean.
    bench.restart().await;
    bench.engine.start_cluster(CLUSTER, Cause::Server).await.unwrap();
    bench.driver = FakeDriver::listen(bench.dir.path());
    bench.driver.accept().await;
    bench.driver.ready().await;
    soon("the cluster to run", bench.engine.wait_running(CLUSTER)).await.unwrap();
    assert!(bench.store.contexts(&id()).await.unwrap().is_empty());
    bench.context().await;

    bench.engine.stop(OnStop::LeaveClusters).await;
    assert!(bench.driver.asked().await.is_none(), "it is left alone");
    let record = bench.store.cluster(&id()).await.unwrap().unwrap();
    assert_eq!(record.state, ClusterState::Running);
}

#[tokio::test]
async fn a_context_that_was_stored_while_the_cluster_was_lost_is_lost_too() {
    let mut bench = Bench::running().await;
    bench.driver.say(DriverEvent::Failed { code: TerminationCode::SparkError, reason: "out of memory".into() }).await;
    bench.until(ClusterStatus::Error).await;
    // As `create_context` does it, with the loss in between.
    let (cluster, context) = (bench.engine.find(CLUSTER).unwrap(), ContextId::generate());
    cluster.board().add(context, 10);
    bench.store.insert_context(&id(), context, PYTHON).await.unwrap();
    cluster.tell(Request::Open { context, language: PYTHON }).await.unwrap();
    assert_eq!(bench.context_status(context).await, Some(ContextStatus::Error));
}

#[tokio::test]
async fn callers_beside_each_other_are_served_in_the_order_of_their_numbers() {
    const CALLERS: u64 = 50;
    let mut bench = Bench::running().await;
    let context = bench.context().await;
    let engine = bench.engine.clone();
    let callers = (0..CALLERS).map(|n| {
        let engine = engine.clone();
        tokio::spawn(async move {
            engine.execute(CLUSTER, &context.to_string(), PYTHON, n.to_string(), None).await.unwrap()
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut ran = Vec::new();
    for expected in 1..=CALLERS {
        let Some((ToDriver::Execute { command, sequence, .. }, source)) = bench.driver.asked().await else {
            panic!("every caller is served");
        };
        assert_eq!(sequence, expected);
        bench.driver.finish(context, command, &source).await;
        ran.push((command, source));
    }
    for (n, caller) in callers.into_iter().enumerate() {
        let command = caller.await.unwrap();
        assert!(ran.contains(&(command, n.to_string())));
        assert_eq!(text(&bench.over(context, command).await), n.to_string());
    }
}
