//! `firesteel repl`: a prompt on one execution context, in every language.
//!
//! On a terminal, Ctrl-C cancels the running code and the context lives on. From a pipe, the lines are a script: it stops at
//! the first error, with the exit statuses of `exec`.

use std::borrow::Cow;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use firesteel_api::results::ResultsBody;
use firesteel_api::{ClusterId, Language};
use reedline::{
    FileBackedHistory, Prompt, PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus, Reedline, Signal,
    ValidationResult, Validator,
};
use tokio::sync::mpsc;

use super::api::Api;
use super::blocks::{self, Blocks};
use super::clusters;
use super::config::{self, ConnectArgs, Environment};
use super::failure::{Exit, Failure, SIGINT};
use super::interrupts::Interrupts;
use super::output::{Format, Output};
use super::session::{Outcome, Session};
use crate::setup::private_file;

/// How many entries the history keeps.
const HISTORY_MAX: usize = 10_000;
/// How many lines of a script are read ahead.
const AHEAD_MAX: usize = 256;

const HELP: &str = "\
:python :scala :sql :r   speak that language from now on; with code behind it, for that code alone
:reset                   start again with a new context
:help                    this text
:quit                    destroy the context and leave, as Ctrl-D does
Ctrl-C                   cancel what runs, or forget what was typed
A blank line ends a block of Python; `;` or a blank line ends a statement of SQL.";

/// Opens a prompt on an execution context
///
/// The context is destroyed at the end. Reads a script where the standard input is not a terminal.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReplArgs {
    /// Language to begin with
    #[arg(short, long, value_name = "LANGUAGE", default_value = "python")]
    pub(crate) language: Language,
    /// How to print results
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Which server
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// Runs the prompt on the streams of this process.
pub(crate) async fn run(args: ReplArgs, env: &Environment) -> Exit {
    let mut output = Output::of_process();
    let exit = async {
        if args.format == Format::Arrow {
            return Err(Failure::Usage("a prompt shows text; `firesteel exec --format arrow` writes a table".into()));
        }
        let connection = config::resolve(&args.connect, env)?;
        let mut stop = Interrupts::listen()?;
        let api = Api::new(&connection)?;
        let cluster = match connection.cluster {
            Some(cluster) => cluster,
            None => tokio::select! {
                clusters = api.clusters() => clusters::pick(&clusters?)?,
                signal = stop.next() => return Err(Failure::Stopped(signal)),
            },
        };
        let mut repl = Repl::open(api, cluster, &args, &mut stop, &mut output).await?;
        let exit = if std::io::stdin().is_terminal() {
            repl.converse(env, &mut stop, &mut output).await
        } else {
            let lines = script_lines();
            repl.script(lines, &mut stop, &mut output).await
        };
        repl.close(&mut stop, &mut output).await;
        exit
    };
    match exit.await {
        Ok(exit) => exit,
        Err(failure) => {
            output.error(&failure);
            failure.exit()
        }
    }
}

/// A prompt on one context.
struct Repl {
    api: Api,
    cluster: ClusterId,
    session: Session,
    language: Language,
}

/// What a line at the prompt led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Prompt(Exit),
    Quit,
}

impl Repl {
    async fn open(
        api: Api,
        cluster: ClusterId,
        args: &ReplArgs,
        stop: &mut Interrupts,
        output: &mut Output,
    ) -> Result<Self, Failure> {
        output.show(args.format);
        let session = ready(&api, &cluster, args.language, stop, output).await?;
        Ok(Self { api, cluster, session, language: args.language })
    }

    async fn close(self, stop: &mut Interrupts, output: &mut Output) {
        if let Err(error) = self.session.close(stop).await {
            output.note(&format!("note: failed to destroy the context: {error}"));
        }
    }

