//! One interpreter's connection: a task that runs commands on it and gathers what they print.
//!
//! The driver asks through an [`InterpreterHandle`] and hears [`InterpreterEvent`]s. Nothing here decides what runs
//! next; nothing here knows contexts' queues.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use firesteel_api::results::{Results, ResultsBody};
use firesteel_api::{CommandId, ContextId};
use tokio::io::BufReader;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::output::{Pipe, READ_BYTES};
use crate::printout::Printout;
use crate::protocol::frame::{self, FrameError, Message, PAYLOAD_BYTES_MAX};
use crate::protocol::interpreters::{FromInterpreter, InterpreterId, Outcome, ToInterpreter};
use crate::stream::{Reader, Stream, Writer};

/// How many requests to one interpreter may wait: it is bound once and runs one command at a time.
const ASKS_MAX: usize = 8;

/// How many messages of one interpreter are read ahead.
const READ_AHEAD: usize = 2;

/// A handle to one interpreter. Dropping it closes the connection, which is the order to end, whether or not the
/// interpreter reads; nothing more is heard of it.
pub(crate) struct InterpreterHandle {
    asks: mpsc::Sender<Ask>,
    tasks: [AbortHandle; 2],
    printing: Arc<Printing>,
}

/// Where an interpreter's output comes from and goes while it runs.
struct Printing {
    /// Of a Python or R interpreter.
    pipe: Option<Pipe>,
    printout: Mutex<Printout>,
}

impl Printing {
    fn printout(&self) -> MutexGuard<'_, Printout> {
        self.printout.lock().expect("no holder of the output panics")
    }
}

#[derive(Debug)]
enum Ask {
    Bind(ContextId),
    Execute(CommandId, Option<PathBuf>, Bytes, Seen),
    Answer(Ended),
}

/// Whether users see what a command prints while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is one of theirs.
    Yes,
    /// It is a query that another command asked for.
    No,
}

/// What the driver hears of an interpreter.
#[derive(Debug)]
pub(crate) enum InterpreterEvent {
    /// It belongs to its context.
    Bound,
    /// It cannot.
    BindFailed(String),
    /// A command ended.
    Done {
        /// Which.
        command: CommandId,
        /// How.
        ended: Ended,
        /// What it asks for.
        wishes: Wishes,
    },
    /// The running command asks for a query.
    Query(Bytes),
    /// The interpreter closed its connection: most likely its process has ended.
    HungUp,
    /// The connection cannot be used any more, and why.
    Broken(String),
}

/// What an interpreter asks for when a command has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    /// To be replaced by a fresh one.
    pub(crate) restart: bool,
    /// That the context's Python interpreter be replaced.
    pub(crate) restart_python: bool,
    /// That spares of its language be replaced: the packages have changed.
    pub(crate) installed: bool,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With this `results` object, which is of this kind.
    Results(Outcome, Bytes),
    /// Because it was asked to.
    Cancelled,
}

impl InterpreterHandle {
    /// Starts the task of a connection whose `hello` was accepted; everything that happens is sent to `reports`.
    pub(crate) fn start(
        id: InterpreterId,
        stream: Stream,
        pipe: Option<Pipe>,
        printout: Printout,
        reports: mpsc::Sender<(InterpreterId, InterpreterEvent)>,
    ) -> Self {
        let (asks, inbox) = mpsc::channel(ASKS_MAX);
        let (reader, writer) = stream.split();
        let (messages, reading) = read_ahead(reader);
        let printing = Arc::new(Printing { pipe, printout: Mutex::new(printout) });
        let task = Task {
            inbox,
            writer,
            printing: printing.clone(),
            buffer: vec![0; if printing.pipe.is_some() { READ_BYTES } else { 0 }],
            context: None,
            binding: false,
            asking: false,
            running: None,
        };
        let serving = tokio::spawn(async move {
            let last = task.run(messages, id, &reports).await;
            // A driver that is gone needs no report.
            let _ = reports.send((id, last)).await;
        });
        Self { asks, tasks: [reading, serving.abort_handle()], printing }
    }

    /// The interpreter is to go: what its command printed up to now is not to go with it.
    pub(crate) fn last_words(&self) {
        let mut printout = self.printing.printout();
        if let Some(pipe) = &self.printing.pipe {
            // What cannot be read any more cannot be kept either.
            let _ = pipe.drain(|bytes| printout.push(bytes));
        }
        printout.finish();
    }

    /// Gives the interpreter to a context. False when its task is gone.
    pub(crate) fn bind(&self, context: ContextId) -> bool {
        self.asks.try_send(Ask::Bind(context)).is_ok()
    }

