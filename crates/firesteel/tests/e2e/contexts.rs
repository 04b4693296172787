//! Execution contexts: what they share, what they do not, and how they end.

use std::fs;

use serde_json::{Value, json};

use crate::api::{Reply, error, table, text};
use crate::case::Case;
use crate::poll::until;
use crate::processes;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    shared![
        a_context_is_pending_and_then_running,
        a_context_takes_commands_of_every_language_and_they_share_its_session,
        contexts_do_not_see_each_other,
        contexts_run_at_the_same_time,
        commands_sent_while_a_context_is_pending_are_queued,
        a_language_may_be_capitalised,
        a_language_that_cannot_be_had_is_refused_by_name,
        a_missing_parameter_is_named_the_context_first,
        an_unknown_id_is_named,
        destroying_a_context_ends_its_running_command,
        destroying_a_context_ends_a_spark_job,
        a_destroyed_context_is_unknown,
        the_cluster_is_listed_with_six_keys,
    ]
}

fn a_context_is_pending_and_then_running(server: &Server) {
    for language in ["scala", "python", "sql"] {
        let context = server.pending_context(language);
        assert!(context.id.len() <= 19 && context.id.bytes().all(|byte| byte.is_ascii_digit()), "{}", context.id);
        let view = context.status().ok();
        let statuses = [json!({"id": context.id, "status": "Pending"}), json!({"id": context.id, "status": "Running"})];
        assert!(statuses.contains(&view), "{view}");
        context.wait_running();
        context.destroy();
    }
}

fn a_context_takes_commands_of_every_language_and_they_share_its_session(server: &Server) {
    let context = server.context("sql");
    context.check("create temporary view numbers as select 40 as n union all select 2", &table(&[], json!([])));
    context.check_in("python", "spark.table('numbers').groupBy().sum().first()[0]", &text("42"));
    context.check_in("scala", "spark.table(\"numbers\").count", &text("res0: Long = 2"));
    context.run_in("python", "spark.createDataFrame([('p',)], ['who']).createOrReplaceTempView('from_python')").text();
    context.run_in("scala", "spark.range(3).createOrReplaceTempView(\"from_scala\")").text();
    context.check("select who from from_python", &table(&[("who", "\"string\"")], json!([["p"]])));
    context.check("select max(id) m from from_scala", &table(&[("m", "\"long\"")], json!([[2]])));
    context.run_in("scala", "spark.conf.set(\"spark.sql.shuffle.partitions\", \"7\")").text();
    context.check_in("python", "spark.conf.get('spark.sql.shuffle.partitions')", &text("'7'"));
}

fn contexts_do_not_see_each_other(server: &Server) {
    let (one, other) = (server.context("python"), server.context("python"));
    one.text("x = 1", "");
    one.text("x + 1", "2");
    other.check("x + 1", &error("<span class='ansi-red-fg'>NameError</span>: name 'x' is not defined", "…"));
    one.check_in("scala", "val y = 1", &text("y: Int = 1"));
    other.check_in("scala", "y", &error("…error: not found: value y…", "…error: not found: value y…"));
    one.check_in("sql", "create temporary view v as select 1 as a", &table(&[], json!([])));
    other.check_in("sql", "select * from v", &error("Error in SQL statement: AnalysisException: …`v`…", "…"));
}

fn contexts_run_at_the_same_time(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (first, second) in [("python", "scala"), ("scala", "python"), ("scala", "scala"), ("python", "python")] {
        let (waiting, making) = (server.context(first), server.context(second));
        let file = path(&format!("{first}-{second}"));
        // It can only end because the other context runs meanwhile.
        let command = waiting.send(&match first {
            "python" => format!("import os, time\nwhile not os.path.exists({file:?}): time.sleep(0.01)\nprint('met')"),
            _ => format!("while (!new java.io.File({file:?}).exists) Thread.sleep(10); println(\"met\")"),
        });
        waiting.wait_for(&command, "Running");
        making.run(&match second {
            "python" => format!("open({file:?}, 'w').close()"),
            _ => format!("val _ = new java.io.File({file:?}).createNewFile()"),
        });
        assert_eq!(waiting.wait(&command).text(), "met", "{first} {second}");
    }
}

