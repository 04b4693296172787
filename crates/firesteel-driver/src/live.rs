//! What a running command has printed so far, on its way to the server.
//!
//! Text goes out at once after a silence and in larger pieces during a flood, each piece with its offset: how many bytes
//! of text the command had printed before it. Nothing here waits. When a command has printed more than is kept of one, or
//! when the server does not take it in, the text in between is skipped: only the last of it is held, and goes out when there is room
//! again or the command is over. Whoever reads sees the gap by the offsets.

use std::time::Duration;

use bytes::Bytes;
use firesteel_api::{CommandId, ContextId};
use tokio::time::Instant;

use crate::events::Events;
use crate::protocol::link::DriverEvent;

/// The most bytes of one piece, and what is sent at once however soon it comes.
const PIECE_BYTES: usize = 64 << 10;

/// How long a few bytes wait for more after a piece was sent. After a longer silence they wait for nothing.
const PAUSE: Duration = Duration::from_millis(10);

/// How many of the last bytes are held while text is skipped.
const TAIL_BYTES: usize = if cfg!(test) { 64 } else { 64 << 10 };

/// The text of one interpreter's commands.
pub(crate) struct Live {
    events: Events,
    /// How many bytes of one command are sent, beside its last ones.
    bytes_max: usize,
    command: Option<(ContextId, CommandId)>,
    /// The bytes of a character whose rest has not come.
    begun: Vec<u8>,
    /// How many bytes of text the command has printed.
    end: u64,
    /// The text up to `end` that is not sent.
    held: String,
    /// How many bytes of the command were sent.
    sent: usize,
    sent_at: Option<Instant>,
    skipping: bool,
}

impl Live {
    /// Text goes to `events`; `bytes_max` of each command.
    pub(crate) fn new(events: Events, bytes_max: usize) -> Self {
        Self {
            events,
            bytes_max,
            command: None,
            begun: Vec::new(),
            end: 0,
            held: String::new(),
            sent: 0,
            sent_at: None,
            skipping: false,
        }
    }

    /// What comes from now on is this command's.
    pub(crate) fn begin(&mut self, context: ContextId, command: CommandId) {
        let (events, bytes_max, sent_at) = (self.events.clone(), self.bytes_max, self.sent_at);
        *self = Self { command: Some((context, command)), sent_at, ..Self::new(events, bytes_max) };
    }

