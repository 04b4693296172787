//! The driver's task: the only owner of contexts, interpreters and children.
//!
//! Every event — a request of the server, an answer of an interpreter, the end of a child — is handled here, one
//! at a time and without waiting. Slow things are tasks of their own that report back. The parts:
//!
//! - `children`: the JVM and the Python parent, from start to end.
//! - `endings`: the words for how Spark's JVM ended.
//! - `nodes`: the Master and the Workers of a cluster with workers on this machine.
//! - `executors`: how many executors there are, and what a resize comes to.
//! - `interpreters`: from a wish for one to its binding, and its loss.
//! - `r`: the processes of R interpreters.
//! - `contexts`: opening, queueing, running, closing.
//! - `stops`: cancels and time limits.
//! - `environment`: where the cluster's own Python packages are.
//! - `libraries`: what is installed for the cluster, one after the other.
//! - `logins`: who may use JDBC, as the server says, and how much of it is in use.
//! - `master`: the Master of an existing standalone cluster, and its loss.
//! - `queries`: what a running command has answered by the context's SQL interpreter.
//! - `secrets`: what user code asks the server about secrets.

mod children;
mod contexts;
mod endings;
mod environment;
mod executors;
mod interpreters;
mod libraries;
mod logins;
mod master;
mod nodes;
mod queries;
mod r;
mod secrets;
mod stops;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use firesteel_api::{CommandId, ContextId};
use nix::sys::signal::Signal;
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::context::Context;
use crate::control::Control;
use crate::driver::children::{Child, Children};
use crate::driver::executors::Executors;
use crate::driver::interpreters::{Expected, Interpreter};
use crate::driver::libraries::{Installed, Libraries};
use crate::driver::nodes::{NodeId, Nodes};
use crate::driver::r::ReportR;
use crate::events::Events;
use crate::holder;
use crate::interpreter::InterpreterEvent;
use crate::link::{self, Link, LinkEvent, Said, Welcome};
use crate::listen;
use crate::process;
use crate::progress::Latest;
use crate::protocol::VERSION;
use crate::protocol::interpreters::{FromJvm, FromNode, FromPythonParent, Hello, InterpreterId};
use crate::protocol::link::{DriverEvent, HeldContext, ToDriver};
use crate::redact::Secrets;
use crate::results::{self, Readers, ResultsFolder};
use crate::spares::Spares;
use crate::spec::DriverSpec;
use crate::stream::Stream;

/// How many reports of one kind may wait for the driver's task; whoever sends more waits.
const REPORTS_MAX: usize = 1024;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(100);

/// How often results on disk are held to their bound.
const MAKE_ROOM_EVERY: Duration = Duration::from_secs(1);

/// How long the server may take to acknowledge the last events of a driver that ends by itself.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// How long processes that were killed may take to be gone, after everything else is.
const SWEEP_DEADLINE: Duration = Duration::from_secs(5);

/// How often they are looked for meanwhile.
const SWEEP_EVERY: Duration = Duration::from_millis(10);

/// How long a reason may be, in bytes; longer ones lose their end.
const REASON_BYTES_MAX: usize = 16 << 10;

/// How many messages are told of one library.
const MESSAGES_MAX: usize = 20;

/// Runs a driver to its end. Must be called on the main thread, in a runtime of that one thread: the children
/// are tied to the thread that starts them.
pub async fn run(spec: DriverSpec) -> io::Result<()> {
    let generation = format!("{:032x}", rand::random::<u128>());
    let mark = format!("{}-{generation}", spec.cluster);
    listen::private_folder(&spec.folder)?;
    listen::private_folder(&spec.sockets)?;
    let _held = holder::hold(&spec.folder).await?;
    let link_listener = listen::bind(&spec.link_socket())?;
    let interpreters_listener = listen::bind(&spec.interpreters_socket())?;
    // Written before any child exists: whoever finds this driver dead can find its children by the mark.
    std::fs::write(spec.folder.join("mark"), &mark)?;

    let (servers, server_arrivals) = mpsc::channel(16);
    let (peers, peer_arrivals) = mpsc::channel(REPORTS_MAX);
    tokio::spawn(listen::greet::<ToDriver>(link_listener, servers));
    tokio::spawn(listen::greet::<Hello>(interpreters_listener, peers));

    let (channels, inboxes) = channels();
    let secrets = Secrets::default();
    let mut driver = Driver {
        generation,
        mark,
        events: Events::default(),
        progress: Latest::default(),
        results: ResultsFolder::make(&spec.folder, spec.results_bytes_max)?,
        readers: Readers::new(secrets.clone()),
        room_made: Instant::now(),
        channels,
        contexts: HashMap::new(),
        interpreters: HashMap::new(),
        interpreters_made: 0,
        expected: HashMap::new(),
        spares: Spares::default(),
        children: Children::default(),
        libraries: Libraries::default(),
        executors: Executors::wanting(spec.executors.as_ref().map_or(0, |own| own.count)),
        nodes: Nodes::default(),
        master_due: None,
        statements: watch::Sender::default(),
        link: None,
        links_made: 0,
        alone_since: Instant::now(),
        ending: None,
        secrets,
        secret_asks: secrets::Waiting::default(),
        spec,
    };
    r::clear(&driver.spec.folder);
    environment::clear(&driver.spec)?;
    libraries::clear(&driver.spec)?;
    driver.install_first();
    driver.start_children();
    driver.serve(inboxes, server_arrivals, peer_arrivals).await?;
    driver.end().await;
    Ok(())
}

