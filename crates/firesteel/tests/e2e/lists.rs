//! Lists of contexts and commands.

use serde_json::{Value, json};

use crate::case::Case;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    shared![
        commands_are_listed_page_by_page_the_newest_first,
        contexts_are_listed_with_their_language_and_status,
        a_page_that_nobody_gave_is_refused,
    ]
}

#[track_caller]
fn list(server: &Server, what: &str, more: &[(&str, &str)]) -> Value {
    let query = [&[("clusterId", server.cluster.as_str())], more].concat();
    server.http.get(&format!("/api/1.2/{what}/list"), &query).ok()
}

fn ids(page: &Value, what: &str) -> Vec<String> {
    page[what].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

fn commands_are_listed_page_by_page_the_newest_first(server: &Server) {
    let context = server.context("python");
    let mut sent = vec![context.send("1"), context.send_in("sql", "select 1"), context.send("1/0")];
    sent.iter().for_each(|id| drop(context.wait(id)));
    sent.push(context.send("import time; print('on'); time.sleep(600)"));
    context.output_until(&sent[3], 0, |text, _| text == "on\n");
    let waiting = context.send("2");

    let first = list(server, "commands", &[("contextId", &context.id), ("limit", "2")]);
    assert_eq!(ids(&first, "commands"), [waiting.as_str(), &sent[3]]);
    assert_eq!(first["commands"][0]["status"], "Queued");
    assert_eq!(first["commands"][0]["startedMs"], Value::Null);
    assert_eq!(first["commands"][1]["status"], "Running");
    assert_eq!(first["commands"][1]["endedMs"], Value::Null);
    // More come in between; the next page begins where the first ended.
    context.send("3");
    let token = first["nextPageToken"].as_str().unwrap();
    let next = list(server, "commands", &[("contextId", &context.id), ("pageToken", token)]);
    assert_eq!(ids(&next, "commands"), [sent[2].as_str(), &sent[1], &sent[0]]);
    assert_eq!(next.get("nextPageToken"), None);
    let sql = &next["commands"][1];
    let times = ["createdMs", "startedMs", "endedMs"].map(|name| sql[name].as_u64().unwrap());
    assert!(times.is_sorted(), "{sql}");
    let expected = json!({
        "id": sent[1], "language": "sql", "status": "Finished",
        "createdMs": times[0], "startedMs": times[1], "endedMs": times[2],
    });
    assert_eq!(*sql, expected);
    context.cancel(&sent[3]);
}

fn contexts_are_listed_with_their_language_and_status(server: &Server) {
    let (older, newer) = (server.context("sql"), server.context("python"));
    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let mut more = vec![("limit", "2")];
        more.extend(token.as_deref().map(|token| ("pageToken", token)));
        let page = list(server, "contexts", &more);
        assert!(page["contexts"].as_array().unwrap().len() <= 2);
        seen.extend(page["contexts"].as_array().unwrap().clone());
        token = page["nextPageToken"].as_str().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    // Other cases have theirs.
    let at = |id: &str| seen.iter().position(|entry| entry["id"] == id).expect("it is listed");
    assert!(at(&newer.id) < at(&older.id));
    let entry = &seen[at(&older.id)];
    let expected = json!({"id": older.id, "language": "sql", "status": "Running", "createdMs": entry["createdMs"].as_u64().unwrap()});
    assert_eq!(*entry, expected);
    let id = older.id.clone();
    older.destroy();
    assert!(!ids(&list(server, "contexts", &[("limit", "1000")]), "contexts").contains(&id));
}

fn a_page_that_nobody_gave_is_refused(server: &Server) {
    let context = server.context("sql");
    let cluster = server.cluster.as_str();
    let refused = |what: &str, more: &[(&str, &str)]| {
        let query = [&[("clusterId", cluster), ("contextId", context.id.as_str())], more].concat();
        server.http.get(&format!("/api/1.2/{what}/list"), &query).refused(500)
    };
    for what in ["contexts", "commands"] {
        let expected =
            format!("`pageToken` is `x`, which is no `nextPageToken` of {what}/list; leave it out for the first page");
        assert_eq!(refused(what, &[("pageToken", "x")]), expected);
        assert_eq!(refused(what, &[("limit", "1001")]), "`limit` is `1001`; it must be from 1 to 1000");
    }
}
