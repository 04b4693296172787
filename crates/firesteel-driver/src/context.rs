//! One context as the driver holds it: its queue, what it runs, and its interpreters.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use firesteel_api::results::Results;
use firesteel_api::{CommandId, ContextId, Language};
use firesteel_model::Queue;

use crate::progress::Tally;
use crate::protocol::interpreters::InterpreterId;

/// How many commands of one context may wait: the most that a server's configuration allows. The server refuses earlier.
const QUEUE_MAX: usize = 100_000;

/// What a command is to run.
#[derive(Debug)]
pub(crate) enum Source {
    /// This, in an interpreter of this language, for so long at most.
    Code { language: Language, text: Bytes, limit: Option<Duration> },
    /// Nothing: its result is known.
    Answer(Results),
}

/// Where the running command runs.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) interpreter: InterpreterId,
    /// When its time is up, and how long that is.
    pub(crate) ends_by: Option<(Instant, Duration)>,
    pub(crate) stop: Option<Stop>,
    /// The query that it waits for.
    pub(crate) query: Option<Query>,
    /// Its Spark jobs.
    pub(crate) tally: Tally,
}

/// A query that a running command asked for.
#[derive(Debug)]
pub(crate) enum Query {
    /// There is no SQL interpreter for it yet.
    Waiting(Bytes),
    /// It runs, under a name of its own.
    Running {
        /// Where.
        interpreter: InterpreterId,
        /// As what.
        command: CommandId,
    },
}

/// The attempt to stop a command, and how far it has come.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) why: Why,
    pub(crate) since: Instant,
    /// When it is interrupted again, and how long after that once more.
    pub(crate) again: (Instant, Duration),
}

/// Why a command is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// A user wants it.
    Cancelled,
    /// It has run for as long as it may.
    TimeIsUp(Duration),
}

/// One context.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) id: ContextId,
    /// The server has heard that it takes commands.
    pub(crate) announced: bool,
    /// The interpreters that are its own, at most one of a language.
    pub(crate) interpreters: HashMap<Language, InterpreterId>,
    pub(crate) queue: Queue<Source>,
    /// Where the queue's running command runs.
    pub(crate) run: Option<Run>,
}

impl Context {
    pub(crate) fn new(id: ContextId) -> Self {
        Self { id, announced: false, interpreters: HashMap::new(), queue: Queue::new(QUEUE_MAX), run: None }
    }

    /// What the next command is, when nothing runs.
    pub(crate) fn next(&self) -> Option<&Source> {
        self.queue.peek().map(|(_, source)| source)
    }

    /// Takes the next command out of the queue, not to run it.
    pub(crate) fn take_next(&mut self) -> Option<(CommandId, Source)> {
        let (command, source) = self.queue.start_next()?;
        self.queue.ended(command);
        Some((command, source))
    }

    /// The running command is over; returns where it ran. `None` for any other command.
    pub(crate) fn ended(&mut self, command: CommandId) -> Option<Run> {
        self.queue.ended(command).then(|| self.run.take()).flatten()
    }
}
