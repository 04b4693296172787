//! The stream of a command's events, read by the real `curl -N`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::api::Context;
use crate::case::Case;
use crate::curl::curl;
use crate::poll::PATIENCE;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = shared![
        a_stream_tells_output_and_status_as_they_come_and_ends,
        a_stream_goes_on_behind_the_last_event_that_was_seen,
        a_stream_of_a_context_that_is_destroyed_says_so,
        jobs_of_a_streaming_query_count_for_the_command_that_started_it,
        a_stream_is_for_users_only,
    ];
    cases.extend(JOBS.map(|(language, code)| {
        let name = format!("{}::the_progress_of_a_{language}_job_reaches_all_tasks", module_path!());
        Case::shared(&name, move |server| progress_reaches_all_tasks(server, language, code))
    }));
    cases
}

/// One event: its name, its data and its id.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    name: String,
    data: Value,
    id: Option<String>,
}

/// A `curl -N` that listens.
pub(crate) struct Listener {
    curl: Child,
    lines: Receiver<String>,
}

impl Listener {
    /// Listens to a command from the beginning.
    pub(crate) fn start(context: &Context<'_>, command: &str) -> Self {
        let server = context.server;
        let mut curl = Command::new("curl")
            .args(["--disable", "--silent", "--show-error", "--no-buffer", "--noproxy", "*", "--netrc-file"])
            .arg(server.data.join("netrc"))
            .arg("--cacert")
            .arg(server.ca())
            .arg(url(server, context, command))
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl is installed");
        let (sender, lines) = channel();
        let stdout = curl.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { curl, lines }
    }

    /// Waits for the next event; `None` at the end of the stream.
    #[track_caller]
    pub(crate) fn next(&self) -> Option<Event> {
        let mut group = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.is_empty() => match event(&group) {
                    Some(event) => return Some(event),
                    None => group.clear(),
                },
                Ok(line) => group += &format!("{line}\n"),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(timeout) => panic!("no event came: {timeout}"),
            }
        }
    }

    /// Waits for an event that is as wanted.
    #[track_caller]
    pub(crate) fn until(&self, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut seen = Vec::new();
        while let Some(event) = self.next() {
            if wanted(&event) {
                return event;
            }
            seen.push(event);
        }
        panic!("the stream ended without it; it said {seen:#?}");
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}

fn url(server: &Server, context: &Context<'_>, command: &str) -> String {
    format!(
        "{}/api/1.2/commands/events?clusterId={}&contextId={}&commandId={command}",
        server.url, server.cluster, context.id
    )
}

fn event(group: &str) -> Option<Event> {
    let field = |name: &str| group.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let data = serde_json::from_str(&field("data: ")?).unwrap_or_else(|error| panic!("{error}: {group}"));
    Some(Event { name: field("event: ")?, data, id: field("id: ") })
}

fn events(text: &str) -> Vec<Event> {
    text.split("\n\n").filter_map(event).collect()
}

fn a_stream_tells_output_and_status_as_they_come_and_ends(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let context = server.context("python");
    let wait = format!("import os, time\nwhile not os.path.exists({go:?}): time.sleep(0.01)");
    let first = context.send(&wait);
    let id = context.send("print('höllo')\nprint('2')\n1 / 0");
    let listener = Listener::start(&context, &id);
    assert_eq!(listener.next().unwrap().data, json!({"status": "Queued"}));
    fs::write(&go, "").unwrap();
    context.wait(&first);
    let (mut text, mut statuses, mut last) = (String::new(), Vec::new(), None);
    while let Some(event) = listener.next() {
        match event.name.as_str() {
            "output" => text += event.data["data"].as_str().unwrap(),
            "status" => statuses.push(event.data["status"].as_str().unwrap().to_owned()),
            other => panic!("`{other}` was not expected"),
        }
        last = event.id.or(last);
    }
    assert_eq!((text.as_str(), last.as_deref()), ("höllo\n2\n", Some("9-end")));
    assert_eq!(statuses.last().map(String::as_str), Some("Finished"), "{statuses:?}");
}

/// What a stream tells from an event on that was seen: the output, and the id of its last event.
#[track_caller]
pub(crate) fn told_behind(context: &Context<'_>, id: &str, last: &str) -> (String, Option<String>) {
    let seen = format!("Last-Event-ID: {last}");
    let text = curl(context.server, &["--header", &seen, &url(context.server, context, id)]).reply.text;
    let events = events(&text);
    let output = events.iter().filter(|event| event.name == "output");
    let output = output.map(|event| event.data["data"].as_str().unwrap()).collect();
    (output, events.last().and_then(|event| event.id.clone()))
}

