//! Every form in which clients send a call, by curl: the samples of the 1.2 document, and what is seen in the wild.

use serde_json::json;

use crate::api::table;
use crate::case::Case;
use crate::curl::{anonymous, curl, has_http2};
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    shared![
        the_samples_of_the_document_work_as_they_stand,
        a_command_file_is_taken_as_it_is,
        every_encoding_of_the_same_call_is_read,
        paths_may_end_in_a_slash_or_a_blank,
        a_body_is_asked_for_when_curl_waits_for_it,
        both_versions_of_http_are_spoken,
        a_call_without_credentials_is_challenged,
        a_client_that_waits_for_the_challenge_gets_through,
        credentials_are_a_password_or_a_token,
        wrong_credentials_are_refused,
        the_discovery_document_is_open,
        what_does_not_exist_says_so,
        an_unknown_context_is_a_500_with_one_key,
        broken_bodies_are_refused_and_harm_nothing,
        a_large_upload_without_credentials_is_refused_early,
    ]
}

fn the_samples_of_the_document_work_as_they_stand(server: &Server) {
    let cluster = &server.cluster;
    let list = curl(server, &["-X", "GET", "URL/api/1.2/clusters/list"]).ok();
    assert_eq!(list[0]["id"], json!(cluster));
    let one = curl(server, &["-X", "GET", &format!("URL/api/1.2/clusters/status?clusterId={cluster}")]).ok();
    assert_eq!(one["status"], json!("Running"));

    let data = format!("language=scala&clusterId={cluster}");
    let context = curl(server, &["-X", "POST", "URL/api/1.2/contexts/create", "-d", &data]).id();
    let context = server.context_of(&context, "scala");
    let ids = format!("clusterId={cluster}&contextId={}", context.id);
    context.wait_running();
    let status = curl(server, &["-X", "GET", &format!("URL/api/1.2/contexts/status?{ids}")]).ok();
    assert_eq!(status, json!({"id": context.id, "status": "Running"}));

    let data = format!("language=scala&{ids}&command=sc.parallelize(1 to 10).collect");
    let command = curl(server, &["-X", "POST", "URL/api/1.2/commands/execute", "-d", &data]).id();
    let ended = context.wait(&command);
    let status = curl(server, &["-X", "GET", &format!("URL/api/1.2/commands/status?{ids}&commandId={command}")]).ok();
    let text = "res0: Array[Int] = Array(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)";
    let results = json!({"data": text, "resultType": "text"});
    assert_eq!(status, json!({"id": command, "status": "Finished", "results": results}));
    assert_eq!(ended.results, results);

    let slow = context.send("Thread.sleep(600000)");
    let data = format!("{ids}&commandId={slow}");
    assert_eq!(curl(server, &["-X", "POST", "URL/api/1.2/commands/cancel", "-d", &data]).id(), slow);
    assert_eq!(context.wait(&slow).status, "Cancelled");

    assert_eq!(curl(server, &["-X", "POST", "URL/api/1.2/contexts/destroy", "-d", &ids]).id(), context.id);
    context.leave();
}

fn a_command_file_is_taken_as_it_is(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wordcount.py");
    let source = "text = 'a=b&c d+e%20é;\"\\''\nfor word in text.split('&'):\n    print(word)\n";
    std::fs::write(&file, source).unwrap();
    let context = server.context("python");
    let (cluster, at) = (format!("clusterId={}", server.cluster), format!("contextId={}", context.id));
    let path = file.display();
    let ways: [&[&str]; 6] = [
        &["-F", "language=python", "-F", &cluster, "-F", &at, "-F", &format!("command=@{path}")],
        &[
            "-F",
            "language=python",
            "-F",
            &cluster,
            "-F",
            &at,
            "-F",
            &format!("command=@{path};filename=command;type=text/plain"),
        ],
        &[
            "-F",
            "language=python",
            "-F",
            &cluster,
            "-F",
            &at,
            "-F",
            &format!("command=<{path}"),
            "-F",
            "options={\"displayRowLimit\":1}",
        ],
        &["-d", "language=python", "-d", &cluster, "-d", &at, "--data-urlencode", &format!("command@{path}")],
        &[
            "--get",
            "-X",
            "POST",
            "-d",
            "language=python",
            "-d",
            &cluster,
            "-d",
            &at,
            "--data-urlencode",
            &format!("command@{path}"),
        ],
        &[
            "-H",
            "Expect: 100-continue",
            "-F",
            "language=python",
            "-F",
            &cluster,
            "-F",
            &at,
            "-F",
            &format!("command=@{path}"),
        ],
    ];
    for way in ways {
        let command = curl(server, &[&["URL/api/1.2/commands/execute"], way].concat()).id();
        assert_eq!(context.wait(&command).text(), "a=b\nc d+e%20é;\"'", "{way:?}");
    }
}