fn commands_sent_while_a_context_is_pending_are_queued(server: &Server) {
    for (language, codes) in
        [("scala", ["val a = 20", "a + 22"]), ("python", ["a = 20", "print('res0: Int =', a + 22)"])]
    {
        let context = server.pending_context(language);
        let ids = codes.map(|code| context.send(code));
        context.wait(&ids[0]).text();
        assert_eq!(context.wait(&ids[1]).text(), "res0: Int = 42");
    }
}

fn a_language_may_be_capitalised(server: &Server) {
    let id = create(server, "Scala").id();
    let context = server.context_of(&id, "scala");
    context.check_in("Python", "print(1)", &text("1"));
    context.check_in("SQL", "select 1 as a", &table(&[("a", "\"integer\"")], json!([[1]])));
}

fn a_language_that_cannot_be_had_is_refused_by_name(server: &Server) {
    assert_eq!(create(server, "cobol").refused(500), "Unsupported language: cobol");
    let context = server.context("sql");
    let mut ask = all_of(server, &context.id, "");
    ask["language"] = json!("cobol");
    assert_eq!(server.http.post("/api/1.2/commands/execute", &ask).refused(500), "Unsupported language: cobol");
}

fn create(server: &Server, language: &str) -> Reply {
    server.http.post("/api/1.2/contexts/create", &json!({"clusterId": server.cluster, "language": language}))
}

/// Every parameter that a call may want.
fn all_of(server: &Server, context: &str, command: &str) -> Value {
    json!({
        "clusterId": server.cluster,
        "contextId": context,
        "commandId": command,
        "language": "python",
        "command": "1",
    })
}

/// Makes a call of 1.2 with these parameters, by the method it has.
fn call(server: &Server, name: &str, ask: &Value) -> Reply {
    let path = format!("/api/1.2/{name}");
    if !name.ends_with("/status") {
        return server.http.post(&path, ask);
    }
    let query = ask.as_object().unwrap().iter().map(|(key, value)| (key.as_str(), value.as_str().unwrap()));
    server.http.get(&path, &query.collect::<Vec<_>>())
}

fn a_missing_parameter_is_named_the_context_first(server: &Server) {
    let needs = [
        ("contexts/create", "clusterId language"),
        ("contexts/status", "contextId clusterId"),
        ("contexts/destroy", "contextId clusterId"),
        ("commands/execute", "contextId clusterId language command"),
        ("commands/status", "contextId clusterId commandId"),
        ("commands/cancel", "contextId clusterId commandId"),
        ("clusters/status", "clusterId"),
    ];
    for (name, parameters) in needs {
        let parameters: Vec<&str> = parameters.split(' ').collect();
        assert_eq!(
            call(server, name, &json!({})).refused(500),
            format!("requirement failed: missing {}", parameters[0]),
            "{name}"
        );
        for missing in parameters {
            let mut ask = all_of(server, "1", "c");
            ask.as_object_mut().unwrap().remove(missing);
            let said = call(server, name, &ask).refused(500);
            assert_eq!(said, format!("requirement failed: missing {missing}"), "{name}");
            // Empty is as good as absent, but for a command: an empty one does nothing.
            if missing != "command" {
                ask[missing] = json!("");
                let said = call(server, name, &ask).refused(500);
                assert_eq!(said, format!("requirement failed: missing {missing}"), "{name}");
            }
        }
    }
}

fn an_unknown_id_is_named(server: &Server) {
    let context = server.context("sql");
    let nobody = "00000000-0000-4000-8000-000000000000";
    for name in ["contexts/status", "contexts/destroy", "commands/execute", "commands/status", "commands/cancel"] {
        let mut ask = all_of(server, "1234567890123456789", nobody);
        assert_eq!(call(server, name, &ask).refused(500), "ContextNotFound: 1234567890123456789", "{name}");
        ask["contextId"] = json!("no such thing");
        assert_eq!(call(server, name, &ask).refused(500), "ContextNotFound: no such thing", "{name}");
        ask["clusterId"] = json!("batVenom");
        assert_eq!(call(server, name, &ask).refused(500), "Cluster batVenom does not exist", "{name}");
    }
    for name in ["commands/status", "commands/cancel"] {
        for command in [nobody, "3558513128163162828"] {
            let ask = all_of(server, &context.id, command);
            assert_eq!(call(server, name, &ask).refused(500), format!("CommandNotFound: {command}"), "{name}");
        }
    }
    // A command belongs to its own context.
    let command = context.send("select 1");
    let other = server.context("sql");
    assert_eq!(other.command(&command).refused(500), format!("CommandNotFound: {command}"));
    assert_eq!(other.cancel(&command).refused(500), format!("CommandNotFound: {command}"));
    for name in ["contexts/create", "clusters/status"] {
        let ask = json!({"clusterId": "batVenom", "language": "sql"});
        assert_eq!(call(server, name, &ask).refused(500), "Cluster batVenom does not exist", "{name}");
    }
}

