//! Commands, whatever their language: order, cancelling, size, and what is kept of them.

use std::fs;

use serde_json::{Value, json};

use crate::api::{error, text};
use crate::case::Case;
use crate::poll::until;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = shared![
        commands_of_a_context_run_one_at_a_time_in_order,
        commands_of_all_languages_of_a_context_wait_for_each_other,
        a_command_that_waits_is_queued_and_has_no_results,
        a_queued_command_that_is_cancelled_never_runs,
        a_cancel_after_the_end_changes_nothing,
        a_cancel_asked_twice_is_one_cancel,
        results_are_kept_and_stay_the_same,
        a_command_of_five_megabytes_runs,
        a_command_of_seven_megabytes_is_refused,
        an_empty_command_does_nothing,
        a_command_is_taken_to_the_last_blank,
    ];
    cases.extend(CANCELS.map(|(name, language, code, after)| {
        let name = format!("{}::a_cancel_stops_{name}", module_path!());
        Case::shared(&name, move |server| a_cancel_stops(server, language, code, after))
    }));
    cases
}

fn commands_of_a_context_run_one_at_a_time_in_order(server: &Server) {
    let context = server.pending_context("python");
    context.send("seen = []");
    let ids: Vec<String> = (0..30).map(|number| context.send(&format!("seen.append({number}); {number}"))).collect();
    for (number, id) in ids.iter().enumerate().rev() {
        assert_eq!(context.wait(id).text(), number.to_string());
    }
    context.text("seen == list(range(30))", "True");
}

fn commands_of_all_languages_of_a_context_wait_for_each_other(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines");
    let context = server.context("python");
    let add = |language: &str| match language {
        "python" => format!("import time; time.sleep(0.2); f = open({file:?}, 'a'); f.write('python\\n'); f.close()"),
        _ => format!(
            "Thread.sleep(100); java.nio.file.Files.writeString(java.nio.file.Path.of({file:?}), \"scala\\n\", \
             java.nio.file.StandardOpenOption.CREATE, java.nio.file.StandardOpenOption.APPEND)"
        ),
    };
    let order = ["python", "scala", "python", "scala", "scala", "python"];
    let last = order.map(|language| context.send_in(language, &add(language))).last().unwrap().clone();
    assert_eq!(context.wait(&last).status, "Finished");
    assert_eq!(fs::read_to_string(&file).unwrap().lines().collect::<Vec<_>>(), order);
}

fn a_command_that_waits_is_queued_and_has_no_results(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("go");
    let context = server.context("python");
    let first = context.send(&wait_for_file(&file));
    let second = context.send("print('second')");
    context.wait_for(&first, "Running");
    assert_eq!(context.command(&second).ok(), json!({"id": second, "results": null, "status": "Queued"}));
    assert_eq!(context.command(&first).ok(), json!({"id": first, "results": null, "status": "Running"}));
    fs::write(&file, "").unwrap();
    assert_eq!(context.wait(&second).text(), "second");
    assert_eq!(context.wait(&first).text(), "");
}

/// Python that waits until a file is there.
fn wait_for_file(file: &std::path::Path) -> String {
    format!("import os, time\nwhile not os.path.exists({file:?}): time.sleep(0.01)")
}

/// What a command that was cancelled answers with.
fn cancelled() -> Value {
    error("Command cancelled", "com.databricks.backend.common.rpc.CommandCancelledException\n\tat …")
}

/// What a cancel stops: the language, code that first makes the file `BEGUN`, and code that works after it.
const CANCELS: [(&str, &str, &str, (&str, &str)); 11] = [
    (
        "a_spark_job_of_scala",
        "scala",
        "val kept = 41; sc.parallelize(1 to 100, 100).foreach { i => new java.io.File(\"BEGUN\").createNewFile(); Thread.sleep(600000) }",
        ("sc.parallelize(1 to 3).sum.toInt", "res1: Int = 6"),
    ),
    (
        "a_spark_job_of_python",
        "python",
        "import time\ndef slow(i):\n    open('BEGUN', 'w').close()\n    time.sleep(600)\nsc.parallelize(range(100), 100).foreach(slow)",
        ("sc.parallelize([1, 2, 3]).sum()", "6"),
    ),
    (
        "a_python_dataframe_job",
        "python",
        "open('BEGUN', 'w').close(); spark.range(10**7).crossJoin(spark.range(10**7)).groupBy().sum().collect()",
        ("spark.range(4).count()", "4"),
    ),
    (
        "a_python_sleep",
        "python",
        "import time; open('BEGUN', 'w').close(); time.sleep(600)",
        ("time is not None", "True"),
    ),
    ("a_python_loop", "python", "open('BEGUN', 'w').close()\nwhile True: pass", ("1", "1")),
    (
        "a_python_loop_that_catches_what_it_can",
        "python",
        "open('BEGUN', 'w').close()\nwhile True:\n    try:\n        sum(range(1000))\n    except Exception:\n        pass",
        ("1", "1"),
    ),
    (
        "a_child_process_of_python",
        "python",
        "import subprocess; open('BEGUN', 'w').close(); subprocess.run(['sleep', '600'])",
        ("1", "1"),
    ),
    (
        "a_scala_sleep",
        "scala",
        "new java.io.File(\"BEGUN\").createNewFile(); Thread.sleep(600000)",
        ("1 + 1", "res1: Int = 2"),
    ),
    (
        "a_scala_loop",
        "scala",
        "new java.io.File(\"BEGUN\").createNewFile(); var turns = 0L; while (true) turns += 1",
        ("1 + 1", "res1: Int = 2"),
    ),
    (
        "a_scala_wait",
        "scala",
        "new java.io.File(\"BEGUN\").createNewFile(); new java.util.concurrent.CountDownLatch(1).await()",
        ("1 + 1", "res1: Int = 2"),
    ),
    ("a_sql_query", "sql", "select sum(a.id * b.id) from range(10000000) a cross join range(10000000) b", ("", "")),
];

