//! Contexts: opened, given commands, and closed. One command of a context runs at a time; contexts run beside each other.

use std::time::{Duration, Instant};

use bytes::Bytes;
use firesteel_api::results::Results;
use firesteel_api::{CommandId, ContextId, Language};

use crate::context::{Accepted, Cancelling, Context, Queued, Running};
use crate::driver::Driver;
use crate::interpreter::Ended;
use crate::protocol::interpreters::ToJvm;
use crate::protocol::link::DriverEvent;

/// How often a command that was cancelled is interrupted again until it has stopped.
const INTERRUPT_EVERY: Duration = Duration::from_millis(500);

/// How long a cancelled command may go on before its interpreter is given up.
const CANCEL_DEADLINE: Duration = Duration::from_secs(15);

impl Driver {
    pub(super) fn open(&mut self, id: ContextId, language: Language) {
        if self.contexts.contains_key(&id) || self.ending.is_some() {
            return;
        }
        self.contexts.insert(id, Context::new(id));
        self.spares.want(language, id);
        self.balance(language);
    }

    pub(super) fn close(&mut self, id: ContextId) {
        let Some(context) = self.contexts.remove(&id) else {
            return;
        };
        self.spares.leave(id);
        for interpreter in context.interpreters.values() {
            if context.running.as_ref().is_some_and(|running| running.interpreter == *interpreter) {
                self.interrupt(*interpreter, id);
            }
            self.discard(*interpreter);
        }
        if let Some(jvm) = &self.children.jvm_control {
            let _ = jvm.try_send(ToJvm::CloseContext { context: id });
        }
        self.balance_all();
    }

    pub(super) fn execute(
        &mut self,
        id: ContextId,
        command: CommandId,
        sequence: u64,
        language: Language,
        source: Bytes,
    ) {
        let Some(context) = self.contexts.get_mut(&id) else {
            let reason = "its context is not known to the driver any more".to_owned();
            return self.report(DriverEvent::Lost { context: id, command, reason });
        };
        match context.accept(sequence, Queued { command, language, source }) {
            Accepted::Queued => self.pump(id),
            Accepted::Seen => {}
            Accepted::Full => {
                let reason = "the context's queue is full".to_owned();
                self.report(DriverEvent::Lost { context: id, command, reason });
            }
        }
    }

    pub(super) fn pump_all(&mut self) {
        for id in self.contexts.keys().copied().collect::<Vec<_>>() {
            self.pump(id);
        }
    }

    /// Starts a context's next command if it can be started now; else sees to it that it will be.
    pub(super) fn pump(&mut self, id: ContextId) {
        while !self.events.is_full() {
            let Some(context) = self.contexts.get_mut(&id) else {
                return;
            };
            let Some(language) = context.next_language() else {
                return;
            };
            if !context.announced {
                return;
            }
            match context.interpreters.get(&language).copied() {
                Some(interpreter) if self.is_idle(interpreter) => self.start_next(id, interpreter),
                Some(_) => return,
                None => {
                    self.spares.want(language, id);
                    return self.balance(language);
                }
            }
        }
    }

    fn start_next(&mut self, id: ContextId, interpreter: crate::protocol::interpreters::InterpreterId) {
        let Some(queued) = self.contexts.get_mut(&id).and_then(Context::pop) else {
            return;
        };
        let command = queued.command;
        self.report(DriverEvent::Started { context: id, command });
        if let Some(refusal) = refused(&queued.source) {
            let payload = Bytes::from(refusal.as_json().to_owned());
            self.events.push(DriverEvent::Finished { context: id, command }, Some(payload));
            return;
        }
        if let Some(context) = self.contexts.get_mut(&id) {
            context.running = Some(Running { command, interpreter, cancel: None });
        }
        if !self.start_on(interpreter, command, queued.source) {
            self.lose(interpreter, "its connection is gone");
        }
    }

    /// An interpreter of the context is ready.
    pub(super) fn context_has_interpreter(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        if !context.announced {
            context.announced = true;
            self.report(DriverEvent::ContextRunning { context: id });
        }
        self.pump(id);
    }

