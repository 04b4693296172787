//! Reading the rows that a driver keeps of a table, over a connection of its own.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use firesteel_api::{ClusterId, CommandId, ContextId};
use firesteel_driver::protocol::VERSION;
use firesteel_driver::protocol::frame;
use firesteel_driver::protocol::link::ToDriver;
use firesteel_driver::protocol::results::{FromResult, ResultEnded};
use tokio::io::BufReader;
use tokio::net::UnixStream;

/// How long a driver may take to say whether it has the rows.
const OPEN_DEADLINE: Duration = Duration::from_secs(10);

/// The rows of one table, as the driver sends them. Dropping it ends the reading.
pub(crate) struct Reading {
    stream: BufReader<UnixStream>,
    ended: Option<ResultEnded>,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Part {
    /// A piece of the Arrow stream.
    Bytes(Bytes),
    /// What follows begins with this row.
    At(u64),
    /// All that is there has come; there will be more.
    SoFar,
    /// Nothing more comes.
    Ended(ResultEnded),
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The driver says why.
    #[error("{0}")]
    Absent(String),
    /// The driver does not answer, or went away in the middle.
    #[error("the driver cannot be reached: {0}")]
    Io(#[from] io::Error),
}

impl Reading {
    /// Asks a driver for a table from one row on.
    pub(super) async fn open(
        socket: &Path,
        cluster: ClusterId,
        context: ContextId,
        command: CommandId,
        offset: u64,
    ) -> Result<Self, ReadError> {
        let open = async {
            let mut stream = UnixStream::connect(socket).await?;
            let ask = ToDriver::Read { version: VERSION, cluster, context, command, offset };
            frame::write(&mut stream, &ask, None).await?;
            let mut reading = Self { stream: BufReader::new(stream), ended: None };
            match reading.message().await? {
                (FromResult::Opened { ended }, _) => {
                    reading.ended = ended;
                    Ok(reading)
                }
                (FromResult::Absent { reason }, _) => Err(ReadError::Absent(reason)),
                (other, _) => Err(unexpected(&other).into()),
            }
        };
        let opened = tokio::time::timeout(OPEN_DEADLINE, open).await;
        opened.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    /// How the table had ended when it was opened; `None` while it was still being written.
    pub(crate) fn ended(&self) -> Option<&ResultEnded> {
        self.ended.as_ref()
    }

    /// Waits for the next part. Not cancel-safe: one that was given up is of no use any more.
    pub(crate) async fn next(&mut self) -> io::Result<Part> {
        match self.message().await? {
            (FromResult::Bytes {}, Some(bytes)) => Ok(Part::Bytes(bytes)),
            (FromResult::At { row }, _) => Ok(Part::At(row)),
            (FromResult::SoFar { .. }, _) => Ok(Part::SoFar),
            (FromResult::Ended(ended), _) => Ok(Part::Ended(ended)),
            (other, _) => Err(unexpected(&other)),
        }
    }

    async fn message(&mut self) -> io::Result<(FromResult, Option<Bytes>)> {
        match frame::read::<FromResult, _>(&mut self.stream).await {
            Ok(Some(message)) => Ok((message.head, message.payload)),
            Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(frame::FrameError::Io(error)) => Err(error),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

fn unexpected(message: &FromResult) -> io::Error {
    io::Error::other(format!("the driver answered {message:?}"))
}
