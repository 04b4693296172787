//! `firesteel exec`: code from the command line, a file or the standard input; what it prints and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::case::Case;
use crate::poll::until;
use crate::results;
use crate::server::{Server, program};

pub(crate) fn cases() -> Vec<Case> {
    shared![
        code_on_the_command_line_prints_its_text,
        a_table_is_laid_out,
        a_table_is_printed_whole_in_forms_for_programs,
        code_that_fails_says_so_and_ends_with_1,
        code_comes_from_a_file_or_the_standard_input,
        wrong_use_and_unreachable_servers_end_with_2,
        what_code_prints_is_there_while_it_runs_and_not_twice,
        ctrl_c_cancels_the_command,
        a_repl_runs_lines_of_a_pipe,
        files_are_copied_listed_printed_and_removed,
    ]
}

/// The program as a user has it who pasted what `up` prints.
fn firesteel(server: &Server, arguments: &[&str]) -> Command {
    let mut command = program();
    command.args(arguments).env("DATABRICKS_CONFIG_FILE", server.data.join("databrickscfg"));
    command.env("REQUESTS_CA_BUNDLE", server.ca()).env("HOME", server.data.join("no home"));
    command
}

/// Runs it; its exit status, what it printed, and what it said beside.
#[track_caller]
pub(crate) fn run(server: &Server, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = firesteel(server, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or_else(|| panic!("{arguments:?}: {status}")), text(stdout), text(stderr))
}

/// Runs code that ends well; what it printed.
#[track_caller]
fn prints(server: &Server, arguments: &[&str], input: &str) -> String {
    let (status, stdout, stderr) = run(server, arguments, input);
    assert_eq!(status, 0, "{arguments:?}: {stderr}");
    stdout
}

fn code_on_the_command_line_prints_its_text(server: &Server) {
    assert_eq!(prints(server, &["exec", "print(1 + 1)"], ""), "2\n");
    assert_eq!(prints(server, &["exec", "-l", "scala", "val x = 42"], ""), "x: Int = 42\n");
    assert_eq!(prints(server, &["exec", "x = 1"], ""), "");
}

fn a_table_is_laid_out(server: &Server) {
    let printed = prints(server, &["exec", "-l", "sql", "select 42 as answer, 'x' as letter"], "");
    assert!(["answer", "letter", "42", "x"].iter().all(|word| printed.contains(word)), "{printed}");
}

fn a_table_is_printed_whole_in_forms_for_programs(server: &Server) {
    let exec = |format| {
        let query = "select id, if(id % 2 = 0, null, 'x,') as s from range(0, 12000, 1, 2)";
        let output = firesteel(server, &["exec", "-l", "sql", "--format", format, query]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
        output.stdout
    };
    let csv = String::from_utf8(exec("csv")).unwrap();
    assert_eq!(csv.lines().count(), 12_001);
    assert!(csv.starts_with("id,s\n0,\n1,\"x,\"\n") && csv.ends_with("\n11999,\"x,\"\n"), "{}", &csv[..100]);
    let json: Value = serde_json::from_slice(&exec("json")).unwrap();
    assert_eq!((json["data"].as_array().unwrap().len(), &json["data"][11_999]), (12_000, &json!([11_999, "x,"])));
    assert_eq!((&json["truncated"], &json["schema"][0]["name"]), (&json!(false), &json!("id")));
    let arrow = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(arrow.path(), exec("arrow")).unwrap();
    assert_eq!(results::pyarrow(arrow.path(), "count"), json!([12_000, 71_994_000]));
    let (status, stdout, stderr) = run(server, &["exec", "--format", "arrow", "1 + 1"], "");
    assert_eq!((status, stdout.as_str()), (2, ""), "{stderr}");
    assert!(stderr.contains("writes tables"), "{stderr}");
}

fn code_that_fails_says_so_and_ends_with_1(server: &Server) {
    for (language, code, said) in [
        ("python", "1/0", "ZeroDivisionError: division by zero"),
        ("scala", "nope", "not found: value nope"),
        ("sql", "select * from nope", "`nope`"),
        ("python", "import os; os._exit(3)", "exit status 3"),
    ] {
        let (status, stdout, stderr) = run(server, &["exec", "-l", language, code], "");
        assert_eq!((status, stdout.as_str()), (1, ""), "{code}: {stderr}");
        assert!(stderr.contains(said), "{code}: {stderr}");
    }
}

fn code_comes_from_a_file_or_the_standard_input(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (python, sql) = (file("a.py", "for i in range(2):\n    print(i)\n"), file("b.sql", "select 7 as seven;\n"));
    assert_eq!(prints(server, &["exec", "-f", &python], ""), "0\n1\n");
    assert!(prints(server, &["exec", "-f", &sql], "").contains("seven"));
    assert_eq!(prints(server, &["exec"], "print('piped')\n"), "piped\n");
    assert_eq!(prints(server, &["exec", "-l", "scala", "-"], "println(\"piped\")\n"), "piped\n");
}

fn wrong_use_and_unreachable_servers_end_with_2(server: &Server) {
    let (status, _, stderr) = run(server, &["exec", "-f", "/no/such/file.py"], "");
    assert!(status == 2 && stderr.contains("/no/such/file.py"), "{status}: {stderr}");
    let (status, ..) = run(server, &["exec", "-l", "cobol", "1"], "");
    assert_eq!(status, 2);
    let nowhere = ["exec", "--host", "https://127.0.0.1:9", "--token", "t", "1"];
    let (status, _, stderr) = run(server, &nowhere, "");
    assert!(status == 2 && stderr.contains("127.0.0.1:9"), "{status}: {stderr}");
}

fn what_code_prints_is_there_while_it_runs_and_not_twice(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let code = format!(
        "import os, time\nprint('one')\nwhile not os.path.exists({go:?}): time.sleep(0.01)\nprint('two', end='')\n40 + 2"
    );
    let mut child = firesteel(server, &["exec", &code]).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    std::fs::write(&go, "").unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("two\n42\n", Some(0)));
}

