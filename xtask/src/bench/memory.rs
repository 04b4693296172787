//! What is resident: the server, and for information everything that it started.

use std::time::Duration;

use super::figures::Table;
use super::machine::proc_figure;
use super::processes::{Family, Process};
use super::server::Server;

/// How long a server is left alone before it is called idle.
const REST: Duration = Duration::from_secs(10);

/// The aim, in MiB.
const AT_MOST: u64 = 40;

/// Looks at a server that nobody has asked anything yet.
pub(crate) fn measure(server: &Server, table: &mut Table) -> anyhow::Result<()> {
    super::note("memory");
    std::thread::sleep(REST);
    table.memory("server resident, idle", resident(server.pid())?, Some(AT_MOST));
    let family = Family::of(server.pid())?;
    let share = |processes: &[Process]| processes.iter().map(|process| share(process.pid)).sum::<anyhow::Result<u64>>();
    table.memory("driver process (PSS)", share(&[family.driver])?, None);
    table.memory("JVM with Spark (PSS)", share(&[family.jvm])?, None);
    table.memory("Python parent (PSS)", share(&[family.python])?, None);
    table.memory(
        &format!("its {} Python interpreters, together (PSS)", family.interpreters.len()),
        share(&family.interpreters)?,
        None,
    );
    Ok(())
}

/// Looks once more, after all the measurements.
pub(crate) fn measure_after(server: &Server, table: &mut Table) -> anyhow::Result<()> {
    std::thread::sleep(REST);
    table.memory("server resident, after the rows above", resident(server.pid())?, None);
    Ok(())
}

fn resident(pid: i32) -> anyhow::Result<u64> {
    proc_figure(&format!("/proc/{pid}/status"), "VmRSS")
}

/// What a process has to itself, and its part of what it shares.
fn share(pid: i32) -> anyhow::Result<u64> {
    proc_figure(&format!("/proc/{pid}/smaps_rollup"), "Pss")
}
