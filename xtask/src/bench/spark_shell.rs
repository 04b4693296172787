//! A bare `spark-shell`, as its users start it.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::pty::openpty;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::machine::Machine;
use super::output::Output;

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// A `spark-shell` on a terminal of its own, without which it shows no prompt. Killed when dropped.
pub(crate) struct SparkShell {
    process: Child,
    terminal: File,
    output: Output,
    begun: Instant,
}

impl SparkShell {
    /// Starts one on all cores of the machine.
    pub(crate) fn start(machine: &Machine) -> anyhow::Result<Self> {
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
    pub(crate) fn until(&mut self, text: &str) -> anyhow::Result<Duration> {
        Ok(self.output.until(text, PATIENCE)?.0 - self.begun)
    }

    /// Types a line at the prompt.
    pub(crate) fn type_line(&mut self, line: &str) -> anyhow::Result<()> {
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
