//! What a command prints: read while it runs, kept when it does not end well, resumed from any offset.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::api::{Context, Reply};
use crate::case::Case;
use crate::poll::until;
use crate::server::Server;
use crate::{events, folders};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = shared![
        output_is_there_when_a_command_is_over_and_every_offset_leads_into_it,
        output_goes_on_from_any_offset_while_a_command_runs,
        what_was_printed_is_kept_whatever_becomes_of_the_command,
        a_hundred_megabytes_have_a_beginning_and_an_end,
        what_cannot_be_read_is_refused_in_words,
    ];
    cases.extend(PRINTING.map(|(language, code)| {
        let name = format!("{}::what_{language}_prints_is_read_while_it_runs", module_path!());
        Case::shared(&name, move |server| is_read_while_it_runs(server, language, code))
    }));
    cases
}

pub(crate) fn own_cases() -> Vec<Case> {
    own![output_goes_on_without_gap_or_double_behind_a_server_that_was_killed]
}

impl Context<'_> {
    /// What `commands/output` answers.
    #[track_caller]
    pub(crate) fn output(&self, id: &str, offset: u64, more: &[(&str, &str)]) -> Reply {
        let offset = offset.to_string();
        let query = [
            ("clusterId", self.server.cluster.as_str()),
            ("contextId", self.id.as_str()),
            ("commandId", id),
            ("offset", offset.as_str()),
        ];
        self.server.http.get("/api/1.2/commands/output", &[&query, more].concat())
    }

    /// Reads output from an offset on until it is as wanted.
    #[track_caller]
    pub(crate) fn output_until(&self, id: &str, offset: u64, done: impl Fn(&str, &Value) -> bool) -> (String, Value) {
        let (mut text, mut next) = (String::new(), offset);
        let what = format!("enough is printed after {offset}");
        until(
            &what,
            || {
                let page = self.output(id, next, &[]).ok();
                assert_eq!(page["offset"], json!(next), "nothing is left out: {page}");
                text.push_str(page["data"].as_str().unwrap());
                next = page["nextOffset"].as_u64().unwrap();
                (text.clone(), page)
            },
            |(text, page)| done(text, page),
        )
    }
}

/// Prints a line, waits until the file `GO` is there, prints another.
const PRINTING: [(&str, &str); 3] = [
    (
        "python",
        "import os, time\nprint('héllo 1')\nwhile not os.path.exists('GO'): time.sleep(0.01)\nprint('2', end='')",
    ),
    ("scala", "println(\"héllo 1\"); while (!new java.io.File(\"GO\").exists) Thread.sleep(10); print(\"2\")"),
    ("r", "cat('héllo 1\\n'); while (!file.exists('GO')) Sys.sleep(0.01); cat('2')"),
];

fn is_read_while_it_runs(server: &Server, language: &'static str, code: &str) {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let context = server.context(language);
    let id = context.send(&code.replace("GO", go.to_str().unwrap()));
    let (text, page) = context.output_until(&id, 0, |text, _| text.ends_with('\n'));
    assert_eq!((text.as_str(), &page["status"], &page["complete"]), ("héllo 1\n", &json!("Running"), &json!(false)));
    assert_eq!(context.command(&id).ok()["status"], "Running");
    fs::write(&go, "").unwrap();
    let (rest, page) = context.output_until(&id, 9, |_, page| page["complete"] == true);
    assert_eq!((rest.as_str(), &page["status"], &page["skipped"]), ("2", &json!("Finished"), &json!(0)));
    assert_eq!(context.wait(&id).text(), "héllo 1\n2");
}

fn output_is_there_when_a_command_is_over_and_every_offset_leads_into_it(server: &Server) {
    let context = server.context("python");
    let id = context.send("print('a€b')\n41 + 1");
    assert_eq!(context.wait(&id).text(), "a€b\n42");
    let whole = "a€b\n";
    for offset in 0..=whole.len() {
        let from = whole.floor_char_boundary(offset);
        let expected = json!({
            "id": id, "status": "Finished", "data": whole[from..], "offset": from, "nextOffset": whole.len(), "skipped": 0,
            "complete": true,
        });
        assert_eq!(context.output(&id, offset as u64, &[]).ok(), expected);
    }
    let page = context.output(&id, 1, &[("limit", "1")]).ok();
    assert_eq!((&page["data"], &page["nextOffset"], &page["complete"]), (&json!("€"), &json!(4), &json!(false)));
    // One that printed nothing.
    let silent = context.send("41 + 1");
    context.wait(&silent);
    let expected = json!({
        "id": silent, "status": "Finished", "data": "", "offset": 0, "nextOffset": 0, "skipped": 0, "complete": true,
    });
    assert_eq!(context.output(&silent, 0, &[]).ok(), expected);
}

fn output_goes_on_from_any_offset_while_a_command_runs(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let context = server.context("python");
    let id = context.send(&counting(folder.path()));
    let all: String = (0..300).map(line).collect();
    // One who reads from the beginning, one who comes later, one who reads in small parts.
    context.output_until(&id, 0, |text, _| text.contains("line 20"));
    let (late, _) = context.output_until(&id, 100, |text, _| text.contains("line 50"));
    assert!(all[100..].starts_with(&late), "{late}");
    fs::write(folder.path().join("go"), "").unwrap();
    let (mut parts, mut next) = (String::new(), 0);
    loop {
        let page = context.output(&id, next, &[("limit", "7")]).ok();
        parts += page["data"].as_str().unwrap();
        next = page["nextOffset"].as_u64().unwrap();
        if page["complete"] == true {
            break;
        }
    }
    assert_eq!(parts, all);
}

