//! The workspace and secrets, over REST.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::api::{Context, Reply};
use crate::case::Case;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    shared![
        notebooks_and_files_are_imported_listed_exported_and_deleted,
        what_the_workspace_refuses_has_its_code,
        secrets_are_kept_in_scopes,
        user_code_reads_secrets_and_cannot_show_them,
    ]
}

#[track_caller]
fn post(server: &Server, call: &str, body: &Value) -> Reply {
    server.http.post(&format!("/api/2.0/{call}"), body)
}

#[track_caller]
fn done(server: &Server, call: &str, body: &Value) {
    assert_eq!(post(server, call, body).ok(), json!({}), "{call} {body}");
}

#[track_caller]
fn refused(reply: &Reply, status: u16, word: &str) {
    assert_eq!((reply.status, &reply.json()["error_code"]), (status, &json!(word)), "{reply:?}");
}

fn notebooks_and_files_are_imported_listed_exported_and_deleted(server: &Server) {
    let list = |path: &str| {
        let listed = server.http.get("/api/2.0/workspace/list", &[("path", path)]).ok();
        let objects = listed["objects"].as_array().unwrap().iter();
        objects
            .map(|node| format!("{} {}", node["object_type"].as_str().unwrap(), node["path"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let root = list("/");
    assert!(
        root.contains(&"DIRECTORY /Shared".to_owned()) && root.contains(&"DIRECTORY /Users".to_owned()),
        "{root:?}"
    );
    assert!(list("/Users").contains(&"DIRECTORY /Users/admin".to_owned()));
    done(server, "workspace/mkdirs", &json!({"path": "/Shared/e2e/deep"}));
    let source = BASE64_STANDARD.encode("# Databricks notebook source\nprint(1)\n");
    let notebook = json!({"path": "/Shared/e2e/nb", "content": source, "format": "SOURCE", "language": "PYTHON", "overwrite": true});
    done(server, "workspace/import", &notebook);
    done(server, "workspace/import", &notebook);
    done(server, "workspace/import", &json!({"path": "/Shared/e2e/auto.py", "content": source, "format": "AUTO"}));
    done(server, "workspace/import", &json!({"path": "/Shared/e2e/data.csv", "content": "AAH/", "format": "AUTO"}));
    let expected = [
        "NOTEBOOK /Shared/e2e/auto",
        "FILE /Shared/e2e/data.csv",
        "DIRECTORY /Shared/e2e/deep",
        "NOTEBOOK /Shared/e2e/nb",
    ];
    assert_eq!(list("/Workspace/Shared/e2e"), expected);
    let status = server.http.get("/api/2.0/workspace/get-status", &[("path", "/Shared/e2e/nb")]).ok();
    assert_eq!((&status["object_type"], &status["language"]), (&json!("NOTEBOOK"), &json!("PYTHON")));
    assert!(status["object_id"].as_u64().unwrap() > 0);
    let export =
        |path: &str| server.http.get("/api/2.0/workspace/export", &[("path", path), ("format", "SOURCE")]).ok();
    assert_eq!(export("/Shared/e2e/nb"), json!({"content": source, "file_type": "py"}));
    assert_eq!(export("/Shared/e2e/data.csv"), json!({"content": "AAH/", "file_type": "csv"}));
    refused(&post(server, "workspace/delete", &json!({"path": "/Shared/e2e"})), 400, "DIRECTORY_NOT_EMPTY");
    done(server, "workspace/delete", &json!({"path": "/Shared/e2e", "recursive": true}));
    refused(&server.http.get("/api/2.0/workspace/list", &[("path", "/Shared/e2e")]), 404, "RESOURCE_DOES_NOT_EXIST");
}

fn what_the_workspace_refuses_has_its_code(server: &Server) {
    done(server, "workspace/import", &json!({"path": "/Shared/taken", "content": "", "format": "RAW"}));
    for (call, body, status, word) in [
        ("import", json!({"path": "/Shared/taken", "content": "", "format": "RAW"}), 400, "RESOURCE_ALREADY_EXISTS"),
        (
            "import",
            json!({"path": "/Shared/taken", "content": "", "language": "SQL", "overwrite": true}),
            400,
            "RESOURCE_ALREADY_EXISTS",
        ),
        ("import", json!({"path": "/nope/x", "content": "", "format": "RAW"}), 404, "RESOURCE_DOES_NOT_EXIST"),
        ("import", json!({"path": "/Shared/x", "content": ""}), 400, "INVALID_PARAMETER_VALUE"),
        ("import", json!({"path": "/Shared/x", "content": "", "format": "DBC"}), 400, "INVALID_PARAMETER_VALUE"),
        ("import", json!({"path": "/Shared/../x", "content": "", "format": "RAW"}), 400, "INVALID_PARAMETER_VALUE"),
        ("mkdirs", json!({"path": "/Shared/taken/x"}), 400, "RESOURCE_ALREADY_EXISTS"),
        ("delete", json!({"path": "/Shared", "recursive": true}), 400, "INVALID_PARAMETER_VALUE"),
        ("delete", json!({"path": "/Shared/nope"}), 404, "RESOURCE_DOES_NOT_EXIST"),
    ] {
        refused(&post(server, &format!("workspace/{call}"), &body), status, word);
    }
    refused(&server.http.get("/api/2.0/workspace/export", &[("path", "/Shared")]), 400, "INVALID_PARAMETER_VALUE");
    done(server, "workspace/delete", &json!({"path": "/Shared/taken"}));
}

fn secrets_are_kept_in_scopes(server: &Server) {
    let get = |call: &str, query: &[(&str, &str)]| server.http.get(&format!("/api/2.0/secrets/{call}"), query);
    let scope = json!({"scope": "e2e"});
    done(server, "secrets/scopes/create", &scope);
    refused(&post(server, "secrets/scopes/create", &scope), 400, "RESOURCE_ALREADY_EXISTS");
    let scopes = get("scopes/list", &[]).ok();
    assert!(
        scopes["scopes"].as_array().unwrap().contains(&json!({"name": "e2e", "backend_type": "DATABRICKS"})),
        "{scopes}"
    );
    done(server, "secrets/put", &json!({"scope": "e2e", "key": "text", "string_value": "a value that no log shows"}));
    done(server, "secrets/put", &json!({"scope": "e2e", "key": "bytes", "bytes_value": "AAH/"}));
    assert_eq!(get("get", &[("scope", "e2e"), ("key", "bytes")]).ok(), json!({"key": "bytes", "value": "AAH/"}));
    let keys: Vec<Value> = get("list", &[("scope", "e2e")]).ok()["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|secret| secret["key"].clone())
        .collect();
    assert_eq!(keys, ["bytes", "text"]);
    done(server, "secrets/acls/put", &json!({"scope": "e2e", "principal": "users", "permission": "READ"}));
    let acls = json!({"items": [{"principal": "admin", "permission": "MANAGE"}, {"principal": "users", "permission": "READ"}]});
    assert_eq!(get("acls/list", &[("scope", "e2e")]).ok(), acls);
    assert_eq!(get("acls/get", &[("scope", "e2e"), ("principal", "users")]).ok()["permission"], "READ");
    done(server, "secrets/acls/delete", &json!({"scope": "e2e", "principal": "users"}));
    refused(&get("acls/get", &[("scope", "e2e"), ("principal", "users")]), 404, "RESOURCE_DOES_NOT_EXIST");
    for (body, status, word) in [
        (json!({"scope": "nope", "key": "k", "string_value": "v"}), 404, "RESOURCE_DOES_NOT_EXIST"),
        (json!({"scope": "e2e", "key": "a/../\n", "string_value": "v"}), 400, "INVALID_PARAMETER_VALUE"),
        (json!({"scope": "e2e", "key": "k"}), 400, "MALFORMED_REQUEST"),
        (json!({"scope": "e2e", "key": "k", "bytes_value": "?"}), 400, "MALFORMED_REQUEST"),
        (json!({"scope": "e2e", "key": "k", "string_value": "x".repeat(131_073)}), 400, "INVALID_PARAMETER_VALUE"),
    ] {
        refused(&post(server, "secrets/put", &body), status, word);
    }
    refused(&get("get", &[("scope", "e2e"), ("key", "nope")]), 404, "RESOURCE_DOES_NOT_EXIST");
    done(server, "secrets/delete", &json!({"scope": "e2e", "key": "text"}));
    done(server, "secrets/scopes/delete", &scope);
    refused(&get("list", &[("scope", "e2e")]), 404, "RESOURCE_DOES_NOT_EXIST");
    assert!(!server.said().contains("a value that no log shows"));
}

fn user_code_reads_secrets_and_cannot_show_them(server: &Server) {
    done(server, "secrets/scopes/create", &json!({"scope": "code"}));
    done(server, "secrets/put", &json!({"scope": "code", "key": "k", "string_value": "hunter2-\"quoted\""}));
    let python = server.context("python");
    python.text("s = dbutils.secrets.get('code', 'k'); (len(s), s)", "(16, '[REDACTED]')");
    python.text("print('a', s, s.upper())", "a [REDACTED] HUNTER2-\"QUOTED\"");
    live_output_shows_no_secret(&python);
    python.text(
        "[k.key for k in dbutils.secrets.list('code')], 'code' in [c.getName() for c in dbutils.secrets.listScopes()]",
        "(['k'], True)",
    );
    python.text("dbutils.secrets.getBytes('code', 'k') == s.encode()", "True");
    let failed = python.run("raise ValueError(s)");
    assert!(
        !failed.results.to_string().contains("hunter2")
            && failed.results["cause"].as_str().unwrap().ends_with("ValueError: [REDACTED]"),
        "{failed:?}"
    );
    let missing = python.run("dbutils.secrets.get('code', 'nope')");
    assert!(
        missing.results["cause"]
            .as_str()
            .unwrap()
            .ends_with("ValueError: Secret does not exist with scope: code and key: nope"),
        "{missing:?}"
    );
    python.run("spark.createDataFrame([(s,)], 'v string').createOrReplaceTempView('shown')");
    let shown = python.run_in("sql", "select v from shown");
    assert_eq!(shown.results["data"], json!([["[REDACTED]"]]), "{shown:?}");
    python.check_in("scala", "dbutils.secrets.get(\"code\", \"k\").length", &crate::api::text("…: Int = 16"));
    python.check_in("scala", "dbutils.secrets.get(\"code\", \"k\")", &crate::api::text("…: String = [REDACTED]"));
    python.check_in("scala", "dbutils.secrets.list(\"code\").map(_.key).mkString", &crate::api::text("…: String = k"));
    // Neither is it in what a process was started with, or in a log.
    let all = server.processes();
    assert!(all.iter().all(|process| !process.environment.contains("hunter2") && !process.command.contains("hunter2")));
    let cluster = server.data.join("clusters").join(&server.cluster);
    for name in ["driver.log", "spark.log", "python.log"] {
        let log = std::fs::read(cluster.join(name)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&log).contains("hunter2"), "{name}");
    }
    done(server, "secrets/scopes/delete", &json!({"scope": "code"}));
}

/// `s` of the context is the secret.
fn live_output_shows_no_secret(python: &Context) {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    // In two pieces: the first is not seen, however long the second takes.
    let id = python.send(&format!(
        "import os, time\nprint('a ' + s[:7], end='', flush=True)\nwhile not os.path.exists({go:?}): time.sleep(0.01)\n\
         print(s[7:], 'hunt')"
    ));
    python.output_until(&id, 0, |text, _| text == "a ");
    std::fs::write(&go, "").unwrap();
    let (live, _) = python.output_until(&id, 0, |_, page| page["complete"] == true);
    assert_eq!(live, "a [REDACTED] hunt\n");
    assert_eq!(python.wait(&id).text(), "a [REDACTED] hunt");
    let id = python.send_in("scala", "println(dbutils.secrets.get(\"code\", \"k\"))");
    let (live, _) = python.output_until(&id, 0, |_, page| page["complete"] == true);
    assert_eq!(live, "[REDACTED]\n");
}
