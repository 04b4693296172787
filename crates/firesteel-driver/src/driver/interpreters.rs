//! Interpreters: made ahead as spares, bound to a context when one is needed, and lost.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use firesteel_api::{CommandId, ContextId, Language};
use nix::sys::signal::Signal;

use crate::control::ControlLink;
use crate::driver::Driver;
use crate::driver::children::new_key;
use crate::driver::nodes::NodeId;
use crate::driver::r::Greeting;
use crate::interpreter::{Ended, InterpreterEvent, InterpreterHandle, Seen, Wishes};
use crate::live::Live;
use crate::output::Pipe;
use crate::printout::Printout;
use crate::process;
use crate::protocol::frame;
use crate::protocol::interpreters::{Answer, Gateway, Hello, InterpreterId, Role, ToJvm, ToPythonParent};
use crate::runtime::r;
use crate::stream::Stream;

/// How long the making of one interpreter may take. A Scala one takes up to 15 s on a busy machine of two cores.
const MAKING_DEADLINE: Duration = Duration::from_secs(180);

/// How long binding may take.
const BINDING_DEADLINE: Duration = Duration::from_secs(60);

/// How long, of the two signs that a process has ended, the second is awaited after the first.
const EXIT_DEADLINE: Duration = Duration::from_secs(1);

/// What is said of an interpreter whose connection ended while nothing tells why.
const HUNG_UP: &str = "it closed its connection";

/// A connection that was promised.
pub(super) struct Expected {
    pub(super) promise: Promise,
    /// Until when it may come; children's control connections are bounded by Spark's own deadline.
    pub(super) until: Option<Instant>,
}

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    Jvm,
    Python,
    Node(NodeId),
    Interpreter(InterpreterId),
}

/// One interpreter as the driver sees it.
pub(super) struct Interpreter {
    language: Language,
    phase: Phase,
    since: Instant,
    handle: Option<InterpreterHandle>,
    /// The named pipe of a Python or R interpreter until its connection has come.
    pub(super) pipe: Option<Pipe>,
    /// What waits for the connection of an R interpreter.
    greeting: Option<Greeting>,
    /// The process group of a Python or R interpreter.
    pub(super) group: Option<i32>,
    /// What is known of its end, once it has begun: it takes nothing more.
    end: Option<End>,
}

/// The two signs that a process has ended. Its connection may bring a last result and then its end; its parent
/// tells how it died. Either may come first, and the second is awaited for a moment.
struct End {
    since: Instant,
    hung_up: bool,
    how: Option<String>,
}

impl Interpreter {
    fn making(language: Language) -> Self {
        Self {
            language,
            phase: Phase::Making,
            since: Instant::now(),
            handle: None,
            pipe: None,
            greeting: None,
            group: None,
            end: None,
        }
    }

    /// Tells whether it is in this phase and alive.
    fn is(&self, phase: Phase) -> bool {
        self.phase == phase && self.end.is_none()
    }

    fn end(&mut self) -> &mut End {
        self.end.get_or_insert_with(|| End { since: Instant::now(), hung_up: false, how: None })
    }
}

/// Where an interpreter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Making,
    Spare,
    Binding(ContextId),
    Idle(ContextId),
    Busy(ContextId, CommandId),
}

impl Phase {
    fn context(self) -> Option<ContextId> {
        match self {
            Self::Making | Self::Spare => None,
            Self::Binding(context) | Self::Idle(context) | Self::Busy(context, _) => Some(context),
        }
    }
}

impl Driver {
    /// Makes what is missing and gives spares to those who wait.
    pub(super) fn balance_all(&mut self) {
        for language in Language::ALL {
            self.balance(language);
        }
    }

    pub(super) fn balance(&mut self, language: Language) {
        if !self.children.spark_is_up {
            return;
        }
        while let Some(spare) = self.spare(language) {
            let Some(context) = self.spares.next(language) else {
                break;
            };
            self.bind(spare, context);
        }
        if let Some(reason) = self.unavailable(language) {
            while let Some(context) = self.spares.next(language) {
                self.context_cannot_have(context, language, &reason);
            }
            return;
        }
        let count = |phase: Phase| {
            self.interpreters.values().filter(|other| other.language == language && other.is(phase)).count()
        };
        let (spares, making) = (count(Phase::Spare), count(Phase::Making));
        for _ in 0..self.spares.missing(language, spares, making, self.spec.spares, Instant::now()) {
            self.make(language);
        }
    }

