//! The server's end of the connection to a driver.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use firesteel_api::ClusterId;
use firesteel_driver::protocol::VERSION;
use firesteel_driver::protocol::frame;
use firesteel_driver::protocol::link::{DriverEvent, FromDriver, HeldContext, ToDriver};
use firesteel_store::Store;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::engine::board::Board;
use crate::engine::launch::Launcher;
use crate::engine::secrets;

/// How long a driver may take to answer `hello`.
const WELCOME_DEADLINE: Duration = Duration::from_secs(10);

/// How long a driver may read nothing while there is something to read.
const READ_DEADLINE: Duration = Duration::from_secs(10);

/// How many messages to a driver may wait to be written.
const OUT_MAX: usize = 4096;

/// How many events are read ahead of the store.
const EVENTS_AHEAD: usize = 256;

/// One event as it arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) number: u64,
    pub(crate) what: DriverEvent,
    pub(crate) payload: Option<Bytes>,
}

/// A connection to a driver. Dropping it closes it.
pub(crate) struct Link {
    pub(crate) generation: String,
    pub(crate) contexts: Vec<HeldContext>,
    pub(crate) pid: i32,
    out: mpsc::Sender<(ToDriver, Option<Bytes>)>,
    events: mpsc::Receiver<Arrived>,
}

impl Link {
    /// Connects and says hello. What is not to be stored goes to the board at once.
    pub(crate) async fn connect(
        socket: &Path,
        cluster: &ClusterId,
        store: &Store,
        board: &Arc<Board>,
        launcher: &Arc<dyn Launcher>,
    ) -> io::Result<Self> {
        let stream = UnixStream::connect(socket).await?;
        let greeting = Self::greet(stream, cluster, store.clone(), board.clone(), launcher.clone());
        match tokio::time::timeout(WELCOME_DEADLINE, greeting).await {
            Ok(link) => link,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the driver did not answer hello")),
        }
    }

    async fn greet(
        stream: UnixStream,
        cluster: &ClusterId,
        store: Store,
        board: Arc<Board>,
        launcher: Arc<dyn Launcher>,
    ) -> io::Result<Self> {
        let (reader, mut writer) = stream.into_split();
        let hello = ToDriver::Hello { version: VERSION, cluster: cluster.clone() };
        frame::write(&mut writer, &hello, None).await?;
        let mut reader = BufReader::new(reader);
        let first = frame::read::<FromDriver, _>(&mut reader).await.map_err(io::Error::other)?;
        let (generation, contexts, pid) = match first.map(|message| message.head) {
            Some(FromDriver::Welcome { version: VERSION, cluster: own, generation, contexts, pid })
                if own == *cluster =>
            {
                (generation, contexts, pid)
            }
            Some(FromDriver::Refused { reason }) => return Err(io::Error::other(reason)),
            Some(other) => return Err(io::Error::other(format!("the driver answered {other:?}"))),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        // The driver says so where there are any.
        board.statements(0);
        let (out, mut outbox) = mpsc::channel::<(ToDriver, Option<Bytes>)>(OUT_MAX);
        let (arrivals, events) = mpsc::channel(EVENTS_AHEAD);
        tokio::spawn(async move {
            while let Some((message, payload)) = outbox.recv().await {
                if frame::write(&mut writer, &message, payload.as_deref()).await.is_err() {
                    return; // the reader hears of it
                }
            }
        });
        // Weak: a link that is dropped is closed.
        let answers = out.downgrade();
        tokio::spawn(async move {
            while let Ok(Some(message)) = frame::read::<FromDriver, _>(&mut reader).await {
                let (event, what) = match message.head {
                    FromDriver::Event { event, what } => (event, what),
                    FromDriver::SecretAsk(ask) => {
                        let (store, answers) = (store.clone(), answers.clone());
                        tokio::spawn(async move {
                            let answer = secrets::answer(&store, ask).await;
                            // A driver that is gone has forgotten what it asked.
                            if let Some(answers) = answers.upgrade() {
                                answers.send((ToDriver::SecretAnswer(answer), None)).await.ok();
                            }
                        });
                        continue;
                    }
                    FromDriver::Progress { context, command, progress } => {
                        board.progress(context, command, progress);
                        continue;
                    }
                    FromDriver::Statements { active } => {
                        board.statements(active);
                        continue;
                    }
                    FromDriver::Login { login, user, password } => {
                        // Checking takes its time, and events do not wait for it.
                        let (launcher, answers) = (launcher.clone(), answers.clone());
                        tokio::spawn(async move {
                            let right = launcher.admits(user, password.expose()).await;
                            if let Some(answers) = answers.upgrade() {
                                answers.send((ToDriver::LoginAnswer { login, right }, None)).await.ok();
                            }
                        });
                        continue;
                    }
                    FromDriver::Welcome { .. } | FromDriver::Refused { .. } => return,
                };
                if arrivals.send(Arrived { number: event, what, payload: message.payload }).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self { generation, contexts, pid, out, events })
    }

    /// Sends a message; false when the driver does not read. That one is gone is heard of as the end of its events,
    /// which come first.
    pub(crate) fn send(&self, message: ToDriver, payload: Option<Bytes>) -> bool {
        !matches!(self.out.try_send((message, payload)), Err(TrySendError::Full(_)))
    }

    /// Sends a message, waiting for room; false when the driver is gone or does not read.
    pub(crate) async fn push(&self, message: ToDriver, payload: Option<Bytes>) -> bool {
        let sent = tokio::time::timeout(READ_DEADLINE, self.out.send((message, payload))).await;
        matches!(sent, Ok(Ok(())))
    }

    /// Waits for events and returns all that have come, at most `max`; none at the connection's end. Cancel-safe.
    pub(crate) async fn events(&mut self, max: usize) -> Vec<Arrived> {
        let mut batch = Vec::new();
        self.events.recv_many(&mut batch, max).await;
        batch
    }
}