fn every_encoding_of_the_same_call_is_read(server: &Server) {
    let cluster = &server.cluster;
    let body = json!({"clusterId": cluster, "language": "sql", "options": "{}", "zoneId": null}).to_string();
    let form = format!("clusterId={cluster}&language=sql");
    let (part, query) = (format!("clusterId={cluster}"), format!("URL/api/1.2/contexts/create?{form}"));
    let url = "URL/api/1.2/contexts/create";
    let ways: [&[&str]; 11] = [
        &["-H", "Content-Type: application/json", "-d", &body, url],
        &["-H", "Content-Type: application/json; charset=utf-8", "-d", &body, url],
        // A script's `-d '{…}'`, which curl labels as a form.
        &["-d", &body, url],
        &["-H", "Content-Type: text/json", "-d", &body, url],
        &["-H", "Content-Type: text/plain;charset=UTF-8", "-d", &body, url],
        &["-H", "Content-Type:", "-d", &body, url],
        &["-d", &format!("  \n{body}"), url],
        &["-d", &form, url],
        &["-F", &part, "-F", "language=sql", url],
        &["-X", "POST", &query],
        &["-d", "language=sql", &format!("{url}?clusterId={cluster}&language=scala")],
    ];
    for way in ways {
        let context = server.context_of(&curl(server, way).id(), "sql");
        context.wait_running();
        context.check("select 1 as a", &table(&[("a", "\"integer\"")], json!([[1]])));
        context.destroy();
    }
}

fn paths_may_end_in_a_slash_or_a_blank(server: &Server) {
    for end in ["/", "%20", "/%20", "%20/"] {
        let context = server.context("sql");
        let ids = format!("clusterId={}&contextId={}", server.cluster, context.id);
        let status = curl(server, &[&format!("URL/api/1.2/contexts/status{end}?{ids}")]).ok();
        assert_eq!(status["status"], json!("Running"), "{end}");
        let url = format!("URL/api/1.2/contexts/destroy{end}");
        assert_eq!(curl(server, &["-d", &ids, &url]).id(), context.id, "{end}");
        context.leave();
    }
}

fn a_body_is_asked_for_when_curl_waits_for_it(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("long.py");
    std::fs::write(&file, format!("# {}\nprint('came')", "x".repeat(3_000_000))).unwrap();
    let context = server.context("python");
    let (cluster, at) = (format!("clusterId={}", server.cluster), format!("contextId={}", context.id));
    let command = format!("command=@{}", file.display());
    let parts = ["-F", "language=python", "-F", &cluster, "-F", &at, "-F", &command];
    let url = ["--http1.1", "-H", "Expect: 100-continue", "URL/api/1.2/commands/execute"];
    let answer = curl(server, &[&url[..], &parts].concat());
    assert!(answer.talk.contains("HTTP/1.1 100 Continue"), "{}", answer.talk);
    assert_eq!(context.wait(&answer.id()).text(), "came");
    // Where the answer is no anyway, the body is not asked for.
    let answer = anonymous(server, &[&url[..], &parts].concat());
    assert_eq!(answer.reply.status, 401);
    assert!(!answer.talk.contains("100 Continue"), "{}", answer.talk);
}

fn both_versions_of_http_are_spoken(server: &Server) {
    let mut versions = vec![("--http1.1", "1.1")];
    if has_http2() {
        versions.push(("--http2", "2"));
    }
    for (option, version) in versions {
        let answer = curl(server, &[option, "URL/api/1.2/clusters/list"]);
        assert_eq!((answer.reply.status, answer.version.as_str()), (200, version));
    }
}

fn a_call_without_credentials_is_challenged(server: &Server) {
    let body = json!({"clusterId": server.cluster, "language": "sql"}).to_string();
    let ways: [&[&str]; 6] = [
        &["URL/api/1.2/clusters/list"],
        &["URL/api/1.2/contexts/status?clusterId=a&contextId=b"],
        &["-d", &body, "URL/api/1.2/contexts/create"],
        &["-F", "command=1", "URL/api/1.2/commands/execute"],
        &["-X", "DELETE", "URL/api/1.2/contexts/create"],
        &["URL/api/1.2/no/such/thing"],
    ];
    for way in ways {
        let reply = anonymous(server, way).reply;
        assert!(reply.headers["www-authenticate"].to_str().unwrap().starts_with("Basic realm=\""), "{reply:?}");
        assert!(!reply.refused(401).is_empty());
    }
    let reply = anonymous(server, &["URL/api/2.0/preview/scim/v2/Me"]).reply;
    assert_eq!((reply.status, reply.json()["message"].is_string()), (401, true));
    assert!(reply.headers.contains_key("www-authenticate"));
}

