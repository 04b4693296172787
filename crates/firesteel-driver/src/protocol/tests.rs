//! The sample frames of `tests/frames/`, which the tests of every side read: each parses into its type and comes back the
//! same, and every message has one.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::protocol::frame;
use crate::protocol::interpreters::{
    Answer, FromInterpreter, FromJvm, FromNode, FromPythonParent, Hello, Launch, LaunchNode, LaunchR, Outcome, Role,
    ToInterpreter, ToJvm, ToPythonParent,
};
use crate::protocol::link::{DriverEvent, FromDriver, ToDriver};
use crate::protocol::results::FromResult;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/frames").join(name)
}

fn samples(name: &str) -> Vec<(String, Value)> {
    let entries = std::fs::read_dir(folder(name)).unwrap();
    let sample = |path: PathBuf| {
        let json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), json)
    };
    entries.map(|entry| sample(entry.unwrap().path())).collect()
}

/// Reads every sample of a folder as `T`, writes it again and compares; and checks that together they are all of
/// `kinds`. `kind` is an exhaustive match, so that a new message does not compile before it is named there.
#[track_caller]
fn check<T: DeserializeOwned + Serialize>(name: &str, kind: fn(&T) -> &'static str, kinds: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut seen = BTreeSet::new();
    for (file, json) in samples(name) {
        let payload = (json["payload"] == Value::Bool(true)).then_some(&b"bulk"[..]);
        let mut bytes = Vec::new();
        runtime.block_on(frame::write(&mut bytes, &json_head(&json), payload)).unwrap();
        let message = runtime.block_on(frame::read::<T, _>(&mut &bytes[..])).unwrap().unwrap();
        assert_eq!(message.payload.as_deref(), payload, "{name}/{file}");
        let again = frame::encode(&message.head, payload).unwrap();
        let length = u32::from_be_bytes(again[..4].try_into().unwrap()) as usize;
        let again: Value = serde_json::from_slice(&again[4..4 + length]).unwrap();
        assert_eq!(again, json, "{name}/{file}");
        let kind = kind(&message.head);
        assert!(file.starts_with(kind), "{name}/{file} is a {kind}");
        seen.insert(kind);
    }
    assert_eq!(seen, kinds.iter().copied().collect(), "{name}");
}

fn json_head(json: &Value) -> Value {
    let mut head = json.clone();
    head.as_object_mut().unwrap().remove("payload");
    head
}

/// One folder of samples: a test, with the kind of every variant.
macro_rules! samples {
    ($test:ident, $folder:literal, $type:ty, $($pattern:pat => $kind:literal),+ $(,)?) => {
        #[test]
        fn $test() {
            check::<$type>($folder, |message| match message { $($pattern => $kind),+ }, &[$($kind),+]);
        }
    };
}

samples!(what_the_server_says, "server_to_driver", ToDriver,
    ToDriver::Hello { .. } => "hello",
    ToDriver::Open { .. } => "open",
    ToDriver::Execute { timeout_seconds: None, .. } => "execute",
    ToDriver::Execute { timeout_seconds: Some(_), .. } => "execute_with_timeout",
    ToDriver::Cancel { .. } => "cancel",
    ToDriver::Close { .. } => "close",
    ToDriver::Resize { .. } => "resize",
    ToDriver::Install { .. } => "install",
    ToDriver::Ack { .. } => "ack",
    ToDriver::SecretAnswer(_) => "secret_answer",
    ToDriver::LoginAnswer { .. } => "login_answer",
    ToDriver::Stop {} => "stop",
    ToDriver::Read { .. } => "read",
);

samples!(what_the_driver_tells_the_server, "driver_to_server", FromDriver,
    FromDriver::Welcome { .. } => "welcome",
    FromDriver::Refused { .. } => "refused",
    FromDriver::SecretAsk(_) => "secret_ask",
    FromDriver::Progress { .. } => "progress",
    FromDriver::Event { what: DriverEvent::Ready { .. }, .. } => "event_ready",
    FromDriver::Event { what: DriverEvent::Resized { .. }, .. } => "event_resized",
    FromDriver::Event { what: DriverEvent::Failed { .. }, .. } => "event_failed",
    FromDriver::Event { what: DriverEvent::Library { .. }, .. } => "event_library",
    FromDriver::Event { what: DriverEvent::ContextRunning { .. }, .. } => "event_context_running",
    FromDriver::Event { what: DriverEvent::ContextFailed { .. }, .. } => "event_context_failed",
    FromDriver::Event { what: DriverEvent::Streams { .. }, .. } => "event_streams",
    FromDriver::Event { what: DriverEvent::Started { .. }, .. } => "event_started",
    FromDriver::Event { what: DriverEvent::Output { .. }, .. } => "event_output",
    FromDriver::Event { what: DriverEvent::Finished { .. }, .. } => "event_finished",
    FromDriver::Event { what: DriverEvent::Cancelled { lost: None, .. }, .. } => "event_cancelled",
    FromDriver::Event { what: DriverEvent::Cancelled { lost: Some(_), .. }, .. } => "event_cancelled_with_loss",
    FromDriver::Event { what: DriverEvent::Lost { .. }, .. } => "event_lost",
    FromDriver::Login { .. } => "login",
    FromDriver::Statements { .. } => "statements",
);

