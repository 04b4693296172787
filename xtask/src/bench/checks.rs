//! What the checks cost that make loops of Scala cancellable: a tight loop in a context, and in a REPL without them.

use super::bare::Bare;
use super::client::Client;
use super::commands::{Side, take_turns};
use super::figures::{Sample, Table};
use super::machine::Machine;
use super::note;
use super::server::Server;

/// The aim, as a multiple of the loop without checks.
const AT_MOST: f64 = 1.1;

/// A billion turns that depend on each other; `bench/scala/Bare.scala` has the same.
const DEFINED: &str =
    "def spin(): Long = { var i = 0L; var sum = 1L; while (i < 1000000000L) { sum = sum * 31 + i; i += 1 }; sum }";

/// How often each side is measured at most: a loop takes about a second.
const RUNS_MAX: u32 = 20;

/// Measures both sides in turn.
pub(crate) fn measure(machine: &Machine, server: &Server, runs: u32, table: &mut Table) -> anyhow::Result<()> {
    note("loop checks");
    let mut bare = Bare::jvm(machine)?;
    let client: Client = server.client()?;
    let (context, _) = client.open("scala")?;
    client.execute(&context, "scala", DEFINED)?;
    let mut sides =
        [Side::of(|| Ok(client.execute(&context, "scala", "spin()")?.took)), Side::of(|| bare.execute("spin"))];
    take_turns(server, 2, runs.min(RUNS_MAX), &mut sides)?;
    let [ours, raw]: [Sample; 2] = sides.map(|side| side.sample);
    table.ratio("a tight loop of Scala, beside one without checks", &ours, &raw, AT_MOST);
    client.close(&context)
}