    /// Talks to a user on a terminal until they leave.
    async fn converse(
        &mut self,
        env: &Environment,
        stop: &mut Interrupts,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        output.note(&format!(
            "{}  cluster `{}`  context `{}`  :help for help",
            self.api.url(),
            self.cluster,
            self.session.context()
        ));
        let leave = Arc::new(AtomicBool::new(false));
        let mut editor = Some(editor(env, leave.clone(), output));
        let mut signalled = None;
        loop {
            let mut at = editor.take().expect("the editor is given back below");
            at = at.with_validator(Box::new(Whole(self.language)));
            let prompt = Mark(self.language);
            // A thread of its own: the editor blocks on the keyboard.
            let mut typing = tokio::task::spawn_blocking(move || {
                let signal = at.read_line(&prompt);
                (at, signal)
            });
            let typed = loop {
                tokio::select! {
                    typed = &mut typing => break typed,
                    signal = stop.next() => if signal != SIGINT {
                        // The editor gives the terminal back as it was, then we leave.
                        leave.store(true, Ordering::SeqCst);
                        signalled = Some(signal);
                    },
                }
            };
            let (at, typed) = typed.expect("reading a line does not panic");
            editor = Some(at);
            if let Some(signal) = signalled {
                return Ok(Exit::Stopped(signal));
            }
            match typed.map_err(|error| Failure::io("read from the terminal")(std::io::Error::other(error)))? {
                Signal::Success(text) => match self.take(&text, stop, output).await {
                    Ok(Next::Prompt(_)) => {}
                    Ok(Next::Quit) => return Ok(Exit::Done),
                    Err(Failure::Stopped(signal)) if signal != SIGINT => return Ok(Exit::Stopped(signal)),
                    Err(failure) => output.error(&failure),
                },
                Signal::CtrlD => return Ok(Exit::Done),
                _ => {}
            }
        }
    }

    /// Runs a script until its end or the first error.
    async fn script(
        &mut self,
        mut lines: mpsc::Receiver<std::io::Result<String>>,
        stop: &mut Interrupts,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        let mut blocks = Blocks::new(self.language);
        loop {
            let line = tokio::select! {
                line = lines.recv() => line,
                signal = stop.next() => return Err(Failure::Stopped(signal)),
            };
            let line = line.transpose().map_err(Failure::io("read the script"))?;
            let before = match &line {
                Some(line) if blocks::is_directive(line) => blocks.rest(),
                Some(line) => blocks.before(line),
                None => blocks.rest(),
            };
            if let Some(block) = before
                && let Some(exit) = self.step(&block, stop, output).await?
            {
                return Ok(exit);
            }
            let Some(line) = line else { return Ok(Exit::Done) };
            let block = if blocks::is_directive(&line) { Some(line) } else { blocks.push(&line) };
            if let Some(block) = block
                && let Some(exit) = self.step(&block, stop, output).await?
            {
                return Ok(exit);
            }
            blocks.language = self.language;
        }
    }

    /// Runs one block of a script; returns the exit status where the script ends with it.
    async fn step(&mut self, block: &str, stop: &mut Interrupts, output: &mut Output) -> Result<Option<Exit>, Failure> {
        Ok(match self.take(block, stop, output).await? {
            Next::Prompt(Exit::Done) => None,
            Next::Prompt(exit) => Some(exit),
            Next::Quit => Some(Exit::Done),
        })
    }

    /// Does what was typed: code, or a word to the prompt.
    async fn take(&mut self, text: &str, stop: &mut Interrupts, output: &mut Output) -> Result<Next, Failure> {
        if text.trim().is_empty() {
            return Ok(Next::Prompt(Exit::Done));
        }
        if !blocks::is_directive(text) {
            return self.execute(self.language, text, stop, output).await;
        }
        let text = text.trim().trim_start_matches(':');
        let (word, code) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        match (word, word.parse::<Language>()) {
            ("quit" | "q" | "exit", _) => return Ok(Next::Quit),
            ("help" | "h" | "?", _) => output.note(HELP),
            ("reset", _) => self.reset(stop, output).await?,
            (_, Ok(language)) if code.trim().is_empty() => self.language = language,
            (_, Ok(language)) => return self.execute(language, code, stop, output).await,
            _ => {
                output.note(&format!("`:{word}` is not known; :help for help"));
                return Ok(Next::Prompt(Exit::Failed));
            }
        }
        Ok(Next::Prompt(Exit::Done))
    }

