//! A resize of a running cluster from 1 worker to 3, until a job runs on all of them, beside the way without one: a restart at that size.

use std::time::{Duration, Instant};

use anyhow::ensure;
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
    let ask = json!({"name": "bench resize", "sparkVersion": server.spark_version()?, "numWorkerContainers": SIZES.0});
    let cluster = any.make_cluster(&ask)?;
    let client = server.client_of(&cluster)?;
    let outcome = turns(&client, &cluster, pairs, table);
    client.end_cluster(&cluster)?;
    outcome
}

fn turns(client: &Client, cluster: &str, pairs: u32, table: &mut Table) -> anyhow::Result<()> {
    let [mut resized, mut restarted] = std::array::from_fn(|_| Sample::default());
    client.cluster_runs(cluster, SIZES.0)?;
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
        client.cluster_runs(cluster, SIZES.1)?;
        let (context, _) = client.open("scala")?;
        uses_all(client, &context, begun)?;
        restarted.push(begun.elapsed());
        resize(client, cluster, SIZES.0)?;
        client.cluster_runs(cluster, SIZES.0)?;
    }
    table.ratio("resize 1 → 3 workers until a job uses them, beside a restart with 3", &resized, &restarted, AT_MOST);
    Ok(())
}

fn resize(client: &Client, cluster: &str, workers: u32) -> anyhow::Result<Value> {
    client.post("clusters/resize", &json!({"clusterId": cluster, "numWorkerContainers": workers}))
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