    /// Why a language cannot be had at all, where that is so.
    pub(super) fn unavailable(&self, language: Language) -> Option<String> {
        match language {
            Language::Scala | Language::Sql => None,
            Language::Python => self.children.python_failed.clone(),
            Language::R => self.spec.r.is_none().then(|| r::MISSING.to_owned()),
        }
    }

    fn spare(&self, language: Language) -> Option<InterpreterId> {
        let mut spares =
            self.interpreters.iter().filter(|(_, other)| other.language == language && other.is(Phase::Spare));
        spares.next().map(|(id, _)| *id)
    }

    fn make(&mut self, language: Language) {
        if language == Language::R {
            return self.make_r();
        }
        // A Python interpreter waits for its parent's imports: not asked for before they are done.
        if language == Language::Python && self.children.python_control.is_none() {
            return;
        }
        let Some(jvm) = &self.children.jvm_control else {
            return;
        };
        self.interpreters_made += 1;
        let id = InterpreterId(self.interpreters_made);
        let key = new_key();
        let ask = match language {
            Language::Python => ToJvm::Gateway { interpreter: id },
            _ => ToJvm::Open { interpreter: id, language, key: key.clone() },
        };
        if !jvm.ask(ask) {
            // The JVM is gone or far behind; the next tick tries again.
            return;
        }
        if language != Language::Python {
            self.expect(key, id);
        }
        self.interpreters.insert(id, Interpreter::making(language));
    }

    fn make_r(&mut self) {
        self.interpreters_made += 1;
        let id = InterpreterId(self.interpreters_made);
        self.interpreters.insert(id, Interpreter::making(Language::R));
        match self.start_r(id) {
            Ok((key, started)) => {
                self.expect(key, id);
                if let Some(interpreter) = self.interpreters.get_mut(&id) {
                    interpreter.group = Some(started.group);
                    interpreter.pipe = Some(started.pipe);
                    interpreter.greeting = Some(started.greeting);
                }
            }
            Err(error) => self.lose(id, &format!("R cannot be started: {error}")),
        }
    }

    fn expect(&mut self, key: String, id: InterpreterId) {
        let until = Some(Instant::now() + MAKING_DEADLINE);
        self.expected.insert(key, Expected { promise: Promise::Interpreter(id), until });
    }

    /// The JVM listens for a Python interpreter: it can be forked.
    pub(super) fn gateway_ready(&mut self, id: InterpreterId, port: u16, token: String) {
        let Some(interpreter) = self.interpreters.get_mut(&id) else {
            return;
        };
        let path = self.spec.sockets.join(format!("python-{id}.pipe"));
        match Pipe::make(&path) {
            Ok(pipe) => interpreter.pipe = Some(pipe),
            Err(error) => {
                return self.lose(id, &format!("its output pipe cannot be made: {error}"));
            }
        }
        let key = new_key();
        self.expect(key.clone(), id);
        let output = path.to_string_lossy().into_owned();
        let (gateway, memory_bytes_max) = (Gateway { port, token }, self.spec.memory_bytes_max());
        let ask = ToPythonParent::Fork { interpreter: id, key, output, gateway, memory_bytes_max };
        let parent = self.children.python_control.as_ref();
        if parent.is_none_or(|parent| !parent.ask(ask)) {
            self.lose(id, "the parent of the Python processes is gone");
        }
    }

