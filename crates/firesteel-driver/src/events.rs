//! The events that the server has not acknowledged.
//!
//! Written by the driver's task, read by the connection to the server: a log behind a lock, and a bell. A new
//! connection reads it from the start, so that nothing is lost with the old one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::protocol::link::DriverEvent;

/// How many bytes of unacknowledged results are kept before no new command is started.
pub(crate) const EVENTS_BYTES_MAX: usize = if cfg!(test) { 1 << 20 } else { 256 << 20 };

/// How many bytes of unacknowledged output are kept. Whoever prints more waits, for [`OUTPUT_PATIENCE`] at most.
pub(crate) const OUTPUT_BYTES_MAX: usize = if cfg!(test) { 256 << 10 } else { 32 << 20 };

/// How long code that prints waits for a server that takes nothing in. Then its output is skipped until the server does.
pub(crate) const OUTPUT_PATIENCE: Duration = Duration::from_secs(2);

/// What an event costs beside its payload and its reason, roughly.
const EVENT_BYTES: usize = 256;

/// One event with its number.
#[derive(Clone, Debug)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    pub(crate) what: DriverEvent,
    pub(crate) payload: Option<Bytes>,
}

impl Numbered {
    fn cost(&self) -> usize {
        use DriverEvent::{ContextFailed, Failed, Library, Lost, Resized};
        let reason = match &self.what {
            Failed { reason, .. } | ContextFailed { reason, .. } | Lost { reason, .. } => reason.len(),
            Resized { reason: Some(reason), .. } => reason.len(),
            Library { messages, .. } => messages.iter().map(String::len).sum(),
            _ => 0,
        };
        EVENT_BYTES + reason + self.payload.as_ref().map_or(0, Bytes::len)
    }

    fn output_bytes(&self) -> usize {
        if matches!(self.what, DriverEvent::Output { .. }) { self.cost() } else { 0 }
    }
}

/// The log. Cheap to clone: every clone is the same log.
#[derive(Clone, Default)]
pub(crate) struct Events {
    log: Arc<Mutex<Log>>,
    bell: Arc<Notify>,
    room: Arc<Notify>,
}

#[derive(Default)]
struct Log {
    kept: VecDeque<Numbered>,
    bytes: usize,
    last: u64,
    output_bytes: usize,
    /// The server has not taken output in for too long.
    output_skipped: bool,
}

impl Events {
    /// Appends an event and rings the bell.
    pub(crate) fn push(&self, what: DriverEvent, payload: Option<Bytes>) {
        let mut log = self.lock();
        log.last += 1;
        let event = Numbered { number: log.last, what, payload };
        log.bytes += event.cost();
        log.output_bytes += event.output_bytes();
        log.kept.push_back(event);
        drop(log);
        self.bell.notify_waiters();
    }

    /// Forgets every event up to `number`.
    pub(crate) fn acknowledge(&self, number: u64) {
        let mut log = self.lock();
        while log.kept.front().is_some_and(|event| event.number <= number) {
            let event = log.kept.pop_front().expect("the front was just seen");
            log.bytes -= event.cost();
            log.output_bytes -= event.output_bytes();
        }
        if log.output_bytes < OUTPUT_BYTES_MAX {
            log.output_skipped = false;
            drop(log);
            self.room.notify_waiters();
        }
    }

    /// Tells whether there is room for more output.
    pub(crate) fn takes_output(&self) -> bool {
        self.lock().output_bytes < OUTPUT_BYTES_MAX
    }

    /// Waits until there is room for more output, or has waited for [`OUTPUT_PATIENCE`] in vain and has given up. Cancel-safe.
    pub(crate) async fn output_room(&self) {
        loop {
            let notified = self.room.notified();
            if self.takes_output() {
                return;
            }
            if self.skips_output() {
                notified.await;
            } else if tokio::time::timeout(OUTPUT_PATIENCE, notified).await.is_err() {
                return self.give_up_output();
            }
        }
    }

    /// Output is skipped until there is room again.
    pub(crate) fn give_up_output(&self) {
        let mut log = self.lock();
        log.output_skipped = log.output_bytes >= OUTPUT_BYTES_MAX;
    }

    /// Tells whether output is skipped.
    pub(crate) fn skips_output(&self) -> bool {
        self.lock().output_skipped
    }

    /// Waits for the first event above `number`. Cancel-safe.
    pub(crate) async fn after(&self, number: u64) -> Numbered {
        loop {
            // Registered before the log is looked at: a push in between rings this very bell.
            let rung = self.bell.notified();
            if let Some(event) = self.first_after(number) {
                return event;
            }
            rung.await;
        }
    }

    /// Tells whether new commands must wait for the server.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().bytes >= EVENTS_BYTES_MAX
    }

    /// Tells whether the server has everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().kept.is_empty()
    }

    fn first_after(&self, number: u64) -> Option<Numbered> {
        let log = self.lock();
        // Numbers have no gaps, so the place follows from the front.
        let front = log.kept.front()?.number;
        let place = usize::try_from((number + 1).saturating_sub(front)).ok()?;
        log.kept.get(place).cloned()
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> Vec<Numbered> {
        self.lock().kept.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no holder of the log panics")
    }
}

#[cfg(test)]
mod tests {
    use firesteel_api::v2::termination::TerminationCode;

    use super::*;

    fn lost(reason: &str) -> DriverEvent {
        DriverEvent::Failed { code: TerminationCode::SparkError, reason: reason.into() }
    }

    #[tokio::test]
    async fn a_new_reader_gets_all_that_was_not_acknowledged() {
        let events = Events::default();
        for reason in ["a", "b", "c"] {
            events.push(lost(reason), None);
        }
        events.acknowledge(1);
        assert_eq!(events.after(0).await.number, 2);
        assert_eq!(events.after(2).await.what, lost("c"));
        events.acknowledge(3);
        assert!(events.is_empty());
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken() {
        let events = Events::default();
        let reader = tokio::spawn({
            let events = events.clone();
            async move { events.after(0).await.number }
        });
        tokio::task::yield_now().await;
        events.push(lost("x"), None);
        assert_eq!(reader.await.unwrap(), 1);
    }
}
