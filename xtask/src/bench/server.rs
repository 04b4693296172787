//! One `firesteel up`, from its start to the end of everything that it started.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::client::Client;
use super::machine::Machine;
use super::output::Output;

/// How long a start may take; one that installs a runtime takes minutes.
const START: Duration = Duration::from_secs(1800);

/// How long the end of everything may take.
const END: Duration = Duration::from_secs(60);

/// How often a process is looked at that is to end.
const LOOK: Duration = Duration::from_millis(20);

/// A server that is `ready`. Ended when it is dropped, as by Ctrl-C.
pub(crate) struct Server {
    process: Child,
    data: PathBuf,
    /// Its URL.
    pub(crate) url: String,
    /// The cluster that it brought up.
    pub(crate) cluster: String,
    /// From the start of the process to the line `ready`.
    pub(crate) took: Duration,
}

impl Server {
    /// Starts one and waits for `ready`.
    pub(crate) fn up(machine: &Machine) -> anyhow::Result<Self> {
        let mut command = Command::new(&machine.binary);
        command.arg("up").arg("--data").arg(machine.data()).args(["--listen", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(machine.log("up")?);
        let begun = Instant::now();
        let mut process = command.spawn().context("failed to start the server")?;
        let output = process.stdout.take().context("the server's output is a pipe")?;
        let (url, cluster) = (String::new(), String::new());
        // Owned from here on, so that it is ended whatever happens.
        let mut server = Self { process, data: machine.data(), url, cluster, took: Duration::ZERO };
        let mut output = Output::of(output);
        let said = || format!("the server did not start; see `{}`", machine.folder.join("up.log").display());
        let (url, ready) = loop {
            let line = output.until("\n", START).with_context(said)?;
            if let Some(rest) = line.1.strip_prefix("ready ") {
                break (rest.to_owned(), line.0);
            }
        };
        server.took = ready - begun;
        let (url, cluster) = url.split_once(" cluster=").context("no cluster in the line `ready`")?;
        (server.url, server.cluster) = (url.to_owned(), cluster.trim().to_owned());
        Ok(server)
    }

    /// A client of it, with the administrator's token.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        self.client_of(&self.cluster)
    }

    /// A client of another of its clusters.
    pub(crate) fn client_of(&self, cluster: &str) -> anyhow::Result<Client> {
        let authority = fs::read(self.authority())?;
        Client::new(&self.url, cluster, &self.token()?, &authority)
    }

    /// The administrator's token.
    pub(crate) fn token(&self) -> anyhow::Result<String> {
        let text = fs::read_to_string(self.profile())?;
        let token = text.lines().find_map(|line| line.strip_prefix("token")?.trim_start().strip_prefix('='));
        Ok(token.context("no token in the profile")?.trim().to_owned())
    }

    /// The file by which SDKs find it.
    pub(crate) fn profile(&self) -> PathBuf {
        self.data.join("databrickscfg")
    }

    /// The certificate authority to trust.
    pub(crate) fn authority(&self) -> PathBuf {
        self.data.join("tls/ca.pem")
    }

    /// What its cluster's driver was told.
    pub(crate) fn spec(&self) -> anyhow::Result<Value> {
        let path = self.data.join("clusters").join(&self.cluster).join("driver.json");
        let text = fs::read(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The Spark that its cluster runs on.
    pub(crate) fn spark_version(&self) -> anyhow::Result<String> {
        let spec = self.spec()?;
        let home = spec["jvm"]["env"]["SPARK_HOME"].as_str().context("the driver knows no SPARK_HOME")?.to_owned();
        let jars = fs::read_dir(PathBuf::from(home).join("jars"))?.flatten();
        let names = jars.filter_map(|entry| entry.file_name().into_string().ok());
        let core =
            |name: String| Some(name.strip_prefix("spark-core_")?.strip_suffix(".jar")?.split_once('-')?.1.to_owned());
        names.filter_map(core).next().context("no spark-core among the jars")
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }

    /// Ends it and everything that it started.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        self.interrupt()
    }

    fn interrupt(&mut self) -> anyhow::Result<()> {
        if self.process.try_wait()?.is_some() {
            return Ok(());
        }
        kill(Pid::from_raw(self.pid()), Signal::SIGINT)?;
        let deadline = Instant::now() + END;
        while self.process.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                self.process.kill()?;
                self.process.wait()?;
            }
            ensure!(Instant::now() < deadline, "the server did not end in {} s and was killed", END.as_secs());
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where this matters an error is on its way already, or `end` was called.
        let _ = self.interrupt();
    }
}
