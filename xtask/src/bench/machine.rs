//! What the measurements run with: the release build, a provisioned data folder, and the Spark, Java and Python in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::note;
use super::server::Server;

/// What of a data folder is kept from run to run: it takes minutes to make.
const KEPT: [&str; 2] = ["runtimes", "cache"];

/// Everything that was found or made before the first measurement.
pub(crate) struct Machine {
    /// The folder of the workspace.
    pub(crate) root: PathBuf,
    /// Where everything of a run is: `target/bench`.
    pub(crate) folder: PathBuf,
    /// The release build.
    pub(crate) binary: PathBuf,
    /// The command that starts the driver's JVM.
    pub(crate) jvm: ChildCommand,
    /// The command that starts the parent of the Python interpreters.
    pub(crate) python: ChildCommand,
    /// What the runtime is made of, in words.
    versions: String,
}

/// A command of the driver's, as the server wrote it down.
#[derive(Clone, Debug)]
pub(crate) struct ChildCommand {
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// What is set in its environment.
    pub(crate) env: BTreeMap<String, String>,
}

impl Machine {
    /// Builds, provisions where that has not been done, and looks at what there is.
    pub(crate) fn prepare(root: &Path, binary: Option<&Path>) -> anyhow::Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let folder = target.join("bench");
        fs::create_dir_all(&folder)?;
        let folder = folder.canonicalize()?;

        let binary = match binary {
            Some(binary) => binary.to_owned(),
            None => build(root, &target)?,
        };

        let empty = || ChildCommand { program: PathBuf::new(), args: Vec::new(), env: BTreeMap::new() };
        let binary = binary.canonicalize().with_context(|| format!("no program at `{}`", binary.display()))?;
        let mut machine =
            Self { root: root.to_owned(), folder, binary, jvm: empty(), python: empty(), versions: String::new() };
        machine.clean()?;
        note("starting once, to provision the data folder where that has not been done: the first time takes minutes");
        let server = Server::up(&machine)?;
        let found = server.spec().and_then(|spec| {
            machine.jvm = ChildCommand::read(&spec, "jvm")?;
            machine.python = ChildCommand::read(&spec, "python")?;
            machine.versions = machine.versions()?;
            Ok(())
        });
        server.end()?;
        found.map(|()| machine)
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A variable of the driver's JVM, such as `SPARK_HOME`.
    pub(crate) fn variable(&self, name: &str) -> anyhow::Result<&str> {
        Ok(self.jvm.env.get(name).with_context(|| format!("the driver's JVM is not given {name}"))?)
    }

    /// A file for what a process says beside what it is asked.
    pub(crate) fn log(&self, name: &str) -> anyhow::Result<Stdio> {
        let path = self.folder.join(format!("{name}.log"));
        Ok(fs::File::create(&path).with_context(|| format!("failed to make `{}`", path.display()))?.into())
    }

    /// The words above the table.
    pub(crate) fn description(&self, runs: u32, pairs: u32) -> String {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let kib = proc_figure("/proc/meminfo", "MemTotal").unwrap_or_default();
        let gib = kib.div_ceil(1 << 20);
        format!(
            "{cores} cores, {gib} GB; {}. Medians of {runs}; of starts, of {pairs}, with the longest for p99.",
            self.versions
        )
    }

    /// Begins with an empty database: what an earlier run left there would be part of what is measured.
    fn clean(&self) -> anyhow::Result<()> {
        let Ok(entries) = fs::read_dir(self.data()) else { return Ok(()) };
        for entry in entries.flatten() {
            let path = entry.path();
            if KEPT.iter().any(|kept| entry.file_name() == *kept) {
                continue;
            }
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| format!("failed to remove `{}`", path.display()))?;
        }
        Ok(())
    }

    fn versions(&self) -> anyhow::Result<String> {
        let said = |command: &mut Command| -> anyhow::Result<String> {
            let output = command.output()?;
            Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
        };
        let java = said(Command::new(&self.jvm.program).arg("-version"))?;
        let java = java.split('"').nth(1).unwrap_or("?").to_owned();
        let ask =
            "import IPython, platform; print('Python', platform.python_version() + ', IPython', IPython.__version__)";
        let python = said(Command::new(&self.python.program).args(["-c", ask]))?;
        let jars = fs::read_dir(Path::new(self.variable("SPARK_HOME")?).join("jars"))?;
        let spark = jars.flatten().find_map(|jar| {
            let name = jar.file_name().into_string().ok()?;
            Some(name.strip_prefix("spark-core_")?.split_once('-')?.1.strip_suffix(".jar")?.to_owned())
        });
        Ok(format!("Spark {}, Java {java}, {}", spark.unwrap_or_else(|| "?".to_owned()), python.trim()))
    }
}

impl ChildCommand {
    fn read(spec: &Value, key: &str) -> anyhow::Result<Self> {
        let command = &spec[key];
        let text = |value: &Value| value.as_str().map(str::to_owned).context("not a text");
        let args = command["args"].as_array().context("no arguments")?.iter().map(text).collect::<Result<_, _>>()?;
        let env = command["env"].as_object().context("no environment")?;
        let env = env.iter().map(|(name, value)| Ok((name.clone(), text(value)?))).collect::<anyhow::Result<_>>()?;
        Ok(Self { program: text(&command["program"])?.into(), args, env })
    }

    /// Returns the argument behind another, as in `-cp PATH`.
    pub(crate) fn argument(&self, before: &str) -> anyhow::Result<&str> {
        let at = self.args.iter().position(|arg| arg == before);
        Ok(at.and_then(|at| self.args.get(at + 1)).with_context(|| format!("no {before} in {:?}", self.program))?)
    }
}

fn build(root: &Path, target: &Path) -> anyhow::Result<PathBuf> {
    note("building the release binary");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = ["build", "--quiet", "--release", "--package", "firesteel"];
    run(Command::new(cargo).args(build).current_dir(root)).context("the release build failed")?;
    Ok(target.join("release/firesteel"))
}

/// Runs a command to its end and fails with what it said if it fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Returns a figure of a file below `/proc` that has a line for each.
pub(crate) fn proc_figure(path: &str, key: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("failed to read `{path}`"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let figure = line.with_context(|| format!("no {key} in `{path}`"))?.trim();
    ensure!(figure.ends_with(" kB"), "{key} is `{figure}`");
    Ok(figure.trim_end_matches(" kB").parse()?)
}
