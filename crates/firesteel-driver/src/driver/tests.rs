//! The driver whole, in this process, with real sockets and real children: `tests/fake_peers.py` stands in for the JVM and
//! for the Python parent, the tests for the server.

mod executors;
mod libraries;
mod master;
mod r;
mod results;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use firesteel_api::v2::termination::TerminationCode;
use firesteel_api::{ClusterId, CommandId, ContextId, Language};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use crate::protocol::VERSION;
use crate::protocol::frame;
use crate::protocol::interpreters::{Answer, Hello, InterpreterId, ResultLimits, Role};
use crate::protocol::link::{DriverEvent, FromDriver, HeldContext, ToDriver};
use crate::protocol::secrets::SecretAnswer;
use crate::spec::{CommandSpec, DriverSpec, SpareCounts};

/// How long anything may take before its test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// One driver in a folder of its own.
struct Bench {
    spec: DriverSpec,
    driver: JoinHandle<std::io::Result<()>>,
    mark: String,
    _folder: TempDir,
}

impl Bench {
    async fn start() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(change: impl FnOnce(&mut DriverSpec)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fake = |role: &str| CommandSpec {
            program: "/usr/bin/env".into(),
            args: vec!["python3".into(), peers().display().to_string(), role.into()],
            env: BTreeMap::new(),
        };
        let mut spec = DriverSpec {
            cluster: cluster(),
            folder: folder.path().join("cluster"),
            sockets: folder.path().join("s"),
            jvm: fake("jvm"),
            python: fake("python"),
            r: Some(fake("r")),
            executors: None,
            properties: None,
            conf: BTreeMap::new(),
            runtime_version: "17.3".into(),
            limits: ResultLimits {
                rows_max: 10,
                table_bytes_max: 1000,
                text_chars_max: 1000,
                result_bytes_max: 1_000_000,
                result_seconds_max: 60,
            },
            results_bytes_max: 4_000_000,
            output_bytes_max: 1_000_000,
            spares: SpareCounts { scala: 1, python: 1, sql: 1, r: 0 },
            libraries: Vec::new(),
            library_seconds_max: 60,
            orphan_seconds: 600,
            context_memory_mb: 0,
            cancel_seconds_max: 1,
            command_seconds_max: 0,
        };
        change(&mut spec);
        let driver = tokio::spawn(super::run(spec.clone()));
        let mark_file = spec.folder.join("mark");
        let mark =
            wait("the driver listens", || std::fs::read_to_string(&mark_file).ok().filter(|mark| !mark.is_empty()));
        let mark = mark.await;
        Self { spec, driver, mark, _folder: folder }
    }

    async fn connect(&self) -> Server {
        let stream = UnixStream::connect(self.spec.link_socket()).await.unwrap();
        let mut server =
            Server { stream, contexts: Vec::new(), sequences: BTreeMap::new(), last: 0, printed: BTreeMap::new() };
        server.ask(ToDriver::Hello { version: VERSION, cluster: cluster() }, None).await;
        match server.read().await.expect("a welcome").0 {
            FromDriver::Welcome { contexts, .. } => server.contexts = contexts,
            other => panic!("{other:?}"),
        }
        server
    }

    /// A driver whose Spark is up, and its server.
    async fn ready() -> (Self, Server) {
        Self::ready_with(|_| ()).await
    }

    /// The same, with a spec that is changed.
    async fn ready_with(change: impl FnOnce(&mut DriverSpec)) -> (Self, Server) {
        let bench = Self::with(change).await;
        let mut server = bench.connect().await;
        assert!(matches!(server.event().await.0, DriverEvent::Ready { .. }));
        (bench, server)
    }

    /// What the driver has said to the JVM or to the Python parent.
    fn heard(&self, role: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.spec.folder.join(format!("{role}.heard"))).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn count(&self, role: &str, kind: &str) -> usize {
        self.heard(role).iter().filter(|message| message["type"] == kind).count()
    }

    /// Ends the driver. A test that left an event unread, or a process or a file behind, fails here.
    async fn stop(self, mut server: Server) {
        server.ask(ToDriver::Stop {}, None).await;
        if let Some((FromDriver::Event { what, .. }, _)) = server.read().await {
            panic!("nobody asked for {what:?}");
        }
        self.ended().await;
    }