fn a_cancel_stops(server: &Server, language: &'static str, code: &str, (next, expected): (&str, &str)) {
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    let context = server.context(language);
    let command = context.send(&code.replace("BEGUN", begun.to_str().unwrap()));
    if language == "sql" {
        context.wait_for(&command, "Running");
    } else {
        until("the code has begun", || begun.exists(), |begun| *begun);
    }
    assert_eq!(context.cancel(&command).id(), command);
    let view = context.command(&command).ok();
    assert!(view["results"].is_object() && view["status"] != "Running", "once a cancel was accepted: {view}");
    let ended = context.wait(&command);
    assert_eq!(ended.status, "Cancelled", "{ended:?}");
    assert!(crate::api::fits(&cancelled(), &ended.results), "{ended:?}");
    // The context goes on, with all that it held.
    if language == "sql" {
        assert_eq!(context.run("select 1 as a").results["data"], json!([[1]]));
        return;
    }
    let ended = context.run(next);
    let value = |text: &str| text.rsplit(" = ").next().unwrap().to_owned();
    assert_eq!(value(ended.text()), value(expected));
}

fn a_queued_command_that_is_cancelled_never_runs(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("go");
    let context = server.context("python");
    let first = context.send(&wait_for_file(&file));
    let second = context.send("ran = True");
    let third = context.send("'ran' in globals()");
    assert_eq!(context.cancel(&second).id(), second);
    let ended = context.wait(&second);
    assert_eq!(ended.status, "Cancelled");
    assert!(crate::api::fits(&cancelled(), &ended.results), "{ended:?}");
    // The first still ran when the second was over.
    assert_eq!(context.command(&first).ok()["status"], "Running");
    fs::write(&file, "").unwrap();
    assert_eq!(context.wait(&third).text(), "False");
}

fn a_cancel_after_the_end_changes_nothing(server: &Server) {
    let context = server.context("python");
    for (code, status) in [("print('done')", "Finished"), ("1/0", "Finished"), ("import os; os._exit(1)", "Error")] {
        let command = context.send(code);
        let before = context.wait(&command);
        assert_eq!(before.status, status);
        assert_eq!(context.cancel(&command).id(), command);
        assert_eq!(context.wait(&command), before);
    }
}

fn a_cancel_asked_twice_is_one_cancel(server: &Server) {
    let context = server.context("python");
    let command = context.send("import time; time.sleep(600)");
    context.wait_for(&command, "Running");
    for _ in 0..3 {
        assert_eq!(context.cancel(&command).id(), command);
    }
    assert_eq!(context.wait(&command).status, "Cancelled");
    assert_eq!(context.cancel(&command).id(), command);
    // No second interrupt hits what comes next.
    context.text("time.sleep(0.3); print('untouched')", "untouched");
}

fn results_are_kept_and_stay_the_same(server: &Server) {
    let context = server.context("python");
    let commands = ["print('kept')", "1/0", "display(spark.range(2))"].map(|code| context.send(code));
    let first: Vec<_> = commands.iter().map(|command| context.wait(command)).collect();
    let again: Vec<_> = commands.iter().map(|command| context.wait(command)).collect();
    assert_eq!(first, again);
}

fn a_command_of_five_megabytes_runs(server: &Server) {
    let length = 5 * 1024 * 1024;
    let quoted = "x".repeat(length);
    server.context("python").text(&format!("len('{quoted}')"), &length.to_string());
    server.context("scala").text(&format!("// {quoted}\n40 + 2"), "res0: Int = 42");
    // Where each byte is written as three or six, the bound is still that of the text.
    server.context("python").text(&format!("len('{}')", "é".repeat(length / 2)), &(length / 2).to_string());
}

fn a_command_of_seven_megabytes_is_refused(server: &Server) {
    let context = server.context("python");
    let ask = json!({
        "clusterId": server.cluster,
        "contextId": context.id,
        "language": "python",
        "command": format!("len('{}')", "x".repeat(7 * 1024 * 1024)),
    });
    let said = server.http.post("/api/1.2/commands/execute", &ask).refused(413);
    assert!(said.contains("command") && said.contains("6291456"), "{said}");
    context.text("1", "1");
}

fn an_empty_command_does_nothing(server: &Server) {
    for language in ["python", "scala"] {
        let context = server.context(language);
        for code in ["", " ", "\n\n"] {
            context.check(code, &text(""));
        }
    }
}

fn a_command_is_taken_to_the_last_blank(server: &Server) {
    let context = server.context("python");
    context.check("s = '''\n  two blanks  \n'''\ns", &text("'\\n  two blanks  \\n'"));
    context.check("\n        a = 1\n        b = 2\n        print(a + b)\n        ", &text("3"));
    context.check("# COMMAND ----------\nprint('é ✓ \\U0001f525')", &text("é ✓ 🔥"));
}
