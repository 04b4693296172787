//! One context as the driver holds it: its queue, what it runs, and its interpreters.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use firesteel_api::{CommandId, ContextId, Language};

use crate::protocol::interpreters::InterpreterId;

/// How many commands of one context may wait. The server refuses earlier; this bounds a server that does not.
pub(crate) const QUEUE_MAX: usize = 10_000;

/// A command that waits.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) command: CommandId,
    pub(crate) language: Language,
    pub(crate) source: Bytes,
}

/// The command that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) command: CommandId,
    pub(crate) interpreter: InterpreterId,
    pub(crate) cancel: Option<Cancelling>,
}

/// How far the attempt to stop a command has come.
#[derive(Debug)]
pub(crate) struct Cancelling {
    pub(crate) since: Instant,
    pub(crate) asked_last: Instant,
}

/// What became of a command that was sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// It waits.
    Queued,
    /// It was taken before.
    Seen,
    /// The queue is full.
    Full,
}

/// One context.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) id: ContextId,
    /// The server has heard that it takes commands.
    pub(crate) announced: bool,
    /// The interpreters that are its own, at most one of a language.
    pub(crate) interpreters: HashMap<Language, InterpreterId>,
    pub(crate) running: Option<Running>,
    queue: VecDeque<Queued>,
    accepted: u64,
}

impl Context {
    pub(crate) fn new(id: ContextId) -> Self {
        Self { id, announced: false, interpreters: HashMap::new(), running: None, queue: VecDeque::new(), accepted: 0 }
    }

    /// The sequence number of the last command that was taken.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Takes a command once: one whose number is not above all others was taken before.
    pub(crate) fn accept(&mut self, sequence: u64, queued: Queued) -> Accepted {
        if sequence <= self.accepted {
            return Accepted::Seen;
        }
        self.accepted = sequence;
        if self.queue.len() >= QUEUE_MAX {
            return Accepted::Full;
        }
        self.queue.push_back(queued);
        Accepted::Queued
    }

    /// The language that the next command needs, when nothing runs.
    pub(crate) fn next_language(&self) -> Option<Language> {
        match self.running {
            Some(_) => None,
            None => self.queue.front().map(|queued| queued.language),
        }
    }

    /// Takes the next command out of the queue.
    pub(crate) fn pop(&mut self) -> Option<Queued> {
        self.queue.pop_front()
    }

    /// Takes one command out of the queue, wherever it stands.
    pub(crate) fn remove(&mut self, command: CommandId) -> Option<Queued> {
        let place = self.queue.iter().position(|queued| queued.command == command)?;
        self.queue.remove(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued() -> Queued {
        Queued { command: CommandId::generate(), language: Language::Sql, source: Bytes::new() }
    }

    #[test]
    fn a_command_that_comes_twice_is_taken_once() {
        let mut context = Context::new(ContextId::generate());
        assert_eq!(context.accept(1, queued()), Accepted::Queued);
        assert_eq!(context.accept(2, queued()), Accepted::Queued);
        assert_eq!(context.accept(1, queued()), Accepted::Seen);
        assert_eq!(context.accept(2, queued()), Accepted::Seen);
        assert_eq!(context.accepted(), 2);
        assert!(context.pop().is_some() && context.pop().is_some() && context.pop().is_none());
    }

    #[test]
    fn a_cancelled_command_leaves_the_queue_and_the_others_keep_their_order() {
        let mut context = Context::new(ContextId::generate());
        let ids: Vec<CommandId> = (1..=3)
            .map(|sequence| {
                let queued = queued();
                let id = queued.command;
                context.accept(sequence, queued);
                id
            })
            .collect();
        assert!(context.remove(ids[1]).is_some());
        assert!(context.remove(ids[1]).is_none());
        assert_eq!(context.pop().map(|queued| queued.command), Some(ids[0]));
        assert_eq!(context.pop().map(|queued| queued.command), Some(ids[2]));
    }
}
