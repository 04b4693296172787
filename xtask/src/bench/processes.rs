//! The processes of a server, by `/proc`.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// How long a look at the processor time lasts.
const LOOK: Duration = Duration::from_millis(100);

/// So many looks in a row must find quiet.
const QUIET_LOOKS: u32 = 4;

/// How many ticks of 10 ms may pass in a quiet look: a JVM is never quite still.
const QUIET_TICKS: u64 = 1;

/// How long quiet is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// One process.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) pid: i32,
    parent: i32,
    /// Its arguments, separated by blanks.
    command: String,
    /// The processor time it has used, in ticks of the system.
    ticks: u64,
}

/// What a server has started for its one cluster.
pub(crate) struct Family {
    /// The driver.
    pub(crate) driver: Process,
    /// Spark's JVM.
    pub(crate) jvm: Process,
    /// The parent of the Python interpreters.
    pub(crate) python: Process,
    /// The Python interpreters.
    pub(crate) interpreters: Vec<Process>,
}

impl Family {
    /// Finds them.
    pub(crate) fn of(server: i32) -> anyhow::Result<Self> {
        let mut all = all()?;
        let mut take = |parent: i32, fits: &dyn Fn(&Process) -> bool| {
            let at = all.iter().position(|process| process.parent == parent && fits(process));
            at.map(|at| all.swap_remove(at))
        };
        let driver =
            take(server, &|process| process.command.contains(" driver ")).context("the server has no driver")?;
        let jvm = take(driver.pid, &|process| process.program().ends_with("/java")).context("the driver has no JVM")?;
        let python = take(driver.pid, &|_| true).context("the driver has no Python")?;
        let interpreters = std::iter::from_fn(|| take(python.pid, &|_| true)).collect();
        Ok(Self { driver, jvm, python, interpreters })
    }

    fn ticks(&self) -> u64 {
        let fixed = [&self.driver, &self.jvm, &self.python];
        fixed.into_iter().chain(&self.interpreters).map(|process| process.ticks).sum()
    }
}

impl Process {
    fn read(folder: &Path) -> Option<Self> {
        let pid = folder.file_name()?.to_str()?.parse().ok()?;
        let command = fs::read(folder.join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        // The name before it may hold anything, a parenthesis too.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self { pid, parent: i32::try_from(field(4)?).ok()?, command, ticks: field(14)? + field(15)? })
    }

    fn program(&self) -> &str {
        self.command.split(' ').next().unwrap_or_default()
    }
}

/// Waits until a server's processes have nothing to do: spares that are in the making are made.
pub(crate) fn quiet(server: i32) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let (mut before, mut quiet) = (Family::of(server)?.ticks(), 0);
    while quiet < QUIET_LOOKS {
        if Instant::now() >= deadline {
            bail!("the server's processes did not come to rest in {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(LOOK);
        let now = Family::of(server)?.ticks();
        quiet = if now.abs_diff(before) <= QUIET_TICKS { quiet + 1 } else { 0 };
        before = now;
    }
    Ok(())
}

fn all() -> anyhow::Result<Vec<Process>> {
    Ok(fs::read_dir("/proc")?.flatten().filter_map(|entry| Process::read(&entry.path())).collect())
}
