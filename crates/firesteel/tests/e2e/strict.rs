//! The shapes that `sbt-databricks` takes: it aborts on a key that it does not know.

use serde_json::{Value, json};

use crate::api::{Reply, fits};
use crate::case::Case;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    shared![results_for_sbt_hold_the_keys_that_it_knows, all_else_is_as_for_everyone]
}

fn get(server: &Server, path: &str, query: &[(&str, &str)]) -> Reply {
    server.http.request(|client, url| {
        let agent = "sbt-databricks v:0.1.5 built on 2018-07-02";
        client.get(format!("{url}/api/1.2/{path}")).query(query).header("User-Agent", agent)
    })
}

fn results_for_sbt_hold_the_keys_that_it_knows(server: &Server) {
    let context = server.context("python");
    let cases = [
        ("python", "print(1)", json!({"data": "1", "resultType": "text"})),
        ("python", "1/0", json!({"cause": "…ZeroDivisionError: division by zero", "resultType": "error"})),
        ("sql", "select 1 as a, 'x' as b", json!({"data": "a  b\n1  x", "resultType": "text"})),
        ("sql", "selec", json!({"cause": "…ParseException…", "resultType": "error"})),
        ("scala", "1 / 0", json!({"cause": "java.lang.ArithmeticException…", "resultType": "error"})),
        ("python", "import os; os._exit(4)", json!({"cause": "…exit status 4…", "resultType": "error"})),
    ];
    for (language, code, expected) in cases {
        let command = context.send_in(language, code);
        let ended = context.wait(&command);
        let ids = [("clusterId", server.cluster.as_str()), ("contextId", &context.id), ("commandId", &command)];
        let view = get(server, "commands/status", &ids).ok();
        let expected = json!({"id": command, "status": ended.status, "results": expected});
        assert!(fits(&expected, &view), "{code}\nexpected: {expected:#}\nseen: {view:#}");
    }
    let command = context.send("import time; time.sleep(600)");
    context.cancel(&command);
    context.wait(&command);
    let ids = [("clusterId", server.cluster.as_str()), ("contextId", &context.id), ("commandId", &command)];
    let results = &get(server, "commands/status", &ids).ok()["results"];
    let expected =
        json!({"resultType": "error", "cause": "com.databricks.backend.common.rpc.CommandCancelledException…"});
    assert!(fits(&expected, results), "{results}");
}

fn all_else_is_as_for_everyone(server: &Server) {
    let context = server.context("sql");
    let cluster = [("clusterId", server.cluster.as_str())];
    let of_context = [("clusterId", server.cluster.as_str()), ("contextId", context.id.as_str())];
    let calls: [(&str, &[(&str, &str)]); 5] = [
        ("clusters/list", &[]),
        ("clusters/status", &cluster),
        ("contexts/status", &of_context),
        ("contexts/status", &[("clusterId", "nope"), ("contextId", "1")]),
        ("commands/status", &of_context),
    ];
    for (path, query) in calls {
        let usual = server.http.get(&format!("/api/1.2/{path}"), query);
        let strict = get(server, path, query);
        let both: [(u16, Value); 2] = [&usual, &strict].map(|reply| (reply.status, reply.json()));
        assert_eq!(both[0], both[1], "{path}");
    }
}
