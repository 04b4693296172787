//! Time limits: of a command, of a cluster.

use serde_json::{Value, json};

use crate::api::{Context, Reply, error};
use crate::cancels::keepsake;
use crate::case::Case;
use crate::r;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    shared![a_command_whose_time_is_up_is_stopped_and_says_so, a_time_limit_that_is_none_is_refused]
}

/// Sends a command that may run for so many seconds.
#[track_caller]
pub(crate) fn send_for(context: &Context<'_>, language: &str, code: &str, seconds: &Value) -> Reply {
    let ask = json!({
        "clusterId": context.server.cluster,
        "contextId": context.id,
        "language": language,
        "command": code,
        "timeoutSeconds": seconds,
    });
    context.server.http.post("/api/1.2/commands/execute", &ask)
}

/// What a command says whose time was up, but for what was lost with it.
pub(crate) fn time_is_up(seconds: u64) -> String {
    format!("The command was stopped: it ran for longer than its time limit of {seconds}s")
}

fn a_command_whose_time_is_up_is_stopped_and_says_so(server: &Server) {
    let text = time_is_up(1);
    let endless = [
        ("python", "while True: pass"),
        ("scala", "while (true) {}"),
        ("sql", "select sum(a.id * b.id) from range(10000000) a cross join range(10000000) b"),
        ("r", "while (TRUE) {}"),
    ];
    for (language, code) in endless.into_iter().filter(|(language, _)| *language != "r" || r::installed()) {
        let context = server.context(language);
        let [keep, ask, _] = keepsake(language);
        assert_eq!(context.run(keep).status, "Finished");
        let id = send_for(&context, language, code, &json!(1)).id();
        // Its time begins when it does: what waits behind it has its own.
        let next = send_for(&context, language, ask, &json!("60")).id();
        let ended = context.wait(&id);
        assert_eq!((ended.status.as_str(), &ended.results), ("Finished", &error(&text, &text)), "{language}");
        let ended = context.wait(&next);
        assert_eq!(ended.status, "Finished");
        assert_ne!(ended.results["resultType"], "error", "{language}: {ended:?}");
    }
}

fn a_time_limit_that_is_none_is_refused(server: &Server) {
    let context = server.context("sql");
    for (given, said) in [(json!("soon"), "soon"), (json!(-1), "-1"), (json!(1.5), "1.5")] {
        let refused = send_for(&context, "sql", "select 1", &given).refused(500);
        assert_eq!(refused, format!("`timeoutSeconds` is `{said}`; it must be a whole number"));
    }
    for given in [json!(null), json!(""), json!(0)] {
        let id = send_for(&context, "sql", "select 1", &given).id();
        assert_eq!(context.wait(&id).status, "Finished", "{given}");
    }
}