    /// Runs a command, which may write all rows of its table to a file. False when its task is gone.
    pub(crate) fn execute(&self, command: CommandId, result: Option<PathBuf>, source: Bytes, seen: Seen) -> bool {
        self.asks.try_send(Ask::Execute(command, result, source, seen)).is_ok()
    }

    /// Answers the query that the running command asked for. False when its task is gone.
    pub(crate) fn answer(&self, how: Ended) -> bool {
        self.asks.try_send(Ask::Answer(how)).is_ok()
    }
}

impl Drop for InterpreterHandle {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

type Incoming = Result<Option<Message<FromInterpreter>>, FrameError>;

/// Reads in a task of its own: reading a message is not cancel-safe, choosing between messages must be.
fn read_ahead(reader: Reader) -> (mpsc::Receiver<Incoming>, AbortHandle) {
    let (tx, rx) = mpsc::channel(READ_AHEAD);
    let reading = tokio::spawn(async move {
        let mut reader = BufReader::new(reader);
        loop {
            let incoming = frame::read(&mut reader).await;
            let over = !matches!(incoming, Ok(Some(_)));
            if tx.send(incoming).await.is_err() || over {
                return;
            }
        }
    });
    (rx, reading.abort_handle())
}

struct Task {
    inbox: mpsc::Receiver<Ask>,
    writer: Writer,
    printing: Arc<Printing>,
    /// For what is read of the pipe.
    buffer: Vec<u8>,
    context: Option<ContextId>,
    /// It was asked to bind and has not answered.
    binding: bool,
    /// Its command waits for a query.
    asking: bool,
    running: Option<CommandId>,
}

enum Next {
    Ask(Option<Ask>),
    Message(Incoming),
    Printed(std::io::Result<usize>),
    Due,
}

impl Task {
    /// Serves the connection to its end and returns how it ended.
    async fn run(
        mut self,
        mut messages: mpsc::Receiver<Incoming>,
        id: InterpreterId,
        reports: &mpsc::Sender<(InterpreterId, InterpreterEvent)>,
    ) -> InterpreterEvent {
        if let Some(pipe) = &self.printing.pipe {
            pipe.unlink();
        }
        loop {
            let (ready, takes) = {
                let mut printout = self.printing.printout();
                let live = printout.live();
                (live.ready(), !live.must_wait())
            };
            let next = tokio::select! {
                biased;
                ask = self.inbox.recv() => Next::Ask(ask),
                () = ready => Next::Due,
                message = messages.recv(), if takes => Next::Message(message.unwrap_or(Ok(None))),
                read = read_pipe(self.printing.pipe.as_ref(), &mut self.buffer), if takes => Next::Printed(read),
            };
            let event = match next {
                Next::Ask(None) | Next::Message(Ok(None)) => return InterpreterEvent::HungUp,
                Next::Ask(Some(ask)) => match self.ask(ask).await {
                    Ok(()) => continue,
                    // It does not read any more: the end of its connection is on its way.
                    Err(_) => return InterpreterEvent::HungUp,
                },
                Next::Due => {
                    self.printing.printout().live().send();
                    continue;
                }
                Next::Printed(Ok(bytes)) => {
                    self.printing.printout().push(&self.buffer[..bytes]);
                    continue;
                }
                Next::Printed(Err(error)) => {
                    return InterpreterEvent::Broken(format!("its output cannot be read: {error}"));
                }
                Next::Message(Err(FrameError::Io(_))) => return InterpreterEvent::HungUp,
                Next::Message(Err(error)) => return InterpreterEvent::Broken(broken(&error)),
                Next::Message(Ok(Some(message))) => match self.heard(message) {
                    Ok(None) => continue,
                    Ok(Some(event)) => event,
                    Err(reason) => return InterpreterEvent::Broken(reason),
                },
            };
            if reports.send((id, event)).await.is_err() {
                return InterpreterEvent::HungUp;
            }
        }
    }

