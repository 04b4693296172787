//! Clusters on other Sparks than the default one: each is installed beside the running server and picked by `spark_version`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::api::{Context, table};
use crate::case::Case;
use crate::nodes::{self, Cluster};
use crate::server::{Server, program};
use crate::{folders, jdbc};

/// The Sparks beside the default one: the last line of 3, with Scala 2.12, and an earlier 4.
const SPARK_3: &str = "3.5.9";
const SPARK_4: &str = "4.1.4";

/// The Sparks that these cases install, beside the one that others look for.
pub(crate) const OTHERS: [&str; 2] = [SPARK_3, SPARK_4];

pub(crate) fn cases() -> Vec<Case> {
    shared![other_sparks_run_every_language_and_serve_jdbc, an_unknown_spark_is_refused_with_those_there_are]
}

/// One after the other: each is a JVM of its own.
fn other_sparks_run_every_language_and_serve_jdbc(server: &Server) {
    let _turn = nodes::turn();
    // By the key of the service's release that has this Spark, and by its own version.
    for (spark, scala, key) in [(SPARK_3, "2.12", "15.4.x-scala2.12"), (SPARK_4, "2.13", SPARK_4)] {
        install(spark);
        let with_jdbc =
            json!({"spark_version": key, "num_workers": 0, "spark_conf": {"spark.firesteel.jdbc.enabled": "true"}});
        let cluster = Cluster::make(server, spark, &with_jdbc);
        every_language(&cluster, spark, scala);
        cluster.delete();
    }
}

fn an_unknown_spark_is_refused_with_those_there_are(server: &Server) {
    let versions = server.http.get("/api/2.1/clusters/spark-versions", &[]).ok();
    let default = versions["default_version_key"].as_str().unwrap();
    let keys: Vec<&str> =
        versions["versions"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert!(keys.contains(&default), "{versions}");
    let ask = json!({"cluster_name": "x", "spark_version": "2.4.x-scala2.11", "num_workers": 0});
    let refused = server.http.post("/api/2.1/clusters/create", &ask);
    let said = refused.json()["message"].to_string();
    assert_eq!(refused.status, 400, "{said}");
    assert!(said.contains("`2.4.x-scala2.11` is not installed") && said.contains(default), "{said}");
}

/// Installs a Spark under its version, unless an earlier run has. The server is not told.
fn install(version: &str) {
    let name = format!("spark-{version}");
    if folders::data().join("runtimes").join(&name).join("runtime.json").exists() {
        return;
    }
    let mut add: Command = program();
    add.args(["runtime", "add", &name, "--spark-version", version, "--data"]).arg(folders::data());
    let output = add.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A short session in each language, on what differs between Sparks and Scalas: the REPL, its classes in tasks and encoders, the
/// echo, errors, display, cancel; Python with its own worker; SQL, and what the three share.
#[track_caller]
fn every_language(cluster: &Cluster<'_>, spark: &str, scala: &str) {
    let [in_scala, python, sql] = cluster.contexts(["scala", "python", "sql"]);
    scala_works(&in_scala, spark, scala);
    python_works(&python, spark);
    sql_works(&sql, spark);
    jdbc::answers(cluster, &sql, &home(spark));
}

/// The folder of an installed Spark.
fn home(version: &str) -> PathBuf {
    let file = folders::data().join(format!("runtimes/spark-{version}/runtime.json"));
    let runtime: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    PathBuf::from(runtime["spark_home"].as_str().unwrap())
}

fn scala_works(context: &Context<'_>, spark: &str, scala: &str) {
    context.text("spark.version", &format!("res0: String = {spark}"));
    let version = context.run("scala.util.Properties.versionNumberString");
    assert!(version.text().contains(&format!("= {scala}.")), "{version:?}");
    context.run("case class Point(x: Int, y: Int)\nval factor = 3").text();
    context.text(
        "sc.parallelize(1 to 2).map(n => Point(n, n * factor)).collect().toList",
        "res2: List[Point] = List(Point(1,3), Point(2,6))",
    );
    context.text(
        "Seq(Point(1, 2)).toDS.map(p => p.copy(x = p.x + 1)).collect().toList",
        "res3: List[Point] = List(Point(2,2))",
    );
    let columns = [("x", "\"integer\""), ("y", "\"integer\"")];
    context.check("display(Seq(Point(1, 2)).toDF)", &table(&columns, json!([[1, 2]])));
    let wrong = context.run("val fine = 1\nnope + 1");
    let cause = wrong.results["cause"].as_str().unwrap();
    assert!(cause.contains(":2: error: not found: value nope"), "{cause}");
    let raised = context.run("def fail(): Int = throw new IllegalStateException(\"why\")\nfail()");
    let cause = raised.results["cause"].as_str().unwrap();
    assert!(cause.starts_with("java.lang.IllegalStateException: why\n\tat "), "{cause}");
    let looping = context.send("var n = 0L\nwhile (n >= 0) n = (n + 1) % 1000");
    context.wait_for(&looping, "Running");
    context.cancel(&looping);
    assert_eq!(context.wait(&looping).status, "Cancelled");
    assert!(context.run("factor + 1").text().ends_with(": Int = 4"));
}

fn python_works(context: &Context<'_>, spark: &str) {
    context.text("spark.version", &format!("'{spark}'"));
    context.text(
        "import pandas as pd\nfrom pyspark.sql.functions import pandas_udf, udf\n\
         plus = udf(lambda n: n + 1, 'long')\n\
         @pandas_udf('long')\ndef twice(s: pd.Series) -> pd.Series:\n    return s * 2\n\
         print([tuple(r) for r in spark.range(3).select(plus('id'), twice('id')).collect()])",
        "[(1, 0), (2, 2), (3, 4)]",
    );
    context.text("list(spark.range(2).toPandas()['id'])", "[0, 1]");
    let looping = context.send("while True: pass");
    context.wait_for(&looping, "Running");
    context.cancel(&looping);
    assert_eq!(context.wait(&looping).status, "Cancelled");
}

fn sql_works(context: &Context<'_>, spark: &str) {
    // Clusters share their warehouse.
    let table = format!("seen_on_{}", spark.replace('.', "_"));
    let created = context.run(&format!(
        "create table {table} as select 1 as n; create temporary view seen as select n + 41 as n from {table}"
    ));
    assert_eq!(created.results["resultType"], "table", "{created:?}");
    let found = context.run("select n, cast(n as decimal(5,2)) as d, date'2026-01-02' as day from seen");
    assert_eq!(found.results["data"], json!([[42, "42.00", "2026-01-02"]]), "{found:?}");
    let wrong = context.run("select * from nowhere");
    assert!(wrong.results["summary"].as_str().unwrap().contains("TABLE_OR_VIEW_NOT_FOUND"), "{wrong:?}");
    let shared = context.run_in("python", "spark.table('seen').collect()[0].n");
    assert_eq!(shared.text(), "42");
    context.run(&format!("drop table {table}"));
}
