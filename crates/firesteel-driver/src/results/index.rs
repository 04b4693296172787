//! The index of a result file: for each message of its Arrow stream where it ends and how many rows there are up to it, and
//! at last how the result ended. `docs/protocol.md` has the form.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::protocol::results::{ResultEnd, ResultEnded};

/// What one entry takes.
const ENTRY_BYTES: usize = 16;

/// The most entries that an index may have: of batches of 1 MiB these are a result of 4 TB.
const ENTRIES_MAX: usize = 4_000_000;

/// The longest reason that is read.
const REASON_BYTES_MAX: usize = 16 << 10;

/// Returns the name of a result file's index.
pub(crate) fn index_of(path: &Path) -> PathBuf {
    path.with_extension("index")
}

/// One message of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// Where it ends in the file.
    end: u64,
    /// How many rows there are up to its end.
    rows: u64,
}

/// What has been read of an index that may still grow.
#[derive(Debug)]
pub(crate) struct Index {
    file: File,
    read: u64,
    entries: Vec<Entry>,
    ended: Option<ResultEnded>,
}

impl Index {
    /// Opens the index of a result file.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(index_of(path))?, read: 0, entries: Vec::new(), ended: None })
    }

    /// Reads what has been added.
    pub(crate) fn refresh(&mut self) -> io::Result<()> {
        let mut bytes = [0; 64 * ENTRY_BYTES];
        while self.ended.is_none() {
            let count = self.file.read_at(&mut bytes, self.read)? / ENTRY_BYTES;
            if count == 0 {
                return Ok(());
            }
            for entry in bytes[..count * ENTRY_BYTES].chunks_exact(ENTRY_BYTES) {
                let (first, second) = entry.split_at(8);
                let [first, second] = [first, second].map(|word| u64::from_be_bytes(word.try_into().expect("8 bytes")));
                if first == u64::MAX {
                    return self.read_end(second);
                }
                self.push(Entry { end: first, rows: second })?;
                self.read += ENTRY_BYTES as u64;
            }
        }
        Ok(())
    }

    /// How the result ended, where it has.
    pub(crate) fn ended(&self) -> Option<&ResultEnded> {
        self.ended.as_ref()
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.rows)
    }

    /// How many messages there are: the schema, then batches.
    pub(crate) fn messages(&self) -> usize {
        self.entries.len()
    }

    /// Where a message lies in the file.
    pub(crate) fn place(&self, message: usize) -> Range<u64> {
        self.before(message).end..self.entries[message].end
    }

    /// The first row of a batch.
    pub(crate) fn first_row(&self, message: usize) -> u64 {
        self.before(message).rows
    }

    /// The batch that has a row, or the next one to come.
    pub(crate) fn batch_of(&self, row: u64) -> usize {
        self.entries.partition_point(|entry| entry.rows <= row).max(1)
    }

    fn before(&self, message: usize) -> Entry {
        let before = message.checked_sub(1).map(|at| self.entries[at]);
        before.unwrap_or(Entry { end: 0, rows: 0 })
    }

    fn push(&mut self, entry: Entry) -> io::Result<()> {
        let last = self.before(self.entries.len());
        if entry.end < last.end || entry.rows < last.rows {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the index of a result runs backwards"));
        }
        if self.entries.len() == ENTRIES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the index of a result is too long"));
        }
        self.entries.push(entry);
        Ok(())
    }

    fn read_end(&mut self, word: u64) -> io::Result<()> {
        let length = usize::try_from(word & 0xffff_ffff).unwrap_or(usize::MAX).min(REASON_BYTES_MAX);
        let end = u32::try_from(word >> 32).ok().and_then(ResultEnd::from_number);
        let end = end.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a result ends in no known way"))?;
        let mut reason = vec![0; length];
        match self.file.read_exact_at(&mut reason, self.read + ENTRY_BYTES as u64) {
            // The writer is in the middle of its last words.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let reason = String::from_utf8_lossy(&reason).into_owned();
        self.ended = Some(ResultEnded { rows: self.rows(), end, reason });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn entry(file: &mut File, first: u64, second: u64, more: &[u8]) {
        file.write_all(&[&first.to_be_bytes(), &second.to_be_bytes(), more].concat()).unwrap();
    }

    #[test]
    fn an_index_is_read_as_it_grows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        let mut file = File::create(index_of(&path)).unwrap();
        let mut index = Index::open(&path).unwrap();
        index.refresh().unwrap();
        assert_eq!((index.messages(), index.rows()), (0, 0));
        entry(&mut file, 100, 0, b"");
        entry(&mut file, 200, 10, b"");
        file.write_all(&[0; 5]).unwrap(); // the begin of an entry is none yet
        index.refresh().unwrap();
        assert_eq!((index.messages(), index.rows(), index.place(0), index.place(1)), (2, 10, 0..100, 100..200));
        assert_eq!((index.batch_of(0), index.batch_of(9), index.batch_of(10)), (1, 1, 2));
        assert!(index.ended().is_none());
        file.set_len(32).unwrap();
        let mut file = File::options().append(true).open(index_of(&path)).unwrap();
        entry(&mut file, u64::MAX, 1 << 32 | 3, b"big");
        index.refresh().unwrap();
        assert_eq!(index.ended(), Some(&ResultEnded { rows: 10, end: ResultEnd::Bound, reason: "big".into() }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_index_or_an_error(bytes: Vec<u8>) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("r");
            std::fs::write(index_of(&path), &bytes).unwrap();
            let mut index = Index::open(&path).unwrap();
            let _ = index.refresh();
            prop_assert!(index.messages() * ENTRY_BYTES <= bytes.len());
        }

        #[test]
        fn a_row_is_in_the_batch_that_is_said_to_have_it(counts in prop::collection::vec(0u64..5, 1..50), row in 0u64..300) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("r");
            let mut file = File::create(index_of(&path)).unwrap();
            entry(&mut file, 1, 0, b"");
            let mut rows = 0;
            for (at, count) in counts.iter().enumerate() {
                rows += count;
                entry(&mut file, at as u64 + 2, rows, b"");
            }
            let mut index = Index::open(&path).unwrap();
            index.refresh().unwrap();
            let batch = index.batch_of(row);
            if row < rows {
                prop_assert!(index.first_row(batch) <= row && row < index.entries[batch].rows);
            } else {
                prop_assert_eq!(batch, index.messages());
            }
        }
    }
}