    async fn ended(self) {
        tokio::time::timeout(PATIENCE, self.driver).await.expect("the driver ends").unwrap().unwrap();
        assert_eq!(marked(&self.mark), Vec::<i32>::new(), "processes left behind");
        assert_eq!(std::fs::read_dir(&self.spec.sockets).unwrap().count(), 0, "sockets and pipes left behind");
        assert!(!self.spec.folder.join("mark").exists());
    }
}

/// The server's end of a link.
struct Server {
    stream: UnixStream,
    contexts: Vec<HeldContext>,
    sequences: BTreeMap<ContextId, u64>,
    last: u64,
    /// What commands have printed, as it came.
    printed: BTreeMap<CommandId, String>,
}

impl Server {
    async fn ask(&mut self, ask: ToDriver, payload: Option<&[u8]>) {
        frame::write(&mut self.stream, &ask, payload).await.unwrap();
    }

    async fn read(&mut self) -> Option<(FromDriver, Option<Bytes>)> {
        let read = frame::read::<FromDriver, _>(&mut self.stream);
        let message = tokio::time::timeout(PATIENCE, read).await.expect("the driver says something");
        message.ok().flatten().map(|message| (message.head, message.payload))
    }

    /// The next event. Output before it is put aside.
    async fn event(&mut self) -> (DriverEvent, String) {
        loop {
            let (what, payload) = self.any_event().await;
            match what {
                DriverEvent::Output { command, offset, .. } => {
                    let printed = self.printed.entry(command).or_default();
                    assert!(printed.len() as u64 <= offset, "printed twice: {payload}");
                    *printed += &payload;
                }
                what => return (what, payload),
            }
        }
    }

    async fn any_event(&mut self) -> (DriverEvent, String) {
        match self.read().await.expect("the link goes on") {
            (FromDriver::Event { event, what }, payload) => {
                self.last = event;
                (what, String::from_utf8(payload.unwrap_or_default().into()).unwrap())
            }
            (other, _) => panic!("{other:?}"),
        }
    }

    async fn ack(&mut self) {
        self.ask(ToDriver::Ack { event: self.last }, None).await;
    }

    async fn open(&mut self, language: Language) -> ContextId {
        let context = ContextId::generate();
        self.ask(ToDriver::Open { context, language }, None).await;
        assert_eq!(self.event().await.0, DriverEvent::ContextRunning { context });
        context
    }

    async fn execute(&mut self, context: ContextId, language: Language, source: &str) -> CommandId {
        self.execute_for(context, language, source, None).await
    }

    async fn execute_for(
        &mut self,
        context: ContextId,
        language: Language,
        source: &str,
        timeout_seconds: Option<u64>,
    ) -> CommandId {
        let command = CommandId::generate();
        let sequence = self.sequences.entry(context).or_default();
        *sequence += 1;
        let ask = ToDriver::Execute { context, command, sequence: *sequence, language, timeout_seconds };
        self.ask(ask, Some(source.as_bytes())).await;
        command
    }

    async fn started(&mut self, context: ContextId, command: CommandId) {
        assert_eq!(self.event().await.0, DriverEvent::Started { context, command });
    }

    async fn finished(&mut self, context: ContextId, command: CommandId) -> Value {
        let (what, results) = self.event().await;
        assert_eq!(what, DriverEvent::Finished { context, command });
        serde_json::from_str(&results).unwrap()
    }

    /// Runs a command to its end and returns its text.
    async fn run(&mut self, context: ContextId, language: Language, source: &str) -> String {
        let command = self.execute(context, language, source).await;
        self.started(context, command).await;
        let results = self.finished(context, command).await;
        assert_eq!(results["resultType"], "text", "{results}");
        results["data"].as_str().unwrap().to_owned()
    }

    async fn cancel(&mut self, context: ContextId, command: CommandId) {
        self.ask(ToDriver::Cancel { context, command }, None).await;
    }

    /// What a cancel took with it.
    async fn killed(&mut self, context: ContextId, command: CommandId) -> String {
        match self.event().await.0 {
            DriverEvent::Cancelled { context: of, command: killed, lost } if (of, killed) == (context, command) => {
                lost.expect("something was lost")
            }
            other => panic!("{other:?}"),
        }
    }

    async fn lost(&mut self, context: ContextId, command: CommandId) -> String {
        match self.event().await.0 {
            DriverEvent::Lost { context: lost, command: of, reason } if (lost, of) == (context, command) => reason,
            other => panic!("{other:?}"),
        }
    }
}

fn cluster() -> ClusterId {
    "1122-132406-test1".parse().unwrap()
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_peers.py")
}