fn ctrl_c_cancels_the_command(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let (begun, stopped) = (folder.path().join("begun"), folder.path().join("stopped"));
    let code = format!(
        "import time\nopen({begun:?}, 'w').close()\ntry: time.sleep(600)\nfinally: open({stopped:?}, 'w').close()"
    );
    let child = firesteel(server, &["exec", &code]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the code has begun", || begun.exists(), |begun| *begun);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(stopped.exists(), "the code was stopped before the client left");
}

fn a_repl_runs_lines_of_a_pipe(server: &Server) {
    let printed = prints(server, &["repl", "-l", "python"], "x = 41\nprint(x + 1)\n");
    assert!(printed.contains("42"), "{printed}");
}

fn files_are_copied_listed_printed_and_removed(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let here = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir_all(folder.path().join("up/in")).unwrap();
    std::fs::write(here("up/one"), "one\n").unwrap();
    std::fs::write(here("up/in/two words"), vec![b'2'; 700_000]).unwrap();
    prints(server, &["fs", "mkdirs", "dbfs:/e2e/cli"], "");
    prints(server, &["fs", "cp", "-r", &here("up"), "dbfs:/e2e/cli"], "");
    assert_eq!(prints(server, &["fs", "ls", "/e2e/cli/up"], ""), "in/\none\n");
    let long = prints(server, &["fs", "ls", "-l", "dbfs:/e2e/cli/up/one"], "");
    assert!(long.starts_with("4  20") && long.ends_with("Z  one\n"), "{long}");
    assert_eq!(prints(server, &["fs", "cat", "dbfs:/e2e/cli/up/one"], ""), "one\n");
    prints(server, &["fs", "cp", "-r", "dbfs:/e2e/cli/up", "dbfs:/e2e/cli/copy"], "");
    prints(server, &["fs", "cp", "-r", "dbfs:/e2e/cli/copy", &here("down")], "");
    assert_eq!(std::fs::read(here("down/in/two words")).unwrap(), vec![b'2'; 700_000]);

    for (arguments, said) in [
        (&["fs", "cp", &here("up/one"), "dbfs:/e2e/cli/up/one"][..], "already exists"),
        (&["fs", "cp", "dbfs:/e2e/cli/up/one", &here("up/one")], "--overwrite"),
        (&["fs", "cp", &here("up"), "dbfs:/e2e/cli/x"], "`-r`"),
        (&["fs", "cp", &here("up/one"), &here("x")], "neither path is on dbfs:/"),
        (&["fs", "rm", "dbfs:/e2e/cli"], "recursively"),
        (&["fs", "rm", "dbfs:/e2e/nope"], "no file or directory"),
        (&["fs", "cat", "dbfs:/e2e/../../netrc"], "`..`"),
    ] {
        let (status, stdout, stderr) = run(server, arguments, "");
        assert_eq!((status, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
    prints(server, &["fs", "cp", "--overwrite", &here("up/in/two words"), "dbfs:/e2e/cli/up/one"], "");
    assert_eq!(prints(server, &["fs", "cat", "/e2e/cli/up/one"], "").len(), 700_000);
    prints(server, &["fs", "rm", "-r", "dbfs:/e2e/cli"], "");
}
