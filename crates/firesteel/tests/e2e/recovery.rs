//! What is left when a part of the system dies: the server, the driver, the JVM, the parent of the Python processes.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::api::Context;
use crate::case::Case;
use crate::folders;
use crate::poll::until;
use crate::processes;
use crate::results;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    own![
        a_killed_server_comes_back_to_its_contexts_and_commands,
        a_dead_jvm_or_python_says_why_at_once,
        a_jvm_that_user_code_ends_or_garbles_says_so_and_comes_back,
        a_dead_driver_says_so_and_leaves_no_process,
        a_driver_whose_server_does_not_come_back_ends_itself,
    ]
}

fn start(verb: &str, data: &Path) -> Server {
    Server::start(verb, data, &[])
}

/// Python that adds a line to a file.
fn add(file: &Path, line: &str) -> String {
    format!("with open({file:?}, 'a') as f: _ = f.write('{line}\\n')\nprint('{line}')")
}

/// Python that waits until a file is there and then adds a line to another.
fn wait_and_add(go: &Path, file: &Path, line: &str) -> String {
    format!("import os, time\nwhile not os.path.exists({go:?}): time.sleep(0.01)\n{}", add(file, line))
}

fn lines(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn a_killed_server_comes_back_to_its_contexts_and_commands() {
    let data = folders::fresh_data();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let server = start("serve", &data);
    let driver = processes::driver(&data, &server.cluster);

    // One context with a queue behind a running command, one whose command goes on for longer, one at rest.
    let (busy, long, idle) = (server.context("python"), server.context("python"), server.context("scala"));
    busy.text("x = 41", "");
    idle.run("val y = 41").text();
    let done = idle.send("println(\"before\")");
    let table = idle.send_in("sql", "select id from range(25000)");
    idle.wait(&table);
    assert_eq!(idle.wait(&done).text(), "before");
    let mut queue = vec![busy.send(&wait_and_add(&file("go"), &file("lines"), "0"))];
    queue.extend((1..20).map(|number| busy.send(&add(&file("lines"), &number.to_string()))));
    let cancelled = busy.send(&add(&file("lines"), "never"));
    busy.cancel(&cancelled);
    let lasting = long.send(&wait_and_add(&file("go on"), &file("lasting"), "lasted"));
    busy.wait_for(&queue[0], "Running");
    long.wait_for(&lasting, "Running");
    let ids = [busy, long, idle].map(Context::leave);
    server.signal(Signal::SIGKILL);

    // Without a server: what runs goes on, and so does the queue.
    fs::write(file("go"), "").unwrap();
    let all: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    until("the queue has run", || lines(&file("lines")), |lines| *lines == all);

    let server = start("serve", &data);
    assert_eq!(processes::driver(&data, &server.cluster).pid, driver.pid, "the driver is the same");
    let [busy, long, idle] =
        [(0, "python"), (1, "python"), (2, "scala")].map(|(at, language)| server.context_of(&ids[at], language));
    for context in [&busy, &long, &idle] {
        assert_eq!(context.status().ok(), json!({"id": context.id, "status": "Running"}));
    }
    for (number, id) in queue.iter().enumerate() {
        assert_eq!(busy.wait(id).text(), number.to_string());
    }
    assert_eq!(busy.wait(&cancelled).status, "Cancelled");
    assert_eq!(idle.wait(&done).text(), "before");
    // The driver kept the rows that the results object has no room for.
    assert_eq!(results::page(&idle, &table, 24_999)["data"], json!([[24_999]]));
    assert_eq!(long.command(&lasting).ok(), json!({"id": lasting, "status": "Running", "results": null}));
    busy.text("x + 1", "42");
    assert!(idle.run("y + 1").text().ends_with(": Int = 42"));
    fs::write(file("go on"), "").unwrap();
    assert_eq!(long.wait(&lasting).text(), "lasted");

    // Killed again and again while commands are sent: each id that was answered runs once.
    let ids = [busy, long, idle].map(Context::leave);
    let (mut sent, mut server) = (Vec::new(), server);
    for round in 0..3 {
        let context = server.context_of(&ids[0], "python");
        for number in 0..10 {
            sent.push(context.send(&add(&file("rounds"), &format!("{round}.{number}"))));
        }
        context.leave();
        server.signal(Signal::SIGKILL);
        server = start("serve", &data);
    }
    let context = server.context_of(&ids[0], "python");
    let expected: Vec<String> =
        (0..3).flat_map(|round| (0..10).map(move |number| format!("{round}.{number}"))).collect();
    for (id, line) in sent.iter().zip(&expected) {
        assert_eq!(context.wait(id).text(), line);
    }
    assert_eq!(lines(&file("rounds")), expected);
    assert_eq!(lines(&file("lines")), all);
    context.leave();

    // Told to stop, `serve` leaves the cluster to the next one; `up` ends it with Ctrl-C.
    assert!(server.signal(Signal::SIGTERM).success());
    assert!(processes::is_alive(driver.pid));
    let server = start("up", &data);
    assert_eq!(processes::driver(&data, &server.cluster).pid, driver.pid, "the driver is the same");
    let context = server.context_of(&ids[0], "python");
    context.text("x + 1", "42");
    context.leave();
    server.end();
}

/// Contexts of every language with something running or queued in them.
struct Work<'a> {
    contexts: Vec<Context<'a>>,
    /// Commands that run or wait, by the context they are in.
    open: Vec<(usize, String)>,
    /// A command that is over, in the first context.
    done: String,
}