samples!(what_the_driver_tells_a_reader, "driver_to_reader", FromResult,
    FromResult::Absent { .. } => "absent",
    FromResult::Opened { .. } => "opened",
    FromResult::At { .. } => "at",
    FromResult::Bytes {} => "bytes",
    FromResult::SoFar { .. } => "so_far",
    FromResult::Ended(_) => "ended",
);

samples!(how_peers_say_hello, "hello", Hello,
    Hello { role: Role::Jvm, .. } => "jvm",
    Hello { role: Role::Python, .. } => "python",
    Hello { role: Role::Master, .. } => "master",
    Hello { role: Role::Worker { .. }, .. } => "worker",
    Hello { role: Role::Interpreter { .. }, .. } => "interpreter",
);

samples!(how_the_driver_answers_a_hello, "answer", Answer,
    Answer::Welcome { .. } => "welcome",
    Answer::Refused { .. } => "refused",
);

samples!(what_the_jvm_is_asked, "driver_to_jvm", ToJvm,
    ToJvm::Open { .. } => "open",
    ToJvm::Gateway { .. } => "gateway",
    ToJvm::Cancel { interpreter: Some(_), .. } => "cancel",
    ToJvm::Cancel { interpreter: None, .. } => "cancel_python",
    ToJvm::Forget { .. } => "forget",
    ToJvm::SecretAnswer(_) => "secret_answer",
    ToJvm::CloseContext { .. } => "close_context",
    ToJvm::Resize { .. } => "resize",
    ToJvm::FetchLibrary { .. } => "fetch_library",
    ToJvm::LoginAnswer { .. } => "login_answer",
);

samples!(what_the_jvm_says, "jvm_to_driver", FromJvm,
    FromJvm::SparkReady { .. } => "spark_ready",
    FromJvm::SparkFailed { .. } => "spark_failed",
    FromJvm::SparkStopped { .. } => "spark_stopped",
    FromJvm::OpenFailed { .. } => "open_failed",
    FromJvm::Streams { .. } => "streams",
    FromJvm::GatewayReady { .. } => "gateway_ready",
    FromJvm::Progress { .. } => "progress",
    FromJvm::ExecutorAdded { .. } => "executor_added",
    FromJvm::ExecutorRemoved { .. } => "executor_removed",
    FromJvm::SecretAsk(_) => "secret_ask",
    FromJvm::LibraryFetched { .. } => "library_fetched",
    FromJvm::LibraryFailed { .. } => "library_failed",
    FromJvm::Login { .. } => "login",
    FromJvm::Master { .. } => "master",
    FromJvm::Statements { .. } => "statements",
);

samples!(what_a_master_or_worker_says, "node_to_driver", FromNode,
    FromNode::Serving { .. } => "serving",
    FromNode::Failed { .. } => "failed",
);

samples!(what_the_python_parent_is_asked, "driver_to_python", ToPythonParent,
    ToPythonParent::Fork { memory_bytes_max: None, .. } => "fork",
    ToPythonParent::Fork { memory_bytes_max: Some(_), .. } => "fork_with_bound",
);

samples!(what_the_python_parent_says, "python_to_driver", FromPythonParent,
    FromPythonParent::Exited { signal: None, .. } => "exited",
    FromPythonParent::Exited { signal: Some(_), .. } => "exited_by_signal",
);

samples!(what_an_interpreter_is_asked, "driver_to_interpreter", ToInterpreter,
    ToInterpreter::Bind { .. } => "bind",
    ToInterpreter::Execute { .. } => "execute",
    ToInterpreter::SqlResult { outcome: Outcome::Cancelled } => "sql_result_cancelled",
    ToInterpreter::SqlResult { .. } => "sql_result_table",
);

samples!(what_an_interpreter_says, "interpreter_to_driver", FromInterpreter,
    FromInterpreter::Bound {} => "bound",
    FromInterpreter::BindFailed { .. } => "bind_failed",
    FromInterpreter::Output {} => "output",
    FromInterpreter::Sql {} => "sql",
    FromInterpreter::Done { alone: true, .. } => "done_alone",
    FromInterpreter::Done { restart: true, .. } => "done_restart",
    FromInterpreter::Done { restart_python: true, .. } => "done_restart_python",
    FromInterpreter::Done { installed: true, .. } => "done_installed",
    FromInterpreter::Done { outcome: Outcome::Text, .. } => "done_text",
    FromInterpreter::Done { outcome: Outcome::Table, .. } => "done_table",
    FromInterpreter::Done { outcome: Outcome::Images, .. } => "done_images",
    FromInterpreter::Done { outcome: Outcome::Error, .. } => "done_error",
    FromInterpreter::Done { outcome: Outcome::Cancelled, .. } => "done_cancelled",
);

#[test]
fn the_line_on_standard_input() {
    for (file, json) in samples("launch_node") {
        let launch: LaunchNode = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(launch).unwrap(), json, "{file}");
    }
    for (file, json) in samples("launch_r") {
        let launch: LaunchR = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(launch).unwrap(), json, "{file}");
    }
    for (file, json) in samples("launch") {
        let launch: Launch = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(launch).unwrap(), json, "{file}");
    }
}
