//! R interpreters: children of the driver's own, each a process that R itself starts up in.
//!
//! R has no Unix sockets: its connection is a pair of named pipes, and it says its `hello` over them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use firesteel_api::ContextId;
use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt;
use tokio_util::task::AbortOnDropHandle;

use crate::driver::Driver;
use crate::driver::children::new_key;
use crate::output::{Pipe, Printed};
use crate::process;
use crate::protocol::frame;
use crate::protocol::interpreters::{Hello, InterpreterId, LaunchR};
use crate::stream::{PipeNames, Stream};

/// How long killed processes may take to be reaped when the driver ends.
const REAP_DEADLINE: Duration = Duration::from_secs(5);

/// The exit status of an interpreter that cannot reach the driver.
const EXIT_LOST: i32 = 70;

/// How much is quoted of what R printed when it did not start.
const QUOTED_CHARS: usize = 2000;

/// What is heard of an R process beside its connection.
#[derive(Debug)]
pub(super) enum ReportR {
    /// It said this over its pipes.
    Greeted(Hello, Stream),
    /// It was reaped.
    Exited(ExitStatus),
}

/// An R process from its start to its `hello`.
pub(super) struct StartedR {
    pub(super) group: i32,
    pub(super) pipe: Pipe,
    pub(super) greeting: Greeting,
}

/// Waits for the `hello`. Dropping it takes the names of the pipes away.
#[derive(Debug)]
pub(super) struct Greeting {
    _names: PipeNames,
    _task: AbortOnDropHandle<()>,
}

impl Driver {
    /// Starts R. It will connect with the key that is returned.
    pub(super) fn start_r(&mut self, id: InterpreterId) -> io::Result<(String, StartedR)> {
        let Some(mut command) = self.spec.r.clone() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let name = |what: &str| self.spec.sockets.join(format!("r-{id}.{what}"));
        let (names, stream) = PipeNames::make(name("requests"), name("answers"))?;
        let pipe = Pipe::make(&name("pipe"))?;
        let library = self.spec.folder.join("r-library");
        std::fs::create_dir_all(&library)?;
        let work = work_folder(&self.spec.folder).join(id.to_string());
        std::fs::create_dir_all(&work)?;
        command.env.insert("TMPDIR".to_owned(), work.to_string_lossy().into_owned());

        let key = new_key();
        let launch = LaunchR {
            interpreter: id,
            key: key.clone(),
            requests: names.requests.clone(),
            answers: names.answers.clone(),
            library,
        };
        let line = serde_json::to_string(&launch)?;
        let mut process = process::spawn_bounded(
            &command,
            &self.mark,
            &self.spec.folder,
            pipe.writer()?,
            self.spec.memory_bytes_max(),
        )?;
        let group = process.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        let mut stdin = process.stdin.take().expect("the child was started with a pipe as standard input");
        let reports = self.channels.r.clone();
        self.children.r.spawn(async move {
            // A child that is gone already is heard of by its exit. Its input ends here: user code finds nothing in it.
            let _ = stdin.write_all(format!("{line}\n").as_bytes()).await;
            drop(stdin);
            let status = process.wait().await;
            // Its own clean-up does not come to a process that is killed.
            let _ = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(work)).await;
            if let Ok(status) = status {
                let _ = reports.send((id, ReportR::Exited(status))).await;
            }
        });
        Ok((key, StartedR { group, pipe, greeting: self.greet_r(id, names, stream) }))
    }

    fn greet_r(&self, id: InterpreterId, names: PipeNames, stream: Stream) -> Greeting {
        let reports = self.channels.r.clone();
        let task = tokio::spawn(async move {
            let Stream::Pipes { mut answers, requests } = stream else {
                return;
            };
            match frame::read::<Hello, _>(&mut answers).await {
                Ok(Some(message)) => {
                    let greeted = ReportR::Greeted(message.head, Stream::Pipes { answers, requests });
                    let _ = reports.send((id, greeted)).await;
                }
                // Its exit says more, or its deadline does.
                Ok(None) => {}
                Err(error) => tracing::warn!("R interpreter {id} did not say hello: {error}"),
            }
        });
        Greeting { _names: names, _task: AbortOnDropHandle::new(task) }
    }

    pub(super) fn r_said(&mut self, id: InterpreterId, said: ReportR) {
        match said {
            ReportR::Greeted(hello, stream) => self.peer_arrived(hello, stream),
            ReportR::Exited(status) => self.r_exited(id, status),
        }
    }

    /// Interrupts what an R interpreter runs, and the query that it waits for.
    pub(super) fn interrupt_r(&mut self, id: InterpreterId, context: ContextId) {
        if let Some(group) = self.interpreters.get(&id).and_then(|interpreter| interpreter.group) {
            // The group, like a terminal: R does not hear while it waits for a program, which has to end first.
            process::signal_group(group, Signal::SIGINT);
        }
        self.cancel_query(context, id);
    }

    fn r_exited(&mut self, id: InterpreterId, status: ExitStatus) {
        let hint = match status.code() {
            Some(0) => " (quit() ends it)",
            Some(EXIT_LOST) => " (its connection to the driver was lost)",
            _ => "",
        };
        let mut reason = format!("the R process ended: {}{hint}", process::words(status));
        if let Some(pipe) = self.interpreters.get_mut(&id).and_then(|interpreter| interpreter.pipe.take()) {
            // It never came so far as to be an interpreter; what it printed may say why.
            let mut printed = Printed::new(QUOTED_CHARS);
            let _ = pipe.drain(|bytes| printed.push(bytes));
            let text = printed.take().0;
            if !text.trim().is_empty() {
                reason = format!("{reason}; it said:\n{}", text.trim());
            }
        }
        self.process_ended(id, reason);
    }

    /// Waits until every R process, killed before, is reaped.
    pub(super) async fn reap_r(&self) {
        self.children.r.close();
        let _ = tokio::time::timeout(REAP_DEADLINE, self.children.r.wait()).await;
        clear(&self.spec.folder);
    }
}

/// Removes the temporary files of processes that are no more.
pub(super) fn clear(folder: &Path) {
    let _ = std::fs::remove_dir_all(work_folder(folder));
}

/// Where R processes keep their temporary files.
fn work_folder(folder: &Path) -> PathBuf {
    folder.join("r-work")
}
