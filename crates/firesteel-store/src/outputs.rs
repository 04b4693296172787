//! What commands print while they run: pieces of text, numbered by the bytes of text before them.
//!
//! Pieces come with a driver's events and so once each. Small ones are joined. The output of a context has a bound: that of
//! its oldest commands makes room, and how much there was of it stays known.

use firesteel_api::{CommandId, ContextId};
use firesteel_model::limits::OUTPUT_BYTES_MAX;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::columns::{integer, number};
use crate::error::Failure;
use crate::{Store, StoreError};

/// The output of all commands of one context. The oldest makes room for the latest, which has a bound of its own.
const CONTEXT_OUTPUT_BYTES_MAX: u64 = if cfg!(test) { 4 * 1024 } else { 64 * 1024 * 1024 };
const _: () = assert!(cfg!(test) || OUTPUT_BYTES_MAX as u64 * 3 < CONTEXT_OUTPUT_BYTES_MAX, "room for some commands");

/// A piece that is shorter is made longer by what comes next: rows of a few bytes each would cost more than their text.
const JOINED_BYTES: u64 = if cfg!(test) { 16 } else { 8 * 1024 };

/// A part of what a command printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Where the text begins: how many bytes of text were printed before it.
    pub start: u64,
    /// The text.
    pub text: String,
}

/// What is kept of a command's output from some offset on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputPage {
    /// The first that is kept, without a gap inside. Empty when there is none; it then starts where all of it ends.
    pub output: Output,
    /// How many bytes of text the command has printed in all.
    pub all: u64,
}

impl Output {
    /// Where the text ends.
    pub fn stop(&self) -> u64 {
        self.start + self.text.len() as u64
    }

    /// Cuts the text to what begins at `offset` and has at most `bytes` bytes, but for one character always. An offset inside
    /// a character counts as its first byte.
    #[must_use]
    pub fn part(mut self, offset: u64, bytes: usize) -> Self {
        let skipped = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let from = self.text.floor_char_boundary(skipped);
        let to = match self.text.floor_char_boundary(from.saturating_add(bytes)) {
            to if to > from => to,
            _ => self.text.ceil_char_boundary(from.saturating_add(1)),
        };
        self.text.truncate(to);
        self.text.drain(..from);
        Self { start: self.start + from as u64, text: self.text }
    }
}

impl Store {
    /// Returns what a command printed from `offset` on, up to `bytes` of it. `None` when there is no such command.
    pub async fn output(
        &self,
        context: ContextId,
        id: CommandId,
        offset: u64,
        bytes: usize,
    ) -> Result<Option<OutputPage>, StoreError> {
        self.read_bulk("read the output of a command", move |db| {
            let command = db
                .prepare_cached("SELECT number, output_stop FROM commands WHERE id = ?1 AND context = ?2")?
                .query_row([id.to_string(), context.to_string()], |row| {
                    Ok((row.get::<_, i64>("number")?, number(row, "output_stop")?))
                })
                .optional()?;
            match command {
                Some((command, stop)) => joined(db, command, offset, bytes, stop).map(Some),
                None => Ok(None),
            }
        })
        .await
    }
}

/// Puts together the pieces from `offset` on, as far as they follow each other.
fn joined(db: &Connection, command: i64, offset: u64, bytes: usize, all: u64) -> rusqlite::Result<OutputPage> {
    let mut query =
        db.prepare_cached("SELECT start, text FROM outputs WHERE command = ?1 AND stop > ?2 ORDER BY command, stop")?;
    let mut rows = query.query(params![command, integer(offset)])?;
    let mut found: Option<Output> = None;
    while let Some(row) = rows.next()? {
        let piece = piece(row)?;
        match &mut found {
            None => found = Some(piece),
            Some(found) if found.stop() == piece.start => found.text += &piece.text,
            Some(_) => break,
        }
        // One more than was asked for, as the first may begin before the offset.
        if found.as_ref().is_some_and(|found| found.stop() >= offset.saturating_add(bytes as u64)) {
            break;
        }
    }
    let none = || Output { start: all, text: String::new() };
    Ok(OutputPage { output: found.map_or_else(none, |found| found.part(offset, bytes)), all })
}

