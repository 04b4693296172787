//! A program run to its end: a compiler, an installer, a probe.
//!
//! It leads a process group of its own, so that a Ctrl-C meant for us does not reach it behind our back, and so that
//! whatever it started goes with it. Dropping the run kills the group and reaps the program before the drop returns.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

/// How many of the last lines are kept.
const LINES_KEPT: usize = 400;
/// A longer line is cut.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// How long a program that ended may leave its output open, through a process that it left behind.
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// How long a killed program is waited for.
const REAP_TIME: Duration = Duration::from_secs(2);

/// What to run: an argument vector, never a shell's line.
#[derive(Debug)]
pub struct Run {
    program: PathBuf,
    args: Vec<OsString>,
    set: Vec<(OsString, OsString)>,
    unset: Vec<&'static str>,
    folder: Option<PathBuf>,
    deadline: Option<Duration>,
    input: Option<File>,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status. `None` if it was still running at its deadline, and was killed.
    pub status: Option<ExitStatus>,
    /// The last lines of its output and errors, in the order they came.
    pub lines: Vec<String>,
}

impl Run {
    /// Runs `program` with the environment of this process.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            set: Vec::new(),
            unset: Vec::new(),
            folder: None,
            deadline: None,
            input: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_os_string()));
        self
    }

    /// Sets one variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.set.push((name.into(), value.into()));
        self
    }

    /// Keeps some variables of this process from it.
    #[must_use]
    pub fn without(mut self, names: &[&'static str]) -> Self {
        self.unset.extend_from_slice(names);
        self
    }

    /// Runs it in `folder`.
    #[must_use]
    pub fn inside(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Kills it if it runs longer.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Gives it a file as its standard input, which is empty otherwise. With a locked one, the lock stays held for as
    /// long as the program runs, even should this process be killed outright.
    #[must_use]
    pub fn input(mut self, file: File) -> Self {
        self.input = Some(file);
        self
    }

    /// Runs it to its end. `hear` gets each line as it comes. Cancel-safe: dropping this kills it.
    pub async fn to_end(self, hear: &mut (dyn FnMut(&str) + Send)) -> io::Result<Ended> {
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .stdin(self.input.map_or_else(Stdio::null, Stdio::from))
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0);
        for name in &self.unset {
            command.env_remove(name);
        }
        command.envs(self.set.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut group = Group(command.spawn()?);
        // The command still holds the writing ends of the pipe; without this its end would never be seen.
        drop(command);

        let mut output = Output { pipe: pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?, line: Vec::new() };
        let mut kept = VecDeque::new();
        let mut keep = |line: &str| {
            hear(line);
            kept.push_back(line.to_owned());
            if kept.len() > LINES_KEPT {
                kept.pop_front();
            }
        };
        let running = async {
            let mut open = true;
            let status = loop {
                tokio::select! {
                    more = output.read(&mut keep), if open => open = more?,
                    status = group.0.wait() => break status?,
                }
            };
            let drain = async {
                while open && output.read(&mut keep).await? {}
                io::Result::Ok(())
            };
            tokio::time::timeout(DRAIN_TIME, drain).await.unwrap_or(Ok(()))?;
            io::Result::Ok(status)
        };
        let status = match self.deadline {
            Some(deadline) => tokio::time::timeout(deadline, running).await.ok().transpose()?,
            None => Some(running.await?),
        };
        Ok(Ended { status, lines: kept.into() })
    }
}

impl Ended {
    /// Whether it ended by itself, and well.
    pub fn success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// The last `count` lines that are not empty, one below the other, behind a word on a deadline that was missed.
    pub fn tail(&self, count: usize) -> String {
        let mut lines: Vec<&str> =
            self.lines.iter().rev().map(|line| line.trim_end()).filter(|line| !line.is_empty()).take(count).collect();
        if self.status.is_none() {
            lines.push("it took too long and was stopped");
        }
        lines.reverse();
        match (lines.is_empty(), self.status) {
            (true, Some(status)) => status.to_string(),
            _ => lines.join("\n"),
        }
    }
}

/// A running program and whatever it started.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Once it is reaped there is no id, and its group's number may be another's.
        let Some(pid) = self.0.id() else { return };
        let _ = killpg(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        let start = Instant::now();
        while start.elapsed() < REAP_TIME && matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The output of a program, cut into lines.
struct Output {
    pipe: pipe::Receiver,
    line: Vec<u8>,
}

impl Output {
    /// Reads some more. False at the end. A carriage return ends a line as well: progress bars are made of them.
    async fn read(&mut self, keep: &mut (dyn FnMut(&str) + Send)) -> io::Result<bool> {
        let mut chunk = [0; 4096];
        let count = self.pipe.read(&mut chunk).await?;
        for &byte in &chunk[..count] {
            if byte == b'\n' || byte == b'\r' {
                self.flush(keep);
            } else if self.line.len() < LINE_BYTES_MAX {
                self.line.push(byte);
            }
        }
        if count == 0 {
            self.flush(keep);
        }
        Ok(count > 0)
    }

    fn flush(&mut self, keep: &mut (dyn FnMut(&str) + Send)) {
        if !self.line.is_empty() {
            keep(&String::from_utf8_lossy(&self.line));
            self.line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Run {
        Run::new("/bin/sh").args(["-c", script])
    }

    #[tokio::test]
    async fn output_and_errors_come_in_order_and_the_status_is_kept() {
        let mut heard = Vec::new();
        let ended = shell("echo one; echo two >&2; printf three; exit 3")
            .to_end(&mut |line| heard.push(line.to_owned()))
            .await
            .unwrap();
        assert_eq!(heard, ["one", "two", "three"]);
        assert_eq!(ended.status.unwrap().code(), Some(3));
        assert_eq!(ended.tail(2), "two\nthree");
    }

    #[tokio::test]
    async fn a_program_that_misses_its_deadline_is_killed_with_what_it_started() {
        let ended = shell("sleep 600 & echo $!; wait").deadline(Duration::from_millis(300)).to_end(&mut |_| {}).await;
        let ended = ended.unwrap();
        assert!(ended.status.is_none() && ended.tail(5).contains("took too long"));
        let pid: i32 = ended.lines[0].parse().unwrap();
        wait_gone(pid).await;
    }

    #[tokio::test]
    async fn dropping_a_run_kills_it() {
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let run = tokio::spawn(async move {
            let mut hear = |line: &str| told.send(line.parse::<i32>().unwrap()).unwrap();
            shell("echo $$; sleep 600").to_end(&mut hear).await
        });
        let pid = heard.recv().await.unwrap();
        run.abort();
        wait_gone(pid).await;
    }

    /// Waits until the process is gone, or is a zombie that whoever inherited it has not reaped yet.
    async fn wait_gone(pid: i32) {
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        tokio::time::timeout(Duration::from_secs(10), async {
            while !gone() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("the process lives on");
    }
}
