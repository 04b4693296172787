//! The control connection of a child: the JVM's, and the Python parent's.

use tokio::io::BufReader;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::protocol::frame;
use crate::stream::Stream;

/// How many requests to a control connection may wait. One interpreter costs a few; the JVM answers each
/// from a thread of its own.
const CONTROL_ASKS_MAX: usize = 4096;

/// What a control connection brings: its messages, then its end.
#[derive(Debug)]
pub(crate) enum Control<T> {
    /// A message.
    Said(T),
    /// The connection is over, and why.
    Closed(String),
}

/// A control connection. Dropping it closes it, and nothing more is heard of it.
pub(crate) struct ControlLink<A> {
    asks: mpsc::Sender<A>,
    tasks: [AbortHandle; 2],
}

impl<A: serde::Serialize + Send + Sync + 'static> ControlLink<A> {
    /// Starts the two tasks of a connection: what is asked is written, what is read goes to `reports`.
    pub(crate) fn start<T>(stream: Stream, reports: mpsc::Sender<Control<T>>) -> Self
    where
        T: serde::de::DeserializeOwned + Send + 'static,
    {
        let (asks, mut inbox) = mpsc::channel::<A>(CONTROL_ASKS_MAX);
        let (reader, mut writer) = stream.split();
        let writing = tokio::spawn(async move {
            while let Some(ask) = inbox.recv().await {
                // A peer that does not read any more is heard of by the reader below.
                if frame::write(&mut writer, &ask, None).await.is_err() {
                    return;
                }
            }
        });
        let reading = tokio::spawn(async move {
            let mut reader = BufReader::new(reader);
            let reason = loop {
                match frame::read::<T, _>(&mut reader).await {
                    Ok(Some(message)) => {
                        if reports.send(Control::Said(message.head)).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => break "the control connection ended".to_owned(),
                    Err(error) => break format!("the control connection broke: {error}"),
                }
            };
            let _ = reports.send(Control::Closed(reason)).await;
        });
        Self { asks, tasks: [writing.abort_handle(), reading.abort_handle()] }
    }

    /// Asks something. False when the peer is gone or far behind.
    pub(crate) fn ask(&self, ask: A) -> bool {
        self.asks.try_send(ask).is_ok()
    }
}

impl<A> Drop for ControlLink<A> {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