/// Where tasks report to.
struct Channels {
    link: mpsc::Sender<LinkEvent>,
    jvm: mpsc::Sender<Control<FromJvm>>,
    python: mpsc::Sender<Control<FromPythonParent>>,
    nodes: mpsc::Sender<(NodeId, Control<FromNode>)>,
    interpreters: mpsc::Sender<(InterpreterId, InterpreterEvent)>,
    exits: mpsc::Sender<(Child, ExitStatus)>,
    r: mpsc::Sender<(InterpreterId, ReportR)>,
    installers: mpsc::Sender<(u64, Installed)>,
}

struct Inboxes {
    link: mpsc::Receiver<LinkEvent>,
    jvm: mpsc::Receiver<Control<FromJvm>>,
    python: mpsc::Receiver<Control<FromPythonParent>>,
    nodes: mpsc::Receiver<(NodeId, Control<FromNode>)>,
    interpreters: mpsc::Receiver<(InterpreterId, InterpreterEvent)>,
    exits: mpsc::Receiver<(Child, ExitStatus)>,
    r: mpsc::Receiver<(InterpreterId, ReportR)>,
    installers: mpsc::Receiver<(u64, Installed)>,
}

fn channels() -> (Channels, Inboxes) {
    let (link, link_inbox) = mpsc::channel(REPORTS_MAX);
    let (jvm, jvm_inbox) = mpsc::channel(REPORTS_MAX);
    let (python, python_inbox) = mpsc::channel(REPORTS_MAX);
    let (nodes, nodes_inbox) = mpsc::channel(REPORTS_MAX);
    let (interpreters, interpreters_inbox) = mpsc::channel(REPORTS_MAX);
    let (exits, exits_inbox) = mpsc::channel(16);
    let (r, r_inbox) = mpsc::channel(REPORTS_MAX);
    let (installers, installers_inbox) = mpsc::channel(16);
    (
        Channels { link, jvm, python, nodes, interpreters, exits, r, installers },
        Inboxes {
            link: link_inbox,
            jvm: jvm_inbox,
            python: python_inbox,
            nodes: nodes_inbox,
            interpreters: interpreters_inbox,
            exits: exits_inbox,
            r: r_inbox,
            installers: installers_inbox,
        },
    )
}

struct Driver {
    spec: DriverSpec,
    generation: String,
    mark: String,
    events: Events,
    progress: Latest,
    results: ResultsFolder,
    readers: Readers,
    /// When room for results was last made.
    room_made: Instant,
    channels: Channels,
    contexts: HashMap<ContextId, Context>,
    interpreters: HashMap<InterpreterId, Interpreter>,
    interpreters_made: u64,
    /// Connections that were promised, by the word they will say.
    expected: HashMap<String, Expected>,
    spares: Spares,
    children: Children,
    libraries: Libraries,
    executors: Executors,
    nodes: Nodes,
    /// When a Master that is gone is given up.
    master_due: Option<Instant>,
    /// How many statements JDBC runs.
    statements: watch::Sender<usize>,
    link: Option<Link>,
    links_made: u64,
    /// Since when there is no server; meaningless while there is one.
    alone_since: Instant,
    /// Since when this driver only waits for its last events to be taken.
    ending: Option<Instant>,
    /// The values that user code was told, which nothing it prints may show.
    secrets: Secrets,
    secret_asks: secrets::Waiting,
}

