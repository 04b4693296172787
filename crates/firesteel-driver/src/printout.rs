//! What one interpreter's commands print, on both its ways: into the result, and live to the server. Secrets are taken out
//! before the ways part.

use firesteel_api::{CommandId, ContextId};

use crate::live::Live;
use crate::output::Printed;
use crate::redact::{Screen, Secrets};

/// The text of one command at a time.
pub(crate) struct Printout {
    screen: Screen,
    kept: Printed,
    live: Live,
}

impl Printout {
    /// At most `text_chars_max` characters are kept for a result.
    pub(crate) fn new(secrets: Secrets, text_chars_max: usize, live: Live) -> Self {
        Self { screen: Screen::new(secrets), kept: Printed::new(text_chars_max), live }
    }

    /// What comes from now on is another command's: one that is seen live, or `None`.
    pub(crate) fn begin(&mut self, seen: Option<(ContextId, CommandId)>) {
        self.kept.clear();
        if let Some((context, command)) = seen {
            self.live.begin(context, command);
        }
    }

    /// Takes what was printed.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let seen = self.screen.pass(bytes);
        self.kept.push(&seen);
        self.live.push(&seen);
    }

    /// The command is over: what was held goes both ways.
    pub(crate) fn finish(&mut self) {
        let rest = self.screen.finish();
        self.kept.push(&rest);
        self.live.push(&rest);
        self.live.finish();
    }

    /// Adds what the command, which is over, came to. It was not printed: it is in the result alone.
    pub(crate) fn echo(&mut self, text: &[u8]) {
        if !text.is_empty() {
            self.kept.end_line();
        }
        self.kept.push(&self.screen.pass(text));
        self.kept.push(&self.screen.finish());
    }

    /// The text for the result.
    pub(crate) fn kept(&mut self) -> &mut Printed {
        &mut self.kept
    }

    /// The way to the server.
    pub(crate) fn live(&mut self) -> &mut Live {
        &mut self.live
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Events;

    fn printout(chars_max: usize) -> (Printout, Events) {
        let (secrets, events) = (Secrets::default(), Events::default());
        secrets.learn(b"hunter2");
        let mut printout = Printout::new(secrets, chars_max, Live::new(events.clone(), 1 << 20));
        printout.begin(Some(("1".parse().unwrap(), CommandId::generate())));
        (printout, events)
    }

    fn sent(events: &Events) -> String {
        let payloads = events.all().into_iter().filter_map(|event| event.payload);
        payloads.map(|payload| String::from_utf8(payload.to_vec()).unwrap()).collect()
    }

    #[test]
    fn both_ways_show_the_same_and_no_secret() {
        let (mut printout, events) = printout(100);
        for piece in ["a hun", "ter2, hunt"] {
            printout.push(piece.as_bytes());
            printout.live().send();
        }
        assert_eq!(sent(&events), "a [REDACTED], ");
        printout.finish();
        printout.echo(b"'hunter2'");
        assert_eq!(sent(&events), "a [REDACTED], hunt");
        assert_eq!(printout.kept().take(), ("a [REDACTED], hunt\n'[REDACTED]'".to_owned(), false));
    }

    #[test]
    fn a_cut_leaves_no_part_of_a_secret() {
        let (mut printout, _) = printout(3);
        printout.push(b"a hunter2");
        printout.finish();
        let (text, cut) = printout.kept().take();
        assert!(cut && text.starts_with("a [\n***"), "{text}");
    }

    #[test]
    fn nothing_of_one_command_is_left_for_the_next() {
        let (mut printout, events) = printout(100);
        printout.push(b"hunt");
        printout.finish();
        printout.begin(None);
        printout.push(b"er2");
        printout.finish();
        assert_eq!((sent(&events).as_str(), printout.kept().take().0.as_str()), ("hunt", "er2"));
    }
}
