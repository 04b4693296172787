//! The connection to the server: events out, requests in. At most one at a time; a newer one ends the older.

use firesteel_api::ClusterId;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use bytes::Bytes;

use crate::events::Events;
use crate::progress::{Latest, Told};
use crate::protocol::VERSION;
use crate::protocol::frame;
use crate::protocol::link::{FromDriver, HeldContext, ToDriver};

/// How many questions may wait to be written.
const ASKS_MAX: usize = 64;

/// What a connection brings. The number tells connections apart: a late word of an old one is dropped.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// The server asks something.
    Asked(u64, ToDriver, Option<Bytes>),
    /// The connection is over.
    Ended(u64),
}

/// One connection to the server. Dropping it closes the connection.
pub(crate) struct Link {
    number: u64,
    asks: mpsc::Sender<FromDriver>,
    tasks: [AbortHandle; 2],
}

/// What a driver says of itself in its `welcome`.
pub(crate) struct Welcome {
    pub(crate) cluster: ClusterId,
    pub(crate) generation: String,
    pub(crate) contexts: Vec<HeldContext>,
}

/// What a driver says to its server.
pub(crate) struct Said {
    pub(crate) events: Events,
    pub(crate) progress: Latest,
    /// How many statements JDBC runs.
    pub(crate) statements: watch::Receiver<usize>,
}

impl Said {
    /// Waits for what comes next behind an event and a progress, both of which it moves on.
    async fn next(&mut self, event: &mut u64, progress: &mut u64) -> (FromDriver, Option<Bytes>) {
        tokio::select! {
            biased; // what has happened before how far it is
            next = self.events.after(*event) => {
                *event = next.number;
                (FromDriver::Event { event: next.number, what: next.what }, next.payload)
            }
            told = self.progress.after(*progress) => {
                *progress = told.number;
                let Told { context, command, progress, .. } = told;
                (FromDriver::Progress { context, command, progress }, None)
            }
            Ok(()) = self.statements.changed() => {
                let active = *self.statements.borrow_and_update();
                (FromDriver::Statements { active }, None)
            }
        }
    }
}

impl Link {
    /// Answers a `hello` and starts the connection: every event that was not acknowledged is sent, then each new one.
    pub(crate) fn start(
        number: u64,
        stream: UnixStream,
        welcome: Welcome,
        mut said: Said,
        reports: mpsc::Sender<LinkEvent>,
    ) -> Self {
        let (reader, mut writer) = stream.into_split();
        let (asks, mut inbox) = mpsc::channel(ASKS_MAX);
        let sending = tokio::spawn({
            let reports = reports.clone();
            async move {
                let welcome = FromDriver::Welcome {
                    version: VERSION,
                    cluster: welcome.cluster,
                    generation: welcome.generation,
                    pid: i32::try_from(std::process::id()).unwrap_or_default(),
                    contexts: welcome.contexts,
                };
                let (mut event, mut progress) = (0, 0);
                let mut written = frame::write(&mut writer, &welcome, None).await;
                while written.is_ok() {
                    let (message, payload) = tokio::select! {
                        biased; // a command waits for it
                        Some(ask) = inbox.recv() => (ask, None),
                        next = said.next(&mut event, &mut progress) => next,
                    };
                    written = frame::write(&mut writer, &message, payload.as_deref()).await;
                }
                let _ = reports.send(LinkEvent::Ended(number)).await;
            }
        });
        let receiving = tokio::spawn(async move {
            let mut reader = BufReader::new(reader);
            while let Ok(Some(message)) = frame::read::<ToDriver, _>(&mut reader).await {
                if reports.send(LinkEvent::Asked(number, message.head, message.payload)).await.is_err() {
                    return;
                }
            }
            let _ = reports.send(LinkEvent::Ended(number)).await;
        });
        Self { number, asks, tasks: [sending.abort_handle(), receiving.abort_handle()] }
    }

    /// Asks the server, beside the events. False when it does not read.
    pub(crate) fn ask(&self, ask: FromDriver) -> bool {
        self.asks.try_send(ask).is_ok()
    }

    /// Tells whether this is the connection of that number.
    pub(crate) fn is(&self, number: u64) -> bool {
        self.number == number
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Refuses a `hello` that does not fit.
pub(crate) async fn refuse(mut stream: UnixStream, reason: String) {
    let _ = frame::write(&mut stream, &FromDriver::Refused { reason }, None).await;
}