fn a_client_that_waits_for_the_challenge_gets_through(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("code.py");
    std::fs::write(&file, "print('after the challenge')").unwrap();
    let context = server.context("python");
    let user = format!("admin:{}", server.password());
    let (cluster, at) = (format!("clusterId={}", server.cluster), format!("contextId={}", context.id));
    let command = format!("command=@{}", file.display());
    let arguments = ["--anyauth", "-u", &user, "-F", "language=python", "-F", &cluster, "-F", &at, "-F", &command];
    let answer = anonymous(server, &[&arguments[..], &["URL/api/1.2/commands/execute"]].concat());
    assert!(answer.talk.contains(" 401"), "{}", answer.talk);
    assert_eq!(context.wait(&answer.id()).text(), "after the challenge");
}

fn credentials_are_a_password_or_a_token(server: &Server) {
    let users = [format!("admin:{}", server.password()), format!("token:{}", server.token)];
    for user in &users {
        anonymous(server, &["-u", user, "URL/api/1.2/clusters/list"]).ok();
    }
    for scheme in ["Bearer", "bearer"] {
        let header = format!("Authorization: {scheme} {}", server.token);
        anonymous(server, &["-H", &header, "URL/api/1.2/clusters/list"]).ok();
    }
}

fn wrong_credentials_are_refused(server: &Server) {
    for user in ["admin:tr0ub4dor", "nobody:tr0ub4dor", "token:tr0ub4dor", "admin:", ":"] {
        let reply = anonymous(server, &["-u", user, "URL/api/1.2/clusters/list"]).reply;
        assert!(reply.headers.contains_key("www-authenticate"), "{user}: {reply:?}");
        assert!(!reply.refused(401).contains("tr0ub4dor"), "{user}");
    }
    let reply = anonymous(server, &["-H", "Authorization: Bearer tr0ub4dor", "URL/api/1.2/clusters/list"]).reply;
    assert!(!reply.refused(403).contains("tr0ub4dor"));
    let reply = anonymous(server, &["-H", "Authorization: Negotiate x", "URL/api/1.2/clusters/list"]).reply;
    reply.refused(401);
}

fn the_discovery_document_is_open(server: &Server) {
    let expected = json!({"oidc_endpoint": format!("{}/oidc", server.url)});
    assert_eq!(anonymous(server, &["URL/.well-known/databricks-config"]).ok(), expected);
}

fn what_does_not_exist_says_so(server: &Server) {
    let expected = json!({"error_code": "ENDPOINT_NOT_FOUND", "message": "No API found for 'GET /api/1.2/x'"});
    let reply = curl(server, &["URL/api/1.2/x"]).reply;
    assert_eq!((reply.status, reply.json()), (404, expected));
    for path in ["/", "/api", "/api/2.0/nothing", "/api/1.2/files/download", "/.well-known/other"] {
        let reply = curl(server, &[&format!("URL{path}")]).reply;
        assert_eq!((reply.status, reply.json()["error_code"].as_str().unwrap()), (404, "ENDPOINT_NOT_FOUND"), "{path}");
    }
    let reply = curl(server, &["URL/api/1.2/contexts/create"]).reply;
    assert!(reply.refused(405).contains("GET"), "{reply:?}");
}

fn an_unknown_context_is_a_500_with_one_key(server: &Server) {
    let url = format!("URL/api/1.2/contexts/status?clusterId={}&contextId=1234567890123456789", server.cluster);
    let reply = curl(server, &[&url]).reply;
    assert_eq!((reply.status, reply.text.as_str()), (500, "{\"error\":\"ContextNotFound: 1234567890123456789\"}"));
}

fn broken_bodies_are_refused_and_harm_nothing(server: &Server) {
    let url = "URL/api/1.2/contexts/create";
    let ways: [&[&str]; 6] = [
        // A quote that a script did not escape.
        &["-d", "{\"clusterId\":\"c\",\"language\":\"py\"thon\"}", url],
        &["-H", "Content-Type: application/json", "-d", "{\"clusterId\":", url],
        &["-H", "Content-Type: application/json", "-d", "{\"clusterId\":[1],\"language\":\"sql\"}", url],
        &["-H", "Content-Type: multipart/form-data; boundary=x", "-d", "no parts", url],
        &["-H", "Content-Type: multipart/form-data", "-d", "no boundary", url],
        &["-d", "clusterId=%ff%fe&language=sql", url],
    ];
    for way in ways {
        assert!(!curl(server, way).reply.refused(500).is_empty(), "{way:?}");
    }
    curl(server, &["URL/api/1.2/clusters/list"]).ok();
}

fn a_large_upload_without_credentials_is_refused_early(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.py");
    std::fs::write(&file, vec![b'#'; 5_000_000]).unwrap();
    let command = format!("command=@{}", file.display());
    for version in ["--http1.1", "--http2"] {
        if version == "--http1.1" || has_http2() {
            let answer = anonymous(server, &[version, "-H", "Expect:", "-F", &command, "URL/api/1.2/commands/execute"]);
            assert!(answer.reply.headers.contains_key("www-authenticate"));
            answer.reply.refused(401);
        }
    }
}