fn destroying_a_context_ends_its_running_command(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let codes = [
        (
            "python",
            format!("import os, time\nopen({file:?}, 'w').write(str(os.getpid()))\nwhile True: time.sleep(0.01)"),
        ),
        // The JVM's threads are numbered files in /proc; this one says its own.
        (
            "scala",
            format!(
                "java.nio.file.Files.writeString(java.nio.file.Path.of({file:?}), \
                 new java.io.File(\"/proc/thread-self\").getCanonicalFile.getName); while (true) Thread.sleep(10)"
            ),
        ),
    ];
    for (language, code) in codes {
        let context = server.context(language);
        let command = context.send(&code);
        let number = |text: std::io::Result<String>| text.ok().and_then(|text| text.trim().parse::<i32>().ok());
        let id = until("the command runs", || number(fs::read_to_string(&file)), Option::is_some).unwrap();
        let jvm = processes::jvm(&server.data, &server.cluster).pid;
        let runs = || match language {
            "python" => processes::is_alive(id),
            _ => std::path::Path::new(&format!("/proc/{jvm}/task/{id}")).exists(),
        };
        assert!(runs());
        let (cluster, gone) = (server.cluster.clone(), context.id.clone());
        context.destroy();
        let query = [("clusterId", cluster.as_str()), ("contextId", &gone), ("commandId", &command)];
        let said = server.http.get("/api/1.2/commands/status", &query).refused(500);
        assert_eq!(said, format!("ContextNotFound: {gone}"));
        until("what ran the command is gone", runs, |runs| !runs);
        fs::remove_file(&file).unwrap();
    }
}

fn destroying_a_context_ends_a_spark_job(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let (begun, stopped) = (folder.path().join("begun"), folder.path().join("stopped"));
    let context = server.context("scala");
    context.send(&format!(
        "sc.parallelize(1 to 2, 2).foreach {{ i =>\n\
         new java.io.File({begun:?}).createNewFile()\n\
         try Thread.sleep(600000) finally new java.io.File({stopped:?}).createNewFile()\n}}"
    ));
    until("a task runs", || begun.exists(), |begun| *begun);
    context.destroy();
    until("the task was stopped", || stopped.exists(), |stopped| *stopped);
}

fn a_destroyed_context_is_unknown(server: &Server) {
    let context = server.context("sql");
    let command = context.send("select 1");
    let id = context.id.clone();
    context.destroy();
    for name in ["contexts/status", "contexts/destroy", "commands/execute", "commands/status", "commands/cancel"] {
        let said = call(server, name, &all_of(server, &id, &command)).refused(500);
        assert_eq!(said, format!("ContextNotFound: {id}"), "{name}");
    }
}

fn the_cluster_is_listed_with_six_keys(server: &Server) {
    let expected = json!({
        "id": server.cluster,
        "name": "default",
        "status": "Running",
        "driverIp": "127.0.0.1",
        "jdbcPort": 10000,
        "numWorkers": 0,
    });
    // Clusters that other cases have made and ended stay listed.
    let mut listed = server.http.get("/api/1.2/clusters/list", &[]).ok();
    listed.as_array_mut().unwrap().retain(|cluster| cluster["id"] == expected["id"]);
    assert_eq!(listed, json!([expected]));
    let one = server.http.get("/api/1.2/clusters/status", &[("clusterId", &server.cluster)]);
    assert_eq!(one.ok(), expected);
}
