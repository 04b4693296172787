//! All rows of a table, beyond what its results object has: paged as JSON, and whole as CSV and Arrow.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};

use crate::api::{Context, Reply};
use crate::case::Case;
use crate::poll::until;
use crate::server::{RESULT_BYTES_MAX, Server};
use crate::{folders, interpreters, r};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = shared![
        every_type_is_the_same_in_all_forms,
        a_cut_table_is_paged_to_its_end,
        what_python_displays_is_kept_whole,
        what_scala_displays_is_kept_whole,
        rows_are_those_of_one_run,
        nobody_waits_for_a_whole_table_whose_python_is_busy,
        a_range_is_cut_out_in_every_form,
        a_download_breaks_off_when_its_context_is_destroyed,
        a_table_that_is_too_large_says_so_in_every_form,
        secrets_are_taken_out_of_all_rows,
        a_cancelled_command_has_no_table,
        what_has_no_table_says_so,
    ];
    if r::installed() {
        cases.extend(shared![what_r_displays_is_kept_whole]);
    }
    cases
}

const PATH: &str = "/api/1.2/commands/result";

#[track_caller]
fn ask(context: &Context, command: &str, more: &[(&str, &str)]) -> Reply {
    let query = query(context, command, more);
    context.server.http.get(PATH, &query)
}

fn query<'a>(context: &'a Context, command: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let ids = [("clusterId", context.cluster.as_str()), ("contextId", &context.id), ("commandId", command)];
    ids.into_iter().chain(more.iter().copied()).collect()
}

/// A page, once there is something from that row on.
#[track_caller]
pub(crate) fn page(context: &Context, command: &str, offset: usize) -> Value {
    let offset = offset.to_string();
    let read = || ask(context, command, &[("offset", &offset)]).ok();
    until("the page has rows, or is the last", read, |page| page["data"] != json!([]) || page["nextOffset"].is_null())
}

/// All pages of a table, each begun where the last one says.
#[track_caller]
pub(crate) fn all_rows(context: &Context, command: &str) -> (Vec<Value>, Value) {
    let mut rows = Vec::new();
    loop {
        let mut page = page(context, command, rows.len());
        assert_eq!(page["offset"], json!(rows.len()));
        rows.append(page["data"].as_array_mut().unwrap());
        if page["nextOffset"].is_null() {
            return (rows, page);
        }
        assert_eq!(page["nextOffset"], json!(rows.len()));
    }
}

/// A whole table in another form.
#[track_caller]
fn whole(context: &Context, command: &str, more: &[(&str, &str)]) -> (Vec<u8>, HeaderMap) {
    let mut bytes = Vec::new();
    let query = query(context, command, more);
    let (status, headers) = context.server.http.pieces(PATH, &query, |piece| bytes.extend(piece)).unwrap();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
    (bytes, headers)
}

#[track_caller]
fn csv(context: &Context, command: &str) -> String {
    let (bytes, headers) = whole(context, command, &[("format", "csv")]);
    assert_eq!(headers[CONTENT_TYPE], "text/csv; charset=utf-8; header=present");
    String::from_utf8(bytes).unwrap()
}

/// What pyarrow finds in an Arrow stream: a function of `clients/arrow.py` says it as JSON.
#[track_caller]
fn arrow(context: &Context, command: &str, function: &str) -> Value {
    let (bytes, headers) = whole(context, command, &[("format", "arrow")]);
    assert_eq!(headers[CONTENT_TYPE], "application/vnd.apache.arrow.stream");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    pyarrow(file.path(), function)
}