fn piece(row: &Row<'_>) -> rusqlite::Result<Output> {
    Ok(Output { start: number(row, "start")?, text: row.get("text")? })
}

/// Adds a piece to what a command has printed, whether the command is over or not. What is there already stays.
pub(crate) fn append(db: &Connection, id: CommandId, output: &Output) -> Result<(), Failure> {
    let command = db
        .prepare_cached("SELECT number, context, output_stop FROM commands WHERE id = ?1")?
        .query_row([id.to_string()], |row| {
            Ok((row.get::<_, i64>("number")?, row.get::<_, String>("context")?, number(row, "output_stop")?))
        })
        .optional()?;
    let Some((command, context, stop)) = command else {
        return Ok(()); // gone with its context
    };
    if output.start < stop || output.text.is_empty() {
        return Ok(());
    }
    let widened = db
        .prepare_cached(
            "UPDATE outputs SET text = text || ?3, stop = ?4 WHERE command = ?1 AND stop = ?2 AND stop - start < ?5",
        )?
        .execute(params![command, integer(output.start), output.text, integer(output.stop()), integer(JOINED_BYTES)])?;
    if widened == 0 {
        db.prepare_cached("INSERT INTO outputs (command, context, start, stop, text) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![command, context, integer(output.start), integer(output.stop()), output.text])?;
    }
    db.prepare_cached("UPDATE commands SET output_stop = ?2 WHERE number = ?1")?
        .execute(params![command, integer(output.stop())])?;
    make_room(db, &context, command, output.text.len() as u64)
}

/// Counts the latest output of a context and drops that of its oldest commands until the rest fits; never the latest's.
fn make_room(db: &Connection, context: &str, latest: i64, added: u64) -> Result<(), Failure> {
    let mut kept: u64 = db
        .prepare_cached("UPDATE contexts SET output_bytes = output_bytes + ?2 WHERE id = ?1 RETURNING output_bytes")?
        .query_row(params![context, integer(added)], |row| number(row, "output_bytes"))?;
    while kept > CONTEXT_OUTPUT_BYTES_MAX {
        let oldest: Option<i64> = db
            .prepare_cached("SELECT min(command) FROM outputs WHERE context = ?1 AND command <> ?2")?
            .query_row(params![context, latest], |row| row.get(0))?;
        let Some(oldest) = oldest else { break };
        let bytes: u64 = db
            .prepare_cached("SELECT sum(stop - start) AS bytes FROM outputs WHERE command = ?1")?
            .query_row([oldest], |row| number(row, "bytes"))?;
        db.prepare_cached("DELETE FROM outputs WHERE command = ?1")?.execute([oldest])?;
        kept = kept.saturating_sub(bytes);
        db.prepare_cached("UPDATE contexts SET output_bytes = ?2 WHERE id = ?1")?
            .execute(params![context, integer(kept)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_of_any_size_put_together_are_the_text(text in "\\PC*", bytes in 1usize..9, begin in 0u64..100) {
            let whole = Output { start: begin, text };
            let (mut offset, mut seen) = (begin, String::new());
            while offset < whole.stop() {
                let part = whole.clone().part(offset, bytes);
                prop_assert_eq!(part.start, offset);
                prop_assert!(!part.text.is_empty() && (part.text.len() <= bytes || part.text.chars().count() == 1));
                offset = part.stop();
                seen += &part.text;
            }
            prop_assert_eq!(seen, whole.text);
        }

        #[test]
        fn an_offset_inside_a_character_is_its_beginning(text in "\\PC+", offset in 0u64..64) {
            let whole = Output { start: 0, text };
            let part = whole.clone().part(offset, 1 << 20);
            prop_assert!(whole.text.ends_with(&part.text));
            prop_assert!(part.start <= offset && offset < part.start + 4 || offset > whole.stop());
        }
    }
}