enum Event {
    Server(ToDriver, UnixStream),
    Peer(Hello, UnixStream),
    Link(LinkEvent),
    Jvm(Control<FromJvm>),
    Python(Control<FromPythonParent>),
    Node(NodeId, Control<FromNode>),
    Interpreter(InterpreterId, InterpreterEvent),
    Exited(Child, ExitStatus),
    R(InterpreterId, ReportR),
    Installed(u64, Installed),
    Tick,
    Press,
    Stop,
}

impl Driver {
    async fn serve(
        &mut self,
        mut inboxes: Inboxes,
        mut servers: mpsc::Receiver<(ToDriver, UnixStream)>,
        mut peers: mpsc::Receiver<(Hello, UnixStream)>,
    ) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        // Caught and passed over: the terminal of a server that is gone is no reason to end.
        let _hangup = signal(SignalKind::hangup())?;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // What stops at the third interrupt shall not wait for three ticks.
            let press = self.next_press();
            let event = tokio::select! {
                biased; // a cancel before more output; a child's last words before its exit
                _ = terminate.recv() => Event::Stop,
                _ = interrupt.recv() => Event::Stop,
                Some(event) = inboxes.link.recv() => Event::Link(event),
                Some((hello, stream)) = servers.recv() => Event::Server(hello, stream),
                Some((id, event)) = inboxes.interpreters.recv() => Event::Interpreter(id, event),
                Some(said) = inboxes.jvm.recv() => Event::Jvm(said),
                Some(said) = inboxes.python.recv() => Event::Python(said),
                Some((id, said)) = inboxes.nodes.recv() => Event::Node(id, said),
                Some((hello, stream)) = peers.recv() => Event::Peer(hello, stream),
                Some((id, said)) = inboxes.r.recv() => Event::R(id, said),
                Some((number, outcome)) = inboxes.installers.recv() => Event::Installed(number, outcome),
                Some((child, status)) = inboxes.exits.recv() => Event::Exited(child, status),
                _ = ticks.tick() => Event::Tick,
                () = until(press), if press.is_some() => Event::Press,
            };
            if self.handle(event).is_break() {
                return Ok(());
            }
        }
    }

    fn handle(&mut self, event: Event) -> ControlFlow<()> {
        match event {
            Event::Stop => return ControlFlow::Break(()),
            Event::Server(hello, stream) => self.server_arrived(hello, stream),
            Event::Link(LinkEvent::Asked(number, ask, payload)) => {
                if self.link.as_ref().is_some_and(|link| link.is(number)) {
                    return self.asked(ask, payload);
                }
            }
            Event::Link(LinkEvent::Ended(number)) => {
                if self.link.as_ref().is_some_and(|link| link.is(number)) {
                    tracing::info!("the server went away; waiting for it");
                    self.link = None;
                    self.alone_since = Instant::now();
                }
            }
            Event::Peer(hello, stream) => self.peer_arrived(hello, Stream::Socket(stream)),
            Event::R(id, said) => self.r_said(id, said),
            Event::Installed(number, outcome) => self.installer_ended(number, outcome),
            Event::Jvm(said) => self.jvm_said(said),
            Event::Python(said) => self.python_said(said),
            Event::Node(id, said) => self.node_said(id, said),
            Event::Interpreter(id, event) => self.interpreter_said(id, event),
            Event::Exited(child, status) => self.child_exited(child, status),
            Event::Tick => return self.tick(),
            Event::Press => self.press_stops(Instant::now()),
        }
        ControlFlow::Continue(())
    }

    fn server_arrived(&mut self, hello: ToDriver, stream: UnixStream) {
        let reason = match hello {
            ToDriver::Hello { version, .. } if version != VERSION => {
                format!("this driver speaks version {VERSION} of the protocol, the server {version}")
            }
            ToDriver::Hello { cluster, .. } if cluster != self.spec.cluster => {
                format!("this is the driver of cluster {}", self.spec.cluster)
            }
            ToDriver::Hello { .. } => {
                self.links_made += 1;
                let mut contexts: Vec<HeldContext> = self.contexts.values().map(held).collect();
                contexts.sort_by_key(|held| held.context);
                let welcome =
                    Welcome { cluster: self.spec.cluster.clone(), generation: self.generation.clone(), contexts };
                let reports = self.channels.link.clone();
                let (events, progress) = (self.events.clone(), self.progress.clone());
                let said = Said { events, progress, statements: self.statements() };
                self.link = Some(Link::start(self.links_made, stream, welcome, said, reports));
                return;
            }
            ToDriver::Read { version: VERSION, cluster, context, command, offset } if cluster == self.spec.cluster => {
                return self.read(stream, context, command, offset);
            }
            _ => "a connection begins with `hello`".to_owned(),
        };
        tokio::spawn(link::refuse(stream, reason));
    }

    fn read(&self, stream: UnixStream, context: ContextId, command: CommandId, offset: u64) {
        if self.contexts.contains_key(&context) {
            self.readers.serve(stream, self.results.file(context, command), offset);
        } else {
            tokio::spawn(results::absent(stream, "its context is gone".to_owned()));
        }
    }

    fn asked(&mut self, ask: ToDriver, payload: Option<bytes::Bytes>) -> ControlFlow<()> {
        match ask {
            ToDriver::Hello { .. } | ToDriver::Read { .. } => tracing::warn!("the server began a connection twice"),
            ToDriver::Open { context, language } => self.open(context, language),
            ToDriver::Execute { context, command, sequence, language, timeout_seconds } => {
                let limit = self.limit_of(timeout_seconds);
                self.execute(context, command, sequence, language, payload.unwrap_or_default(), limit);
            }
            ToDriver::Cancel { context, command } => self.cancel(context, command),
            ToDriver::Close { context } => self.close(context),
            ToDriver::Ack { event } => {
                let was_full = self.events.is_full();
                self.events.acknowledge(event);
                if was_full && !self.events.is_full() {
                    self.pump_all();
                }
            }
            ToDriver::Resize { executors, executors_max } => self.resize(executors, executors_max),
            ToDriver::Install { library } => self.install(library),
            ToDriver::SecretAnswer(answer) => self.secret_answered(answer),
            ToDriver::LoginAnswer { login, right } => self.login_answered(login, right),
            ToDriver::Stop {} => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn tick(&mut self) -> ControlFlow<()> {
        let now = Instant::now();
        let orphan = Duration::from_secs(self.spec.orphan_seconds);
        if self.link.is_none() && now.duration_since(self.alone_since) >= orphan {
            tracing::warn!("no server came for {orphan:?}; ending");
            return ControlFlow::Break(());
        }
        if let Some(since) = self.ending {
            // With a server there, its word is awaited for a moment only; without one, as long as for any server.
            let heard = self.events.is_empty();
            if heard || (self.link.is_some() && now.duration_since(since) >= LAST_WORDS) {
                return ControlFlow::Break(());
            }
        }
        self.check_deadlines(now);
        self.check_libraries(now);
        self.check_size(now);
        self.check_master(now);
        self.press_stops(now);
        self.check_secret_asks(now);
        self.balance_all();
        if now.duration_since(self.room_made) >= MAKE_ROOM_EVERY {
            self.room_made = now;
            self.results.make_room();
        }
        ControlFlow::Continue(())
    }

    fn report(&self, mut what: DriverEvent) {
        use DriverEvent::{ContextFailed, Failed, Library, Lost, Resized};
        if let Failed { reason, .. }
        | ContextFailed { reason, .. }
        | Lost { reason, .. }
        | Resized { reason: Some(reason), .. } = &mut what
        {
            reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        }
        if let Library { messages, .. } = &mut what {
            messages.truncate(MESSAGES_MAX);
            messages.iter_mut().for_each(|text| text.truncate(text.floor_char_boundary(REASON_BYTES_MAX)));
        }
        self.events.push(what, None);
    }

    /// Ends every child and whatever they left behind, and returns when all are gone. The connection to the server
    /// stays until then: its end says that nothing is left.
    async fn end(&mut self) {
        self.end_children().await;
        for pid in self.interpreters.values().filter_map(|interpreter| interpreter.group) {
            process::signal_group(pid, Signal::SIGKILL);
        }
        let end = Instant::now() + SWEEP_DEADLINE;
        while process::sweep(&self.mark) > 0 && Instant::now() < end {
            tokio::time::sleep(SWEEP_EVERY).await;
        }
        self.reap_r().await;
        if let Err(error) = self.results.remove() {
            tracing::warn!("the results were not removed: {error}");
        }
        let _ = std::fs::remove_file(self.spec.link_socket());
        let _ = std::fs::remove_file(self.spec.interpreters_socket());
        let _ = std::fs::remove_file(self.spec.folder.join("mark"));
    }
}

fn held(context: &Context) -> HeldContext {
    HeldContext { context: context.id, accepted: context.queue.accepted() }
}

/// Waits until then; for ever, if there is no such moment.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