/// The processes that a driver is the ancestor of.
fn marked(mark: &str) -> Vec<i32> {
    let wanted = format!("{}={mark}", crate::process::MARK);
    let alive = |pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(alive).collect()
}

async fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        match look() {
            Some(seen) => return seen,
            None => assert!(tokio::time::Instant::now() < end, "waited for: {what}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn greet<A: Serialize, B: DeserializeOwned>(socket: &Path, hello: &A) -> Option<B> {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    frame::write(&mut stream, hello, None).await.unwrap();
    frame::read(&mut stream).await.unwrap().map(|message| message.head)
}

const PYTHON: Language = Language::Python;
const SCALA: Language = Language::Scala;
const SQL: Language = Language::Sql;
const R: Language = Language::R;

#[tokio::test]
async fn spares_are_made_ahead_and_one_that_is_taken_is_replaced() {
    let (bench, mut server) = Bench::ready().await;
    wait("one spare of each language", || {
        (bench.count("python", "fork") == 1 && bench.count("jvm", "open") == 2).then_some(())
    })
    .await;
    let pipes = || std::fs::read_dir(&bench.spec.sockets).unwrap().count() - 2;
    wait("its pipe has no name any more", || (pipes() == 0).then_some(())).await;
    server.open(PYTHON).await;
    wait("the next spare", || (bench.count("python", "fork") == 2).then_some(())).await;
    bench.stop(server).await;
}

#[tokio::test]
async fn a_command_is_started_then_finished_with_what_it_printed() {
    let (bench, mut server) = Bench::ready().await;
    for language in [PYTHON, SCALA, R] {
        let context = server.open(language).await;
        assert_eq!(server.run(context, language, "echo 42").await, "42");
        assert_eq!(server.run(context, language, "print a\nb").await, "a\nb");
        assert_eq!(server.run(context, language, "alone only").await, "only");
        let command = server.execute(context, language, "images /plots/1.png").await;
        server.started(context, command).await;
        let images = json!({"resultType": "images", "fileNames": ["/plots/1.png"], "data": "before"});
        assert_eq!(server.finished(context, command).await, images);
    }
    bench.stop(server).await;
}

#[tokio::test]
async fn commands_sent_before_the_context_runs_wait_and_keep_their_order_across_languages() {
    let bench = Bench::start().await;
    let mut server = bench.connect().await;
    let context = ContextId::generate();
    server.ask(ToDriver::Open { context, language: PYTHON }, None).await;
    let mut commands = Vec::new();
    for (n, language) in [PYTHON, SQL, SCALA, PYTHON, SCALA, SQL].into_iter().cycle().take(24).enumerate() {
        commands.push((server.execute(context, language, &format!("echo {n}")).await, n.to_string()));
    }
    assert!(matches!(server.event().await.0, DriverEvent::Ready { .. }));
    assert_eq!(server.event().await.0, DriverEvent::ContextRunning { context });
    for (command, text) in commands {
        server.started(context, command).await;
        assert_eq!(server.finished(context, command).await["data"], *text);
    }
    bench.stop(server).await;
}

#[tokio::test]
async fn contexts_run_at_the_same_time() {
    let (bench, mut server) = Bench::ready().await;
    let (slow, quick) = (server.open(PYTHON).await, server.open(PYTHON).await);
    let command = server.execute(slow, PYTHON, "wait").await;
    server.started(slow, command).await;
    assert_eq!(server.run(quick, PYTHON, "echo 1").await, "1");
    server.cancel(slow, command).await;
    assert_eq!(server.event().await.0, DriverEvent::Cancelled { context: slow, command, lost: None });
    bench.stop(server).await;
}

#[tokio::test]
async fn a_command_that_is_sent_again_runs_once() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(PYTHON).await;
    let command = CommandId::generate();
    let again = ToDriver::Execute { context, command, sequence: 1, language: PYTHON, timeout_seconds: None };
    server.ask(again.clone(), Some(b"echo 1")).await;
    server.ask(again.clone(), Some(b"echo 1")).await;
    server.started(context, command).await;
    server.finished(context, command).await;
    server.ask(again, Some(b"echo 1")).await;
    server.sequences.insert(context, 1);
    assert_eq!(server.run(context, PYTHON, "echo 2").await, "2");
    assert_eq!(bench.connect().await.contexts, [HeldContext { context, accepted: 2 }]);
    let mut server = bench.connect().await;
    let mut started = 0;
    while server.last < 6 {
        started += usize::from(matches!(server.event().await.0, DriverEvent::Started { .. }));
    }
    assert_eq!(started, 2);
    bench.stop(server).await;
}

