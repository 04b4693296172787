//! Interpreters without a server: a process that executes one line each time it is asked, and says how long that took.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use super::machine::{self, Machine};
use super::output::Output;

/// How long one may take to be there, or to execute a line.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long it may take to end when nobody asks any more.
const END: Duration = Duration::from_secs(20);

/// One process. It ends when its input does, which is at the latest when this is dropped.
pub(crate) struct Bare {
    process: Child,
    input: Option<ChildStdin>,
    output: Output,
}

impl Bare {
    /// IPython and plain Python, in the runtime's environment.
    pub(crate) fn python(machine: &Machine) -> anyhow::Result<Self> {
        let mut command = Command::new(&machine.python.program);
        command.arg(machine.root.join("bench/python/bare.py")).envs(&machine.python.env);
        Self::start(machine, "bare-python", &mut command)
    }

    /// The Scala REPL and a session, in a JVM as the driver's: the same Java, class path, flags and archive.
    pub(crate) fn jvm(machine: &Machine) -> anyhow::Result<Self> {
        let classes = compile(machine)?;
        let jvm = &machine.jvm;
        let at = jvm.args.iter().position(|arg| arg == "-cp").context("the driver's JVM has a class path")?;
        // Behind what is in the archive, which would not fit otherwise.
        let path = format!("{}:{}", jvm.argument("-cp")?, classes.display());
        let mut command = Command::new(&jvm.program);
        command.args(&jvm.args[..at]).args(["-cp", &path, "Bare"]).envs(&jvm.env);
        Self::start(machine, "bare-jvm", &mut command)
    }

    /// The same in a JVM as `spark-shell` and `spark-submit` start it.
    pub(crate) fn spark_submit(machine: &Machine) -> anyhow::Result<Self> {
        let classes = compile(machine)?;
        let mut command = Command::new(PathBuf::from(machine.variable("SPARK_HOME")?).join("bin/spark-class"));
        command.envs(&machine.jvm.env).args(["org.apache.spark.deploy.SparkSubmit", "--master", "local[*]"]);
        command.args(["--driver-class-path".as_ref(), classes.as_os_str()]);
        command.args(["--class", "Bare", "spark-internal"]);
        Self::start(machine, "bare-spark-submit", &mut command)
    }

    /// Starts a process that answers lines, and waits for the line `ready`.
    pub(crate) fn start(machine: &Machine, name: &str, command: &mut Command) -> anyhow::Result<Self> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(machine.log(name)?);
        let mut process = command.spawn().with_context(|| format!("failed to start {name}"))?;
        let input = process.stdin.take();
        let output = Output::of(process.stdout.take().context("its output is a pipe")?);
        let mut bare = Self { process, input, output };
        let log = machine.folder.join(format!("{name}.log"));
        bare.output
            .until("ready\n", PATIENCE)
            .with_context(|| format!("{name} did not start; see {}", log.display()))?;
        Ok(bare)
    }

    /// Executes what has this name there once.
    pub(crate) fn execute(&mut self, what: &str) -> anyhow::Result<Duration> {
        let input = self.input.as_mut().context("its input is open until it is dropped")?;
        writeln!(input, "{what}")?;
        let line = self.output.line(PATIENCE)?;
        match line.trim().parse() {
            Ok(nanoseconds) => Ok(Duration::from_nanos(nanoseconds)),
            Err(_) => bail!("asked for `{what}`, answered `{line}`"),
        }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.input.take());
        let looks = END.as_millis() / 20;
        for _ in 0..looks {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Compiles `bench/scala/Bare.scala` with the Scala compiler of the Spark that it is for; returns the folder of the
/// classes.
fn compile(machine: &Machine) -> anyhow::Result<PathBuf> {
    let source = machine.root.join("bench/scala/Bare.scala");
    let spark_home = machine.variable("SPARK_HOME")?;
    let digest = Sha256::new().chain_update(fs::read(&source)?).chain_update(spark_home).finalize();
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let classes = machine.folder.join(format!("bare-{name}"));
    if classes.exists() {
        return Ok(classes);
    }
    super::note("compiling the bare interpreter");
    let partial = classes.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(&partial)?;
    let mut command = Command::new(&machine.jvm.program);
    command.args(["-cp", &format!("{spark_home}/jars/*"), "scala.tools.nsc.Main", "-usejavacp", "-d"]);
    machine::run(command.arg(&partial).arg(&source)).context("Bare.scala does not compile")?;
    fs::rename(&partial, &classes)?;
    Ok(classes)
}