    async fn execute(
        &self,
        language: Language,
        code: &str,
        stop: &mut Interrupts,
        output: &mut Output,
    ) -> Result<Next, Failure> {
        stop.forget();
        Ok(Next::Prompt(match self.session.run(language, code, stop, output).await? {
            Outcome::Ended { results, body, .. } => {
                output.result(&results, &body).map_err(Failure::io("print the result"))?;
                if matches!(body, ResultsBody::Error { .. }) { Exit::Raised } else { Exit::Done }
            }
            Outcome::Cancelled(Some(signal)) if signal != SIGINT => return Err(Failure::Stopped(signal)),
            Outcome::Cancelled(_) => {
                output.note("cancelled");
                Exit::CANCELLED
            }
            Outcome::Abandoned(signal) if signal != SIGINT => return Err(Failure::Stopped(signal)),
            Outcome::Abandoned(signal) => {
                output
                    .note("the code has not stopped yet; what you type now waits for it, and :reset leaves it behind");
                Exit::Stopped(signal)
            }
        }))
    }

    async fn reset(&mut self, stop: &mut Interrupts, output: &mut Output) -> Result<(), Failure> {
        stop.forget();
        let new = ready(&self.api, &self.cluster, self.language, stop, output).await?;
        let old = std::mem::replace(&mut self.session, new);
        // It may be gone already, which may be why it is replaced.
        old.close(stop).await.ok();
        output.note(&format!("context `{}`", self.session.context()));
        Ok(())
    }
}

/// Makes a context and waits for it; one that does not come to life is destroyed.
async fn ready(
    api: &Api,
    cluster: &ClusterId,
    language: Language,
    stop: &mut Interrupts,
    output: &mut Output,
) -> Result<Session, Failure> {
    let session = Session::open(api, cluster, language, stop, output).await?;
    match session.ready(stop).await {
        Ok(()) => Ok(session),
        Err(failure) => {
            session.close(stop).await.ok();
            Err(failure)
        }
    }
}

/// Reads the standard input line by line, on a thread that dies with the process.
fn script_lines() -> mpsc::Receiver<std::io::Result<String>> {
    let (sender, lines) = mpsc::channel(AHEAD_MAX);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn editor(env: &Environment, leave: Arc<AtomicBool>, output: &mut Output) -> Reedline {
    let editor = Reedline::create().use_bracketed_paste(true).with_break_signal(leave);
    match history(env) {
        Ok(Some(history)) => editor.with_history(Box::new(history)),
        Ok(None) => editor,
        Err(failure) => {
            output.note(&format!("note: there is no history: {}", super::output::chain(&*failure)));
            editor
        }
    }
}

fn history(env: &Environment) -> Result<Option<FileBackedHistory>, Box<dyn std::error::Error>> {
    let Some(folder) = env.state_folder() else { return Ok(None) };
    private_file::make_folder(&folder)?;
    let path: PathBuf = folder.join("history");
    // What is typed may hold secrets: the file is private before anything is in it.
    if private_file::read(&path)?.is_none() {
        private_file::write(&path, b"")?;
    }
    Ok(Some(FileBackedHistory::with_file(HISTORY_MAX, path)?))
}

/// Asks for more lines until a command is whole.
struct Whole(Language);

impl Validator for Whole {
    fn validate(&self, text: &str) -> ValidationResult {
        if blocks::is_complete(self.0, text) { ValidationResult::Complete } else { ValidationResult::Incomplete }
    }
}

/// The prompt: the language, then the cursor.
struct Mark(Language);

impl Prompt for Mark {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        self.0.as_str().into()
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        "> ".into()
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        format!("{}> ", ".".repeat(self.0.as_str().len())).into()
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let failing = match search.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "nothing for ",
        };
        format!("({failing}{}) ", search.term).into()
    }
}

#[cfg(test)]
mod tests;