#[tokio::test]
async fn a_queued_command_that_is_cancelled_never_starts() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(PYTHON).await;
    let first = server.execute(context, PYTHON, "wait").await;
    let second = server.execute(context, PYTHON, "echo 2").await;
    let third = server.execute(context, PYTHON, "echo 3").await;
    server.started(context, first).await;
    server.cancel(context, second).await;
    server.cancel(context, second).await;
    assert_eq!(server.event().await.0, DriverEvent::Cancelled { context, command: second, lost: None });
    server.cancel(context, first).await;
    assert_eq!(server.event().await.0, DriverEvent::Cancelled { context, command: first, lost: None });
    server.started(context, third).await;
    server.finished(context, third).await;
    bench.stop(server).await;
}

#[tokio::test]
async fn a_running_command_is_interrupted_and_its_interpreter_goes_on() {
    let (bench, mut server) = Bench::ready().await;
    for language in [PYTHON, SCALA, R] {
        let context = server.open(language).await;
        let before = server.run(context, language, "pid").await;
        let command = server.execute(context, language, "wait").await;
        server.started(context, command).await;
        server.cancel(context, command).await;
        assert_eq!(server.event().await.0, DriverEvent::Cancelled { context, command, lost: None });
        assert_eq!(server.run(context, language, "pid").await, before);
    }
    bench.stop(server).await;
}

#[tokio::test]
async fn python_code_that_does_not_stop_is_interrupted_again_and_then_killed() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(PYTHON).await;
    let before = server.run(context, PYTHON, "pid").await;
    let command = server.execute(context, PYTHON, "deaf x").await;
    server.started(context, command).await;
    wait("it is deaf", || bench.spec.folder.join("deaf").exists().then_some(())).await;
    server.cancel(context, command).await;
    let lost = server.killed(context, command).await;
    assert!(lost.contains("did not stop within 1s of its cancel") && lost.contains("fresh one"), "{lost}");
    let interrupts = std::fs::read_to_string(bench.spec.folder.join("interrupts")).unwrap();
    assert!(interrupts.len() > 1, "{interrupts}");
    assert_ne!(server.run(context, PYTHON, "pid").await, before);
    bench.stop(server).await;
}

#[tokio::test]
async fn a_command_whose_time_is_up_ends_with_an_error_that_names_the_limit() {
    let (bench, mut server) = Bench::ready().await;
    for language in [PYTHON, SCALA, R] {
        let context = server.open(language).await;
        let before = server.run(context, language, "pid").await;
        let command = server.execute_for(context, language, "wait", Some(1)).await;
        let next = server.execute_for(context, language, "pid", Some(600)).await;
        server.started(context, command).await;
        let results = server.finished(context, command).await;
        let text = "The command was stopped: it ran for longer than its time limit of 1s";
        assert_eq!(results, serde_json::json!({"resultType": "error", "summary": text, "cause": text}));
        server.started(context, next).await;
        assert_eq!(server.finished(context, next).await["data"], *before);
    }
    bench.stop(server).await;
}

#[tokio::test]
async fn code_that_outlives_its_limit_is_killed_or_lost_with_its_context() {
    let bench = Bench::with(|spec| {
        spec.conf.insert("spark.databricks.execution.timeout".into(), "2".into());
        spec.command_seconds_max = 1;
    });
    let bench = bench.await;
    let mut server = bench.connect().await;
    assert!(matches!(server.event().await.0, DriverEvent::Ready { .. }));
    let (python, scala) = (server.open(PYTHON).await, server.open(SCALA).await);
    let command = server.execute_for(python, PYTHON, "deaf x", Some(0)).await;
    server.started(python, command).await;
    let said = server.finished(python, command).await["summary"].to_string();
    assert!(said.contains("time limit of 1s: the code did not stop within 1s") && said.contains("fresh one"), "{said}");
    let command = server.execute(scala, SCALA, "deaf-thread").await;
    server.started(scala, command).await;
    assert!(server.lost(scala, command).await.contains("within 1s of its time limit of 1s"));
    assert!(matches!(server.event().await.0, DriverEvent::ContextFailed { .. }));
    bench.stop(server).await;
}

