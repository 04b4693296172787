//! Queries that a running command asks for: R's `sql`. The context's own SQL interpreter runs them, so that R shares the
//! context's SparkSession.

use bytes::Bytes;
use firesteel_api::results::Results;
use firesteel_api::{CommandId, ContextId, Language};

use crate::context::{Query, Run};
use crate::driver::Driver;
use crate::interpreter::{Ended, Seen};
use crate::protocol::interpreters::{InterpreterId, Outcome, ToJvm};

impl Driver {
    /// A context's running command asks for a query.
    pub(super) fn query_asked(&mut self, asker: InterpreterId, id: ContextId, text: Bytes) {
        let Some(run) = self.contexts.get_mut(&id).and_then(|context| context.run.as_mut()) else {
            return;
        };
        if run.stop.is_some() {
            // Nothing is begun for a command that is to stop.
            self.answer_query(asker, Ended::Cancelled);
            return;
        }
        run.query = Some(Query::Waiting(text));
        self.pump_query(id);
    }

    /// Starts the query that a context's command waits for if it can be started now; else sees to it that it will be.
    pub(super) fn pump_query(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        let Some(Run { query: Some(Query::Waiting(text)), .. }) = &context.run else {
            return;
        };
        let text = text.clone();
        match context.interpreters.get(&Language::Sql).copied() {
            Some(interpreter) if self.is_idle(interpreter) => self.start_query(id, interpreter, text),
            // It is being bound.
            Some(_) => {}
            None => {
                self.spares.want(Language::Sql, id);
                self.balance(Language::Sql);
            }
        }
    }

    fn start_query(&mut self, id: ContextId, interpreter: InterpreterId, text: Bytes) {
        let command = CommandId::generate();
        if let Some(run) = self.contexts.get_mut(&id).and_then(|context| context.run.as_mut()) {
            run.query = Some(Query::Running { interpreter, command });
        }
        if !self.start_on(interpreter, command, None, text, Seen::No) {
            self.lose(interpreter, "its connection is gone");
        }
    }

    /// An interpreter has ended a command. If it was the context's query it is answered, else `how` comes back.
    pub(super) fn query_ended(&mut self, id: ContextId, ended: CommandId, how: Ended) -> Result<(), Ended> {
        let Some(run) = self.contexts.get_mut(&id).and_then(|context| context.run.as_mut()) else {
            return Err(how);
        };
        if !matches!(run.query, Some(Query::Running { command, .. }) if command == ended) {
            return Err(how);
        }
        let asker = run.interpreter;
        run.query = None;
        self.answer_query(asker, how);
        Ok(())
    }

    /// The query of a context cannot be had: its interpreter is lost, or cannot be made. Tells whether there was one.
    pub(super) fn query_failed(&mut self, id: ContextId, lost: Option<CommandId>, reason: &str) -> bool {
        let Some(run) = self.contexts.get_mut(&id).and_then(|context| context.run.as_mut()) else {
            return false;
        };
        let is_it = match &run.query {
            Some(Query::Waiting(_)) => lost.is_none(),
            Some(Query::Running { command, .. }) => lost == Some(*command),
            None => false,
        };
        if is_it {
            let (asker, cancelled) = (run.interpreter, run.stop.is_some());
            run.query = None;
            let text = format!("the query was lost: {reason}");
            let json = Bytes::from(Results::error(&*text, &*text).as_json().to_owned());
            let how = if cancelled { Ended::Cancelled } else { Ended::Results(Outcome::Error, json) };
            self.answer_query(asker, how);
        }
        is_it
    }

    /// The command that a query was asked by is over: nobody waits for it any more. Its interpreter holds nothing that
    /// the session does not, so another takes its place.
    pub(super) fn abandon_query(&mut self, id: ContextId, run: Run) {
        if let Some(Query::Running { interpreter, command }) = run.query {
            self.interrupt(interpreter, id, command);
            self.discard(interpreter);
        }
    }

    /// Cancels the query that an interpreter's command waits for, if it waits for one.
    pub(super) fn cancel_query(&mut self, id: ContextId, asker: InterpreterId) {
        let Some(run) = self.contexts.get_mut(&id).and_then(|context| context.run.as_mut()) else {
            return;
        };
        if run.interpreter != asker {
            return;
        }
        match &run.query {
            Some(Query::Running { interpreter, command }) => {
                if let Some(jvm) = &self.children.jvm_control {
                    let (interpreter, command) = (Some(*interpreter), Some(*command));
                    jvm.ask(ToJvm::Cancel { context: id, interpreter, command });
                }
            }
            Some(Query::Waiting(_)) => {
                run.query = None;
                self.answer_query(asker, Ended::Cancelled);
            }
            None => {}
        }
    }

    fn answer_query(&mut self, asker: InterpreterId, how: Ended) {
        if !self.answer_to(asker, how) {
            self.lose(asker, "its connection is gone");
        }
    }
}
