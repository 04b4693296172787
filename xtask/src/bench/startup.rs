//! `up` on a provisioned machine to `ready`, beside `spark-shell` to its prompt; then both to the first Scala result.

use std::time::Instant;

use super::figures::{Sample, Table};
use super::machine::Machine;
use super::note;
use super::server::Server;
use super::spark_shell::SparkShell;

/// The aim: so much of the raw thing's time at most.
const AT_MOST: f64 = 0.6;

/// Starts them in turn.
pub(crate) fn measure(machine: &Machine, pairs: u32, table: &mut Table) -> anyhow::Result<()> {
    let [mut up, mut up_first, mut shell, mut shell_first] = std::array::from_fn(|_| Sample::default());
    for pair in 1..=pairs {
        note(&format!("start {pair} of {pairs}"));
        let begun = Instant::now();
        let server = Server::up(machine)?;
        let client = server.client()?;
        let (context, _) = client.open("scala")?;
        client.execute(&context, "scala", "1+1")?;
        up_first.push(begun.elapsed());
        up.push(server.took);
        server.end()?;

        let mut spark = SparkShell::start(machine)?;
        shell.push(spark.until("scala>")?);
        spark.type_line("1+1")?;
        spark.until("res0")?;
        shell_first.push(spark.until("2")?);
    }
    table.ratio("`up` → `ready`, beside `spark-shell` → prompt", &up, &shell, AT_MOST);
    table.ratio("… both to the result of a first Scala `1+1`", &up_first, &shell_first, AT_MOST);
    Ok(())
}
