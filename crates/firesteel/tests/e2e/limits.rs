//! Bounds that take all of the server to reach.

use serde_json::json;

use crate::case::Case;
use crate::processes;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    shared![
        a_cluster_has_150_contexts_and_then_says_so,
        a_queue_holds_1000_commands_and_then_says_so,
        the_server_has_stayed_small_through_it_all,
    ]
}

fn a_cluster_has_150_contexts_and_then_says_so(server: &Server) {
    let full = "Too many execution contexts are open right now. (Limit set to 150)";
    let ask = json!({"clusterId": server.cluster, "language": "sql"});
    let create = || server.http.post("/api/1.2/contexts/create", &ask);
    let mut contexts: Vec<_> = (0..150).map(|_| server.context_of(&create().id(), "sql")).collect();
    assert_eq!(create().refused(500), full);
    contexts.iter().for_each(|context| context.wait_running());
    // The last one works as the first does, and room is made by destroying one.
    for context in [&contexts[0], &contexts[149]] {
        assert_eq!(context.run("select 42 as a").results["data"], json!([[42]]));
    }
    contexts.pop().unwrap().destroy();
    contexts.push(server.context("sql"));
    assert_eq!(create().refused(500), full);
    contexts.into_iter().for_each(|context| context.destroy());
    server.context("sql").destroy();
}

fn a_queue_holds_1000_commands_and_then_says_so(server: &Server) {
    let context = server.context("sql");
    let first = context.send("select sum(a.id * b.id) from range(10000000) a cross join range(10000000) b");
    context.wait_for(&first, "Running");
    // The one that runs counts too.
    let waiting: Vec<String> = (1..1000).map(|_| context.send("select 1")).collect();
    let last = &waiting[998];
    let ask = json!({"clusterId": server.cluster, "contextId": context.id, "language": "sql", "command": "select 1"});
    let said = server.http.post("/api/1.2/commands/execute", &ask).refused(500);
    assert!(said.contains("1000") && said.contains("waiting"), "{said}");
    assert_eq!(context.command(last).ok()["status"], json!("Queued"));
    context.cancel(last);
    assert_eq!(context.wait(last).status, "Cancelled");
    // There is room again, and all that waits ends with the context.
    context.send("select 1");
    context.destroy();
}

fn the_server_has_stayed_small_through_it_all(server: &Server) {
    let peak = processes::kib(server.pid, "VmHWM");
    assert!(peak < 300 * 1024, "the server took {peak} KiB at its peak");
}
