//! `firesteel exec`: runs a piece of code and prints what came of it.
//!
//! Exit statuses: 0 the code ran; 1 it raised, or the engine failed; 2 wrong usage, or no answer of the server; 130 it was
//! cancelled (128 and the number of the signal when another than Ctrl-C ended it).

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use firesteel_api::results::{Results, ResultsBody};
use firesteel_api::{ContextId, Language};

use super::api::Api;
use super::clusters;
use super::config::{self, ConnectArgs, Connection, Environment};
use super::failure::{Exit, Failure, SIGINT};
use super::interrupts::Interrupts;
use super::output::{Format, Output};
use super::session::{Ending, Outcome, Session};
use super::whole::{self, Printed, WholeTable};

/// Runs code in an execution context and prints its result
///
/// A context is made for it and destroyed afterwards. Ctrl-C cancels the code; a second one leaves at once.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ExecArgs {
    /// Language of the code; by default that of the file's suffix, else python
    #[arg(short, long, value_name = "LANGUAGE")]
    pub(crate) language: Option<Language>,
    /// Run in this context and leave it as it is
    #[arg(long, value_name = "ID")]
    pub(crate) context: Option<ContextId>,
    /// Leave the context running, and say which it is
    #[arg(long)]
    pub(crate) keep: bool,
    /// Read the code from a file
    #[arg(short, long, value_name = "FILE", conflicts_with = "code")]
    pub(crate) file: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// The code, or `-` to read it from the standard input
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Which server
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Runs the command, printing to the streams of this process.
pub(crate) async fn run(args: ExecArgs, env: &Environment) -> Exit {
    let mut output = Output::of_process();
    let exit = async {
        let (language, code) = source(&args)?;
        let connection = config::resolve(&args.connect, env)?;
        let mut stop = Interrupts::listen()?;
        execute(&args, &connection, language, &code, &mut stop, &mut output).await
    };
    match exit.await {
        Ok(exit) => exit,
        Err(failure) => {
            output.error(&failure);
            failure.exit()
        }
    }
}

/// Finds the code and its language.
fn source(args: &ExecArgs) -> Result<(Language, String), Failure> {
    let stdin = || {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map(|_| text).map_err(Failure::io("read the code from the standard input"))
    };
    let file = args.file.as_deref().filter(|file| *file != Path::new("-"));
    let language = match (args.language, file) {
        (Some(language), _) => language,
        (None, Some(file)) => guess(file)?,
        (None, None) => Language::Python,
    };
    let code = match (file, args.code.as_deref()) {
        (Some(file), _) => std::fs::read_to_string(file).map_err(Failure::io(format!("read `{}`", file.display())))?,
        (None, Some(code)) if code != "-" => code.to_owned(),
        (None, None) if args.file.is_none() && std::io::stdin().is_terminal() => {
            return Err(Failure::Usage(
                "there is no code: give it as an argument, with `-f FILE` or on the standard input".into(),
            ));
        }
        _ => stdin()?,
    };
    Ok((language, code))
}

/// Tells the language of a file by its suffix.
fn guess(file: &Path) -> Result<Language, Failure> {
    let suffix = file.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
    match suffix.to_ascii_lowercase().as_str() {
        "py" => Ok(Language::Python),
        "scala" | "sc" => Ok(Language::Scala),
        "sql" => Ok(Language::Sql),
        "r" => Ok(Language::R),
        _ => Err(Failure::Usage(format!("the suffix of `{}` tells no language; name it with `-l`", file.display()))),
    }
}

async fn execute(
    args: &ExecArgs,
    connection: &Connection,
    language: Language,
    code: &str,
    stop: &mut Interrupts,
    output: &mut Output,
) -> Result<Exit, Failure> {
    output.show(args.format);
    let api = Api::new(connection)?;
    let cluster = match &connection.cluster {
        Some(cluster) => cluster.clone(),
        None => tokio::select! {
            clusters = api.clusters() => clusters::pick(&clusters?)?,
            signal = stop.next() => return Err(Failure::Stopped(signal)),
        },
    };
    let mut session = match args.context {
        Some(context) => Session::of(&api, &cluster, context, Ending::Leave),
        None => Session::open(&api, &cluster, language, stop, output).await?,
    };
    if args.keep {
        session.keep();
        output.note(&format!("context `{}` of cluster `{cluster}` is kept", session.context()));
    }

    let outcome = match session.ready(stop).await {
        Ok(()) => session.run(language, code, stop, output).await,
        Err(failure) => Err(failure),
    };
    let exit = match outcome {
        Ok(Outcome::Abandoned(signal)) => {
            session.leave().await;
            return Err(Failure::Stopped(signal));
        }
        Ok(Outcome::Cancelled(signal)) => {
            output.note("cancelled");
            Ok(Exit::Stopped(signal.unwrap_or(SIGINT)))
        }
        Ok(Outcome::Ended { command, results, body }) => {
            let table = WholeTable { api: &api, cluster: &cluster, context: session.context(), command };
            let printed = tokio::select! {
                printed = print(args.format, &table, &results, &body, output) => printed,
                signal = stop.next() => Err(Failure::Stopped(signal)),
            };
            let raised = matches!(body, ResultsBody::Error { .. });
            printed.map(|()| if raised { Exit::Raised } else { Exit::Done })
        }
        Err(failure) => Err(failure),
    };
    if let Err(error) = session.close(stop).await {
        // The result counts; a context that was lost is gone anyway.
        output.note(&format!("note: failed to destroy the context: {error}"));
    }
    exit
}

/// Prints what a command came to: of a table all rows, where the format has room for them.
async fn print(
    format: Format,
    table: &WholeTable<'_>,
    results: &Results,
    body: &ResultsBody,
    output: &mut Output,
) -> Result<(), Failure> {
    let is_table = matches!(body, ResultsBody::Table { .. });
    if format == Format::Arrow && !is_table && !matches!(body, ResultsBody::Error { .. }) {
        return Err(Failure::Usage("`--format arrow` writes tables, and this result is none".to_owned()));
    }
    if whole::is_wanted(format, body) {
        match table.print(format, output).await? {
            Printed::Rows => return Ok(()),
            Printed::Nothing if format == Format::Arrow => {
                return Err(Failure::Usage(
                    "this server has no Arrow; `--format csv` writes the rows that it shows".into(),
                ));
            }
            Printed::Nothing => {}
        }
    }
    output.result(results, body).map_err(Failure::io("print the result"))
}

#[cfg(test)]
mod tests;
