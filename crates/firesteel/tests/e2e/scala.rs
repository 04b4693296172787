//! What Scala commands answer.

use serde_json::{Value, json};

use crate::api::{error, table, text};
use crate::case::Case;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    shared![
        what_the_repl_prints_is_text,
        code_that_does_not_compile_is_an_error,
        what_throws_is_an_error_with_a_trace,
        a_failing_spark_task_is_an_error,
        classes_of_two_contexts_have_the_same_name_and_work_on_executors,
        a_displayed_dataset_is_a_table,
        notebook_exit_and_run,
    ]
}

#[track_caller]
fn check(server: &Server, commands: &[(&str, Value)]) {
    let context = server.context("scala");
    for (code, expected) in commands {
        context.check(code, expected);
    }
}

fn what_the_repl_prints_is_text(server: &Server) {
    let commands = [
        ("sc.parallelize(1 to 10).collect", text("res0: Array[Int] = Array(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)")),
        ("val x = 41", text("x: Int = 41")),
        ("x + 1", text("res1: Int = 42")),
        ("println(\"hi\")", text("hi")),
        ("print(\"no newline\")", text("no newline")),
        ("System.out.println(\"sys\"); Console.err.println(\"err\")", text("sys\nerr")),
        ("val a = 1\nval b = 2\nprintln(a + b)", text("3\na: Int = 1\nb: Int = 2")),
        ("val (p, q) = (1, \"two\")", text("p: Int = 1\nq: String = two")),
        ("List(1, \"a\")", text("…: List[Any] = List(1, a)")),
        ("def twice(i: Int): Int =\n  i * 2", text("def twice(i: Int): Int")),
        ("twice(21)", text("…: Int = 42")),
        ("case class Person(name: String, age: Int)", text("class Person")),
        ("Person(\"Ann\", 3)", text("…: Person = Person(Ann,3)")),
        ("()", text("")),
        ("// a comment", text("")),
        ("import scala.collection.mutable", text("import scala.collection.mutable")),
        ("spark.sql(\"select 1 as a\").show", text("+---+\n|  a|\n+---+\n|  1|\n+---+")),
        ("spark.range(3)", text("…: org.apache.spark.sql.Dataset[Long] = [id: bigint]")),
        ("\"é ✓\"", text("…: String = é ✓")),
        ("(1 to 3).foreach(println)", text("1\n2\n3")),
    ];
    check(server, &commands);
}

fn code_that_does_not_compile_is_an_error(server: &Server) {
    let context = server.context("scala");
    let cases = [
        ("nope", "error: not found: value nope"),
        ("val x: Int = \"a\"", "error: type mismatch"),
        ("val y =", "error: incomplete input"),
        ("def f(a: Int) = {", "error: incomplete input"),
        ("List(1, 2", "error: incomplete input"),
        ("\"\"\"open", "error: incomplete input"),
        ("1 +* / 2", "error: "),
        ("}", "error: "),
    ];
    for (code, said) in cases {
        context.check(code, &error(&format!("…{said}…"), &format!("…{said}…")));
    }
    context.check("val ok = 1", &text("ok: Int = 1"));
}

fn what_throws_is_an_error_with_a_trace(server: &Server) {
    let context = server.context("scala");
    context.check(
        "throw new RuntimeException(\"boom\")",
        &error("RuntimeException: boom", "java.lang.RuntimeException: boom\n\tat …"),
    );
    context
        .check("1 / 0", &error("ArithmeticException: / by zero", "java.lang.ArithmeticException: / by zero\n\tat …"));
    context.check("assert(false)", &error("AssertionError: assertion failed", "java.lang.AssertionError: …"));
    context.check("throw new Exception(\"<b>&\")", &error("Exception: &lt;b&gt;&amp;", "java.lang.Exception: <b>&\n…"));
    context.check("def deep(i: Int): Int = if (i == 0) sys.error(\"deep\") else deep(i - 1) + 1", &text("def deep…"));
    context.check("deep(3)", &error("RuntimeException: deep", "java.lang.RuntimeException: deep…deep…"));
    context.check(
        "def endless(i: Int): Int = endless(i + 1) + 1; endless(0)",
        &error("StackOverflowError…", "java.lang.StackOverflowError…"),
    );
    context.check(
        "spark.table(\"nope\")",
        &error("AnalysisException: …`nope`…", "org.apache.spark.sql.AnalysisException: …"),
    );
    context.check(
        "println(\"before\"); val kept = 1; throw new Error(\"late\")",
        &error("Error: late", "…java.lang.Error: late\n…"),
    );
    context.check("1 + 1", &text("…: Int = 2"));
}

fn a_failing_spark_task_is_an_error(server: &Server) {
    let context = server.context("scala");
    let said = "…ArithmeticException: / by zero…";
    context.check("sc.parallelize(1 to 2).map(i => i / (i - i)).collect", &error(said, said));
    context.check("sc.parallelize(1 to 3).count", &text("…: Long = 3"));
}

fn classes_of_two_contexts_have_the_same_name_and_work_on_executors(server: &Server) {
    let contexts = [("name: String", "\"a\"", "P(a)"), ("number: Int, more: Int", "1, 2", "P(1,2)")]
        .map(|(fields, values, shown)| (server.context("scala"), fields, values, shown));
    for (context, fields, ..) in &contexts {
        context.check(&format!("case class P({fields})"), &text("class P"));
        context.check("import spark.implicits._", &text("import spark.implicits._"));
    }
    // By turns, so that each meets the other's classes already loaded.
    for _ in 0..2 {
        for (context, _, values, shown) in &contexts {
            let ended =
                context.run(&format!("sc.parallelize(1 to 3, 2).map(_ => P({values})).collect.toList.distinct"));
            assert!(ended.text().ends_with(&format!(": List[P] = List({shown})")), "{ended:?}");
            let ended = context.run(&format!("Seq(P({values})).toDS.map(p => p).collect.toList"));
            assert!(ended.text().ends_with(&format!(": List[P] = List({shown})")), "{ended:?}");
            let ended = context.run(&format!(
                "sc.parallelize(Seq(P({values}), P({values})), 2).map(p => (p, 1)).reduceByKey(_ + _).collect.toList"
            ));
            assert!(ended.text().ends_with(&format!(" = List(({shown},2))")), "{ended:?}");
        }
    }
}

fn a_displayed_dataset_is_a_table(server: &Server) {
    check(
        server,
        &[
            ("display(spark.range(2))", table(&[("id", "\"long\"")], json!([[0], [1]]))),
            (
                "val df = spark.sql(\"select 'x' as s, 1.5D as d\")",
                text("df: org.apache.spark.sql.DataFrame = [s: string, d: double]"),
            ),
            ("display(df)", table(&[("s", "\"string\""), ("d", "\"double\"")], json!([["x", 1.5]]))),
        ],
    );
}

fn notebook_exit_and_run(server: &Server) {
    check(
        server,
        &[
            ("println(\"dropped\"); dbutils.notebook.exit(\"v\")", text("v")),
            ("%run ./other", error("%run is not supported…", "%run is not supported…")),
            ("1 + 1", text("…: Int = 2")),
        ],
    );
}
