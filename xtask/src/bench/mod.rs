//! `cargo xtask bench`: ours beside the raw thing, in the same run, as one table.
//!
//! ```text
//! machine ─ builds, provisions, says where Spark, Java and Python are
//!    │
//!    ├ server    one `firesteel up`, asked by `client` ─┐
//!    ├ bare      interpreters without a server ─────────┼─ contexts, commands, cancels, … ─ figures
//!    └ terminal  `spark-shell` ─────────────────────────┘
//! ```
//!
//! The two sides of a row take turns, so that whatever else the machine does falls on both. Nothing here asserts: a
//! figure that misses its aim is a row that says so.

mod bare;
mod cancels;
mod checks;
mod client;
mod clusters;
mod commands;
mod contexts;
mod crowd;
mod figures;
mod files;
mod libs;
mod live;
mod machine;
mod memory;
mod output;
mod processes;
mod resize;
mod results;
mod sdk;
mod server;
mod spark_shell;
mod startup;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use self::figures::Table;
use self::machine::Machine;
use self::server::Server;

/// Options of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// How often each thing is measured
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How many pairs are started: of `up` or a cluster and `spark-shell`, of a resize and a restart
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// Measures only these: memory, files, libs, contexts, commands, live, cancels, checks, crowd, sdk, results, clusters, resize, startup; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// How large the table is whose rows are taken whole, in MB
    #[arg(long, value_name = "MB", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    table_mb: u64,
    /// Measures this program in place of the release build
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

/// What can be measured, in the order it is.
const PARTS: [&str; 14] = [
    "memory", "files", "libs", "contexts", "commands", "live", "cancels", "checks", "crowd", "sdk", "results",
    "clusters", "resize", "startup",
];

impl BenchArgs {
    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == part)
    }
}

/// Measures and prints the table.
pub(crate) fn run(root: &Path, args: &BenchArgs) -> anyhow::Result<()> {
    if let Some(stranger) = args.only.iter().find(|name| !PARTS.contains(&name.as_str())) {
        bail!("nothing is called `{stranger}`; there is {}", PARTS.join(", "));
    }
    let provider = rustls::crypto::ring::default_provider();
    provider.install_default().ok().context("another TLS provider was installed before this one")?;
    let machine = Machine::prepare(root, args.binary.as_deref())?;
    let mut table = Table::default();

    if PARTS.iter().any(|part| *part != "startup" && args.wants(part)) {
        note("starting the server that is measured");
        let server = Server::up(&machine)?;
        // First, while nothing has been asked of it.
        if args.wants("memory") {
            memory::measure(&server, &mut table)?;
        }
        // Next: what a transfer takes is seen where nothing else has been taken.
        if args.wants("files") {
            files::measure(&machine, &server, &mut table)?;
        }
        if args.wants("libs") {
            libs::measure(&machine, &server, &mut table)?;
        }
        if args.wants("contexts") {
            contexts::measure(&server, args.runs, &mut table)?;
        }
        if args.wants("commands") {
            commands::measure(&machine, &server, args.runs, &mut table)?;
        }
        if args.wants("live") {
            live::measure(&machine, &server, args.runs, &mut table)?;
        }
        if args.wants("cancels") {
            cancels::measure(&server, args.runs, &mut table)?;
        }
        if args.wants("checks") {
            checks::measure(&machine, &server, args.runs, &mut table)?;
        }
        if args.wants("crowd") {
            crowd::measure(&server, &mut table)?;
        }
        if args.wants("sdk") {
            sdk::measure(&machine, &server, args.runs, &mut table)?;
        }
        if args.wants("results") {
            results::measure(&server, args.table_mb, &mut table)?;
        }
        if args.wants("memory") {
            memory::measure_after(&server, &mut table)?;
        }
        if args.wants("clusters") {
            clusters::measure(&machine, &server, args.pairs, &mut table)?;
        }
        if args.wants("resize") {
            resize::measure(&server, args.pairs, &mut table)?;
        }
        server.end()?;
    }
    if args.wants("startup") {
        startup::measure(&machine, args.pairs, &mut table)?;
    }
    print(&format!("{}\n\n{table}", machine.description(args.runs, args.pairs)));
    Ok(())
}

/// Says on standard error what is going on.
#[expect(clippy::print_stderr, reason = "a chore says what it does; the table alone goes to standard output")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

#[expect(clippy::print_stdout, reason = "the table is what was asked for")]
fn print(text: &str) {
    println!("{text}");
}
