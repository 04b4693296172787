//! Commands, whatever their language: order, cancelling, size, and what is kept of them.

use std::fs;

use serde_json::json;

use crate::api::text;
use crate::case::Case;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    shared![
        commands_of_a_context_run_one_at_a_time_in_order,
        commands_of_all_languages_of_a_context_wait_for_each_other,
        a_command_that_waits_is_queued_and_has_no_results,
        results_are_kept_and_stay_the_same,
        a_command_of_five_megabytes_runs,
        a_command_of_seven_megabytes_is_refused,
        an_empty_command_does_nothing,
        a_command_is_taken_to_the_last_blank,
    ]
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
pub(crate) fn wait_for_file(file: &std::path::Path) -> String {
    format!("import os, time\nwhile not os.path.exists({file:?}): time.sleep(0.01)")
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
