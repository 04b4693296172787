//! `firesteel fs`: the files of `dbfs:/` from a terminal.
//!
//! - `place`: what a user's text names, here or on the server.
//! - `remote`: the calls about files.
//! - `copy`: files on their way, with a bar for each.
//!
//! Exit statuses: 0 it was done; 2 it was not; 130 it was stopped.

mod copy;
mod place;
mod remote;
#[cfg(test)]
mod tests;

use std::io::Write as _;

use super::api::Api;
use super::config::{self, ConnectArgs, Environment};
use super::failure::{Exit, Failure};
use super::interrupts::Interrupts;
use super::output::Output;
use place::Place;
use remote::Remote;

/// Lists, copies and removes files of `dbfs:/`
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FsArgs {
    #[command(subcommand)]
    pub(crate) command: FsCommand,
    /// Which server
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// What to do.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum FsCommand {
    /// Lists a folder
    Ls {
        /// Sizes and times too
        #[arg(short, long)]
        long: bool,
        /// The folder
        #[arg(default_value = "dbfs:/")]
        path: String,
    },
    /// Copies a file, or a folder with `-r`, between here and dbfs:/
    Cp {
        /// A folder and all it holds
        #[arg(short, long)]
        recursive: bool,
        /// Replace files that are there
        #[arg(long)]
        overwrite: bool,
        /// What to copy: `dbfs:/…`, or a path on this machine
        from: String,
        /// Where to
        to: String,
    },
    /// Removes a file, or a folder with `-r`
    Rm {
        /// A folder and all it holds
        #[arg(short, long)]
        recursive: bool,
        /// What to remove
        path: String,
    },
    /// Prints a file as it is
    Cat {
        /// The file
        path: String,
    },
    /// Makes a folder and those it is in
    Mkdirs {
        /// The folder
        path: String,
    },
}

/// Runs the command, printing to the streams of this process.
pub(crate) async fn run(args: FsArgs, env: &Environment) -> Exit {
    let mut output = Output::of_process();
    let done = async {
        let connection = config::resolve(&args.connect, env)?;
        let remote = Remote::new(Api::new(&connection)?);
        let mut stop = Interrupts::listen()?;
        tokio::select! {
            done = act(&remote, &args.command) => done,
            signal = stop.next() => Err(Failure::Stopped(signal)),
        }
    };
    match done.await {
        Ok(()) => Exit::Done,
        Err(Failure::Stopped(signal)) => Exit::Stopped(signal),
        Err(failure) => {
            output.error(&failure);
            failure.exit()
        }
    }
}

async fn act(remote: &Remote, command: &FsCommand) -> Result<(), Failure> {
    match command {
        FsCommand::Ls { long, path } => list(remote, &Place::remote(path)?, *long).await,
        FsCommand::Cp { recursive, overwrite, from, to } => {
            let copy = copy::Copy { remote, overwrite: *overwrite };
            copy.run(Place::of(from)?, Place::of(to)?, *recursive).await
        }
        FsCommand::Rm { recursive, path } => {
            let path = Place::remote(path)?;
            // The call itself is content with what is not there; a user has mistyped.
            remote.status(&path).await?;
            remote.delete(&path, *recursive).await
        }
        FsCommand::Cat { path } => {
            let mut download = remote.download(&Place::remote(path)?).await?;
            while let Some(bytes) = download.next().await? {
                if print(&bytes)?.is_gone() {
                    break;
                }
            }
            Ok(())
        }
        FsCommand::Mkdirs { path } => remote.mkdirs(&Place::remote(path)?).await,
    }
}

async fn list(remote: &Remote, path: &str, long: bool) -> Result<(), Failure> {
    let files = remote.list(path).await?;
    let wide = files.iter().map(|file| file.file_size.to_string().len()).max().unwrap_or_default();
    for file in files {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let end = if file.is_dir { "/" } else { "" };
        let line = if long {
            let changed =
                i64::try_from(file.modification_time).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
            let changed = changed.map_or_else(String::new, |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            format!("{:>wide$}  {changed:20}  {name}{end}\n", file.file_size)
        } else {
            format!("{name}{end}\n")
        };
        if print(line.as_bytes())?.is_gone() {
            break;
        }
    }
    Ok(())
}

/// Whether somebody still reads what is printed.
enum Reader {
    There,
    Gone,
}

impl Reader {
    fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }
}

/// Prints bytes as they are. A reader who has gone away, as `head` does, is no failure.
fn print(bytes: &[u8]) -> Result<Reader, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Failure::io("print")(error)),
    }
}