impl<'a> Work<'a> {
    fn start(server: &'a Server) -> Self {
        let contexts: Vec<Context<'a>> = ["python", "scala", "sql"].map(|language| server.context(language)).into();
        let done = contexts[0].send("print('done')");
        contexts[0].wait(&done);
        let slow = ["import time; time.sleep(600)", "Thread.sleep(600000)"];
        let mut open = Vec::new();
        for (at, code) in slow.into_iter().enumerate() {
            let running = contexts[at].send(code);
            contexts[at].wait_for(&running, "Running");
            open.push((at, running));
            open.push((at, contexts[at].send("1 + 1")));
        }
        Self { contexts, open, done }
    }

    /// Checks that all of it is lost, and that each part says why.
    #[track_caller]
    fn is_lost(&self, why: &str) {
        for context in &self.contexts {
            until("the context says Error", || context.status().ok(), |view| view["status"] == "Error");
        }
        for (at, command) in &self.open {
            let ended = self.contexts[*at].wait(command);
            assert_eq!((ended.status.as_str(), &ended.results["resultType"]), ("Error", &json!("error")), "{ended:?}");
            for key in ["summary", "cause"] {
                assert!(ended.results[key].as_str().unwrap().contains(why), "it says `{why}`: {ended:?}");
            }
        }
        // What was reached is kept, and what is asked now is refused with the reason.
        assert_eq!(self.contexts[0].wait(&self.done).text(), "done");
        let server = self.contexts[0].server;
        let ask = json!({"clusterId": server.cluster, "language": "python"});
        let said = server.http.post("/api/1.2/contexts/create", &ask).refused(500);
        assert!(said.starts_with(&format!("Cluster {} is not running", server.cluster)), "{said}");
        let ask = json!({"clusterId": server.cluster, "contextId": self.contexts[0].id, "language": "python", "command": "1"});
        server.http.post("/api/1.2/commands/execute", &ask).refused(500);
        let view = server.http.get("/api/1.2/clusters/status", &[("clusterId", &server.cluster)]).ok();
        assert_eq!(view["status"], json!("Error"), "{view}");
        until("no process of the cluster is left", || server.processes(), Vec::is_empty);
    }
}