fn a_stream_goes_on_behind_the_last_event_that_was_seen(server: &Server) {
    let context = server.context("python");
    let id = context.send("print('0123456789' * 3)");
    context.wait(&id);
    let url = url(server, &context, &id);
    let whole = curl(server, &[&url]);
    assert_eq!(whole.reply.headers["content-type"], "text/event-stream");
    assert_eq!(events(&whole.reply.text).len(), 2, "{}", whole.reply.text);
    for (arguments, expected) in [
        (&["--header", "Last-Event-ID: 28"][..], "89\n"),
        (&["--get", "--data", "offset=20"], "0123456789\n"),
        // The header is what the client has seen, the parameter where it had begun.
        (&["--header", "Last-Event-ID: 29", "--get", "--data", "offset=20"], "9\n"),
    ] {
        let events = events(&curl(server, &[&[url.as_str()], arguments].concat()).reply.text);
        assert_eq!(events[0].data["data"], expected, "{arguments:?}");
        assert_eq!(events[1].id.as_deref(), Some("31-end"));
    }
    let over = curl(server, &["--header", "Last-Event-ID: 31-end", &url]).reply;
    assert_eq!((over.status, over.text.as_str()), (204, ""));
    let refused = curl(server, &["--header", "Last-Event-ID: x", &url]).reply.refused(500);
    assert_eq!(refused, "`Last-Event-ID` is not the id of an event of commands/events");
}

fn a_stream_of_a_context_that_is_destroyed_says_so(server: &Server) {
    let context = server.context("python");
    let id = context.send("import time; print('on'); time.sleep(600)");
    let listener = Listener::start(&context, &id);
    listener.until(|event| event.name == "output");
    let name = context.id.clone();
    context.destroy();
    let gone = listener.until(|event| event.name == "gone");
    assert_eq!(gone.data, json!({"error": format!("ContextNotFound: {name}")}));
    assert!(listener.next().is_none());
}

fn a_stream_is_for_users_only(server: &Server) {
    let context = server.context("sql");
    let id = context.send("select 1");
    context.wait(&id);
    let answer = crate::curl::anonymous(server, &[&url(server, &context, &id)]);
    assert_eq!(answer.reply.status, 401);
}

/// A job of 20 tasks, and then a wait for the file `GO`.
const JOBS: [(&str, &str); 3] = [
    (
        "python",
        "import os, time\nsc.parallelize(range(20), 20).count()\nwhile not os.path.exists('GO'): time.sleep(0.01)",
    ),
    (
        "scala",
        "sc.setJobGroup(\"own\", \"\"); sc.parallelize(1 to 20, 20).count(); while (!new java.io.File(\"GO\").exists) Thread.sleep(10)",
    ),
    (
        "r",
        // Without adaptive execution it is one job: a second one would come behind the first one's end.
        "sql('set spark.sql.adaptive.enabled = false'); sql('select /*+ REPARTITION(20) */ id from range(0, 100, 1, 20)'); while (!file.exists('GO')) Sys.sleep(0.01)",
    ),
];

fn progress_reaches_all_tasks(server: &Server, language: &'static str, code: &str) {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let context = server.context(language);
    let id = context.send(&code.replace("GO", go.to_str().unwrap()));
    let listener = Listener::start(&context, &id);
    let all_done = |event: &Event| {
        let is_done = |what: &str| event.data[what]["done"] == event.data[what]["all"];
        let tasks = event.data["tasks"]["all"].as_u64();
        event.name == "progress" && tasks >= Some(20) && ["jobs", "stages", "tasks"].into_iter().all(is_done)
    };
    let progress = listener.until(all_done);
    // Whoever comes later is told too.
    assert_eq!(Listener::start(&context, &id).until(|event| event.name == "progress").data, progress.data);
    // A command that runs none is told of none of another's.
    fs::write(&go, "").unwrap();
    context.wait(&id);
    let next = context.send_in("sql", "set a = 1");
    context.wait(&next);
    let told = curl(server, &[&url(server, &context, &next)]).reply.text;
    assert!(!told.contains("progress"), "{told}");
}

fn jobs_of_a_streaming_query_count_for_the_command_that_started_it(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let context = server.context("python");
    let query = "q = spark.readStream.format('rate-micro-batch').option('rowsPerBatch', 10).load().writeStream\
                 .format('noop').trigger(processingTime='50 milliseconds').start()";
    let wait = format!("while not os.path.exists({go:?}): time.sleep(0.01)");
    let id = context.send(&format!("import os, time\n{query}\n{wait}"));
    let listener = Listener::start(&context, &id);
    listener.until(|event| event.name == "progress" && event.data["jobs"]["done"].as_u64() > Some(1));
    fs::write(&go, "").unwrap();
    context.wait(&id);
    fs::remove_file(&go).unwrap();
    let jobs = "before = len(q.recentProgress)\nwhile len(q.recentProgress) < before + 3: time.sleep(0.01)";
    let next = context.send(&format!("{jobs}\nsc.parallelize(range(7), 7).count()\n{wait}"));
    let listener = Listener::start(&context, &next);
    let ended = |event: &Event| event.name == "progress" && event.data["jobs"]["done"] == event.data["jobs"]["all"];
    let one = json!({"done": 1, "all": 1});
    let expected = json!({"jobs": one, "stages": one, "tasks": {"done": 7, "all": 7}});
    assert_eq!(listener.until(ended).data, expected, "the query is another command's");
    fs::write(&go, "").unwrap();
    context.wait(&next);
    context.run("q.stop()");
}
