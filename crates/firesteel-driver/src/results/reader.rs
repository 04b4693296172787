//! One reader of a result, on a connection of its own: what is in the file from a row on, and what is added to it, as fast
//! as the reader takes it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::index::Index;
use super::outgoing::{MESSAGE_BYTES_MAX, Outgoing, Unsent};
use crate::protocol::frame;
use crate::protocol::results::{FromResult, PIECE_BYTES_MAX, ResultEnd, ResultEnded};
use crate::redact::Secrets;

/// How many readers a driver serves at a time.
const READERS_MAX: usize = 64;

/// How long a reader may take nothing. The server gives up its own clients earlier.
const TAKE_DEADLINE: Duration = Duration::from_secs(120);

/// How often a file that grows is looked at: at first, and at last, while nothing comes.
const LOOK_EVERY: Range<Duration> = Duration::from_millis(5)..Duration::from_millis(200);

/// The readers of one driver.
#[derive(Clone)]
pub(crate) struct Readers {
    places: Arc<Semaphore>,
    secrets: Secrets,
}

impl Readers {
    /// Readers who see no secret.
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self { places: Arc::new(Semaphore::new(READERS_MAX)), secrets }
    }

    /// Serves one reader until it has everything or goes away.
    pub(crate) fn serve(&self, stream: UnixStream, path: PathBuf, offset: u64) {
        let permit = self.places.clone().try_acquire_owned();
        let secrets = self.secrets.clone();
        tokio::spawn(async move {
            let Ok(_permit) = permit else {
                return absent(stream, format!("{READERS_MAX} results are being read; try again later")).await;
            };
            match open(path).await {
                Ok(result) => {
                    // A reader that goes away ends the connection; nothing else is to be said of it.
                    let _ = Reader { stream, result, secrets, outgoing: None }.run(offset).await;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    absent(stream, "its rows are not kept any more: newer results needed the room".to_owned()).await;
                }
                Err(error) => absent(stream, format!("its rows cannot be read: {error}")).await,
            }
        });
    }
}

/// Says that there is nothing to read.
pub(crate) async fn absent(mut stream: UnixStream, reason: String) {
    let _ = timeout(TAKE_DEADLINE, frame::write(&mut stream, &FromResult::Absent { reason }, None)).await;
}

/// The two files.
struct Opened {
    data: Arc<File>,
    index: Index,
}

async fn open(path: PathBuf) -> io::Result<Opened> {
    aside(move || open_now(&path)).await
}

fn open_now(path: &Path) -> io::Result<Opened> {
    let mut opened = Opened { data: Arc::new(File::open(path)?), index: Index::open(path)? };
    opened.index.refresh()?;
    Ok(opened)
}

/// Files are read on another thread: the driver's own has a task to serve.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// What leaves of a message, and the way of those behind it.
fn leaves(outgoing: Option<Outgoing>, secrets: Secrets, message: Vec<u8>) -> Result<(Outgoing, Vec<u8>), Unsent> {
    match outgoing {
        None => Outgoing::begin(secrets, message),
        Some(outgoing) => outgoing.batch(message).map(|message| (outgoing, message)),
    }
}

struct Reader {
    stream: UnixStream,
    result: Opened,
    secrets: Secrets,
    /// Known once the first message was sent.
    outgoing: Option<Outgoing>,
}

impl Reader {
    async fn run(mut self, offset: u64) -> io::Result<()> {
        self.say(FromResult::Opened { ended: self.result.index.ended().cloned() }).await?;
        if !self.reach(0).await? {
            return Ok(());
        }
        self.send(0).await?;
        let mut message = self.result.index.batch_of(offset);
        while message == self.result.index.messages() {
            if !self.reach(message).await? {
                return Ok(());
            }
            message = self.result.index.batch_of(offset);
        }
        self.say(FromResult::At { row: self.result.index.first_row(message) }).await?;
        loop {
            self.send(message).await?;
            message += 1;
            if !self.reach(message).await? {
                return Ok(());
            }
        }
    }