    /// Takes what was printed. Bytes that are no UTF-8 become U+FFFD.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.command.is_none() || bytes.is_empty() {
            return;
        }
        let joined;
        let bytes = match self.begun.is_empty() {
            true => bytes,
            false => {
                joined = [std::mem::take(&mut self.begun).as_slice(), bytes].concat();
                &joined
            }
        };
        let (whole, begun) = bytes.split_at(whole_characters(bytes));
        self.begun = begun.to_vec();
        let text = String::from_utf8_lossy(whole);
        self.end += text.len() as u64;
        self.held.push_str(&text);
        if self.skipping {
            self.skip();
        }
    }

    /// When there is something to [`send`](Self::send). Nothing of this is borrowed by the future.
    pub(crate) fn ready(&self) -> impl Future<Output = ()> + use<> {
        let waits = !self.held.is_empty() && self.sent < self.bytes_max;
        let (events, due) = (self.events.clone(), self.due());
        async move {
            if !waits {
                std::future::pending::<()>().await;
            }
            if events.takes_output() {
                tokio::time::sleep_until(due).await;
            } else {
                events.output_room().await;
            }
        }
    }

    /// Tells whether nothing more should be taken until the server has taken in some of what was sent.
    pub(crate) fn must_wait(&self) -> bool {
        let full = !self.skipping && self.held.len() >= PIECE_BYTES && self.sent < self.bytes_max;
        full && !self.events.takes_output() && !self.events.skips_output()
    }

    /// Sends what is held, as far as the bounds go, and skips what is beyond them.
    pub(crate) fn send(&mut self) {
        self.skipping &= !self.may_go_on();
        while !self.skipping && !self.held.is_empty() && self.events.takes_output() {
            let most = PIECE_BYTES.min(self.bytes_max - self.sent);
            match self.held.floor_char_boundary(most) {
                0 => self.sent = self.bytes_max,
                piece => self.send_first(piece),
            }
            self.skipping = self.sent >= self.bytes_max;
        }
        self.skipping |= self.events.skips_output();
        if self.skipping {
            self.skip();
        }
    }

    /// The command is over: what is held goes out, or the last of it where that is too much.
    pub(crate) fn finish(&mut self) {
        if !std::mem::take(&mut self.begun).is_empty() {
            self.end += char::REPLACEMENT_CHARACTER.len_utf8() as u64;
            self.held.push(char::REPLACEMENT_CHARACTER);
        }
        self.send();
        self.keep_last(self.tail_bytes());
        if !self.held.is_empty() {
            self.send_first(self.held.len());
        }
        self.command = None;
    }

    fn due(&self) -> Instant {
        match self.sent_at {
            Some(sent) if self.held.len() < PIECE_BYTES => sent + PAUSE,
            _ => Instant::now(),
        }
    }

    /// Where text was skipped, it need not be from here on.
    fn may_go_on(&self) -> bool {
        self.sent < self.bytes_max && self.events.takes_output()
    }

    fn send_first(&mut self, bytes: usize) {
        let Some((context, command)) = self.command else { return };
        let offset = self.end - self.held.len() as u64;
        let piece: String = self.held.drain(..bytes).collect();
        self.sent += bytes;
        self.sent_at = Some(Instant::now());
        self.events.push(DriverEvent::Output { context, command, offset }, Some(Bytes::from(piece)));
    }

    fn skip(&mut self) {
        // Not at every push: what is dropped is moved over.
        if self.held.len() > 2 * self.tail_bytes() {
            self.keep_last(self.tail_bytes());
        }
    }

    fn keep_last(&mut self, bytes: usize) {
        let first = self.held.ceil_char_boundary(self.held.len().saturating_sub(bytes));
        self.held.drain(..first);
    }

    fn tail_bytes(&self) -> usize {
        TAIL_BYTES.min(self.bytes_max)
    }
}