    pub(super) fn peer_arrived(&mut self, hello: Hello, stream: Stream) {
        let promised = self.expected.remove(&hello.key).map(|expected| expected.promise);
        let fits = match (&hello.role, promised) {
            (Role::Jvm, Some(Promise::Jvm)) | (Role::Python, Some(Promise::Python)) => true,
            (Role::Master, Some(Promise::Node(NodeId::Master))) => true,
            (Role::Worker { worker }, Some(Promise::Node(NodeId::Worker(number)))) => *worker == number,
            (Role::Interpreter { interpreter }, Some(Promise::Interpreter(id))) => {
                *interpreter == id && self.interpreters.contains_key(&id)
            }
            _ => false,
        };
        let limits = self.spec.limits;
        let answer = match fits {
            true if hello.is_current() => Answer::Welcome { limits },
            true => Answer::Refused { reason: "another version of the protocol".to_owned() },
            false => Answer::Refused { reason: "nobody is expected with this key".to_owned() },
        };
        // A small message into an empty socket: written at once, or the peer is not worth waiting for.
        let bytes = frame::encode(&answer, None).unwrap_or_default();
        let written = stream.write_now(&bytes).is_ok_and(|written| written == bytes.len());
        if !written || !matches!(answer, Answer::Welcome { .. }) {
            tracing::warn!("a connection as {:?} was refused", hello.role);
            if let Some(Promise::Interpreter(id)) = promised {
                self.lose(id, "its connection did not fit");
            }
            return;
        }
        match hello.role {
            Role::Jvm => self.children.jvm_control = Some(ControlLink::start(stream, self.channels.jvm.clone())),
            Role::Python => {
                self.children.python_control = Some(ControlLink::start(stream, self.channels.python.clone()));
                if let Some(parent) = &mut self.children.python {
                    parent.doom = None;
                }
                self.balance(Language::Python);
            }
            Role::Master => self.node_arrived(NodeId::Master, stream),
            Role::Worker { worker } => self.node_arrived(NodeId::Worker(worker), stream),
            Role::Interpreter { interpreter } => self.interpreter_arrived(interpreter, hello.pid, stream),
        }
    }

    fn interpreter_arrived(&mut self, id: InterpreterId, pid: i32, stream: Stream) {
        let Some(interpreter) = self.interpreters.get_mut(&id) else {
            return;
        };
        let reports = self.channels.interpreters.clone();
        let pipe = interpreter.pipe.take();
        interpreter.greeting = None;
        if interpreter.language == Language::Python {
            interpreter.group = Some(pid);
        }
        let live = Live::new(self.events.clone(), self.spec.output_bytes_max);
        let printout = Printout::new(self.secrets.clone(), self.spec.limits.text_chars_max, live);
        interpreter.handle = Some(InterpreterHandle::start(id, stream, pipe, printout, reports));
        interpreter.phase = Phase::Spare;
        interpreter.since = Instant::now();
        let language = interpreter.language;
        self.spares.made(language);
        self.balance(language);
    }

    fn bind(&mut self, id: InterpreterId, context: ContextId) {
        let Some(interpreter) = self.interpreters.get_mut(&id) else {
            return;
        };
        let Some(held) = self.contexts.get_mut(&context) else {
            return;
        };
        interpreter.phase = Phase::Binding(context);
        interpreter.since = Instant::now();
        held.interpreters.insert(interpreter.language, id);
        if interpreter.handle.as_ref().is_none_or(|handle| !handle.bind(context)) {
            self.lose(id, "its connection is gone");
        }
    }

    pub(super) fn interpreter_said(&mut self, id: InterpreterId, event: InterpreterEvent) {
        match event {
            InterpreterEvent::Bound => {
                let Some(interpreter) = self.interpreters.get_mut(&id) else {
                    return;
                };
                let Phase::Binding(context) = interpreter.phase else {
                    return;
                };
                interpreter.phase = Phase::Idle(context);
                self.context_has_interpreter(context);
            }
            InterpreterEvent::Query(text) => {
                let phase = self.interpreters.get(&id).map(|interpreter| interpreter.phase);
                if let Some(Phase::Busy(context, _)) = phase {
                    self.query_asked(id, context, text);
                }
            }
            InterpreterEvent::BindFailed(reason) | InterpreterEvent::Broken(reason) => self.lose(id, &reason),
            InterpreterEvent::HungUp => self.hung_up(id),
            InterpreterEvent::Done { command, ended, wishes } => {
                let Some(interpreter) = self.interpreters.get_mut(&id) else {
                    return;
                };
                let Phase::Busy(context, running) = interpreter.phase else {
                    return;
                };
                if running != command {
                    return;
                }
                interpreter.phase = Phase::Idle(context);
                let language = interpreter.language;
                self.grant(id, context, language, wishes);
                self.command_ended(context, command, ended);
            }
        }
    }