    /// Waits until a message is there. False when none comes any more, which the reader has been told then.
    async fn reach(&mut self, message: usize) -> io::Result<bool> {
        let mut pause = LOOK_EVERY.start;
        let mut told = false;
        loop {
            if message < self.result.index.messages() {
                return Ok(true);
            }
            if let Some(ended) = self.result.index.ended().cloned() {
                self.say(FromResult::Ended(ended)).await?;
                return Ok(false);
            }
            if !self.is_there().await? {
                return Ok(false);
            }
            if !std::mem::replace(&mut told, true) {
                self.say(FromResult::SoFar { rows: self.result.index.rows() }).await?;
            }
            // A reader says nothing more; what can be heard of it is that it went away.
            let gone = timeout(pause, self.stream.read_u8()).await;
            if gone.is_ok() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            pause = (pause * 2).min(LOOK_EVERY.end);
            self.result.index.refresh()?;
        }
    }

    /// Sends a message: piece by piece as it is in the file, unless it must be looked at whole.
    async fn send(&mut self, message: usize) -> io::Result<()> {
        let place = self.result.index.place(message);
        if self.outgoing.as_ref().is_none_or(|outgoing| !outgoing.is_unread()) {
            return self.send_read(place).await;
        }
        let mut at = place.start;
        while at < place.end {
            let until = place.end.min(at + PIECE_BYTES_MAX as u64);
            let piece = self.read(at..until).await?;
            self.send_piece(&piece).await?;
            at = until;
        }
        Ok(())
    }

    async fn send_read(&mut self, place: Range<u64>) -> io::Result<()> {
        let message = self.read(place).await?;
        let (outgoing, secrets) = (self.outgoing.clone(), self.secrets.clone());
        let leaves = aside(move || Ok(leaves(outgoing, secrets, message))).await?;
        match leaves {
            Ok((outgoing, message)) => {
                self.outgoing = Some(outgoing);
                for piece in message.chunks(PIECE_BYTES_MAX) {
                    self.send_piece(piece).await?;
                }
                Ok(())
            }
            Err(unsent) => {
                let rows = self.result.index.rows();
                self.say(FromResult::Ended(ResultEnded { rows, end: ResultEnd::Failed, reason: unsent.to_string() }))
                    .await?;
                Err(io::Error::other(unsent))
            }
        }
    }

    async fn read(&mut self, place: Range<u64>) -> io::Result<Vec<u8>> {
        if !self.is_there().await? {
            return Err(io::ErrorKind::NotFound.into());
        }
        let data = self.result.data.clone();
        let length = usize::try_from(place.end - place.start).ok().filter(|length| *length <= MESSAGE_BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::other("a message that is longer than any interpreter writes"))?;
        let read = aside(move || {
            let mut bytes = vec![0; length];
            data.read_exact_at(&mut bytes, place.start)?;
            Ok(bytes)
        });
        read.await
    }

    async fn send_piece(&mut self, piece: &[u8]) -> io::Result<()> {
        let sent = frame::write(&mut self.stream, &FromResult::Bytes {}, Some(piece));
        timeout(TAKE_DEADLINE, sent).await?
    }

    /// Whether the file still has its name. One that was taken away is not read on: its room was needed.
    async fn is_there(&mut self) -> io::Result<bool> {
        let there = self.result.data.metadata()?.nlink() > 0;
        if !there {
            let reason = "its context was destroyed, or newer results needed the room".to_owned();
            let rows = self.result.index.rows();
            self.say(FromResult::Ended(ResultEnded { rows, end: ResultEnd::Failed, reason })).await?;
        }
        Ok(there)
    }

    async fn say(&mut self, head: FromResult) -> io::Result<()> {
        timeout(TAKE_DEADLINE, frame::write(&mut self.stream, &head, None)).await?
    }
}
