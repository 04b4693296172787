//! A resize of a running cluster from 1 worker to 3, until a job runs on all of them, beside the way without one: a restart at that size.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::client::Client;
use super::figures::{Sample, Table};
use super::note;
use super::server::Server;

/// The aim: so much of a restart's time at most.
const AT_MOST: f64 = 0.6;

/// How long a cluster may take to come to a size.
const PATIENCE: Duration = Duration::from_secs(300);

/// A job of more tasks than the workers run at once; what it prints is on how many executors they ran.
const JOB: &str = "println(sc.parallelize(1 to 24, 24).map { _ => Thread.sleep(50); org.apache.spark.SparkEnv.get.executorId }\
    .collect.distinct.size)";

/// The sizes before and after.
const SIZES: (u32, u32) = (1, 3);

/// Makes a cluster of its own, and resizes and restarts it in turn.
pub(crate) fn measure(server: &Server, pairs: u32, table: &mut Table) -> anyhow::Result<()> {
    let any = server.client()?;
    let ask = json!({"name": "bench resize", "sparkVersion": version(server)?, "numWorkerContainers": SIZES.0});
    let made = any.post("clusters/create", &ask)?;
    let cluster = made["id"].as_str().with_context(|| format!("no id in {made}"))?.to_owned();
    let client = server.client_of(&cluster)?;
    let outcome = turns(&client, &cluster, pairs, table);
    client.post("clusters/delete", &json!({"clusterId": cluster}))?;
    outcome
}

fn turns(client: &Client, cluster: &str, pairs: u32, table: &mut Table) -> anyhow::Result<()> {
    let [mut resized, mut restarted] = std::array::from_fn(|_| Sample::default());
    has(client, cluster, SIZES.0)?;
    for pair in 1..=pairs {
        note(&format!("resize {pair} of {pairs}"));
        let (context, _) = client.open("scala")?;
        client.execute(&context, "scala", "1 + 1")?;
        let begun = Instant::now();
        resize(client, cluster, SIZES.1)?;
        uses_all(client, &context, begun)?;
        resized.push(begun.elapsed());

        let begun = Instant::now();
        client.post("clusters/restart", &json!({"clusterId": cluster}))?;
        has(client, cluster, SIZES.1)?;
        let (context, _) = client.open("scala")?;
        uses_all(client, &context, begun)?;
        restarted.push(begun.elapsed());
        resize(client, cluster, SIZES.0)?;
        has(client, cluster, SIZES.0)?;
    }
    table.ratio("resize 1 → 3 workers until a job uses them, beside a restart with 3", &resized, &restarted, AT_MOST);
    Ok(())
}

fn version(server: &Server) -> anyhow::Result<String> {
    let spec = server.spec()?;
    let home = spec["jvm"]["env"]["SPARK_HOME"].as_str().context("the driver knows no SPARK_HOME")?.to_owned();
    let jars = std::fs::read_dir(std::path::Path::new(&home).join("jars"))?.flatten();
    let names = jars.filter_map(|entry| entry.file_name().into_string().ok());
    let core =
        |name: String| Some(name.strip_prefix("spark-core_")?.strip_suffix(".jar")?.split_once('-')?.1.to_owned());
    names.filter_map(core).next().context("no spark-core among the jars")
}

fn resize(client: &Client, cluster: &str, workers: u32) -> anyhow::Result<Value> {
    client.post("clusters/resize", &json!({"clusterId": cluster, "numWorkerContainers": workers}))
}

/// Waits until the cluster runs with so many workers.
fn has(client: &Client, cluster: &str, workers: u32) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let view = client.get("clusters/status", &[("clusterId", cluster)])?;
        if view["status"] == "Running" && view["numWorkers"] == workers {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "the cluster did not come to {workers} workers: {view}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs jobs until one has used every worker.
fn uses_all(client: &Client, context: &str, begun: Instant) -> anyhow::Result<()> {
    loop {
        let results = client.execute(context, "scala", JOB)?.results;
        if results["data"].as_str().is_some_and(|said| said.trim() == SIZES.1.to_string()) {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "no job used all workers: {results}");
    }
}