    /// An interpreter that a context waited for cannot be had: a context that was never ready is lost, another
    /// one loses the command that needed it.
    pub(super) fn context_cannot_have(&mut self, id: ContextId, language: Language, reason: &str) {
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        let reason = format!("the {language} interpreter cannot be had: {reason}");
        if !context.announced {
            self.report(DriverEvent::ContextFailed { context: id, reason });
            return self.close(id);
        }
        if context.next_language() == Some(language) {
            if let Some(queued) = context.pop() {
                self.report(DriverEvent::Lost { context: id, command: queued.command, reason });
            }
            self.pump(id);
        }
    }

    pub(super) fn command_ended(&mut self, id: ContextId, command: CommandId, ended: Ended) {
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        if context.running.take_if(|running| running.command == command).is_none() {
            return;
        }
        match ended {
            Ended::Results(results) => self.events.push(DriverEvent::Finished { context: id, command }, Some(results)),
            Ended::Cancelled => self.report(DriverEvent::Cancelled { context: id, command }),
        }
        self.pump(id);
    }

    pub(super) fn command_lost(&mut self, id: ContextId, command: CommandId, language: Language, reason: &str) {
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        let Some(running) = context.running.take_if(|running| running.command == command) else {
            return;
        };
        if running.cancel.is_some() {
            // It was to stop, and it has.
            self.report(DriverEvent::Cancelled { context: id, command });
        } else {
            let reason = format!(
                "{reason}. What the context's {language} interpreter held is lost; its next {language} command \
                 starts a fresh one"
            );
            self.report(DriverEvent::Lost { context: id, command, reason });
        }
        self.pump(id);
    }

    pub(super) fn cancel(&mut self, id: ContextId, command: CommandId) {
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        if context.remove(command).is_some() {
            return self.report(DriverEvent::Cancelled { context: id, command });
        }
        let now = Instant::now();
        if let Some(running) = context.running.as_mut().filter(|running| running.command == command) {
            let interpreter = running.interpreter;
            running.cancel.get_or_insert(Cancelling { since: now, asked_last: now });
            self.interrupt(interpreter, id);
        }
    }

    /// Interrupts cancelled commands again, and gives up interpreters that do not stop.
    pub(super) fn press_cancels(&mut self, now: Instant) {
        for id in self.contexts.keys().copied().collect::<Vec<_>>() {
            let Some(running) = self.contexts.get_mut(&id).and_then(|context| context.running.as_mut()) else {
                continue;
            };
            let interpreter = running.interpreter;
            let Some(cancel) = running.cancel.as_mut() else {
                continue;
            };
            if now.duration_since(cancel.since) >= CANCEL_DEADLINE {
                self.give_up(id, interpreter);
            } else if now.duration_since(cancel.asked_last) >= INTERRUPT_EVERY {
                cancel.asked_last = now;
                self.interrupt(interpreter, id);
            }
        }
    }

    /// Code that does not stop: its process is killed where it has one of its own; in the JVM, where threads cannot
    /// be killed, the context is given up and says so.
    fn give_up(&mut self, id: ContextId, interpreter: crate::protocol::interpreters::InterpreterId) {
        if self.is_process(interpreter) {
            return self.lose(interpreter, "it did not stop when it was interrupted, so its process was killed");
        }
        let Some(running) = self.contexts.get_mut(&id).and_then(|context| context.running.take()) else {
            return;
        };
        let reason = format!(
            "the code did not stop within {CANCEL_DEADLINE:?} of its cancel and may go on inside the JVM; the context \
             is lost, make a new one"
        );
        self.report(DriverEvent::Lost { context: id, command: running.command, reason: reason.clone() });
        self.report(DriverEvent::ContextFailed { context: id, reason });
        self.close(id);
    }
}

/// What is refused in every language (reference, section 5.4).
fn refused(source: &[u8]) -> Option<Results> {
    let first = source.trim_ascii_start();
    let word = first.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    (word == b"%run").then(|| {
        let text = "%run is not supported over this API: send the notebook's source as a command of its own";
        Results::error(text, text)
    })
}
