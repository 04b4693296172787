//! Contexts: opened, given commands, and closed. One command of a context runs at a time; contexts run beside each other.
//! How a command is stopped is in `stops`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use firesteel_api::results::Results;
use firesteel_api::{CommandId, ContextId, Language};
use firesteel_model::queue::Pushed;

use crate::context::{Context, Run, Source};
use crate::driver::Driver;
use crate::interpreter::{Ended, Seen};
use crate::magics::{self, Routed};
use crate::progress::Tally;
use crate::protocol::interpreters::{InterpreterId, JobProgress, ToJvm};
use crate::protocol::link::DriverEvent;
use crate::runtime::r;

impl Driver {
    pub(super) fn open(&mut self, id: ContextId, language: Language) {
        if self.contexts.contains_key(&id) || self.ending.is_some() {
            return;
        }
        self.contexts.insert(id, Context::new(id));
        self.results.open(id);
        self.spares.want(language, id);
        self.balance(language);
    }

    pub(super) fn close(&mut self, id: ContextId) {
        let Some(context) = self.contexts.remove(&id) else {
            return;
        };
        self.spares.leave(id);
        self.progress.forget(id);
        for interpreter in context.interpreters.values() {
            if let (Some(run), Some(command)) = (&context.run, context.queue.running())
                && run.interpreter == *interpreter
            {
                self.interrupt(*interpreter, id, command);
            }
            self.discard(*interpreter);
        }
        if let Some(jvm) = &self.children.jvm_control {
            jvm.ask(ToJvm::CloseContext { context: id });
        }
        self.results.close(id);
        self.balance_all();
    }

    pub(super) fn execute(
        &mut self,
        id: ContextId,
        command: CommandId,
        sequence: u64,
        language: Language,
        text: Bytes,
        limit: Option<Duration>,
    ) {
        let Some(context) = self.contexts.get_mut(&id) else {
            let reason = "its context is not known to the driver any more".to_owned();
            return self.report(DriverEvent::Lost { context: id, command, reason });
        };
        let source = match magics::route(language, text, self.spec.limits.text_chars_max) {
            Routed::Code(Language::R, _) if self.spec.r.is_none() => {
                Source::Answer(Results::error(r::MISSING, r::MISSING))
            }
            Routed::Code(language, text) => Source::Code { language, text, limit },
            Routed::Answer(results) => Source::Answer(results),
        };
        match context.queue.push(sequence, command, source) {
            Ok(Pushed::Waiting) => self.pump(id),
            Ok(Pushed::Repeated) => {}
            Err(refused) => self.report(DriverEvent::Lost { context: id, command, reason: refused.to_string() }),
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
            if !context.announced {
                return;
            }
            let language = match context.next() {
                Some(Source::Code { language, .. }) => *language,
                Some(Source::Answer(_)) => {
                    self.answer_next(id);
                    continue;
                }
                None => return,
            };
            match context.interpreters.get(&language).copied() {
                Some(interpreter) if self.is_idle(interpreter) => self.start_next(id, interpreter),
                Some(_) => return,
                None => match self.unavailable(language) {
                    Some(reason) => self.next_cannot_run(id, language, &reason),
                    None => {
                        self.spares.want(language, id);
                        return self.balance(language);
                    }
                },
            }
        }
    }

    fn start_next(&mut self, id: ContextId, interpreter: InterpreterId) {
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        let Some((command, Source::Code { text, limit, .. })) = context.queue.start_next() else {
            return;
        };
        let result = self.results.file(id, command);
        let ends_by = limit.map(|limit| (Instant::now() + limit, limit));
        context.run = Some(Run { interpreter, ends_by, stop: None, query: None, tally: Tally::begin() });
        self.report(DriverEvent::Started { context: id, command });
        if !self.start_on(interpreter, command, Some(result), text, Seen::Yes) {
            self.lose(interpreter, "its connection is gone");
        }
    }

    /// Answers the next command, which has nothing to run.
    fn answer_next(&mut self, id: ContextId) {
        let Some((command, Source::Answer(results))) = self.contexts.get_mut(&id).and_then(Context::take_next) else {
            return;
        };
        self.report(DriverEvent::Started { context: id, command });
        let payload = Bytes::from(results.as_json().to_owned());
        self.events.push(DriverEvent::Finished { context: id, command }, Some(payload));
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
        self.pump_query(id);
        self.pump(id);
    }

    /// An interpreter that a context waited for cannot be had: a context that was never ready is lost, another
    /// one loses the command that needed it.
    pub(super) fn context_cannot_have(&mut self, id: ContextId, language: Language, reason: &str) {
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        if !context.announced {
            self.report(DriverEvent::ContextFailed { context: id, reason: cannot_be_had(language, reason) });
            return self.close(id);
        }
        if language == Language::Sql && self.query_failed(id, None, reason) {
            return;
        }
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        if matches!(context.next(), Some(Source::Code { language: next, .. }) if *next == language) {
            self.next_cannot_run(id, language, reason);
            self.pump(id);
        }
    }

    fn next_cannot_run(&mut self, id: ContextId, language: Language, reason: &str) {
        if let Some((command, _)) = self.contexts.get_mut(&id).and_then(Context::take_next) {
            self.report(DriverEvent::Lost { context: id, command, reason: cannot_be_had(language, reason) });
        }
    }

    pub(super) fn command_ended(&mut self, id: ContextId, command: CommandId, ended: Ended) {
        let Err(ended) = self.query_ended(id, command, ended) else {
            return;
        };
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        let Some(run) = context.ended(command) else {
            return;
        };
        let stopped = run.stop.as_ref().map(|stop| stop.why);
        self.abandon_query(id, run);
        self.report_end(id, command, stopped, ended);
        self.pump(id);
    }

    pub(super) fn command_lost(&mut self, id: ContextId, command: CommandId, language: Language, reason: &str) {
        if self.query_failed(id, Some(command), reason) {
            return;
        }
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        let Some(run) = context.ended(command) else {
            return;
        };
        let reason = format!(
            "{reason}. What the context's {language} interpreter held is lost; its next {language} command starts a \
             fresh one"
        );
        match run.stop.as_ref().map(|stop| stop.why) {
            Some(why) => self.report_killed(id, command, why, &reason),
            None => self.report(DriverEvent::Lost { context: id, command, reason }),
        }
        self.abandon_query(id, run);
        self.pump(id);
    }

    /// The JVM tells how far a Spark job of a context is.
    pub(super) fn job_progressed(&mut self, id: ContextId, job: JobProgress) {
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        if let (Some(run), Some(command)) = (context.run.as_mut(), context.queue.running())
            && let Some(progress) = run.tally.take(job)
        {
            self.progress.put(id, command, progress);
        }
    }
}

fn cannot_be_had(language: Language, reason: &str) -> String {
    format!("the {language} interpreter cannot be had: {reason}")
}
