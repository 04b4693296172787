//! Child processes: how they are started, watched and ended.
//!
//! Every child leads a process group of its own, dies with the process that started it, and is always reaped. Its
//! environment carries a mark, so that what it left behind can be found after the worst.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::spec::CommandSpec;

/// The variable that marks every process a driver is the ancestor of.
pub const MARK: &str = "FIRESTEEL_DRIVER";

/// Variables of the server's own that user code must not see.
const HIDDEN: [&str; 5] = [
    "DATABRICKS_TOKEN",
    "DATABRICKS_PASSWORD",
    "DATABRICKS_CLIENT_SECRET",
    "DATABRICKS_CONFIG_FILE",
    "FIRESTEEL_TOKEN",
];

/// How much of a log's end is looked at for its last lines.
const LOG_TAIL_BYTES: u64 = 16 << 10;

/// Starts a child in its own group, with a pipe as standard input and `log` as its outputs.
///
/// It is killed when the calling *thread* ends, so call this from a thread that lives as long as the process
/// (the driver's runtime has one thread, the main one).
pub fn spawn(spec: &CommandSpec, mark: &str, folder: &Path, log: File) -> io::Result<Child> {
    spawn_bounded(spec, mark, folder, log, None)
}

/// Starts a child like [`spawn`]; it, and each process that it starts, may have so many bytes of memory for data.
pub fn spawn_bounded(
    spec: &CommandSpec,
    mark: &str,
    folder: &Path,
    log: File,
    memory_bytes_max: Option<u64>,
) -> io::Result<Child> {
    let mut command = Command::new(&spec.program);
    command.args(&spec.args).envs(&spec.env).env(MARK, mark).current_dir(folder);
    for name in HIDDEN {
        command.env_remove(name);
    }
    command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).process_group(0).kill_on_drop(true);
    die_with_parent(&mut command);
    if let Some(bytes) = memory_bytes_max {
        bound_memory(&mut command, bytes);
    }
    command.spawn()
}

/// Starts a driver, as `PROGRAM driver SPEC`: in a process group of its own, outliving its parent.
pub fn spawn_driver(program: &Path, spec: &Path, log: File) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.arg("driver").arg(spec).current_dir("/");
    for name in HIDDEN {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    command.spawn()
}

#[expect(unsafe_code, reason = "prctl between fork and exec: async-signal-safe, allocates nothing")]
fn die_with_parent(command: &mut Command) {
    let parent = nix::unistd::getpid();
    // SAFETY: the closure calls prctl and getppid only, both async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            // The parent may have died before the line above took hold.
            if nix::unistd::getppid() == parent { Ok(()) } else { Err(io::Error::other("the parent is gone")) }
        });
    }
}

#[expect(unsafe_code, reason = "setrlimit between fork and exec: async-signal-safe, allocates nothing")]
fn bound_memory(command: &mut Command, bytes: u64) {
    use nix::sys::resource::{Resource, setrlimit};
    // SAFETY: the closure calls setrlimit only, which is async-signal-safe.
    unsafe {
        command.pre_exec(move || Ok(setrlimit(Resource::RLIMIT_DATA, bytes, bytes)?));
    }
}

/// Opens a log for appending, readable by the user alone.
pub fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Signals a whole process group; one that is gone is no error.
pub fn signal_group(leader: i32, signal: Signal) {
    if leader > 1 {
        let _ = killpg(Pid::from_raw(leader), signal);
    }
}

/// Signals one process; one that is gone is no error.
pub fn signal(pid: i32, signal: Signal) {
    if pid > 1 {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// Says in words how a process ended.
pub fn words(status: ExitStatus) -> String {
    words_of(status.code(), status.signal())
}

/// Says in words how a process ended, from the two numbers of which one is there.
pub fn words_of(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (_, Some(number)) => match Signal::try_from(number) {
            Ok(Signal::SIGKILL) => {
                "killed by signal 9 (SIGKILL): someone ended it, or the machine was out of memory".to_owned()
            }
            Ok(name) => format!("killed by signal {number} ({name})"),
            Err(_) => format!("killed by signal {number}"),
        },
        (Some(code), None) => format!("exit status {code}"),
        (None, None) => "it ended in a way the system does not tell".to_owned(),
    }
}

/// Returns the last lines of a log, empty ones left out.
pub fn last_lines(path: &Path, count: usize) -> String {
    let tail = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&tail().unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Kills every process that carries this mark, but the caller, and returns how many there were.
///
/// The last resort after a driver died without its own clean-up: what it had started is found by its environment.
pub fn sweep(mark: &str) -> usize {
    let wanted = format!("{MARK}={mark}");
    let own = std::process::id();
    let mut found = 0;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if pid != own && environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()) {
            signal(i32::try_from(pid).unwrap_or(0), Signal::SIGKILL);
            found += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn sh(script: &str) -> CommandSpec {
        CommandSpec { program: "/bin/sh".into(), args: vec!["-c".into(), script.into()], env: BTreeMap::new() }
    }

    #[tokio::test]
    async fn a_child_that_dies_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut child = spawn(&sh("echo one; echo two; exit 3"), "t", folder.path(), open_log(&log).unwrap()).unwrap();
        assert_eq!(words(child.wait().await.unwrap()), "exit status 3");
        assert_eq!(last_lines(&log, 1), "two");
    }

    #[tokio::test]
    async fn a_sweep_finds_what_was_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let mark = format!("sweep-{}", std::process::id());
        let path = folder.path().join("log");
        let log = open_log(&path).unwrap();
        let mut child = spawn(&sh("setsid sleep 300 & echo both; wait"), &mark, folder.path(), log).unwrap();
        while last_lines(&path, 1) != "both" {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(sweep(&mark), 2);
        let status = child.wait().await.unwrap();
        assert!(words(status).starts_with("killed by signal 9"), "{status}");
    }
}
