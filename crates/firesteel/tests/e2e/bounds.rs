//! Bounds that a server of its own has, small enough to be met: contexts, idleness, memory, results, output, sources.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::api::{Context, Reply};
use crate::case::Case;
use crate::folders;
use crate::poll::until;
use crate::r;
use crate::server::Server;
use crate::time_limits::{send_for, time_is_up};

pub(crate) fn cases() -> Vec<Case> {
    own![bounds_are_kept_and_idle_contexts_make_room]
}

const CONFIG: &str = "[limits]
contexts_max = 4
context_idle_seconds = 2
context_memory_mb = 400
cancel_seconds_max = 1
queue_bytes_max = 1000
rows_max = 5
text_chars_max = 100
output_bytes_max = 1000
";

/// One server for all of it: a start costs more than they do.
fn bounds_are_kept_and_idle_contexts_make_room() {
    let data = folders::fresh_data();
    fs::write(data.join("firesteel.toml"), CONFIG).unwrap();
    let server = Server::start("serve", &data, &[]);
    a_process_has_so_much_memory(&server);
    results_and_output_have_so_much_room(&server);
    code_that_does_not_stop_in_time_is_killed(&server);
    sources_that_wait_have_so_many_bytes_together(&server);
    let left = the_longest_idle_makes_room(&server);
    server.signal(Signal::SIGKILL);

    // Another server knows who made room, and who was used last.
    let server = Server::start("up", &data, &[]);
    is_disconnected(&server.context_of(&left.gone, "python"));
    let (older, newer) = (server.context_of(&left.older, "python"), server.context_of(&left.newer, "python"));
    let fresh = [server.context("sql"), server.context("sql")];
    let made = makes_room(&server);
    is_disconnected(&older);
    newer.text("x", "1");
    server.context_of(&made, "python").destroy();
    // Nothing is left to do, and that is a success.
    older.destroy();
    newer.destroy();
    fresh.into_iter().for_each(Context::destroy);
    server.end();
}

/// Makes a context on a full cluster, as soon as another has been idle for long enough.
#[track_caller]
fn makes_room(server: &Server) -> String {
    let ask = json!({"clusterId": server.cluster, "language": "python"});
    let create = || server.http.post("/api/1.2/contexts/create", &ask);
    let reply = until("another makes room", create, |reply| reply.status == 200);
    reply.id()
}

fn a_process_has_so_much_memory(server: &Server) {
    let context = server.context("python");
    context.text("kept = 1", "");
    let ended = context.run("x = bytearray(800 << 20)");
    assert!(ended.results["summary"].as_str().unwrap().contains("MemoryError"), "{ended:?}");
    context.text("kept + len(bytearray(50 << 20))", &((50 << 20) + 1).to_string());
    if r::installed() {
        let ended = context.run_in("r", "x <- numeric(1e8)");
        assert!(ended.results["summary"].as_str().unwrap().contains("cannot allocate"), "{ended:?}");
        assert_eq!(context.run_in("r", "1 + 1").text(), "[1] 2");
    }
    context.destroy();
}

fn results_and_output_have_so_much_room(server: &Server) {
    let context = server.context("python");
    let table = context.run_in("sql", "select id from range(10)").results;
    assert_eq!((&table["data"], &table["truncated"]), (&json!([[0], [1], [2], [3], [4]]), &json!(true)));
    let id = context.send("print('x' * 199_999)");
    let ended = context.wait(&id);
    assert_eq!(ended.results["truncated"], json!(true));
    assert!(ended.text().len() < 300 && ended.text().starts_with("xxxx"), "{ended:?}");
    // Of what was printed the first bytes are kept, and the last.
    let page = context.output(&id, 0, &[]).ok();
    assert_eq!((&page["nextOffset"], &page["complete"]), (&json!(1000), &json!(false)), "{page}");
    let page = context.output(&id, 1000, &[]).ok();
    let kept = page["data"].as_str().unwrap().len() as u64;
    assert_eq!((page["skipped"].as_u64().unwrap() + kept, &page["complete"]), (199_000, &json!(true)), "{kept}");
    context.destroy();
}

fn code_that_does_not_stop_in_time_is_killed(server: &Server) {
    let context = server.context("python");
    context.text("kept = 1", "");
    let id = send_for(&context, "python", "sum(range(10**13))", &json!(1)).id();
    let ended = context.wait(&id);
    assert_eq!(ended.status, "Finished");
    let said = ended.results["summary"].as_str().unwrap();
    assert!(said.starts_with(&format!("{}: the code did not stop within 1s", time_is_up(1))), "{said}");
    context.text("'kept' in globals()", "False");
    context.destroy();
}

fn sources_that_wait_have_so_many_bytes_together(server: &Server) {
    let context = server.context("python");
    let first = context.send("import time; time.sleep(600)");
    let long = format!("'{}'", "x".repeat(900));
    let second = context.send(&long);
    let said = execute(&context, &long).refused(500);
    assert!(said.contains("1000 bytes together"), "{said}");
    context.cancel(&first);
    assert_eq!(context.wait(&second).status, "Finished");
    // One that is alone always has room.
    assert_eq!(context.run(&format!("'{}'", "x".repeat(5000))).status, "Finished");
    context.destroy();
}

/// The contexts that a server leaves to the next.
struct Left {
    /// One that made room.
    gone: String,
    /// One that was used before the last.
    older: String,
    /// The one that was used last.
    newer: String,
}

fn the_longest_idle_makes_room(server: &Server) -> Left {
    let [newer, streaming, busy, idle] = [(); 4].map(|()| server.context("python"));
    streaming.run("query = spark.readStream.format('rate').load().writeStream.format('noop').start()").text();
    let running = busy.send("import time; time.sleep(600)");
    busy.wait_for(&running, "Running");
    idle.text("x = 1", "");
    newer.text("x = 1", "");
    let made = makes_room(server);
    is_disconnected(&idle);
    for context in [&newer, &streaming, &busy] {
        assert_eq!(context.status().ok()["status"], "Running");
    }
    streaming.text("query.isActive", "True");
    assert_eq!(busy.command(&running).ok()["status"], "Running");
    busy.destroy();
    server.context_of(&made, "python").destroy();
    streaming.run("query.stop()").text();
    newer.text("x", "1");
    Left { gone: idle.leave(), older: streaming.leave(), newer: newer.leave() }
}

fn is_disconnected(context: &Context<'_>) {
    let said = format!("Context ExecutionContextId({}) is disconnected. It was idle", context.id);
    for refused in [context.status(), execute(context, "1"), context.command("00000000-0000-4000-8000-000000000000")] {
        let refused = refused.refused(500);
        assert!(refused.starts_with(&said), "{refused}");
    }
}

fn execute(context: &Context<'_>, code: &str) -> Reply {
    let ask = json!({
        "clusterId": context.server.cluster,
        "contextId": context.id,
        "language": "python",
        "command": code,
    });
    context.server.http.post("/api/1.2/commands/execute", &ask)
}
