//! What an open command shows while it runs, beside its state: its latest output and how far its Spark jobs are.
//!
//! Output is shown when it comes and stored a moment later, so that short commands cost no transaction more. Until then it is
//! here; what was before it is in the store.

use std::collections::VecDeque;

use firesteel_api::commands::Progress;
use firesteel_store::Output;

/// What one command shows.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// Pieces that may not be in the store yet, in order.
    recent: VecDeque<Output>,
    /// Where all that was shown ends.
    stop: u64,
    pub(crate) progress: Option<Progress>,
}

impl Live {
    /// Shows a piece; tells whether it is new. One that was shown before comes again after a lost link.
    pub(crate) fn print(&mut self, output: &Output) -> bool {
        let is_new = output.start >= self.stop;
        if is_new {
            self.stop = output.stop();
            self.recent.push_back(output.clone());
        }
        is_new
    }

    /// Everything up to `stop` is in the store.
    pub(crate) fn stored(&mut self, stop: u64) {
        while self.recent.front().is_some_and(|piece| piece.stop() <= stop) {
            self.recent.pop_front();
        }
    }

    /// Returns the piece that `offset` is in, where that is here.
    pub(crate) fn at(&self, offset: u64) -> Option<&Output> {
        self.recent.iter().find(|piece| (piece.start..piece.stop()).contains(&offset))
    }

    /// Returns the first piece behind `offset`, when nothing of the store is between them.
    pub(crate) fn after(&self, offset: u64) -> Option<&Output> {
        self.recent.iter().find(|piece| offset < piece.stop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(start: u64, text: &str) -> Output {
        Output { start, text: text.into() }
    }

    #[test]
    fn a_piece_is_here_from_its_arrival_until_it_is_stored() {
        let mut live = Live::default();
        for piece in [output(0, "one"), output(3, "two"), output(10, "gap")] {
            live.print(&piece);
            live.print(&piece);
        }
        assert_eq!(live.recent.len(), 3);
        assert_eq!(live.at(4), Some(&output(3, "two")));
        assert_eq!((live.at(7), live.after(7)), (None, Some(&output(10, "gap"))));
        live.stored(6);
        assert_eq!((live.at(4), live.recent.len()), (None, 1));
        live.stored(13);
        assert_eq!(live.after(0), None);
        live.print(&output(3, "two"));
        assert_eq!(live.after(0), None);
    }
}