    async fn ask(&mut self, ask: Ask) -> std::io::Result<()> {
        match ask {
            Ask::Bind(context) => {
                self.binding = true;
                self.context = Some(context);
                frame::write(&mut self.writer, &ToInterpreter::Bind { context }, None).await
            }
            Ask::Execute(command, result, source, seen) => {
                // What came since the last command ended is nobody's.
                if let Some(pipe) = &self.printing.pipe {
                    pipe.drain(|_| {})?;
                }
                let context = self.context.filter(|_| seen == Seen::Yes);
                self.printing.printout().begin(context.map(|context| (context, command)));
                self.running = Some(command);
                frame::write(&mut self.writer, &ToInterpreter::Execute { command, result }, Some(&source)).await
            }
            Ask::Answer(how) => {
                self.asking = false;
                let (outcome, json) = match how {
                    Ended::Results(outcome, json) => (outcome, Some(json)),
                    Ended::Cancelled => (Outcome::Cancelled, None),
                };
                frame::write(&mut self.writer, &ToInterpreter::SqlResult { outcome }, json.as_deref()).await
            }
        }
    }

    fn heard(&mut self, message: Message<FromInterpreter>) -> Result<Option<InterpreterEvent>, String> {
        match message.head {
            FromInterpreter::Bound {} | FromInterpreter::BindFailed { .. } if !std::mem::take(&mut self.binding) => {
                Err("it answered a question that was not asked".to_owned())
            }
            FromInterpreter::Bound {} => Ok(Some(InterpreterEvent::Bound)),
            FromInterpreter::BindFailed { reason } => Ok(Some(InterpreterEvent::BindFailed(reason))),
            FromInterpreter::Output {} => {
                if self.running.is_some() {
                    self.printing.printout().push(&message.payload.unwrap_or_default());
                }
                Ok(None)
            }
            FromInterpreter::Sql {} => {
                if self.running.is_none() || std::mem::replace(&mut self.asking, true) {
                    return Err("it asked for a query out of turn".to_owned());
                }
                Ok(Some(InterpreterEvent::Query(message.payload.unwrap_or_default())))
            }
            FromInterpreter::Done { command, outcome, alone, restart, restart_python, installed } => {
                if self.running.take() != Some(command) || self.asking {
                    return Err("it answered for a command that it does not run".to_owned());
                }
                let ended = self.ended(outcome, alone, message.payload.unwrap_or_default())?;
                let wishes = Wishes { restart, restart_python, installed };
                Ok(Some(InterpreterEvent::Done { command, ended, wishes }))
            }
        }
    }

    fn ended(&self, outcome: Outcome, alone: bool, payload: Bytes) -> Result<Ended, String> {
        let mut printout = self.printing.printout();
        if let Some(pipe) = &self.printing.pipe {
            pipe.drain(|bytes| printout.push(bytes)).map_err(|error| format!("its output cannot be read: {error}"))?;
        }
        printout.finish();
        if alone {
            printout.kept().clear();
        }
        let results: Results = match outcome {
            Outcome::Cancelled => return Ok(Ended::Cancelled),
            Outcome::Text => text(&mut printout, &payload),
            Outcome::Table | Outcome::Error => checked(payload)?,
            Outcome::Images => images(&mut printout, payload)?,
        };
        let json = results.as_json();
        if json.len() > PAYLOAD_BYTES_MAX {
            let text = format!("The results have {} bytes; at most {PAYLOAD_BYTES_MAX} can be sent.", json.len());
            let error = Results::error(&*text, &*text).as_json().to_owned();
            return Ok(Ended::Results(Outcome::Error, Bytes::from(error)));
        }
        Ok(Ended::Results(outcome, Bytes::from(json.to_owned())))
    }
}

fn text(printout: &mut Printout, echo: &[u8]) -> Results {
    printout.echo(echo);
    let (text, truncated) = printout.kept().take();
    ResultsBody::Text { data: text.trim_end_matches(['\n', '\r']).to_owned(), truncated }.into()
}

fn images(printout: &mut Printout, payload: Bytes) -> Result<Results, String> {
    let (text, _) = printout.kept().take();
    let text = text.trim_end_matches(['\n', '\r']);
    match checked(payload)?.parse() {
        Ok(ResultsBody::Images { file_names, data: None }) if !text.is_empty() => {
            Ok(ResultsBody::Images { file_names, data: Some(text.to_owned()) }.into())
        }
        Ok(body) => Ok(body.into()),
        Err(error) => Err(format!("its result is not one of this protocol: {error}")),
    }
}

async fn read_pipe(pipe: Option<&Pipe>, buffer: &mut [u8]) -> std::io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.read(buffer).await,
        None => std::future::pending().await,
    }
}

fn checked(payload: Bytes) -> Result<Results, String> {
    let text = String::from_utf8(payload.into()).map_err(|_| "its result is not UTF-8".to_owned())?;
    Results::from_json(text).map_err(|error| format!("its result is not JSON: {error}"))
}

fn broken(error: &FrameError) -> String {
    format!("something other than the interpreter's own answers came over its connection ({error})")
}
