//! What SQL commands answer: always a table, or an error.

use serde_json::{Value, json};

use crate::api::{error, table};
use crate::case::Case;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    shared![
        every_type_has_its_form,
        a_statement_without_rows_is_an_empty_table,
        several_statements_answer_with_the_last,
        what_fails_is_an_error,
        many_rows_are_cut_and_say_so,
    ]
}

#[track_caller]
fn check(server: &Server, commands: &[(&str, Value)]) {
    let context = server.context("sql");
    for (code, expected) in commands {
        context.check(code, expected);
    }
}

fn every_type_has_its_form(server: &Server) {
    // Expression, type, value (reference, section 4.3).
    let columns = [
        ("'text'", "\"string\"", json!("text")),
        ("1", "\"integer\"", json!(1)),
        ("9007199254740993L", "\"long\"", json!(9_007_199_254_740_993_i64)),
        ("1.5D", "\"double\"", json!(1.5)),
        ("cast('NaN' as double)", "\"double\"", json!("NaN")),
        ("cast(0.5 as float)", "\"float\"", json!(0.5)),
        ("cast(1 as smallint)", "\"short\"", json!(1)),
        ("cast(1 as tinyint)", "\"byte\"", json!(1)),
        ("true", "\"boolean\"", json!(true)),
        ("cast(2702.09 as decimal(12,2))", "\"decimal(12,2)\"", json!("2702.09")),
        ("date'2026-08-09'", "\"date\"", json!("2026-08-09")),
        ("timestamp'2026-08-09 18:13:17Z'", "\"timestamp\"", json!("2026-08-09T18:13:17.000Z")),
        ("array('a')", "{\"type\":\"array\",\"elementType\":\"string\",\"containsNull\":false}", json!(["a"])),
        (
            "map('k', 1)",
            "{\"type\":\"map\",\"keyType\":\"string\",\"valueType\":\"integer\",\"valueContainsNull\":false}",
            json!({"k": 1}),
        ),
        (
            "named_struct('x', 1)",
            "{\"type\":\"struct\",\"fields\":[{\"name\":\"x\",\"type\":\"integer\",\"nullable\":false,\"metadata\":{}}]}",
            json!({"x": 1}),
        ),
        ("X'0102'", "\"binary\"", json!("AQI=")),
        ("cast(null as int)", "\"integer\"", Value::Null),
        ("'a;b -- c'", "\"string\"", json!("a;b -- c")),
    ];
    let names: Vec<String> = (0..columns.len()).map(|number| format!("c{number}")).collect();
    let list: Vec<String> = columns.iter().zip(&names).map(|((code, ..), name)| format!("{code} as {name}")).collect();
    let schema: Vec<(&str, &str)> =
        columns.iter().zip(&names).map(|((_, kind, _), name)| (name.as_str(), *kind)).collect();
    let row: Vec<Value> = columns.iter().map(|(.., value)| value.clone()).collect();
    check(server, &[(&format!("select {}", list.join(", ")), table(&schema, json!([row])))]);
}

fn a_statement_without_rows_is_an_empty_table(server: &Server) {
    let nothing = table(&[], json!([]));
    check(
        server,
        &[
            ("create or replace temporary view v as select 1 as a", nothing.clone()),
            ("create database if not exists e2e", nothing.clone()),
            ("use e2e", nothing.clone()),
            ("create table t (a int, b string) using parquet", nothing.clone()),
            ("insert into t values (1, 'x'), (2, null)", nothing.clone()),
            (
                "select * from t order by a",
                table(&[("a", "\"integer\""), ("b", "\"string\"")], json!([[1, "x"], [2, null]])),
            ),
            ("select * from t where a > 5", table(&[("a", "\"integer\""), ("b", "\"string\"")], json!([]))),
            ("select count(*) as n from e2e.t", table(&[("n", "\"long\"")], json!([[2]]))),
            ("drop table t", nothing.clone()),
            ("-- only a comment", nothing.clone()),
            ("", nothing),
            ("set a.b = c", table(&[("key", "\"string\""), ("value", "\"string\"")], json!([["a.b", "c"]]))),
        ],
    );
}

fn several_statements_answer_with_the_last(server: &Server) {
    let one = |value: i32| table(&[("a", "\"integer\"")], json!([[value]]));
    check(
        server,
        &[
            ("select 1 as a; select 2 as a", one(2)),
            ("SET x.y = 3;\nselect 3 as a;\n", one(3)),
            (
                "create temporary view w as select 4 as a; -- a remark; with a semicolon\n/* and; another */ select * from w;;",
                one(4),
            ),
            (
                "select raise_error('in the first'); select 2 as a",
                error("Error in SQL statement: …in the first…", "…in the first…"),
            ),
            (
                "select 1 as a; select nope; select 3 as a",
                error("Error in SQL statement: AnalysisException: …`nope`…", "…"),
            ),
        ],
    );
}

fn what_fails_is_an_error(server: &Server) {
    let cause =
        "com.databricks.backend.common.rpc.SparkDriverExceptions$SQLExecutionException: org.apache.spark.…\n\tat …";
    check(
        server,
        &[
            ("selec 1", error("Error in SQL statement: ParseException: …'selec'…", cause)),
            ("select * from nope", error("Error in SQL statement: AnalysisException: …`nope`…", cause)),
            ("USE SCHEMAx", error("Error in SQL statement: …SCHEMAx…", cause)),
            (
                "select raise_error('from a task') from range(3)",
                error("Error in SQL statement: …from a task…", "…from a task…"),
            ),
            ("%run ./other", error("%run is not supported…", "%run is not supported…")),
            ("select 1 as a", table(&[("a", "\"integer\"")], json!([[1]]))),
        ],
    );
}

fn many_rows_are_cut_and_say_so(server: &Server) {
    let context = server.context("sql");
    let ended = context.run("select id from range(20000)");
    assert_eq!(ended.results["truncated"], json!(true));
    assert_eq!(ended.results["data"].as_array().unwrap().len(), 10_000);
    let ended = context.run("select id from range(10000)");
    assert_eq!((&ended.results["truncated"], ended.results["data"].as_array().unwrap().len()), (&json!(false), 10_000));
    let ended = context.run("select repeat('x', 100000) as wide from range(100)");
    assert_eq!(ended.results["truncated"], json!(true));
    assert!(ended.results["data"].to_string().len() < 2_100_000);
}