/// How many bytes there are before a character at the end whose rest may still come.
fn whole_characters(bytes: &[u8]) -> usize {
    let last = bytes.iter().rev().take(4).position(|byte| byte & 0xc0 != 0x80);
    let Some(place) = last.map(|back| bytes.len() - 1 - back) else { return bytes.len() };
    let is_begun = std::str::from_utf8(&bytes[place..]).is_err_and(|error| error.error_len().is_none());
    if is_begun { place } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn live(bytes_max: usize) -> (Live, Events) {
        let events = Events::default();
        let mut live = Live::new(events.clone(), bytes_max);
        live.begin("1".parse().unwrap(), CommandId::generate());
        (live, events)
    }

    /// Every piece that was sent: its offset and its text.
    fn pieces(events: &Events) -> Vec<(u64, String)> {
        let piece = |event: crate::events::Numbered| match event.what {
            DriverEvent::Output { offset, .. } => (offset, String::from_utf8(event.payload.unwrap().to_vec()).unwrap()),
            other => panic!("{other:?}"),
        };
        events.all().into_iter().map(piece).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_text_is_due_at_once_and_the_next_after_a_pause() {
        let (mut live, events) = live(1 << 20);
        assert!(live.ready().now_or_never().is_none());
        live.push(b"a");
        assert!(live.ready().now_or_never().is_some());
        live.send();
        live.push(b"b");
        assert!(live.ready().now_or_never().is_none());
        let before = Instant::now();
        live.ready().await;
        assert_eq!(before.elapsed(), PAUSE);
        live.send();
        live.push(&[b'c'; PIECE_BYTES]);
        assert!(live.ready().now_or_never().is_some());
        live.finish();
        assert_eq!(pieces(&events)[0], (0, "a".to_owned()));
    }

    #[tokio::test]
    async fn beyond_the_bound_only_the_last_is_sent_and_its_offset_says_so() {
        let (mut live, events) = live(100);
        for _ in 0..1000 {
            live.push(&[b'x'; 1000]);
            live.send();
            assert!(live.held.len() <= 1000 + 2 * TAIL_BYTES);
        }
        assert!(live.ready().now_or_never().is_none());
        live.push("end\u{e9}".as_bytes());
        live.finish();
        let sent = pieces(&events);
        let [(0, first), (offset, last)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((first.len(), last.len()), (100, TAIL_BYTES));
        assert!(last.ends_with("xend\u{e9}"), "{last}");
        assert_eq!(offset + last.len() as u64, 1_000_000 + 5);
    }

    #[tokio::test]
    async fn a_server_that_takes_nothing_in_costs_a_gap_and_no_more() {
        let (mut live, events) = live(100_000_000);
        while events.takes_output() {
            live.push(&[b'x'; PIECE_BYTES]);
            live.send();
        }
        live.push(&[b'y'; PIECE_BYTES]);
        live.send();
        assert!(live.must_wait());
        events.give_up_output();
        assert!(!live.must_wait());
        live.send();
        for _ in 0..100 {
            live.push(&[b'z'; PIECE_BYTES]);
        }
        assert!(live.held.len() <= PIECE_BYTES + 2 * TAIL_BYTES);
        let before = events.all().len();
        events.acknowledge(u64::MAX);
        live.ready().await;
        live.push(b"end");
        live.send();
        let sent = pieces(&events);
        let (offset, text) = sent.last().unwrap();
        assert!(text.ends_with("zend"), "{text}");
        assert_eq!(*offset, ((before + 101) * PIECE_BYTES + 3 - text.len()) as u64);
    }

    #[test]
    fn a_command_that_ends_while_the_server_is_away_has_its_last_words_kept() {
        let (mut live, events) = live(100_000_000);
        while events.takes_output() {
            live.push(&[b'x'; PIECE_BYTES]);
            live.send();
        }
        live.push("why it failed".as_bytes());
        live.finish();
        assert_eq!(pieces(&events).last().unwrap().1, "why it failed");
    }

    #[test]
    fn what_is_nobody_s_is_dropped() {
        let events = Events::default();
        let mut live = Live::new(events.clone(), 100);
        live.push(b"early");
        live.finish();
        live.begin("1".parse().unwrap(), CommandId::generate());
        live.finish();
        live.push(b"late");
        live.finish();
        assert!(events.is_empty());
    }

    proptest! {
        #[test]
        fn what_arrives_is_what_was_printed_however_it_was_cut(
            text in prop_oneof![any::<String>().prop_map(String::into_bytes), any::<Vec<u8>>()],
            cuts in prop::collection::vec(1usize..5, 0..50),
            sends in any::<u64>(),
        ) {
            let (mut live, events) = live(1 << 20);
            let (mut rest, mut cuts) = (text.as_slice(), cuts.into_iter().cycle());
            let mut step = 0;
            while !rest.is_empty() {
                let (piece, left) = rest.split_at(cuts.next().unwrap_or(rest.len()).min(rest.len()));
                live.push(piece);
                if sends >> (step % 64) & 1 == 1 {
                    live.send();
                }
                (rest, step) = (left, step + 1);
            }
            live.finish();
            let mut arrived = String::new();
            for (offset, piece) in pieces(&events) {
                prop_assert_eq!(offset, arrived.len() as u64);
                arrived += &piece;
            }
            prop_assert_eq!(arrived, String::from_utf8_lossy(&text).into_owned());
        }
    }
}