#[tokio::test]
async fn a_cancel_after_the_time_is_up_is_a_cancel() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(PYTHON).await;
    let command = server.execute_for(context, PYTHON, "deaf x", Some(1)).await;
    server.started(context, command).await;
    wait("it is interrupted", || bench.spec.folder.join("interrupts").exists().then_some(())).await;
    server.cancel(context, command).await;
    assert!(server.killed(context, command).await.contains("of its cancel"));
    bench.stop(server).await;
}

#[tokio::test]
async fn code_in_the_jvm_that_does_not_stop_is_lost_with_its_context() {
    let (bench, mut server) = Bench::ready().await;
    let (context, other) = (server.open(SCALA).await, server.open(SCALA).await);
    let command = server.execute(context, SCALA, "deaf-thread").await;
    server.started(context, command).await;
    server.cancel(context, command).await;
    assert!(server.lost(context, command).await.contains("did not stop"));
    match server.event().await.0 {
        DriverEvent::ContextFailed { context: failed, reason } => {
            assert_eq!(failed, context);
            assert!(reason.contains("make a new one"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.run(other, SCALA, "echo 1").await, "1");
    wait("the JVM is told", || (bench.count("jvm", "close_context") == 1).then_some(())).await;
    bench.stop(server).await;
}

#[tokio::test]
async fn an_interpreter_that_dies_says_how_and_the_next_command_gets_a_fresh_one() {
    let (bench, mut server) = Bench::ready().await;
    let (context, other) = (server.open(PYTHON).await, server.open(PYTHON).await);
    let others = server.run(other, PYTHON, "pid").await;
    let deaths = [
        ("exit 3", "exit status 3"),
        ("kill 11", "killed by signal 11 (SIGSEGV)"),
        ("garbage", "something other than the interpreter's own answers"),
        ("close", "it closed its connection"),
        ("unasked", "a question that was not asked"),
    ];
    for (source, reason) in deaths {
        let before = server.run(context, PYTHON, "pid").await;
        let command = server.execute(context, PYTHON, source).await;
        server.started(context, command).await;
        let next = server.execute(context, PYTHON, "pid").await;
        let said = server.lost(context, command).await;
        assert!(said.contains(reason) && said.contains("fresh one"), "{source}: {said}");
        server.started(context, next).await;
        assert_ne!(server.finished(context, next).await["data"], *before, "{source}");
    }
    assert_eq!(server.run(other, PYTHON, "pid").await, others);
    bench.stop(server).await;
}

#[tokio::test]
async fn an_answer_for_another_command_is_not_taken() {
    let (bench, mut server) = Bench::ready().await;
    let (context, other) = (server.open(PYTHON).await, server.open(PYTHON).await);
    let victim = server.execute(other, PYTHON, "wait").await;
    server.started(other, victim).await;
    let forger = server.execute(context, PYTHON, &format!("forge {victim}")).await;
    server.started(context, forger).await;
    assert!(server.lost(context, forger).await.contains("a command that it does not run"));
    server.cancel(other, victim).await;
    assert_eq!(server.event().await.0, DriverEvent::Cancelled { context: other, command: victim, lost: None });
    bench.stop(server).await;
}

#[tokio::test]
async fn a_result_that_was_sent_before_the_process_ended_is_kept() {
    let (bench, mut server) = Bench::ready().await;
    for n in 0..10 {
        let context = server.open(PYTHON).await;
        assert_eq!(server.run(context, PYTHON, &format!("last-word {n}")).await, n.to_string());
    }
    bench.stop(server).await;
}

#[tokio::test]
async fn an_interpreter_that_asks_for_a_restart_is_replaced() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(PYTHON).await;
    let before = server.run(context, PYTHON, "pid").await;
    server.run(context, PYTHON, "restart").await;
    assert_ne!(server.run(context, PYTHON, "pid").await, before);
    bench.stop(server).await;
}

#[tokio::test]
async fn what_was_printed_is_told_before_the_end_whatever_that_is() {
    let (bench, mut server) = Bench::ready().await;
    for (language, word) in [(PYTHON, "exit"), (R, "exit"), (PYTHON, "garbage"), (PYTHON, "wait"), (SCALA, "wait")] {
        let context = server.open(language).await;
        let text = format!("of {language}, {word}");
        let command = server.execute(context, language, &format!("print-and {word} {text}")).await;
        server.started(context, command).await;
        if word == "wait" {
            let DriverEvent::Output { .. } = server.any_event().await.0 else { panic!("it is told while it runs") };
            server.cancel(context, command).await;
            assert_eq!(server.event().await.0, DriverEvent::Cancelled { context, command, lost: None });
        } else {
            server.lost(context, command).await;
            assert_eq!(server.printed[&command], text);
        }
    }
    bench.stop(server).await;
}

#[tokio::test]
async fn a_secret_that_was_told_is_shown_by_no_command_of_the_cluster() {
    let (bench, mut server) = Bench::ready().await;
    let scala = server.open(SCALA).await;
    let command = server.execute(scala, SCALA, "show-secret").await;
    server.started(scala, command).await;
    let (FromDriver::SecretAsk(ask), _) = server.read().await.unwrap() else { panic!("it asks") };
    let value = Some(BASE64_STANDARD.encode("hunter2"));
    let answer = SecretAnswer { ask: ask.ask, error: None, value, names: Vec::new() };
    server.ask(ToDriver::SecretAnswer(answer), None).await;
    assert_eq!(server.finished(scala, command).await["data"], "a [REDACTED]\n[REDACTED]");
    assert_eq!(server.printed[&command], "a [REDACTED]\n");
    for language in [PYTHON, R] {
        let context = server.open(language).await;
        let command = server.execute(context, language, "print hunter2, hunt").await;
        server.started(context, command).await;
        assert_eq!(server.finished(context, command).await["data"], "[REDACTED], hunt");
        assert_eq!(server.printed[&command], "[REDACTED], hunt");
    }
    let python = server.open(PYTHON).await;
    let last = server.execute(python, PYTHON, "print-and exit hunter2, hunt").await;
    server.started(python, last).await;
    server.lost(python, last).await;
    assert_eq!(server.printed[&last], "[REDACTED], hunt");
    bench.stop(server).await;
}

#[tokio::test]
async fn output_without_end_holds_up_neither_a_cancel_nor_other_contexts() {
    // On a busy machine an interrupt takes its time: what does not stop would be seen as such much later.
    let (bench, mut server) = Bench::ready_with(|spec| spec.cancel_seconds_max = 60).await;
    let (context, other) = (server.open(PYTHON).await, server.open(SCALA).await);
    let command = server.execute(context, PYTHON, "flood").await;
    server.started(context, command).await;
    assert_eq!(server.run(other, SCALA, "echo 1").await, "1");
    server.cancel(context, command).await;
    assert_eq!(server.event().await.0, DriverEvent::Cancelled { context, command, lost: None });
    // What it left behind still writes.
    assert!(server.run(context, PYTHON, "echo 2").await.len() <= 1100);
    bench.stop(server).await;
}

#[tokio::test]
async fn the_jvm_takes_the_cluster_with_it() {
    let (bench, mut server) = Bench::ready().await;
    let (context, python) = (server.open(SCALA).await, server.open(PYTHON).await);
    server.run(python, PYTHON, "pid").await;
    let command = server.execute(context, SCALA, "exit 52").await;
    server.started(context, command).await;
    let DriverEvent::Failed { reason, .. } = server.event().await.0 else { panic!("the cluster goes on") };
    assert!(reason.contains("exit status 52"), "{reason}");
    wait("no process is left", || marked(&bench.mark).is_empty().then_some(())).await;
    // It waits until this is known.
    assert!(!bench.driver.is_finished());
    server.ack().await;
    bench.ended().await;
}

#[tokio::test]
async fn spark_that_does_not_start_says_why() {
    let bench = Bench::with(|spec| drop(spec.conf.insert("fake".into(), "failed".into()))).await;
    let mut server = bench.connect().await;
    let reason = "Spark did not start: no master".to_owned();
    assert_eq!(server.event().await.0, DriverEvent::Failed { code: TerminationCode::SparkStartupFailure, reason });
    server.ack().await;
    bench.ended().await;
}

#[tokio::test]
async fn a_jvm_that_cannot_be_started_is_told_and_leaves_nothing() {
    let bench = Bench::with(|spec| spec.jvm.program = "/nowhere/java".into()).await;
    let mut server = bench.connect().await;
    let DriverEvent::Failed { reason, .. } = server.event().await.0 else { panic!("there is no JVM") };
    assert!(reason.contains("cannot be started"), "{reason}");
    server.ack().await;
    bench.ended().await;
}

#[tokio::test]
async fn the_python_parent_takes_its_interpreters_and_is_started_again() {
    let (bench, mut server) = Bench::ready().await;
    let (context, sql) = (server.open(PYTHON).await, server.open(SQL).await);
    let command = server.execute(context, PYTHON, "kill-parent").await;
    server.started(context, command).await;
    let reason = server.lost(context, command).await;
    assert!(reason.contains("the parent of the Python processes ended: killed by signal 9"), "{reason}");
    assert_eq!(server.run(sql, SQL, "echo 1").await, "1");
    assert_eq!(server.run(context, PYTHON, "echo 2").await, "2");
    bench.stop(server).await;
}

#[tokio::test]
async fn a_python_that_cannot_be_had_fails_what_needs_it_and_nothing_else() {
    let bench =
        Bench::with(|spec| spec.python.args = vec!["sh".into(), "-c".into(), "echo no numpy; exit 1".into()]).await;
    let mut server = bench.connect().await;
    assert!(matches!(server.event().await.0, DriverEvent::Ready { .. }));
    let context = ContextId::generate();
    server.ask(ToDriver::Open { context, language: PYTHON }, None).await;
    let DriverEvent::ContextFailed { reason, .. } = server.event().await.0 else { panic!("there is no Python") };
    assert!(reason.contains("keeps ending") && reason.contains("no numpy"), "{reason}");
    let sql = server.open(SQL).await;
    // A long queue of what cannot run ends in order, and what can goes on behind it.
    let mut commands = Vec::new();
    for _ in 0..2000 {
        commands.push(server.execute(sql, PYTHON, "echo 1").await);
    }
    for command in commands {
        server.lost(sql, command).await;
    }
    assert_eq!(server.run(sql, SQL, "echo 1").await, "1");
    bench.stop(server).await;
}

#[tokio::test]
async fn an_interpreter_that_the_jvm_cannot_make_fails_its_context() {
    let bench = Bench::with(|spec| drop(spec.conf.insert("fake".into(), "no-sql".into()))).await;
    let mut server = bench.connect().await;
    assert!(matches!(server.event().await.0, DriverEvent::Ready { .. }));
    let context = ContextId::generate();
    server.ask(ToDriver::Open { context, language: SQL }, None).await;
    let reason = "the sql interpreter cannot be had: no SQL today".to_owned();
    assert_eq!(server.event().await.0, DriverEvent::ContextFailed { context, reason });
    let python = server.open(PYTHON).await;
    let command = server.execute(python, SQL, "echo 1").await;
    assert!(server.lost(python, command).await.contains("no SQL today"));
    bench.stop(server).await;
}

#[tokio::test]
async fn a_newer_connection_ends_the_older_and_gets_what_was_not_acknowledged() {
    let (bench, mut older) = Bench::ready().await;
    let context = older.open(PYTHON).await;
    older.ask(ToDriver::Ack { event: 1 }, None).await;
    older.run(context, PYTHON, "echo 1").await;
    let mut newer = bench.connect().await;
    assert!(older.read().await.is_none());
    assert_eq!(newer.contexts, [HeldContext { context, accepted: 1 }]);
    assert_eq!(newer.event().await.0, DriverEvent::ContextRunning { context });
    assert_eq!(newer.last, 2);
    assert!(matches!(newer.event().await.0, DriverEvent::Started { .. }));
    assert!(newer.event().await.1.contains(r#""data":"1""#));
    newer.ack().await;
    newer.sequences.insert(context, 1);
    newer.run(context, PYTHON, "echo 2").await;
    drop(newer);
    let mut last = bench.connect().await;
    assert!(matches!(last.event().await.0, DriverEvent::Started { .. }));
    assert_eq!(last.last, 5);
    last.event().await;
    bench.stop(last).await;
}

#[tokio::test]
async fn commands_go_on_while_there_is_no_server() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(PYTHON).await;
    let (first, second) =
        (server.execute(context, PYTHON, "print 1").await, server.execute(context, PYTHON, "echo 2").await);
    drop(server);
    let mut server = bench.connect().await;
    // What had been written when the link ended is known; what had not would be sent again by the server.
    assert_eq!(server.contexts, [HeldContext { context, accepted: 2 }]);
    assert!(matches!(server.event().await.0, DriverEvent::Ready { .. }));
    assert!(matches!(server.event().await.0, DriverEvent::ContextRunning { .. }));
    for command in [first, second] {
        server.started(context, command).await;
        server.finished(context, command).await;
    }
    bench.stop(server).await;
}

#[tokio::test]
async fn a_driver_without_a_server_ends_itself_and_every_child() {
    let bench = Bench::with(|spec| spec.orphan_seconds = 1).await;
    let mut server = bench.connect().await;
    server.event().await;
    let context = server.open(PYTHON).await;
    let command = server.execute(context, PYTHON, "wait").await;
    server.started(context, command).await;
    drop(server);
    bench.ended().await;
}

#[tokio::test]
async fn strangers_are_refused() {
    let (bench, server) = Bench::ready().await;
    let socket = bench.spec.interpreters_socket();
    let roles = [Role::Jvm, Role::Python, Role::Interpreter { interpreter: InterpreterId(1) }];
    for role in roles {
        let hello = Hello { version: VERSION, role, key: "guess".into(), pid: 1 };
        assert!(matches!(greet(&socket, &hello).await, Some(Answer::Refused { .. })));
    }
    let link = bench.spec.link_socket();
    for (version, name) in [(VERSION + 1, cluster()), (VERSION, "another".parse().unwrap())] {
        let answer = greet(&link, &ToDriver::Hello { version, cluster: name }).await;
        assert!(matches!(answer, Some(FromDriver::Refused { .. })), "{answer:?}");
    }
    let answer = greet::<_, FromDriver>(&link, &ToDriver::Stop {}).await;
    assert!(matches!(answer, Some(FromDriver::Refused { .. })), "{answer:?}");
    bench.stop(server).await;
}

#[tokio::test]
async fn a_context_that_is_closed_takes_what_it_runs_with_it() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(PYTHON).await;
    let pid: i32 = server.run(context, PYTHON, "pid").await.parse().unwrap();
    let command = server.execute(context, PYTHON, "deaf x").await;
    server.started(context, command).await;
    server.ask(ToDriver::Close { context }, None).await;
    wait("its process is gone", || (!marked(&bench.mark).contains(&pid)).then_some(())).await;
    let late = server.execute(context, PYTHON, "echo 1").await;
    assert!(server.lost(context, late).await.contains("not known"));
    bench.stop(server).await;
}

#[tokio::test]
async fn the_first_line_of_a_command_names_its_language() {
    let bench = Bench::with(|spec| spec.r = None).await;
    let mut server = bench.connect().await;
    assert!(matches!(server.event().await.0, DriverEvent::Ready { .. }));
    let context = server.open(SQL).await;
    let own = server.run(context, SQL, "pid").await;
    let python = server.run(context, PYTHON, "pid").await;
    assert_eq!(server.run(context, SQL, "%python pid").await, python);
    assert_ne!(python, own);
    for (code, kind) in [("%md *x*", "text"), ("%run ./other", "error"), ("%r 1", "error"), ("%run", "error")] {
        let command = server.execute(context, PYTHON, code).await;
        server.started(context, command).await;
        assert_eq!(server.finished(context, command).await["resultType"], kind, "{code}");
    }
    bench.stop(server).await;
}

#[tokio::test]
async fn a_second_driver_of_a_folder_is_refused() {
    let (bench, server) = Bench::ready().await;
    let second = super::run(bench.spec.clone()).await.unwrap_err();
    assert!(second.to_string().contains("another driver"), "{second}");
    bench.stop(server).await;
}

#[tokio::test]
async fn nothing_new_is_started_while_too_much_is_not_acknowledged() {
    let (bench, mut server) = Bench::ready().await;
    let context = server.open(PYTHON).await;
    let big = format!("images {}", "x".repeat(600 << 10));
    for _ in 0..2 {
        let command = server.execute(context, PYTHON, &big).await;
        server.started(context, command).await;
        server.finished(context, command).await;
    }
    let (third, fourth) =
        (server.execute(context, PYTHON, "echo 3").await, server.execute(context, PYTHON, "echo 4").await);
    server.cancel(context, third).await;
    assert_eq!(server.event().await.0, DriverEvent::Cancelled { context, command: third, lost: None });
    server.ack().await;
    server.started(context, fourth).await;
    server.finished(context, fourth).await;
    bench.stop(server).await;
}

#[tokio::test]
async fn a_jvm_that_hangs_up_and_lives_on_is_killed() {
    let bench = Bench::with(|spec| drop(spec.conf.insert("fake".into(), "hang".into()))).await;
    let mut server = bench.connect().await;
    assert!(matches!(server.event().await.0, DriverEvent::Ready { .. }));
    let DriverEvent::Failed { reason, .. } = server.event().await.0 else { panic!("the JVM is out of reach") };
    assert!(reason.contains("the control connection ended"), "{reason}");
    server.ack().await;
    bench.ended().await;
}