/// Python that prints 300 lines; after line 60 it waits for a file `go`.
fn counting(folder: &Path) -> String {
    let go = folder.join("go");
    format!(
        "import os, time\nfor n in range(300):\n    print('line', n, 'é')\n    time.sleep(0.005)\n    while n == 60 and not \
         os.path.exists({go:?}): time.sleep(0.01)"
    )
}

fn line(number: usize) -> String {
    format!("line {number} é\n")
}

fn what_was_printed_is_kept_whatever_becomes_of_the_command(server: &Server) {
    let python = "import os, time, sys; print('before the end'); ";
    let cases = [
        ("python", format!("{python}raise ValueError('x')"), "Finished"),
        ("python", format!("{python}os._exit(3)"), "Error"),
        ("python", "import os; os.write(1, b'before the end\\n'); os.kill(os.getpid(), 9)".to_owned(), "Error"),
        ("python", format!("{python}time.sleep(600)"), "Cancelled"),
        ("scala", "println(\"before the end\"); throw new Exception(\"x\")".to_owned(), "Finished"),
        ("scala", "println(\"before the end\"); Thread.sleep(600000)".to_owned(), "Cancelled"),
        ("r", "cat('before the end\\n'); stop('x')".to_owned(), "Finished"),
        ("r", "cat('before the end\\n'); quit()".to_owned(), "Error"),
    ];
    let contexts = ["python", "scala", "r"].map(|language| (language, server.context(language)));
    for (language, code, status) in cases {
        let context = &contexts.iter().find(|(of, _)| *of == language).unwrap().1;
        let id = context.send(&code);
        if status == "Cancelled" {
            context.output_until(&id, 0, |text, _| text.contains("end\n"));
            context.cancel(&id).ok();
        }
        assert_eq!(context.wait(&id).status, status, "{code}");
        let page = context.output(&id, 0, &[]).ok();
        assert_eq!((&page["data"], &page["complete"]), (&json!("before the end\n"), &json!(true)), "{code}: {page}");
    }
}

fn a_hundred_megabytes_have_a_beginning_and_an_end(server: &Server) {
    const BYTES: u64 = 100_000_000;
    let context = server.context("python");
    let id = context.send("for n in range(10**6): print(f'{n:099d}')");
    assert!(context.wait(&id).status == "Finished");
    let (mut next, mut kept, mut skipped) = (0, 0, 0);
    let last = loop {
        let page = context.output(&id, next, &[]).ok();
        let data = page["data"].as_str().unwrap();
        kept += data.len() as u64;
        skipped += page["skipped"].as_u64().unwrap();
        next = page["nextOffset"].as_u64().unwrap();
        if page["complete"] == true {
            break data.to_owned();
        }
    };
    assert_eq!((next, kept + skipped), (BYTES, BYTES));
    assert!((20_000_000..21_000_000).contains(&kept), "{kept} bytes are kept");
    assert!(last.ends_with(&format!("{:099}\n", 999_999)), "the last words are kept");
}

fn what_cannot_be_read_is_refused_in_words(server: &Server) {
    let context = server.context("sql");
    let id = context.send("select 1");
    context.wait(&id);
    let refused = |more: &[(&str, &str)]| context.output(&id, 0, more).refused(500);
    assert_eq!(refused(&[("limit", "0")]), "`limit` is `0`; it must be from 1 to 1048576");
    assert_eq!(refused(&[("offset", "x")]), "`offset` is `x`; it must be a whole number");
    let other = "3a601163-d3c7-40f9-9c61-deb92c7a2c9d";
    assert_eq!(context.output(other, 0, &[]).refused(500), format!("CommandNotFound: {other}"));
    assert_eq!(context.output("", 0, &[]).refused(500), "requirement failed: missing commandId");
}

fn output_goes_on_without_gap_or_double_behind_a_server_that_was_killed() {
    let data = folders::fresh_data();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start("serve", &data, &[]);
    let (running, ending) = (server.context("python"), server.context("python"));
    let all: String = (0..300).map(line).collect();
    let id = running.send(&counting(folder.path()));
    let last =
        ending.send("import os, time\nfor n in range(200):\n    print('line', n)\n    time.sleep(0.01)\nos._exit(3)");
    let (first, page) = running.output_until(&id, 0, |text, _| text.contains("line 30"));
    ending.output_until(&last, 0, |text, _| text.contains("line 30"));
    let ids = [running, ending].map(Context::leave);
    server.signal(Signal::SIGKILL);

    // It prints on without a server, up to line 60, and the other one to its end.
    let server = Server::start("serve", &data, &[]);
    let [running, ending] = [0, 1].map(|at| server.context_of(&ids[at], "python"));
    let from = page["nextOffset"].as_u64().unwrap();
    let (middle, page) = running.output_until(&id, from, |text, _| text.ends_with(&line(60)));
    running.leave();
    ending.leave();
    server.signal(Signal::SIGKILL);
    fs::write(folder.path().join("go"), "").unwrap();

    let server = Server::start("up", &data, &[]);
    let [running, ending] = [0, 1].map(|at| server.context_of(&ids[at], "python"));
    let from = page["nextOffset"].as_u64().unwrap();
    let (rest, page) = running.output_until(&id, from, |_, page| page["complete"] == true);
    assert_eq!(page["status"], "Finished");
    assert_eq!(first + &middle + &rest, all);
    // So does a stream.
    let (told, end) = events::told_behind(&running, &id, "100");
    assert_eq!((told.as_str(), end), (&all[100..], Some(format!("{}-end", all.len()))));
    let (whole, page) = ending.output_until(&last, 0, |_, page| page["complete"] == true);
    assert_eq!((whole, &page["status"]), ((0..200).map(|n| format!("line {n}\n")).collect(), &json!("Error")));
    drop((running, ending));
    server.end();
}
