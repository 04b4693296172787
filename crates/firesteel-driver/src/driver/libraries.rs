//! Libraries: a queue of those that the cluster is to have, each installed after the one before it.
//!
//! The JVM brings the files here, through Hadoop, which knows every scheme that Spark does, and puts jars on its class path and
//! on the executors'. What is for Python is then installed into the cluster's own environment, by a program of its own. The
//! libraries of the specification come first, and the cluster is ready only after them.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use firesteel_api::Language;
use firesteel_api::libraries::Library;
use nix::sys::signal::Signal;

use crate::driver::{Driver, environment};
use crate::process;
use crate::protocol::interpreters::ToJvm;
use crate::protocol::link::{DriverEvent, LibraryStep};
use crate::spec::{CommandSpec, DriverSpec};

/// How many libraries one cluster may have.
const LIBRARIES_MAX: usize = 2_000;

/// How many lines of an installer's output are told when it failed.
const LOG_LINES: usize = 12;

/// The module of the Python package that installs into the environment.
const INSTALLER: &str = "firesteel_python.libraries";

/// What became of one library.
#[derive(Debug)]
pub(super) enum Installed {
    /// It is there. The texts say what to beware of.
    Well(Vec<String>),
    /// It is not, and why.
    Badly(String),
}

/// The libraries of the cluster, as far as this driver was told.
#[derive(Default)]
pub(super) struct Libraries {
    known: Vec<Known>,
    waiting: VecDeque<u64>,
    running: Option<Running>,
    made: u64,
    /// The number of the last library that the cluster waits for; those behind it were asked for later.
    first: u64,
}

struct Known {
    number: u64,
    library: Library,
    step: Option<LibraryStep>,
    messages: Vec<String>,
}

/// The library that is being installed.
struct Running {
    number: u64,
    until: Instant,
    /// What to beware of, as far as it is known.
    messages: Vec<String>,
    /// The process group of its installer, once that runs.
    group: Option<i32>,
}

impl Libraries {
    /// Tells whether the cluster waits for none of them any more.
    pub(super) fn first_are_done(&self) -> bool {
        let waits = |number: u64| number <= self.first;
        !self.waiting.iter().any(|number| waits(*number)) && !self.running.as_ref().is_some_and(|own| waits(own.number))
    }

    fn find(&mut self, number: u64) -> Option<&mut Known> {
        self.known.iter_mut().find(|known| known.number == number)
    }

    /// Takes note of a library. One that is there or on its way is not installed again; one that failed is.
    fn add(&mut self, library: Library) -> Option<&Known> {
        let at = match self.known.iter().position(|known| known.library == library) {
            Some(at) if self.known[at].step != Some(LibraryStep::Failed) => return Some(&self.known[at]),
            Some(at) => at,
            None => {
                self.known.push(Known { number: 0, library, step: None, messages: Vec::new() });
                self.known.len() - 1
            }
        };
        self.made += 1;
        let known = &mut self.known[at];
        (known.number, known.step) = (self.made, None);
        self.waiting.push_back(self.made);
        None
    }
}

impl Driver {
    /// Takes the libraries that the cluster has before it is ready.
    pub(super) fn install_first(&mut self) {
        for library in self.spec.libraries.clone() {
            self.install(library);
        }
        self.libraries.first = self.libraries.made;
    }

    /// A library is to be there.
    pub(super) fn install(&mut self, library: Library) {
        if self.libraries.known.len() >= LIBRARIES_MAX {
            let messages = vec![format!("a cluster has at most {LIBRARIES_MAX} libraries; restart it")];
            return self.report(DriverEvent::Library { library, step: LibraryStep::Failed, messages });
        }
        let told = match self.libraries.add(library) {
            // Whoever asks again has not heard of it.
            Some(known) => known.step.map(|step| (known.library.clone(), step, known.messages.clone())),
            None => None,
        };
        if let Some((library, step, messages)) = told {
            self.report(DriverEvent::Library { library, step, messages });
        }
        self.install_next();
    }

    /// Begins with the next library, and those behind it as long as they fail at once.
    fn install_next(&mut self) {
        while let Some((number, reason)) = self.begin_next() {
            self.settle(number, Installed::Badly(reason));
        }
    }

    /// Begins with the next library, if nothing else is under way and what it needs is there. Returns it if that failed.
    fn begin_next(&mut self) -> Option<(u64, String)> {
        if self.libraries.running.is_some() || !self.children.spark_is_up || self.ending.is_some() {
            return None;
        }
        let number = *self.libraries.waiting.front()?;
        let library = self.libraries.find(number)?.library.clone();
        if is_python(&library) && self.children.python_control.is_none() && self.children.python_failed.is_none() {
            return None; // its environment is being made
        }
        self.libraries.waiting.pop_front();
        let until = Instant::now() + Duration::from_secs(self.spec.library_seconds_max);
        self.libraries.running = Some(Running { number, until, messages: Vec::new(), group: None });
        tracing::info!("installing {library}");
        self.library_is(number, LibraryStep::Installing, Vec::new());
        self.begin(number, library).err().map(|reason| (number, reason))
    }