/// The same of a file.
#[track_caller]
pub(crate) fn pyarrow(file: &Path, function: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/clients/arrow.py");
    let python = interpreters::runtime()["python"].as_str().unwrap().to_owned();
    let output = Command::new(python).arg(script).arg(function).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn every_type_is_the_same_in_all_forms(server: &Server) {
    let context = server.context("sql");
    context.run("set spark.sql.session.timeZone = America/New_York");
    // Expression, what it is in JSON, what it is in CSV.
    let columns = [
        ("cast(-128 as tinyint)", json!(-128), "-128"),
        ("cast(32767 as smallint)", json!(32767), "32767"),
        ("9007199254740993L", json!(9_007_199_254_740_993_i64), "9007199254740993"),
        ("cast(0.1 as float)", json!(0.1), "0.1"),
        ("cast('-Infinity' as double)", json!("-Infinity"), "-Infinity"),
        ("cast('NaN' as float)", json!("NaN"), "NaN"),
        (
            "-12345678901234567890123456789012345678BD",
            json!("-12345678901234567890123456789012345678"),
            "-12345678901234567890123456789012345678",
        ),
        (
            "cast(0.5 as decimal(38,38))",
            json!("0.50000000000000000000000000000000000000"),
            "0.50000000000000000000000000000000000000",
        ),
        ("true", json!(true), "true"),
        ("concat('a\"b,', chr(10), chr(1), '😀')", json!("a\"b,\n\u{1}😀"), "\"a\"\"b,\n\u{1}😀\""),
        ("''", json!(""), "\"\""),
        ("X'00ff'", json!("AP8="), "AP8="),
        ("date'0001-01-01'", json!("0001-01-01"), "0001-01-01"),
        ("date'1899-12-31'", json!("1899-12-31"), "1899-12-31"),
        ("cast('+10000-01-01' as date)", json!("+10000-01-01"), "+10000-01-01"),
        ("timestamp'1800-01-01 00:00:00'", json!("1800-01-01T04:56:02.000Z"), "1800-01-01T04:56:02.000Z"),
        ("timestamp'2026-08-09 18:13:17.123456Z'", json!("2026-08-09T18:13:17.123Z"), "2026-08-09T18:13:17.123456Z"),
        ("timestamp_ntz'1800-01-01 00:00:00.000001'", json!("1800-01-01T00:00:00.000"), "1800-01-01T00:00:00.000001"),
        ("time'12:34:56.789'", json!("12:34:56.789"), "12:34:56.789"),
        (
            "interval '1 02:03:04.5' day to second",
            json!("INTERVAL '1 02:03:04.5' DAY TO SECOND"),
            "INTERVAL '1 02:03:04.5' DAY TO SECOND",
        ),
        ("interval '1-2' year to month", json!("INTERVAL '1-2' YEAR TO MONTH"), "INTERVAL '1-2' YEAR TO MONTH"),
        ("make_interval(0, 1, 0, 2)", json!("1 months 2 days"), "1 months 2 days"),
        ("array(array('a', null), null)", json!([["a", null], null]), "\"[[\"\"a\"\",null],null]\""),
        ("map(1, 'x')", json!({"1": "x"}), "\"{\"\"1\"\":\"\"x\"\"}\""),
        (
            "map(date'2026-08-09', array(1.5D, null))",
            json!({"2026-08-09": [1.5, null]}),
            "\"{\"\"2026-08-09\"\":[1.5,null]}\"",
        ),
        (
            "named_struct('x', null, 'y', named_struct('z', 1.50BD))",
            json!({"x": null, "y": {"z": "1.50"}}),
            "\"{\"\"x\"\":null,\"\"y\"\":{\"\"z\"\":\"\"1.50\"\"}}\"",
        ),
        ("array(interval 1 day)", json!(["INTERVAL '1' DAY"]), "\"[\"\"INTERVAL '1' DAY\"\"]\""),
        ("parse_json('{\"a\": [1, null]}')", json!("{\"a\":[1,null]}"), "\"{\"\"a\"\":[1,null]}\""),
        ("null", Value::Null, ""),
        ("cast(null as map<string, int>)", Value::Null, ""),
    ];
    let list: Vec<String> = columns.iter().enumerate().map(|(at, (code, ..))| format!("{code} as c{at}")).collect();
    let values: Vec<Value> = columns.iter().map(|(_, value, _)| value.clone()).collect();
    let id = context.send(&format!("select {}", list.join(", ")));
    let ended = context.wait(&id);
    assert_eq!(ended.results["data"], json!([values]), "in the results object");
    let page = page(&context, &id, 0);
    assert_eq!(page["data"], json!([values]), "in a page");
    assert_eq!(page["schema"], ended.results["schema"]);
    assert_eq!((&page["totalRows"], &page["truncated"]), (&json!(1), &json!(false)));
    let names: Vec<String> = (0..columns.len()).map(|at| format!("c{at}")).collect();
    let texts: Vec<&str> = columns.iter().map(|(_, _, text)| *text).collect();
    assert_eq!(csv(&context, &id), format!("{}\r\n{}\r\n", names.join(","), texts.join(",")));
    assert_eq!(arrow(&context, &id, "every_type"), json!("as expected"));
}

fn a_cut_table_is_paged_to_its_end(server: &Server) {
    let context = server.context("sql");
    let id = context.send("select id, if(id % 2 = 0, null, id) as odd from range(0, 25000, 1, 3)");
    let ended = context.wait(&id);
    assert_eq!(ended.results["truncated"], json!(true));
    let (rows, last) = all_rows(&context, &id);
    assert_eq!(rows.len(), 25_000);
    let expected = |at: usize| if at.is_multiple_of(2) { json!([at, null]) } else { json!([at, at]) };
    assert!(rows.iter().enumerate().all(|(at, row)| *row == expected(at)));
    assert_eq!(
        rows[..10_000],
        ended.results["data"].as_array().unwrap()[..],
        "the first rows are those that were shown"
    );
    assert_eq!((&last["totalRows"], &last["truncated"]), (&json!(25_000), &json!(false)));
    let (_, headers) = whole(&context, &id, &[("format", "csv")]);
    assert_eq!(headers["x-firesteel-rows"], "25000");
    assert!(!headers.contains_key("x-firesteel-truncated"));
    assert_eq!(arrow(&context, &id, "count"), json!([25_000, 312_487_500]));
    // Wide rows are cut by their bytes, in the results object as in a page.
    let id = context.send("select repeat('x', 100000) as wide from range(50)");
    assert_eq!(context.wait(&id).results["truncated"], json!(true));
    assert_eq!(all_rows(&context, &id).0.len(), 50);
}

fn what_python_displays_is_kept_whole(server: &Server) {
    let context = server.context("python");
    let id = context.send("display(spark.range(0, 12000, 1, 2))");
    assert_eq!(context.wait(&id).results["truncated"], json!(true));
    assert_eq!(arrow(&context, &id, "count"), json!([12_000, 71_994_000]));
    let id = context.send("import pandas as pd\ndisplay(pd.DataFrame({'id': range(12000), 's': ['x', None] * 6000}))");
    let ended = context.wait(&id);
    assert_eq!(ended.results["truncated"], json!(true));
    let (rows, last) = all_rows(&context, &id);
    assert_eq!((rows.len(), &rows[11_999]), (12_000, &json!([11_999, null])));
    assert_eq!(last["schema"], ended.results["schema"]);
    assert_eq!(arrow(&context, &id, "count"), json!([12_000, 71_994_000]));
}

fn what_scala_displays_is_kept_whole(server: &Server) {
    let context = server.context("scala");
    let id = context.send("display(spark.range(0, 12000, 1, 2).toDF)");
    assert_eq!(context.wait(&id).results["truncated"], json!(true));
    assert_eq!(arrow(&context, &id, "count"), json!([12_000, 71_994_000]));
    let id = context
        .send("import org.apache.spark.ml.linalg.Vectors\ndisplay(Seq((1, Vectors.dense(0.5, 2))).toDF(\"n\", \"v\"))");
    let vector = json!([[1, {"type": 1, "size": null, "indices": null, "values": [0.5, 2.0]}]]);
    assert_eq!(context.wait(&id).results["data"], vector);
    assert_eq!(page(&context, &id, 0)["data"], vector, "a user's type is the type that it is stored as");
}

fn what_r_displays_is_kept_whole(server: &Server) {
    let context = server.context("r");
    let id = context.send(
        "display(data.frame(id = 0:11999, s = c('x \\'\"\u{e9}', NA), d = as.Date('1899-12-31'),\n\
         t = as.POSIXct(-0.75, origin = '1970-01-01', tz = 'UTC'), n = c(0.5, NaN), b = c(TRUE, NA)))",
    );
    let ended = context.wait(&id);
    assert_eq!(ended.results["truncated"], json!(true), "{}", ended.results);
    let (rows, last) = all_rows(&context, &id);
    assert_eq!(rows.len(), 12_000);
    assert_eq!(rows[..10_000], ended.results["data"].as_array().unwrap()[..]);
    let moment = "1969-12-31T23:59:59.250Z";
    assert_eq!(rows[11_998], json!([11_998, "x '\"\u{e9}", "1899-12-31", moment, 0.5, true]));
    assert_eq!(rows[11_999], json!([11_999, null, "1899-12-31", moment, "NaN", null]));
    assert_eq!((&last["schema"], &last["totalRows"]), (&ended.results["schema"], &json!(12_000)));
    assert_eq!(arrow(&context, &id, "count"), json!([12_000, 71_994_000]));
    assert!(csv(&context, &id).ends_with("\r\n11999,,1899-12-31,1969-12-31T23:59:59.250Z,NaN,\r\n"));
}

fn a_table_that_is_too_large_says_so_in_every_form(server: &Server) {
    let context = server.context("sql");
    let id = context.send("select id, repeat('x', 1000) as x from range(0, 100000, 1, 4)");
    assert_eq!(context.wait(&id).results["truncated"], json!(true));
    // Its end is known when a row that is not there is asked for.
    let last = page(&context, &id, 99_999);
    let kept = last["totalRows"].as_u64().unwrap();
    assert!(kept > 10_000 && kept < RESULT_BYTES_MAX / 1000, "{kept}");
    assert_eq!((&last["data"], &last["truncated"]), (&json!([]), &json!(true)));
    assert!(last["reason"].as_str().unwrap().contains("limits.result_bytes_max"), "{last}");
    for format in ["csv", "arrow"] {
        let (_, headers) = whole(&context, &id, &[("format", format)]);
        assert_eq!(headers["x-firesteel-truncated"], "true");
        assert_eq!(headers["x-firesteel-rows"], *kept.to_string());
    }
    assert_eq!(arrow(&context, &id, "count")[0], json!(kept));
}

fn secrets_are_taken_out_of_all_rows(server: &Server) {
    let word = "a word in rows, \"quoted\"";
    for (call, body) in [
        ("scopes/create", json!({"scope": "results"})),
        ("put", json!({"scope": "results", "key": "word", "string_value": word})),
    ] {
        server.http.post(&format!("/api/2.0/secrets/{call}"), &body).ok();
    }
    let context = server.context("python");
    // The first table is there before the secret is known; it is asked for afterwards.
    context
        .run("import base64, pandas as pd\nfrom pyspark.sql.functions import lit, array, create_map, struct, unbase64");
    let code = format!("word = base64.b64decode('{}').decode()", BASE64_STANDARD.encode(word));
    context.run(&code);
    let spark = context.send(
        "display(spark.range(0, 12000, 1, 2).select('id', lit('my ' + word).alias('s'), array(lit(word)).alias('list'), \
         create_map(lit(word), lit(word)).alias('map'), struct(lit(word).alias('x')).alias('struct'), lit(word.encode()).alias('binary')))",
    );
    context.wait(&spark);
    let pandas = context.send("display(pd.DataFrame({'id': range(12000), 's': ['my ' + word] * 12000}))");
    context.wait(&pandas);
    assert!(csv(&context, &spark).contains("quoted"), "nobody has asked for the secret yet");
    context.run("dbutils.secrets.get('results', 'word')");
    for id in [&spark, &pandas] {
        assert_eq!(page(&context, id, 11_999)["data"][0][1], json!("my [REDACTED]"));
        let text = csv(&context, id);
        assert_eq!(text.matches("my [REDACTED]").count(), 12_000);
        assert!(!text.contains("quoted"), "{}", &text[..300]);
        assert_eq!(arrow(&context, id, "texts"), json!(["my [REDACTED]"]));
    }
    let row = page(&context, &spark, 11_999)["data"][0].clone();
    let hidden = "[REDACTED]";
    let binary = BASE64_STANDARD.encode(hidden);
    assert_eq!(row, json!([11_999, "my [REDACTED]", [hidden], {hidden: hidden}, {"x": hidden}, binary]));
}

fn a_cancelled_command_has_no_table(server: &Server) {
    for (language, code) in [
        ("sql", "select a.id from range(3000000) a join range(3000000) b on a.id * b.id < 0"),
        ("python", "display(spark.sql('select a.id from range(3000000) a join range(3000000) b on a.id * b.id < 0'))"),
    ] {
        let context = server.context(language);
        let id = context.send(code);
        context.wait_for(&id, "Running");
        context.cancel(&id);
        assert_eq!(context.wait(&id).status, "Cancelled");
        let said = ask(&context, &id, &[]).refused(500);
        assert!(said.contains("was cancelled"), "{said}");
        let files = || std::fs::read_dir(folder(&context)).unwrap().count();
        until("nothing of it is left", files, |count| *count == 0);
    }
}

fn rows_are_those_of_one_run(server: &Server) {
    let context = server.context("python");
    context.run("import random\nfrom pyspark.sql.functions import udf\ndraw = udf(lambda n: random.random(), 'double').asNondeterministic()");
    let id = context.send("display(spark.range(0, 12000, 1, 3).select(draw('id').alias('x')))");
    let shown = context.wait(&id).results["data"].clone();
    let (rows, _) = all_rows(&context, &id);
    assert_eq!(rows.len(), 12_000);
    assert_eq!(rows[..10_000], shown.as_array().unwrap()[..]);
}

/// Tasks with a Python function have something to say to their interpreter: Spark's scheduler must not wait for that.
fn nobody_waits_for_a_whole_table_whose_python_is_busy(server: &Server) {
    let (context, other) = (server.context("python"), server.context("sql"));
    context.run("import ctypes, time\nfrom pyspark.sql.functions import udf\nslow = udf(lambda n: time.sleep(0.0003) or n, 'long')");
    let table = context.send("display(spark.range(0, 40000, 1, 40).select(slow('id').alias('id')))");
    assert_eq!(context.wait(&table).results["truncated"], json!(true));
    // C code that holds Python's lock: no other thread of that process runs meanwhile.
    let busy = context.send("ctypes.PyDLL(None).sleep(600)");
    assert_eq!(all_rows(&context, &table).0.len(), 40_000);
    assert_eq!(other.run("select count(*) as n from range(0, 1000, 1, 4)").results["data"], json!([[1000]]));
    assert_eq!(context.command(&busy).ok()["status"], json!("Running"));
    context.destroy();
}

fn a_range_is_cut_out_in_every_form(server: &Server) {
    let context = server.context("sql");
    let id = context.send("select id from range(0, 30000, 1, 2)");
    context.wait(&id);
    let range = [("offset", "14999"), ("limit", "2")];
    let read = || ask(&context, &id, &range).ok();
    let reply = until("both rows are there", read, |page| page["data"].as_array().unwrap().len() == 2);
    assert_eq!((&reply["data"], &reply["nextOffset"]), (&json!([[14_999], [15_000]]), &json!(15_001)));
    let (bytes, _) = whole(&context, &id, &[&range[..], &[("format", "csv")]].concat());
    assert_eq!(String::from_utf8(bytes).unwrap(), "id\r\n14999\r\n15000\r\n");
    let nulls = context.send("select null as n from range(3)");
    context.wait(&nulls);
    assert_eq!(page(&context, &nulls, 1)["data"], json!([[null], [null]]), "rows without a byte of their own");
    // Beyond the end there is nothing, and that is no error.
    let beyond = page(&context, &id, 40_000);
    assert_eq!(
        (&beyond["data"], &beyond["nextOffset"], &beyond["totalRows"]),
        (&json!([]), &Value::Null, &json!(30_000))
    );
    let (bytes, _) = whole(&context, &id, &[("offset", "40000"), ("format", "csv")]);
    assert_eq!(String::from_utf8(bytes).unwrap(), "id\r\n");
}

/// The files of a context's results.
fn folder(context: &Context) -> PathBuf {
    folders::data().join("clusters").join(&context.cluster).join("results").join(&context.id)
}

fn a_download_breaks_off_when_its_context_is_destroyed(server: &Server) {
    let context = server.context("sql");
    let id = context.send("select id, repeat('x', 1000) as x from range(0, 60000, 1, 4)");
    assert_eq!(context.wait(&id).results["truncated"], json!(true));
    for file in std::fs::read_dir(folder(&context)).unwrap() {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let folder = folder(&context);
    let ids = (context.id.clone(), server.cluster.clone());
    let query = [("clusterId", ids.1.as_str()), ("contextId", &ids.0), ("commandId", &id), ("format", "csv")];
    let mut context = Some(context);
    let broken = server.http.pieces(PATH, &query, |_| {
        if let Some(context) = context.take() {
            // Aside: this closure runs in the client's own runtime.
            std::thread::scope(|scope| drop(scope.spawn(|| context.destroy())));
        }
    });
    assert!(broken.is_err(), "a part of a table does not look like all of it: {broken:?}");
    until("its files are gone", || folder.exists(), |there| !there);
    assert_eq!(server.http.get(PATH, &query).refused(500), format!("ContextNotFound: {}", ids.0));
}

fn what_has_no_table_says_so(server: &Server) {
    let context = server.context("python");
    let text = context.send("1 + 1");
    context.wait(&text);
    let refused = |more: &[(&str, &str)]| ask(&context, &text, more).refused(500);
    assert!(refused(&[]).contains("came to text"), "{}", refused(&[]));
    assert_eq!(refused(&[("format", "xml")]), "unknown format `xml`; there are json, csv and arrow");
    assert!(refused(&[("offset", "-1")]).contains("`offset` is `-1`"), "{}", refused(&[("offset", "-1")]));
    let failed = context.send("1 / 0");
    context.wait(&failed);
    assert!(ask(&context, &failed, &[]).refused(500).contains("of type `error`"));
    assert!(ask(&context, "nope", &[]).refused(500).contains("CommandNotFound"));
    // A statement without columns has none in any form.
    let nothing = context.send_in("sql", "create or replace temporary view v as select 1 as a");
    context.wait(&nothing);
    assert_eq!(ask(&context, &nothing, &[]).ok()["data"], json!([]));
    assert_eq!(csv(&context, &nothing), "");
    assert_eq!(arrow(&context, &nothing, "columns"), json!([]));
}
