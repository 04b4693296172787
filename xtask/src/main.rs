//! Chores of the project that are longer than a line: `cargo xtask tidy`, `cargo xtask bench`, `cargo xtask faults`.

mod bench;
mod faults;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

/// Chores of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, clap::Subcommand)]
enum Chore {
    /// Checks the rules that no lint knows; prints a line for each violation
    Tidy,
    /// Measures the release build beside the raw thing and prints a table
    Bench(bench::BenchArgs),
    /// Kills every process in turn, many times, and counts what is lost or left
    Faults(faults::FaultsArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().chore {
        Chore::Tidy => return tidy::run(&root()),
        Chore::Bench(args) => bench::run(&root(), &args),
        Chore::Faults(args) => faults::run(&root(), &args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            bench::note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("the folder of this crate is below the workspace's").to_owned()
}
