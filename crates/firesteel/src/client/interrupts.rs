//! The signals that ask a client command to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::failure::Failure;

/// More signals than this, unheard, say nothing more.
const UNHEARD_MAX: usize = 8;

/// The signals to this process: Ctrl-C, and the ones to end or hang up.
pub(super) struct Interrupts {
    signals: mpsc::Receiver<u8>,
}

impl Interrupts {
    /// Listens from now on. The signals end the process no more, so they must be asked for.
    pub(super) fn listen() -> Result<Self, Failure> {
        let (sender, signals) = mpsc::channel(UNHEARD_MAX);
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let mut heard = signal(kind).map_err(Failure::io("listen to signals"))?;
            let sender = sender.clone();
            let number = u8::try_from(kind.as_raw_value()).unwrap_or_default();
            tokio::spawn(async move {
                while heard.recv().await.is_some() {
                    sender.try_send(number).ok();
                }
            });
        }
        Ok(Self { signals })
    }

    /// Plays signals.
    #[cfg(test)]
    pub(super) fn scripted() -> (mpsc::Sender<u8>, Self) {
        let (sender, signals) = mpsc::channel(UNHEARD_MAX);
        (sender, Self { signals })
    }

    /// Waits for a signal and returns its number. Cancel-safe.
    pub(super) async fn next(&mut self) -> u8 {
        match self.signals.recv().await {
            Some(number) => number,
            None => std::future::pending().await,
        }
    }

    /// Forgets the signals that came while nobody asked.
    pub(super) fn forget(&mut self) {
        while self.signals.try_recv().is_ok() {}
    }
}