fn a_dead_jvm_or_python_says_why_at_once() {
    let data = folders::fresh_data();
    let server = start("up", &data);

    // The parent of the Python processes takes them with it, and nothing else.
    let (python, scala) = (server.context("python"), server.context("scala"));
    scala.run("val kept = 42").text();
    python.text("lost = 1", "");
    let ended = python.run("import os, time; os.kill(os.getppid(), 9); time.sleep(600)");
    assert_eq!((ended.status.as_str(), &ended.results["resultType"]), ("Error", &json!("error")), "{ended:?}");
    python.text("'lost' in globals()", "False");
    assert!(scala.run("kept").text().ends_with(" = 42"));
    server.context("python").text("1 + 1", "2");
    python.destroy();
    scala.destroy();

    let work = Work::start(&server);
    let context = server.context("scala");
    context.send("import sys.process._; s\"kill -9 ${ProcessHandle.current.pid}\".!");
    work.is_lost("signal 9 (SIGKILL)");
    drop((work, context));
    server.end();

    // The next start has a working cluster again.
    let server = start("up", &data);
    server.context("python").text("spark.range(3).count()", "3");
    server.end();
}

/// As code of a library does, which is not changed as the user's own is.
const EXIT: &str = "Class.forName(\"java.lang.System\").getMethod(\"exit\", classOf[Int]).invoke(null, Int.box(7))";

/// Writes an answer that was never given to every descriptor of the JVM: its connections to the driver are among them.
const FORGE: &str = r#"
val message = """{"type":"done","command":"00000000-0000-0000-0000-000000000000","outcome":"text","payload":true}""".getBytes
def size(n: Int) = java.nio.ByteBuffer.allocate(4).putInt(n).array
val frame = size(message.length) ++ message ++ size(6) ++ "forged".getBytes
val make = classOf[java.io.FileDescriptor].getDeclaredConstructor(classOf[Int])
make.setAccessible(true)
for (number <- 3 to 1000)
  try new java.io.FileOutputStream(make.newInstance(Int.box(number))).write(frame)
  catch { case _: java.io.IOException => }
"#;

fn a_jvm_that_user_code_ends_or_garbles_says_so_and_comes_back() {
    let data = folders::fresh_data();
    let server = start("up", &data);
    let work = Work::start(&server);
    let context = server.context("scala");
    let last = context.send(EXIT);
    work.is_lost("exit status 7");
    let ended = context.wait(&last);
    assert_eq!(ended.status, "Error");
    assert!(ended.results["cause"].as_str().unwrap().contains("exit status 7"), "{ended:?}");
    drop((work, context));

    let ask = json!({"clusterId": server.cluster});
    assert_eq!(server.http.post("/api/1.2/clusters/restart", &ask).id(), server.cluster);
    let running = || server.http.get("/api/1.2/clusters/status", &[("clusterId", &server.cluster)]).ok();
    until("the cluster is Running again", running, |view| view["status"] == "Running");
    let contexts = ["python", "scala", "sql"].map(|language| server.context(language));
    let forging = contexts[1].send(FORGE);
    until("the cluster is given up", running, |view| view["status"] == "Error");
    let ended = contexts[1].wait(&forging);
    assert_eq!((ended.status.as_str(), ended.results.to_string().contains("forged")), ("Error", false), "{ended:?}");
    contexts.into_iter().for_each(drop);
    server.end();
}

fn a_dead_driver_says_so_and_leaves_no_process() {
    let data = folders::fresh_data();
    let server = start("up", &data);
    let work = Work::start(&server);
    let driver = processes::driver(&data, &server.cluster);
    let context = server.context("scala");
    context.send("ProcessHandle.current.parent.get.destroyForcibly()");
    work.is_lost("driver");
    assert!(!processes::is_alive(driver.pid));
    drop((work, context));
    server.end();
}

fn a_driver_whose_server_does_not_come_back_ends_itself() {
    let data = folders::fresh_data();
    fs::write(data.join("firesteel.toml"), "orphan_seconds = 1").unwrap();
    let server = start("serve", &data);
    let context = server.context("python");
    context.send("import time; time.sleep(600)");
    context.leave();
    server.signal(Signal::SIGKILL);
    until("the driver and all that it started have ended", || server.processes(), Vec::is_empty);
}