    /// Does what an interpreter of a context asked for at the end of a command.
    fn grant(&mut self, id: InterpreterId, context: ContextId, language: Language, wishes: Wishes) {
        if wishes.restart {
            self.discard(id);
        }
        let held = self.contexts.get(&context);
        if let Some(python) =
            held.filter(|_| wishes.restart_python).and_then(|held| held.interpreters.get(&Language::Python))
        {
            self.discard(*python);
        }
        if wishes.installed {
            self.renew_spares(language);
        }
    }

    /// Packages of a language have come or gone: interpreters that nobody has yet know the old ones.
    pub(super) fn renew_spares(&mut self, language: Language) {
        let unbound = |other: &Interpreter| other.language == language && other.phase.context().is_none();
        let spares = self.interpreters.iter().filter(|(_, other)| unbound(other)).map(|(id, _)| *id);
        for spare in spares.collect::<Vec<_>>() {
            self.discard(spare);
        }
        self.balance(language);
    }

    /// An interpreter's connection ended. Most likely its process has ended, or the one that has them all, and that will
    /// say more: it is awaited for a moment.
    fn hung_up(&mut self, id: InterpreterId) {
        let Some(interpreter) = self.interpreters.get_mut(&id) else {
            return;
        };
        interpreter.end().hung_up = true;
        let awaited = match interpreter.language {
            Language::Python => self.children.python.is_some(),
            Language::R => true,
            Language::Scala | Language::Sql => self.children.jvm.is_some(),
        };
        self.lose_if_over(id, if awaited { EXIT_DEADLINE } else { Duration::ZERO });
    }

    /// A Python or R process has ended. A result that it sent before may still be on its way from its connection, whose end
    /// is awaited for a moment.
    pub(super) fn process_ended(&mut self, id: InterpreterId, how: String) {
        let Some(interpreter) = self.interpreters.get_mut(&id) else {
            return;
        };
        interpreter.end().how = Some(how);
        let awaited = interpreter.handle.is_some();
        self.lose_if_over(id, if awaited { EXIT_DEADLINE } else { Duration::ZERO });
    }

    fn lose_if_over(&mut self, id: InterpreterId, patience: Duration) {
        let Some(end) = self.interpreters.get_mut(&id).and_then(|interpreter| interpreter.end.as_mut()) else {
            return;
        };
        if (end.hung_up && end.how.is_some()) || end.since.elapsed() >= patience {
            let reason = end.how.take().unwrap_or_else(|| HUNG_UP.to_owned());
            self.lose(id, &reason);
        }
    }

    /// Starts a command on a context's own interpreter. False when the interpreter is not ready for it.
    pub(super) fn start_on(
        &mut self,
        id: InterpreterId,
        command: CommandId,
        result: Option<PathBuf>,
        source: bytes::Bytes,
        seen: Seen,
    ) -> bool {
        let Some(interpreter) = self.interpreters.get_mut(&id) else {
            return false;
        };
        if let Phase::Idle(context) = interpreter.phase {
            interpreter.phase = Phase::Busy(context, command);
        }
        interpreter.handle.as_ref().is_some_and(|handle| handle.execute(command, result, source, seen))
    }

    /// Gives the running command of an interpreter what its query came to. False when the connection is gone.
    pub(super) fn answer_to(&self, id: InterpreterId, how: Ended) -> bool {
        let handle = self.interpreters.get(&id).and_then(|interpreter| interpreter.handle.as_ref());
        handle.is_some_and(|handle| handle.answer(how))
    }

    /// Tells whether an interpreter waits for a command.
    pub(super) fn is_idle(&self, id: InterpreterId) -> bool {
        let idle = |other: &Interpreter| other.end.is_none() && matches!(other.phase, Phase::Idle(_));
        self.interpreters.get(&id).is_some_and(idle)
    }

