//! The `firesteel` program: the server, the drivers it starts, and the client commands.
//!
//! `main` parses, starts logging, calls one function and turns its result into an exit status.

mod backends;
mod client;
mod config;
mod local;
mod node_types;
mod runtime;
mod schedules;
mod serve;
mod setup;
mod users;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use firesteel_driver::spec::DriverSpec;
use firesteel_server::engine::OnStop;

/// glibc's allocator keeps the 19 MiB blocks of password checks for good.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs code on Apache Spark over REST.
#[derive(Debug, Parser)]
#[command(name = "firesteel", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Makes what is missing and starts everything on this machine; Ctrl-C ends it all
    Up(serve::ServeArgs),
    /// Serves as under a service manager: clusters go on when the server stops
    Serve {
        #[command(flatten)]
        args: serve::ServeArgs,
        /// End the clusters when the server stops
        #[arg(long)]
        end_clusters: bool,
    },
    /// Runs one cluster's driver; started by the server
    #[command(hide = true)]
    Driver {
        /// What the driver is told
        spec: PathBuf,
    },
    /// Runs code in a context of its own and prints what comes of it
    Exec(client::exec::ExecArgs),
    /// Opens a context to type into
    Repl(client::repl::ReplArgs),
    /// Lists, copies and removes files of dbfs:/
    Fs(client::fs::FsArgs),
    /// Uploads, lists, attaches, detaches and deletes libraries
    Libs(client::libs::LibsArgs),
    /// Starts, resizes and ends clusters at fixed times
    Schedules(client::schedules::SchedulesArgs),
    /// Lists, makes, starts, resizes, restarts and ends clusters; shows their history and logs
    Clusters(client::cluster_commands::ClustersArgs),
    /// Lists, adds and removes runtimes: an installed Spark with its Java and Python
    Runtime {
        /// Folder of everything the server keeps [env: FIRESTEEL_DATA] [default: ~/.local/share/firesteel]
        #[arg(long, value_name = "DIR", global = true)]
        data: Option<PathBuf>,
        #[command(subcommand)]
        command: runtime::Command,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let quiet = matches!(
        cli.command,
        Command::Exec(_)
            | Command::Repl(_)
            | Command::Fs(_)
            | Command::Libs(_)
            | Command::Runtime { .. }
            | Command::Schedules(_)
            | Command::Clusters(_)
    );
    start_logging(if quiet { "warn" } else { "warn,firesteel=info" });
    rustls::crypto::ring::default_provider().install_default().expect("no other provider is installed before main's");
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            fail(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(args) => {
            let data = data_folder(args.data.clone())?;
            tokio::runtime::Runtime::new()?.block_on(serve::run(args, data, OnStop::EndClusters))?;
        }
        Command::Serve { args, end_clusters } => {
            let data = data_folder(args.data.clone())?;
            let on_stop = if end_clusters { OnStop::EndClusters } else { OnStop::LeaveClusters };
            tokio::runtime::Runtime::new()?.block_on(serve::run(args, data, on_stop))?;
        }
        Command::Driver { spec } => {
            let spec = DriverSpec::read(&spec).with_context(|| format!("failed to read `{}`", spec.display()))?;
            // One thread, the main one: the children are tied to the thread that starts them.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(firesteel_driver::run(spec))?;
        }
        Command::Exec(args) => {
            let environment = client::Environment::of_process();
            let work = client::exec::run(args, &environment);
            return Ok(tokio::runtime::Runtime::new()?.block_on(work).into());
        }
        Command::Repl(args) => {
            let environment = client::Environment::of_process();
            let work = client::repl::run(args, &environment);
            return Ok(tokio::runtime::Runtime::new()?.block_on(work).into());
        }
        Command::Fs(args) => {
            let environment = client::Environment::of_process();
            let work = client::fs::run(args, &environment);
            return Ok(tokio::runtime::Runtime::new()?.block_on(work).into());
        }
        Command::Libs(args) => {
            let environment = client::Environment::of_process();
            let work = client::libs::run(args, &environment);
            return Ok(tokio::runtime::Runtime::new()?.block_on(work).into());
        }
        Command::Schedules(args) => {
            let environment = client::Environment::of_process();
            let work = client::schedules::run(args, &environment);
            return Ok(tokio::runtime::Runtime::new()?.block_on(work).into());
        }
        Command::Clusters(args) => {
            let environment = client::Environment::of_process();
            let work = client::cluster_commands::run(args, &environment);
            return Ok(tokio::runtime::Runtime::new()?.block_on(work).into());
        }
        Command::Runtime { data, command } => {
            let data = data_folder(data)?;
            firesteel_driver::private_folder(&data)
                .with_context(|| format!("the data folder `{}` cannot be made", data.display()))?;
            let around = runtime::Surroundings::of_process();
            let progress = runtime::Progress::detect();
            let user_of = |name: &runtime::RuntimeName| local::cluster_on(&data, name);
            let work = runtime::command(&data, command, &around, &progress, &user_of);
            tokio::runtime::Runtime::new()?.block_on(work)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The folder of everything the server keeps.
fn data_folder(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let found = given.or_else(|| client::Environment::of_process().data_folder());
    found.context("no data folder: neither HOME nor FIRESTEEL_DATA is set; name one with --data")
}

fn start_logging(default: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("FIRESTEEL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .with_target(false)
        .init();
}

/// One line for each level of what went wrong, the way to mend it included where the error knows one.
#[expect(clippy::print_stderr, reason = "the one place where the program says why it ends")]
fn fail(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
