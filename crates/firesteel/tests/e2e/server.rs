//! A server of the program under test: from an empty data folder to `ready`, and to its end.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::api::Http;
use crate::grid::Grid;
use crate::poll::until;
use crate::processes;
use crate::{folders, poll};

/// How long a start may take that has to download a Spark.
const FIRST_START: Duration = Duration::from_secs(20 * 60);

/// What of the environment would change what is tested.
const REMOVED: [&str; 9] = [
    "SPARK_HOME",
    "PYSPARK_PYTHON",
    "PYTHONPATH",
    "FIRESTEEL_DATA",
    "FIRESTEEL_LOG",
    "DATABRICKS_HOST",
    "DATABRICKS_TOKEN",
    "DATABRICKS_CONFIG_FILE",
    "DATABRICKS_CONFIG_PROFILE",
];

/// A server that is ready, and how to reach it.
pub(crate) struct Server {
    /// `https://HOST:PORT`.
    pub(crate) url: String,
    /// The id of its cluster.
    pub(crate) cluster: String,
    /// Its data folder.
    pub(crate) data: PathBuf,
    /// Its process.
    pub(crate) pid: i32,
    /// The token of its administrator.
    pub(crate) token: String,
    /// A client that holds the token.
    pub(crate) http: Http,
    process: Mutex<Option<Child>>,
    stderr: Heard,
}

/// What a process has said so far.
type Heard = Arc<Mutex<String>>;

/// The program under test, without what the environment might tell it.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firesteel"));
    REMOVED.iter().for_each(|name| {
        command.env_remove(name);
    });
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// What the shared server keeps of one table.
pub(crate) const RESULT_BYTES_MAX: u64 = 64 << 20;

impl Server {
    /// Starts the server that most cases share: `firesteel up` in a folder that holds a runtime at most. It knows of a standalone cluster that one
    /// of them starts.
    pub(crate) fn shared() -> Result<Self, String> {
        folders::clean(&folders::data())?;
        std::fs::create_dir_all(folders::data()).map_err(|error| error.to_string())?;
        // A bound that a case can reach, and that a run has disk for.
        let config = format!("{}\n[limits]\nresult_bytes_max = {RESULT_BYTES_MAX}\n", Grid::config());
        std::fs::write(folders::data().join("firesteel.toml"), config).map_err(|error| error.to_string())?;
        Self::launch(program().args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(folders::data()), &folders::data())
    }

    /// Starts a server where there is a runtime: it has no use for the network.
    #[track_caller]
    pub(crate) fn start(verb: &str, data: &Path, more: &[&str]) -> Self {
        let mut command = program();
        command.arg(verb).args(["--listen", "127.0.0.1:0", "--data"]).arg(data).args(more);
        command.env("PIP_INDEX_URL", "http://127.0.0.1:9/").env("PIP_NO_INDEX", "1");
        Self::launch(&mut command, data).unwrap_or_else(|said| panic!("the server did not start:\n{said}"))
    }

    /// Starts a server and waits until it is ready; what it said instead, if it ends.
    fn launch(command: &mut Command, data: &Path) -> Result<Self, String> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = hear(child.stderr.take().unwrap());
        let lines = lines(child.stdout.take().unwrap());
        let ready = loop {
            match lines.recv_timeout(FIRST_START) {
                Ok(line) if line.starts_with("ready ") => break line,
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let status = child.wait().unwrap();
                    return Err(format!("{status}\n{}", stderr.lock().unwrap()));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let _ = child.kill();
                    return Err(format!("not ready after {FIRST_START:?}\n{}", stderr.lock().unwrap()));
                }
            }
        };
        let words: Vec<&str> = ready.split(' ').collect();
        let [_, url, cluster] = words[..] else { panic!("not a line for scripts: {ready}") };
        let profile = std::fs::read_to_string(data.join("databrickscfg")).unwrap();
        let token = profile.lines().find_map(|line| line.strip_prefix("token = ")).unwrap().to_owned();
        Ok(Self {
            http: Http::new(url, &data.join("tls/ca.pem"), &token),
            url: url.to_owned(),
            cluster: cluster.strip_prefix("cluster=").unwrap().to_owned(),
            data: data.to_owned(),
            pid: i32::try_from(child.id()).unwrap(),
            token,
            process: Mutex::new(Some(child)),
            stderr,
        })
    }

    /// The certificate authority to trust.
    pub(crate) fn ca(&self) -> PathBuf {
        self.data.join("tls/ca.pem")
    }

    /// The password of its administrator.
    pub(crate) fn password(&self) -> String {
        let netrc = std::fs::read_to_string(self.data.join("netrc")).unwrap();
        netrc.split_whitespace().skip_while(|word| *word != "password").nth(1).unwrap().to_owned()
    }

    /// What it wrote to its standard error.
    pub(crate) fn said(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// What it has started and what still runs of that.
    pub(crate) fn processes(&self) -> Vec<processes::Process> {
        processes::of(&self.data, &self.cluster)
    }

    /// Sends a signal to the server and waits for its end.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) -> ExitStatus {
        let mut child = self.process.lock().unwrap().take().expect("the server has not ended");
        kill(Pid::from_raw(self.pid), signal).unwrap();
        let ended = until("the server has ended", || child.try_wait().unwrap(), Option::is_some);
        ended.unwrap()
    }

    /// Ends a server as Ctrl-C does, and checks that nothing is left of all it has started.
    #[track_caller]
    pub(crate) fn end(&self) {
        let status = self.signal(Signal::SIGINT);
        assert!(status.success(), "the server ended with {status}; it said:\n{}", self.said());
        until("none of its processes is left", || self.processes(), Vec::is_empty);
    }
}

impl Drop for Server {
    /// Leaves nothing behind, however the case ended.
    fn drop(&mut self) {
        match self.process.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(mut child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            // It was ended by the case, which may have started the next one on the same driver.
            None if !std::thread::panicking() => return,
            None => {}
        }
        // A driver without a server waits for the next one.
        for process in self.processes() {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGTERM);
        }
        let deadline = std::time::Instant::now() + poll::PATIENCE;
        while !self.processes().is_empty() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Collects what a stream says, and passes on the lines about progress: a first start takes minutes.
fn hear(stream: impl Read + Send + 'static) -> Heard {
    let heard = Heard::default();
    let sink = heard.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if line.ends_with(" ...") {
                eprintln!("{line}");
            }
            let mut heard = sink.lock().unwrap();
            heard.push_str(&line);
            heard.push('\n');
        }
    });
    heard
}

/// Reads a stream to its end, whether anyone listens or not.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}