    /// Interrupts the command that an interpreter runs, as its language has it. A process cancels its Spark jobs
    /// itself, before it answers: an order of ours to the JVM could come late and stop the next command's.
    pub(super) fn interrupt(&mut self, id: InterpreterId, context: ContextId, command: CommandId) {
        let Some(interpreter) = self.interpreters.get(&id) else {
            return;
        };
        if interpreter.language == Language::R {
            self.interrupt_r(id, context);
        } else if let Some(group) = interpreter.group {
            process::signal(group, Signal::SIGINT);
        } else if let Some(jvm) = &self.children.jvm_control {
            jvm.ask(ToJvm::Cancel { context, interpreter: Some(id), command: Some(command) });
        }
    }

    /// Tells whether an interpreter is a process of its own, which can be killed.
    pub(super) fn is_process(&self, id: InterpreterId) -> bool {
        self.interpreters.get(&id).is_some_and(|interpreter| interpreter.group.is_some())
    }

    /// Lets an interpreter go: its connection is closed, its process killed, the JVM drops what it kept for it.
    /// Nothing is reported.
    pub(super) fn discard(&mut self, id: InterpreterId) {
        let Some(interpreter) = self.interpreters.remove(&id) else {
            return;
        };
        if let (Phase::Busy(..), Some(handle)) = (interpreter.phase, &interpreter.handle) {
            handle.last_words();
        }
        if let Some(context) = interpreter.phase.context().and_then(|context| self.contexts.get_mut(&context)) {
            context.interpreters.retain(|_, own| *own != id);
        }
        if let Some(group) = interpreter.group {
            process::signal_group(group, Signal::SIGKILL);
        }
        if let Some(jvm) = &self.children.jvm_control {
            jvm.ask(ToJvm::Forget { interpreter: id });
        }
    }

    /// An interpreter is lost, and with it what it ran.
    pub(super) fn lose(&mut self, id: InterpreterId, reason: &str) {
        let Some(interpreter) = self.interpreters.get(&id) else {
            return;
        };
        let (language, phase) = (interpreter.language, interpreter.phase);
        tracing::warn!("interpreter {id} ({language}) is lost: {reason}");
        self.discard(id);
        match phase {
            Phase::Making => {
                self.spares.failed(language, Instant::now());
                if let Some(context) = self.spares.next(language) {
                    self.context_cannot_have(context, language, reason);
                }
            }
            Phase::Binding(context) => self.context_cannot_have(context, language, reason),
            Phase::Spare => {}
            // A command may have come since its end began.
            Phase::Idle(context) => self.pump(context),
            Phase::Busy(context, command) => {
                // A process that is gone cannot cancel its Spark jobs any more.
                if let Some(jvm) = &self.children.jvm_control {
                    jvm.ask(ToJvm::Cancel { context, interpreter: None, command: None });
                }
                self.command_lost(context, command, language, reason);
            }
        }
        self.balance(language);
    }

    /// The parent is gone, and with it every Python interpreter. Who waits for one waits for the next parent.
    pub(super) fn lose_all_python(&mut self, reason: &str) {
        let python = |(id, other): (&InterpreterId, &Interpreter)| {
            (other.language == Language::Python).then_some((*id, other.phase))
        };
        for (id, phase) in self.interpreters.iter().filter_map(python).collect::<Vec<_>>() {
            match phase {
                Phase::Making => self.discard(id),
                _ => self.lose(id, reason),
            }
        }
    }

    pub(super) fn kill_interpreters(&mut self) {
        for id in self.interpreters.keys().copied().collect::<Vec<_>>() {
            self.discard(id);
        }
    }

    pub(super) fn check_deadlines(&mut self, now: Instant) {
        self.check_children(now);
        self.expected.retain(|_, expected| expected.until.is_none_or(|until| now < until));
        let late = |(id, other): (&InterpreterId, &Interpreter)| {
            let deadline = match other.phase {
                Phase::Making => MAKING_DEADLINE,
                Phase::Binding(_) => BINDING_DEADLINE,
                Phase::Spare | Phase::Idle(_) | Phase::Busy(..) => return None,
            };
            (now.duration_since(other.since) >= deadline).then_some((*id, deadline))
        };
        for id in self.interpreters.keys().copied().collect::<Vec<_>>() {
            self.lose_if_over(id, EXIT_DEADLINE);
        }
        for (id, deadline) in self.interpreters.iter().filter_map(late).collect::<Vec<_>>() {
            self.lose(id, &format!("it did not get ready within {deadline:?}"));
        }
    }
}
