//! `execute(…).result()` of the stock Python SDK, beside bare IPython and beside the HTTP library it uses.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use super::bare::Bare;
use super::commands::{Side, WARM_UP, take_turns};
use super::figures::{Aim, Table};
use super::machine::{self, Machine};
use super::note;
use super::server::Server;

const AIM: Aim = Aim::AtMost(Duration::from_millis(20));

/// The SDK and its version.
const PACKAGE: &str = "databricks-sdk==0.156.0";

/// Measures it.
pub(crate) fn measure(machine: &Machine, server: &Server, runs: u32, table: &mut Table) -> anyhow::Result<()> {
    note("the SDK");
    let python = install(machine)?;
    let mut command = Command::new(python);
    command.arg(machine.root.join("bench/python/sdk.py"));
    command.env("DATABRICKS_CONFIG_FILE", server.profile()).env("BENCH_CLUSTER", &server.cluster);
    command.env("REQUESTS_CA_BUNDLE", server.authority()).env("NO_PROXY", "127.0.0.1");
    // Whatever else is configured here is for other servers.
    for name in ["HOST", "TOKEN", "USERNAME", "PASSWORD", "CONFIG_PROFILE", "CLUSTER_ID"] {
        command.env_remove(format!("DATABRICKS_{name}"));
    }
    let sdk = std::cell::RefCell::new(Bare::start(machine, "sdk", &mut command)?);
    let mut bare = Bare::python(machine)?;
    let mut sides = [
        Side::of(|| sdk.borrow_mut().execute("sdk")),
        Side::of(|| sdk.borrow_mut().execute("requests")),
        Side::of(|| bare.execute("ipython")),
    ];
    take_turns(server, WARM_UP, runs, &mut sides)?;
    let [sdk, requests, ipython] = sides.map(|side| side.sample);
    table.beside("SDK `execute(…).result()` of `1+1`, beside IPython's `run_cell`", &sdk, &ipython, AIM);
    table.beside("… beside its two calls by `requests`", &sdk, &requests, Aim::Information);
    Ok(())
}

/// Makes an environment with the SDK where there is none, and returns its Python.
fn install(machine: &Machine) -> anyhow::Result<PathBuf> {
    let folder = machine.folder.join(PACKAGE);
    let python = folder.join("bin/python");
    let done = folder.join("done");
    if !done.exists() {
        note("installing the SDK");
        machine::run(Command::new(&machine.python.program).args(["-m", "venv", "--clear"]).arg(&folder))
            .context("the SDK's environment cannot be made")?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE];
        machine::run(Command::new(&python).args(pip)).context("the SDK cannot be installed")?;
        std::fs::write(&done, "")?;
    }
    Ok(python)
}