    fn begin(&mut self, number: u64, library: Library) -> Result<(), String> {
        if let (true, Some(reason)) = (is_python(&library), &self.children.python_failed) {
            return Err(reason.clone());
        }
        let folder = folder(&self.spec).join(number.to_string());
        std::fs::create_dir_all(&folder).map_err(|error| format!("`{}` cannot be made: {error}", folder.display()))?;
        match library {
            Library::Cran { package, .. } => Err(format!(
                "{package}: R packages cannot be installed as libraries; use `install.packages()` in an R context"
            )),
            Library::Pypi { package, repo } => self.start_installer(number, "pypi", &package, repo.as_deref()),
            library => {
                let jvm = self.children.jvm_control.as_ref().ok_or("Spark's JVM is gone")?;
                let asked = jvm.ask(ToJvm::FetchLibrary { number, library, folder });
                if asked { Ok(()) } else { Err("Spark's JVM does not answer".to_owned()) }
            }
        }
    }

    /// The files of a library are here. Jars are installed by that; what is for Python is not yet.
    pub(super) fn library_fetched(&mut self, number: u64, files: &[PathBuf], messages: Vec<String>) {
        let Some(running) = self.libraries.running.as_mut().filter(|running| running.number == number) else { return };
        running.messages = messages;
        let kind = match self.libraries.find(number).map(|known| &known.library) {
            Some(Library::Egg(_)) => "egg",
            Some(Library::Whl(_)) => "whl",
            Some(Library::Requirements(_)) => "requirements",
            _ => return self.installer_ended(number, Installed::Well(Vec::new())),
        };
        let started = match files {
            [file] => self.start_installer(number, kind, &file.display().to_string(), None),
            _ => Err(format!("{} files came in place of one", files.len())),
        };
        if let Err(reason) = started {
            self.installer_ended(number, Installed::Badly(reason));
        }
    }

    /// Starts the program that installs into the Python environment.
    fn start_installer(&mut self, number: u64, kind: &str, what: &str, index: Option<&str>) -> Result<(), String> {
        let folder = folder(&self.spec).join(number.to_string());
        let log = folder.join("install.log");
        let failed = |error: io::Error| format!("the installer cannot be started: {error}");
        let mut command = CommandSpec {
            program: environment::folder(&self.spec).join("bin/python"),
            args: ["-m", INSTALLER, kind, what].map(str::to_owned).to_vec(),
            env: self.spec.python.env.clone(),
        };
        // Not among the arguments, which every user of the machine sees: it may hold a password.
        command.env.extend(index.map(|index| ("PIP_INDEX_URL".to_owned(), index.to_owned())));
        let output = process::open_log(&log).map_err(failed)?;
        let mut installer = process::spawn(&command, &self.mark, &folder, output).map_err(failed)?;
        // It has nothing to read: pip asks nobody.
        drop(installer.stdin.take());
        if let Some(running) = &mut self.libraries.running {
            running.group = installer.id().and_then(|pid| i32::try_from(pid).ok());
        }
        let installers = self.channels.installers.clone();
        tokio::spawn(async move {
            let outcome = match installer.wait().await {
                Ok(status) => outcome(status, &log),
                Err(error) => Installed::Badly(failed(error)),
            };
            let _ = installers.send((number, outcome)).await;
        });
        Ok(())
    }

    /// A library is there or has failed; one that was given up before is passed over.
    pub(super) fn installer_ended(&mut self, number: u64, outcome: Installed) {
        self.settle(number, outcome);
        self.install_next();
        self.check_size(Instant::now());
    }

    fn settle(&mut self, number: u64, outcome: Installed) {
        let Some(running) = self.libraries.running.take_if(|running| running.number == number) else { return };
        let library = self.libraries.find(number).map(|known| known.library.clone());
        match outcome {
            Installed::Well(more) => {
                self.library_is(number, LibraryStep::Installed, [running.messages, more].concat());
                if library.as_ref().is_some_and(is_python) {
                    self.renew_spares(Language::Python);
                }
            }
            Installed::Badly(reason) => {
                tracing::warn!("library {number} failed: {reason}");
                self.library_is(number, LibraryStep::Failed, vec![reason]);
            }
        }
    }

    fn library_is(&mut self, number: u64, step: LibraryStep, messages: Vec<String>) {
        let Some(known) = self.libraries.find(number) else { return };
        known.step = Some(step);
        known.messages.clone_from(&messages);
        let library = known.library.clone();
        self.report(DriverEvent::Library { library, step, messages });
    }

    /// Gives up an installer that takes too long, and begins with what has waited for Spark or for Python.
    pub(super) fn check_libraries(&mut self, now: Instant) {
        if let Some(running) = self.libraries.running.as_ref().filter(|running| now >= running.until) {
            let (number, group) = (running.number, running.group);
            if let Some(group) = group {
                process::signal_group(group, Signal::SIGKILL);
            }
            let reason = format!("it was not installed within {} s and was given up", self.spec.library_seconds_max);
            self.installer_ended(number, Installed::Badly(reason));
        }
        self.install_next();
    }
}

/// Where the files of libraries are.
fn folder(spec: &DriverSpec) -> PathBuf {
    spec.folder.join("libraries")
}

/// Removes those of an earlier driver.
pub(super) fn clear(spec: &DriverSpec) -> io::Result<()> {
    match std::fs::remove_dir_all(folder(spec)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Tells whether it goes into the Python environment.
fn is_python(library: &Library) -> bool {
    matches!(library, Library::Egg(_) | Library::Whl(_) | Library::Requirements(_) | Library::Pypi { .. })
}

fn outcome(status: ExitStatus, log: &Path) -> Installed {
    if status.success() {
        return Installed::Well(Vec::new());
    }
    let said = process::last_lines(log, LOG_LINES);
    Installed::Badly(if said.trim().is_empty() { process::words(status) } else { said.trim().to_owned() })
}
