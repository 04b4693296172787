//! The prompt against a scripted server that echoes code, with its context and language.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::super::fake::{Fake, Reply};
use super::super::output::tests::Tape;
use super::*;

const COMMAND: &str = "3a601163-d3c7-40f9-9c61-deb92c7a2c9d";

/// Starts a server whose code is echoed; `boom` raises, and `sleep` runs until it is cancelled, which Ctrl-C asks for.
async fn server(ctrl_c: mpsc::Sender<u8>) -> Fake {
    let (mut contexts, mut last, mut cancelled) = (0, Value::Null, false);
    Fake::start(move |ask| {
        let body: Value = serde_json::from_str(&ask.body).unwrap_or_default();
        let path = ask.line.split(['?', ' ']).nth(1).unwrap_or_default();
        match path.trim_start_matches("/api/1.2/") {
            "contexts/create" => {
                contexts += 1;
                Reply::ok(&format!(r#"{{"id":"{contexts}"}}"#))
            }
            "contexts/status" => Reply::ok(&format!(r#"{{"id":"{contexts}","status":"Running"}}"#)),
            "contexts/destroy" => Reply::ok(r#"{"id":"1"}"#),
            "commands/execute" => {
                (last, cancelled) = (body, false);
                Reply::ok(&format!(r#"{{"id":"{COMMAND}"}}"#))
            }
            "commands/cancel" => {
                cancelled = true;
                Reply::ok("{}")
            }
            "commands/status" => {
                let code = last["command"].as_str().unwrap().trim_end();
                let (status, results) = match code {
                    "sleep" if cancelled => ("Cancelled", Value::Null),
                    "sleep" => {
                        ctrl_c.try_send(SIGINT).ok();
                        ("Running", Value::Null)
                    }
                    "boom" => ("Finished", serde_json::json!({"resultType": "error", "summary": "s", "cause": "boom"})),
                    code => {
                        let data = format!(
                            "{}/{} {code}",
                            last["contextId"].as_str().unwrap(),
                            last["language"].as_str().unwrap()
                        );
                        ("Finished", serde_json::json!({"resultType": "text", "data": data}))
                    }
                };
                Reply::ok(&serde_json::json!({"id": COMMAND, "results": results, "status": status}).to_string())
            }
            "commands/events" => Reply::Json(404, r#"{"error_code":"ENDPOINT_NOT_FOUND","message":"x"}"#.into()),
            other => panic!("`{other}` was not expected"),
        }
    })
    .await
}

/// Runs a script; returns how it ended and what it printed on both streams.
async fn script(text: &str) -> (Exit, String, String, Fake) {
    let (ctrl_c, mut stop) = Interrupts::scripted();
    let fake = server(ctrl_c).await;
    let (mut output, out, err) = Tape::output();
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        repl: ReplArgs,
    }
    let args = <Line as clap::Parser>::parse_from(["repl"]).repl;
    let mut repl = Repl::open(fake.api(), "c1".parse().unwrap(), &args, &mut stop, &mut output).await.unwrap();
    let (sender, lines) = mpsc::channel(100);
    for line in text.lines() {
        sender.try_send(Ok(line.to_owned())).unwrap();
    }
    drop(sender);
    let exit = repl.script(lines, &mut stop, &mut output).await.unwrap();
    repl.close(&mut stop, &mut output).await;
    (exit, out.text(), err.text(), fake)
}

#[tokio::test]
async fn a_script_runs_block_by_block_in_the_languages_it_names() {
    let (exit, out, err, fake) = script(
        "x = 1\nfor i in x:\n  i\n\n:sql select 0\ny\n:sql\nselect 1\nfrom t;\n:reset\n:python\nz\n:nothing else\n",
    )
    .await;
    let expected =
        "1/python x = 1\n1/python for i in x:\n  i\n1/sql select 0\n1/python y\n1/sql select 1\nfrom t;\n2/python z\n";
    assert_eq!(out, expected);
    assert_eq!(err, "context `2`\n`:nothing` is not known; :help for help\n");
    assert_eq!(exit, Exit::Failed);
    let destroyed = fake.calls().into_iter().filter(|call| call.contains("destroy"));
    let destroyed = destroyed.map(|call| call.rsplit('"').nth(1).unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(destroyed, ["1", "2"]);
}

#[tokio::test]
async fn a_script_stops_at_the_first_error() {
    let (exit, out, err, _) = script("a\nboom\nb\n").await;
    assert_eq!((exit, out.as_str(), err.as_str()), (Exit::Raised, "1/python a\n", "boom\n"));
    let (exit, out, ..) = script("a\n:quit\nb\n").await;
    assert_eq!((exit, out.as_str()), (Exit::Done, "1/python a\n"));
}

#[tokio::test]
async fn ctrl_c_cancels_the_code_and_the_context_lives_on() {
    let (ctrl_c, mut stop) = Interrupts::scripted();
    let fake = server(ctrl_c).await;
    let (mut output, out, err) = Tape::output();
    let api = fake.api();
    let cluster: ClusterId = "c1".parse().unwrap();
    let session = ready(&api, &cluster, Language::Python, &mut stop, &mut output).await.unwrap();
    let mut repl = Repl { api, cluster, session, language: Language::Python };
    let cancelled = repl.take("sleep", &mut stop, &mut output).await.unwrap();
    assert_eq!(cancelled, Next::Prompt(Exit::CANCELLED));
    let next = repl.take("x", &mut stop, &mut output).await.unwrap();
    assert_eq!(next, Next::Prompt(Exit::Done));
    assert_eq!((out.text().as_str(), err.text().as_str()), ("1/python x\n", "cancelled\n"));
}

#[test]
fn the_history_is_private() {
    let home = tempfile::tempdir().unwrap();
    let env = Environment::of([("HOME".to_owned(), home.path().display().to_string())]);
    assert!(history(&env).unwrap().is_some());
    let path = home.path().join(".local/state/firesteel/history");
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(history(&Environment::default()).unwrap().is_none());
}
