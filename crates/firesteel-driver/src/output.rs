//! What a command printed: kept up to a bound, and the pipe it comes through.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use tokio::net::unix::pipe;

use crate::stream::make_pipe;

/// What is said where text was cut.
const CUT: &str = "\n*** WARNING: the output is longer than the limit; the rest was skipped. ***";

/// The bytes that one read of a pipe takes at most: what a pipe holds.
pub(crate) const READ_BYTES: usize = 64 << 10;

/// How much a pipe may still hold when its command is over. A process left behind that writes without end would
/// otherwise never let the command end.
const DRAIN_BYTES_MAX: usize = 1 << 20;

/// Text that a command printed, kept up to a number of characters.
pub(crate) struct Printed {
    bytes: Vec<u8>,
    chars_max: usize,
    cut: bool,
}

impl Printed {
    pub(crate) fn new(chars_max: usize) -> Self {
        Self { bytes: Vec::new(), chars_max, cut: false }
    }

    /// Keeps what still fits. The bound here is in bytes, the widest that `chars_max` characters can take.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = (self.chars_max * 4).saturating_sub(self.bytes.len());
        self.cut |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Ends a line that was begun.
    pub(crate) fn end_line(&mut self) {
        if self.bytes.last().is_some_and(|byte| *byte != b'\n') {
            self.push(b"\n");
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.bytes = Vec::new();
        self.cut = false;
    }

    /// Returns the text and whether it was cut, and starts anew.
    pub(crate) fn take(&mut self) -> (String, bool) {
        let text = String::from_utf8_lossy(&self.bytes);
        let (text, cut) = match text.char_indices().nth(self.chars_max) {
            Some((end, _)) => (text[..end].to_owned(), true),
            None => (text.into_owned(), self.cut),
        };
        self.clear();
        if cut { (text + CUT, true) } else { (text, false) }
    }
}

/// The reading end of the named pipe that is a Python or R interpreter's descriptors 1 and 2.
pub(crate) struct Pipe {
    receiver: pipe::Receiver,
    path: PathBuf,
}

impl Pipe {
    /// Makes the pipe, readable by the user alone, and opens it.
    pub(crate) fn make(path: &Path) -> io::Result<Self> {
        make_pipe(path)?;
        // Read-write: with a writer of our own it never ends, so that a child which is late or restarted finds it open.
        let receiver = pipe::OpenOptions::new().read_write(true).open_receiver(path)?;
        Ok(Self { receiver, path: path.to_owned() })
    }

    /// Opens the other end, for a child to inherit.
    pub(crate) fn writer(&self) -> io::Result<File> {
        OpenOptions::new().write(true).open(&self.path)
    }

    /// Takes the name away: the child has opened it, nobody else shall.
    pub(crate) fn unlink(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    /// Waits for bytes and returns how many it put into the buffer. Cancel-safe.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receiver.readable().await?;
        // A pipe that is written to without end is always readable: the others on this thread have their turn.
        tokio::task::consume_budget().await;
        match self.receiver.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            read => read,
        }
    }

    /// Hands on all that was written before now. The writer's `done` came over a socket after its last write
    /// to this pipe, so what the command printed is here in full.
    pub(crate) fn drain(&self, mut into: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = vec![0u8; READ_BYTES];
        let mut drained = 0;
        while drained < DRAIN_BYTES_MAX {
            // Read past tokio's readiness: it may not have heard yet of bytes that are already there.
            match nix::unistd::read(&self.receiver, &mut buffer) {
                Ok(bytes) => {
                    into(&buffer[..bytes]);
                    drained += bytes;
                }
                Err(nix::errno::Errno::EAGAIN) => break,
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.unlink();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_a_character_and_says_so() {
        let mut printed = Printed::new(5);
        printed.push("äöü".as_bytes());
        assert_eq!(printed.take(), ("äöü".to_owned(), false));
        printed.push("äöüäöüäöü".as_bytes());
        let (text, cut) = printed.take();
        assert!(cut && text.starts_with("äöüäö\n***"), "{text}");
    }

    #[test]
    fn a_flood_costs_no_more_than_the_bound() {
        let mut printed = Printed::new(10);
        for _ in 0..1000 {
            printed.push(&[b'x'; 1000]);
        }
        assert_eq!(printed.bytes.len(), 40);
        assert!(printed.take().1);
    }

    #[tokio::test]
    async fn what_was_written_before_is_drained_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let pipe = Pipe::make(&path).unwrap();
        let mut writer = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::io::Write::write_all(&mut writer, &[b'x'; 60_000]).unwrap();
        let mut printed = Printed::new(1 << 20);
        pipe.drain(|bytes| printed.push(bytes)).unwrap();
        assert_eq!(printed.take().0.len(), 60_000);
    }
}
