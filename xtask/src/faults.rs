//! `cargo xtask faults`: `kill -9` of the server, a driver, its JVM, Master, Worker and Python parent, in turn and under load, by the end-to-end
//! tests (`tests/e2e/faults.rs`), which leave it out unless they are told how often.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;

/// Tells the tests how often.
const ROUNDS: &str = "FIRESTEEL_FAULT_ROUNDS";

/// Options of `faults`.
#[derive(Debug, clap::Args)]
pub(crate) struct FaultsArgs {
    /// How often each process is killed; a round of all six takes about two minutes
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Kills the processes of the development build
    #[arg(long)]
    dev: bool,
}

/// Runs them. Each round is told on standard error, the table of all behind the last.
pub(crate) fn run(root: &Path, args: &FaultsArgs) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.arg("test").args((!args.dev).then_some("--release")).args([
        "--package",
        "firesteel",
        "--test",
        "e2e",
        "--",
        "faults::",
    ]);
    let status = command.env(ROUNDS, args.rounds.to_string()).current_dir(root).status()?;
    ensure!(status.success(), "not everything was as it must be");
    Ok(())
}
