//! The command against a scripted server: exit statuses, and what becomes of the context.

use std::sync::{Arc, Mutex};

use clap::Parser as _;
use tokio::sync::mpsc;

use super::super::config::{Auth, Trust};
use super::super::fake::{Ask, Fake, Reply};
use super::super::output::tests::Tape;
use super::*;
use crate::setup::Secret;

const COMMAND: &str = "3a601163-d3c7-40f9-9c61-deb92c7a2c9d";

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    exec: ExecArgs,
}

fn parse(line: &str) -> ExecArgs {
    Line::try_parse_from(std::iter::once("exec").chain(line.split_whitespace())).unwrap().exec
}

/// A server with one cluster whose commands end as told: `polls` holds the answers of `commands/status`, of which the last
/// stays. An answer that begins with `!` plays Ctrl-C first.
struct Script {
    polls: Vec<String>,
    ctrl_c: mpsc::Sender<u8>,
    cancelled: bool,
}

impl Script {
    fn answer(&mut self, ask: &Ask) -> Reply {
        let path = ask.line.split(['?', ' ']).nth(1).unwrap_or_default();
        match path.trim_start_matches("/api/1.2/") {
            "clusters/list" => Reply::ok(
                r#"[{"driverIp":"","id":"c1","jdbcPort":10000,"name":"default","numWorkers":0,"status":"Running"}]"#,
            ),
            "contexts/create" if self.polls.is_empty() => {
                Reply::Json(500, r#"{"error":"Cluster c1 is not running"}"#.into())
            }
            "contexts/create" | "contexts/destroy" => Reply::ok(r#"{"id":"7"}"#),
            "contexts/status" => Reply::ok(r#"{"id":"7","status":"Running"}"#),
            "commands/execute" => Reply::ok(&format!(r#"{{"id":"{COMMAND}"}}"#)),
            "commands/cancel" => {
                self.cancelled = true;
                Reply::ok(&format!(r#"{{"id":"{COMMAND}"}}"#))
            }
            "commands/status" => self.poll(),
            "commands/events" => Reply::Json(404, r#"{"error_code":"ENDPOINT_NOT_FOUND","message":"x"}"#.into()),
            other => panic!("`{other}` was not expected"),
        }
    }

    fn poll(&mut self) -> Reply {
        let poll = if self.polls.len() > 1 { self.polls.remove(0) } else { self.polls[0].clone() };
        let poll = match poll.strip_prefix('!') {
            Some(rest) => {
                self.ctrl_c.try_send(SIGINT).ok();
                rest.to_owned()
            }
            None => poll,
        };
        let (status, results) = match poll.split_once(' ') {
            Some((status, results)) => (status.to_owned(), results.to_owned()),
            None => (poll, "null".to_owned()),
        };
        let status = match status.as_str() {
            "Silence" => return Reply::Silence,
            "Refused" => return Reply::Json(500, r#"{"error":"ContextNotFound: 7"}"#.into()),
            "WhenCancelled" if self.cancelled => "Cancelled",
            "WhenCancelled" => "Running",
            other => other,
        };
        Reply::ok(&format!(r#"{{"id":"{COMMAND}","results":{results},"status":"{status}"}}"#))
    }
}

struct Ran {
    exit: Result<Exit, String>,
    out: String,
    err: String,
    calls: Vec<String>,
}

/// Runs `exec` against a server whose command ends as `polls` say.
async fn exec(line: &str, polls: &[&str]) -> Ran {
    let (ctrl_c, mut stop) = Interrupts::scripted();
    let script = Script { polls: polls.iter().map(|poll| (*poll).to_owned()).collect(), ctrl_c, cancelled: false };
    let script = Arc::new(Mutex::new(script));
    let fake = Fake::start(move |ask| script.lock().unwrap().answer(ask)).await;
    let args = parse(line);
    let auth = Auth::Token(Secret::new("fst_test"));
    let connection = Connection { url: fake.api().url().to_owned(), auth, trust: Trust::System(None), cluster: None };
    let (mut output, out, err) = Tape::output();
    let (language, code) = source(&args).unwrap();
    let exit = execute(&args, &connection, language, &code, &mut stop, &mut output).await;
    let exit = exit.map_err(|failure| format!("{:?}: {failure}", failure.exit()));
    let verb = |call: &String| call.split(['?', ' ']).nth(1).unwrap().trim_start_matches("/api/1.2/").to_owned();
    // They come beside the others, in no order that can be told.
    let mut calls = fake.calls().iter().map(verb).filter(|call| call != "commands/events").collect::<Vec<_>>();
    calls.dedup();
    Ran { exit, out: out.text(), err: err.text(), calls }
}

const BEGINNING: [&str; 4] = ["clusters/list", "contexts/create", "contexts/status", "commands/execute"];

#[track_caller]
fn check_calls(ran: &Ran, end: &[&str]) {
    let expected = BEGINNING.iter().chain(end).collect::<Vec<_>>();
    assert_eq!(ran.calls.iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn code_that_runs_is_printed_and_its_context_destroyed() {
    let ran = exec("1+1", &["Queued", "Running", r#"Finished {"resultType":"text","data":"2"}"#]).await;
    assert_eq!((ran.exit.clone(), ran.out.as_str(), ran.err.as_str()), (Ok(Exit::Done), "2\n", ""));
    check_calls(&ran, &["commands/status", "contexts/destroy"]);
}

#[tokio::test]
async fn code_that_raises_ends_with_1_and_its_context_is_destroyed() {
    let error = r#"{"resultType":"error","summary":"s","cause":"\u001b[31mZeroDivisionError\u001b[0m"}"#;
    for status in ["Finished", "Error"] {
        let ran = exec("1/0", &[&format!("{status} {error}")]).await;
        assert_eq!((ran.exit.clone(), ran.out.as_str()), (Ok(Exit::Raised), ""));
        assert_eq!(ran.err, "ZeroDivisionError\n");
        check_calls(&ran, &["commands/status", "contexts/destroy"]);
    }
}

#[tokio::test]
async fn ctrl_c_cancels_waits_for_the_end_and_destroys_the_context() {
    let ran = exec("x", &["Running", "!Running", "WhenCancelled"]).await;
    assert_eq!((ran.exit.clone(), ran.err.as_str()), (Ok(Exit::CANCELLED), "cancelled\n"));
    check_calls(&ran, &["commands/status", "commands/cancel", "commands/status", "contexts/destroy"]);
}

#[tokio::test]
async fn a_result_that_beats_the_cancel_is_kept() {
    let ran = exec("x", &["!Running", r#"Finished {"resultType":"text","data":"late"}"#]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (Ok(Exit::Done), "late\n"));
}

#[tokio::test]
async fn a_second_ctrl_c_leaves_at_once_and_tells_the_server() {
    let ran = exec("x", &["!Running", "!Silence"]).await;
    assert_eq!(ran.exit, Err("Stopped(2): stopped".to_owned()));
    check_calls(&ran, &["commands/status", "commands/cancel", "commands/status", "contexts/destroy"]);
}

#[tokio::test]
async fn a_failure_on_the_way_destroys_the_context() {
    let ran = exec("x", &["Refused"]).await;
    assert_eq!(ran.exit, Err("Failed: ContextNotFound: 7".to_owned()));
    check_calls(&ran, &["commands/status", "contexts/destroy"]);

    let ran = exec("x", &[r#"Finished {"resultType":"poem"}"#]).await;
    assert!(ran.exit.is_err());
    check_calls(&ran, &["commands/status", "contexts/destroy"]);

    let ran = exec("x", &[]).await;
    assert_eq!(ran.exit, Err("Failed: Cluster c1 is not running".to_owned()));
}

#[tokio::test]
async fn a_context_that_is_not_ours_or_kept_is_left() {
    let done = r#"Finished {"resultType":"text","data":""}"#;
    let ran = exec("--context 7 x", &[done]).await;
    assert_eq!(ran.calls, ["clusters/list", "contexts/status", "commands/execute", "commands/status"]);
    let ran = exec("--keep x", &[done]).await;
    assert_eq!(ran.err, "context `7` of cluster `c1` is kept\n");
    check_calls(&ran, &["commands/status"]);
}

#[test]
fn the_language_is_that_of_the_suffix_unless_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (name, flags, expected) in [
        ("a.py", "", "python"),
        ("a.scala", "", "scala"),
        ("a.SQL", "", "sql"),
        ("a.R", "", "r"),
        ("a.txt", "-l Scala", "scala"),
        ("a.txt", "", "the suffix of `a.txt` tells no language; name it with `-l`"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, "  code\n").unwrap();
        let found = source(&parse(&format!("{flags} -f {}", path.display())));
        let found = found.map(|(language, code)| {
            assert_eq!(code, "  code\n");
            language.to_string()
        });
        let folder = format!("{}/", folder.path().display());
        assert_eq!(found.unwrap_or_else(|error| error.to_string().replace(&folder, "")), expected, "{name}");
    }
    assert_eq!(source(&parse("1+1")).unwrap().0, Language::Python);
    assert!(Line::try_parse_from(["exec", "-f", "a.py", "code"]).is_err());
    assert!(Line::try_parse_from(["exec", "-l", "cobol", "code"]).is_err());
}
