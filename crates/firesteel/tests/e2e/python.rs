//! What Python commands answer.

use serde_json::{Value, json};

use crate::api::{error, table, text};
use crate::case::Case;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    shared![
        what_is_printed_and_echoed_is_text,
        what_raises_is_an_error_with_a_trace,
        a_failing_spark_task_is_an_error,
        a_displayed_dataframe_is_a_table,
        figures_are_png_data_urls,
        the_names_that_clients_copy_exist,
        notebook_exit_answers_with_its_value_alone,
        restart_python_keeps_the_context,
        magics_work_and_run_is_refused,
        long_text_is_cut_and_says_so,
    ]
}

/// Runs commands in one context, one after another.
#[track_caller]
fn check(server: &Server, commands: &[(&str, Value)]) {
    let context = server.context("python");
    for (code, expected) in commands {
        context.check(code, expected);
    }
}

fn what_is_printed_and_echoed_is_text(server: &Server) {
    let commands = [
        ("print('juhu')", text("juhu")),
        ("print('a\\n\\nb\\n\\n')", text("a\n\nb")),
        ("print('no newline', end='')", text("no newline")),
        ("print('printed', end='')\n1 + 1", text("printed\n2")),
        ("x = 1", text("")),
        ("x + 1", text("2")),
        ("'x'", text("'x'")),
        ("None", text("")),
        ("1;", text("")),
        ("import sys; print('out'); print('err', file=sys.stderr)", text("out\nerr")),
        ("for i in range(3): print(i)", text("0\n1\n2")),
        ("import os; os.system('echo from a shell')", text("from a shell\n0")),
        ("spark.range(3)", text("DataFrame[id: bigint]")),
        ("spark.range(2).show()", text("+---+\n| id|\n+---+\n|  0|\n|  1|\n+---+")),
        ("sc.parallelize(range(10)).map(lambda i: i * 2).sum()", text("90")),
        ("import pandas; pandas.DataFrame({'a': [1, 2]})", text("   a\n0  1\n1  2")),
        (
            "from pyspark.sql.functions import udf\nspark.range(2).select(udf(lambda i: f'<{i}>')('id')).collect()[1][0]",
            text("'<1>'"),
        ),
        ("class Point:\n    def __repr__(self): return 'a point'\nPoint()", text("a point")),
        ("await __import__('asyncio').sleep(0, 'awaited')", text("'awaited'")),
        ("displayHTML('<b>x</b>')", text("<b>x</b>")),
    ];
    check(server, &commands);
}

/// A trace of the kind IPython makes, that ends in this line.
fn trace(class: &str, last: &str) -> String {
    format!("-----…\u{1b}[…{class}…\u{1b}[…<command-…{last}")
}

fn what_raises_is_an_error_with_a_trace(server: &Server) {
    let cases = [
        ("1/0", "ZeroDivisionError", "division by zero"),
        ("raise Exception('juhu')", "Exception", "juhu"),
        ("foo", "NameError", "name 'foo' is not defined"),
        ("import no_such_module", "ModuleNotFoundError", "No module named 'no_such_module'"),
        ("raise ValueError('<b>&</b>')", "ValueError", "<b>&</b>"),
        ("def f(", "SyntaxError", "'(' was never closed (<command-…>, line 1)"),
        ("x = = 1", "SyntaxError", "invalid syntax (<command-…>, line 1)"),
        ("for i in range(3):", "IndentationError", "expected an indented block…"),
        ("print('''open", "SyntaxError", "unterminated triple-quoted string literal…"),
        ("class Own(Exception): pass\nraise Own('mine')", "Own", "mine"),
    ];
    let context = server.context("python");
    for (code, class, message) in cases {
        let html = message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let summary = format!("<span class='ansi-red-fg'>{class}</span>: {html}");
        context.check(code, &error(&summary, &trace(class, &format!("{class}: {message}"))));
    }
    // What ran before the exception is kept, and the code of earlier commands is in the trace.
    context.check("def fails():\n    raise KeyError('k')", &text(""));
    context.check("kept = 1\nfails()", &error("…KeyError…", "…fails()…raise KeyError('k')…KeyError: 'k'"));
    context.text("kept", "1");
}

