//! A connection as it was greeted: a socket, or the pair of named pipes that an R interpreter has in its place.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

/// Both directions of a connection.
#[derive(Debug)]
pub(crate) enum Stream {
    /// A socket.
    Socket(UnixStream),
    /// The driver's ends of two pipes.
    Pipes {
        /// What the peer writes.
        answers: pipe::Receiver,
        /// What the peer reads.
        requests: pipe::Sender,
    },
}

/// The reading half of a connection.
pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// The writing half of a connection.
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Sync + Unpin>;

impl Stream {
    /// Takes the two directions apart.
    pub(crate) fn split(self) -> (Reader, Writer) {
        match self {
            Self::Socket(stream) => {
                let (reader, writer) = stream.into_split();
                (Box::new(reader), Box::new(writer))
            }
            Self::Pipes { answers, requests } => (Box::new(answers), Box::new(requests)),
        }
    }

    /// Writes without waiting; how much was written.
    pub(crate) fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let descriptor: BorrowedFd<'_> = match self {
            Self::Socket(stream) => stream.as_fd(),
            Self::Pipes { requests, .. } => requests.as_fd(),
        };
        Ok(nix::unistd::write(descriptor, bytes)?)
    }
}

/// The names of a pair of pipes. They are taken away when this is dropped: the peer has opened them, nobody else shall.
#[derive(Debug)]
pub(crate) struct PipeNames {
    /// What the peer reads.
    pub(crate) requests: PathBuf,
    /// What the peer writes.
    pub(crate) answers: PathBuf,
}

impl PipeNames {
    /// Makes the pipes, readable by the user alone, and opens the driver's ends of them.
    pub(crate) fn make(requests: PathBuf, answers: PathBuf) -> io::Result<(Self, Stream)> {
        let names = Self { requests, answers };
        for path in [&names.requests, &names.answers] {
            make_pipe(path)?;
        }
        // Read-write, as a pipe without a reader cannot be opened for writing alone. The peer's end of input is the end of
        // this one.
        let requests = pipe::OpenOptions::new().read_write(true).open_sender(&names.requests)?;
        // For reading alone: that the peer has closed it, or is gone, is seen as its end.
        let answers = pipe::OpenOptions::new().open_receiver(&names.answers)?;
        Ok((names, Stream::Pipes { answers, requests }))
    }
}

impl Drop for PipeNames {
    fn drop(&mut self) {
        for path in [&self.requests, &self.answers] {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Makes one named pipe.
pub(crate) fn make_pipe(path: &Path) -> io::Result<()> {
    // One of that name was left by a driver that was killed.
    let _ = std::fs::remove_file(path);
    Ok(nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?)
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::{Read, Write};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn both_ends_see_the_other_s_end() {
        let folder = tempfile::tempdir().unwrap();
        let [requests, answers] = ["requests", "answers"].map(|name| folder.path().join(name));
        let (names, stream) = PipeNames::make(requests.clone(), answers.clone()).unwrap();
        let peer = std::thread::spawn(move || {
            let mut input = std::fs::File::open(requests).unwrap();
            let mut output = OpenOptions::new().write(true).open(answers).unwrap();
            output.write_all(b"hello").unwrap();
            drop(output);
            let mut heard = String::new();
            input.read_to_string(&mut heard).unwrap();
            heard
        });
        assert_eq!(stream.write_now(b"one ").unwrap(), 4);
        let (mut reader, mut writer) = stream.split();
        let mut said = String::new();
        reader.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "hello");
        writer.write_all(b"two").await.unwrap();
        drop(writer);
        assert_eq!(peer.join().unwrap(), "one two");
        drop(names);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
