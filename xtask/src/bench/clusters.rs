//! A cluster that is made, and one that is restarted, each until it runs, beside `spark-shell` to its prompt.

use std::time::Instant;

use serde_json::json;

use super::figures::{Sample, Table};
use super::machine::Machine;
use super::note;
use super::server::Server;
use super::spark_shell::SparkShell;

/// The aim of a cluster that is made: so much of the raw thing's time at most.
const MADE_AT_MOST: f64 = 0.6;

/// The aim of a restart, which ends an application in good order before it starts another.
const RESTARTED_AT_MOST: f64 = 1.0;

/// Makes, restarts and ends clusters without workers, and starts a shell, in turn.
pub(crate) fn measure(machine: &Machine, server: &Server, pairs: u32, table: &mut Table) -> anyhow::Result<()> {
    let [mut made, mut restarted, mut shell] = std::array::from_fn(|_| Sample::default());
    let client = server.client()?;
    let version = server.spark_version()?;
    for pair in 1..=pairs {
        note(&format!("cluster {pair} of {pairs}"));
        let ask = json!({"name": "bench", "sparkVersion": version, "numWorkerContainers": 0});
        let begun = Instant::now();
        let cluster = client.make_cluster(&ask)?;
        client.cluster_runs(&cluster, 0)?;
        made.push(begun.elapsed());

        let begun = Instant::now();
        client.post("clusters/restart", &json!({"clusterId": cluster}))?;
        client.cluster_runs(&cluster, 0)?;
        restarted.push(begun.elapsed());
        client.end_cluster(&cluster)?;

        shell.push(SparkShell::start(machine)?.until("scala>")?);
    }
    table.ratio("`clusters/create` → Running, beside `spark-shell` → prompt", &made, &shell, MADE_AT_MOST);
    table.ratio("`clusters/restart` → Running, beside the same", &restarted, &shell, RESTARTED_AT_MOST);
    Ok(())
}