fn a_failing_spark_task_is_an_error(server: &Server) {
    let context = server.context("python");
    let ended = context.run("sc.parallelize([1, 2]).map(lambda i: i / 0).collect()");
    assert_eq!((ended.status.as_str(), &ended.results["resultType"]), ("Finished", &json!("error")));
    let cause = ended.results["cause"].as_str().unwrap();
    assert!(cause.contains("ZeroDivisionError: division by zero"), "{cause}");
    assert!(!ended.results["summary"].as_str().unwrap().is_empty());
    let ended = context.run("spark.table('nope')");
    assert!(ended.results["cause"].as_str().unwrap().contains("TABLE_OR_VIEW_NOT_FOUND"), "{ended:?}");
    assert!(ended.results["summary"].as_str().unwrap().contains("`nope`"), "{ended:?}");
    context.text("sc.parallelize([1, 2]).count()", "2");
}

fn a_displayed_dataframe_is_a_table(server: &Server) {
    let id = [("id", "\"long\"")];
    let commands = [
        ("display(spark.range(2))", table(&id, json!([[0], [1]]))),
        ("display(spark.range(0))", table(&id, json!([]))),
        (
            "import pandas; display(pandas.DataFrame({'a': [1], 'b': ['x']}))",
            table(&[("a", "\"long\""), ("b", "\"string\"")], json!([[1, "x"]])),
        ),
        (
            "display(spark.sql(\"select 1 as a, null as b, 'x' as c, array(1) as d\"))",
            table(
                &[
                    ("a", "\"integer\""),
                    ("b", "\"void\""),
                    ("c", "\"string\""),
                    ("d", "{\"type\":\"array\",\"elementType\":\"integer\",\"containsNull\":false}"),
                ],
                json!([[1, null, "x", [1]]]),
            ),
        ),
    ];
    check(server, &commands);
}

fn figures_are_png_data_urls(server: &Server) {
    let images = json!({"resultType": "images", "fileNames": ["data:image/png;base64,iVBOR…"], "data": "…"});
    let context = server.context("python");
    let ended = context.run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()");
    let mut results = ended.results.clone();
    // The text beside the figures may be absent.
    results["data"] = json!("");
    assert!(crate::api::fits(&images, &results), "{ended:?}");
}

fn the_names_that_clients_copy_exist(server: &Server) {
    let context = server.context("python");
    let names = "spark sc sqlContext dbutils display displayHTML table sql udf getArgument get_ipython";
    context.text(&format!("[name for name in '{names}'.split() if name not in dir() and not eval(name)]"), "[]");
    context.text("import os; float(os.environ['DATABRICKS_RUNTIME_VERSION']) >= 13", "True");
    context.text("sc._jvm.java.lang.Integer.parseInt('7')", "7");
    context.text("import json; json.dumps(dbutils.fs.mounts()[:1])", "'[[\"/\", \"DatabricksRoot\", \"\"]]'");
    // Nothing that opens the server's doors is handed to user code.
    let token = &server.token;
    context.text(&format!("import os; any({token:?} in value for value in os.environ.values())"), "False");
}

fn notebook_exit_answers_with_its_value_alone(server: &Server) {
    check(
        server,
        &[
            ("dbutils.notebook.exit('{\"a\": 1}')", text("{\"a\": 1}")),
            ("print('dropped'); dbutils.notebook.exit('v'); never", text("v")),
            ("print('goes on')", text("goes on")),
        ],
    );
}

fn restart_python_keeps_the_context(server: &Server) {
    check(
        server,
        &[
            ("import os; before = os.getpid()", text("")),
            ("# COMMAND ----------\ndbutils.library.restartPython()", text("")),
            ("'before' in dir()", text("False")),
            ("spark.range(3).count()", text("3")),
        ],
    );
}

fn magics_work_and_run_is_refused(server: &Server) {
    let context = server.context("python");
    context.text("%sh echo hi", "hi");
    context.text("%%sh\necho one\necho two", "one\ntwo");
    assert!(context.run("%pip --version\nprint('and more')").text().contains("and more"));
    for code in ["%run ./other", "%run", "\n%run /Shared/x $a=1"] {
        context.check(code, &error("%run is not supported…", "%run is not supported…"));
    }
    context.check("%no_such 1", &error("…`%no_such` not found…", "…`%no_such` not found…"));
}

fn long_text_is_cut_and_says_so(server: &Server) {
    let context = server.context("python");
    let ended = context.run("print('x' * 40_000); print('y' * 40_000)");
    let shown = ended.text();
    assert!(shown.chars().count() < 60_000, "{}", shown.len());
    assert_eq!(ended.results["truncated"], json!(true), "{}", shown.len());
}
