//! The control connection of a child: the JVM's, and the Python parent's.

use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::protocol::frame;

/// How many requests to a control connection may wait. One interpreter costs a few; the JVM answers each
/// from a thread of its own.
pub(crate) const CONTROL_ASKS_MAX: usize = 4096;

/// What a control connection brings: its messages, then its end.
#[derive(Debug)]
pub(crate) enum Control<T> {
    /// A message.
    Said(T),
    /// The connection is over, and why.
    Closed(String),
}

/// Starts the two tasks of a control connection: what is sent to the returned channel is written, what is read
/// goes to `reports`. Dropping the channel closes the connection.
pub(crate) fn control<A, T>(stream: UnixStream, reports: mpsc::Sender<Control<T>>) -> mpsc::Sender<A>
where
    A: serde::Serialize + Send + Sync + 'static,
    T: serde::de::DeserializeOwned + Send + 'static,
{
    let (asks, mut inbox) = mpsc::channel::<A>(CONTROL_ASKS_MAX);
    let (reader, mut writer) = stream.into_split();
    tokio::spawn(async move {
        while let Some(ask) = inbox.recv().await {
            // A peer that does not read any more is heard of by the reader below.
            if frame::write(&mut writer, &ask, None).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
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
    asks
}
