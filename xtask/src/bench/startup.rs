//! `up` on a provisioned machine to `ready`, beside `spark-shell` to its prompt; then both to the first Scala result.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::pty::openpty;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::figures::{Sample, Table};
use super::machine::Machine;
use super::note;
use super::output::Output;
use super::server::Server;

/// The aim: so much of the raw thing's time at most.
const AT_MOST: f64 = 0.6;

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(300);

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

/// A `spark-shell` on a terminal of its own, without which it shows no prompt. Killed when dropped.
struct SparkShell {
    process: Child,
    terminal: File,
    output: Output,
    begun: Instant,
}

impl SparkShell {
    fn start(machine: &Machine) -> anyhow::Result<Self> {
        let terminal = openpty(None, None)?;
        let (ours, its) = (File::from(terminal.master), File::from(terminal.slave));
        let mut command = Command::new(Path::new(machine.variable("SPARK_HOME")?).join("bin/spark-shell"));
        command.args(["--master", "local[*]"]).envs(&machine.jvm.env).env("TERM", "dumb");
        command.current_dir(&machine.folder);
        command.stdin(its.try_clone()?).stdout(its.try_clone()?).stderr(its);
        // It is a shell script with a JVM below it, and ends as a group.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let begun = Instant::now();
        let process = command.spawn()?;
        Ok(Self { process, output: Output::of(ours.try_clone()?), terminal: ours, begun })
    }

    /// Waits for a text; returns how long after the start it was there.
    fn until(&mut self, text: &str) -> anyhow::Result<Duration> {
        Ok(self.output.until(text, PATIENCE)?.0 - self.begun)
    }

    fn type_line(&mut self, line: &str) -> anyhow::Result<()> {
        use std::io::Write;
        Ok(writeln!(self.terminal, "{line}")?)
    }
}

impl Drop for SparkShell {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGKILL);
        let _ = self.process.wait();
    }
}
