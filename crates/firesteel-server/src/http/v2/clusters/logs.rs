//! `clusters/logs`, an extension: a cluster's logs, by pieces, and what is added to them as it comes.

use std::io::{self, SeekFrom};
use std::path::Path;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::time::Instant;

use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::Failure;
use crate::http::v2::Answer;

/// Bytes of one piece.
const PIECE_BYTES_MAX: u64 = 256 * 1024;

/// Bytes of the end of a log with which a reader begins that does not say where.
const TAIL_BYTES: u64 = 16 * 1024;

/// How often a log is looked at while a reader waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The logs there are, by name. No path comes from a client.
const LOGS: [(&str, &str); 3] = [("driver", "driver.log"), ("spark", "spark.log"), ("python", "python.log")];

/// The answer.
#[derive(Serialize)]
pub(crate) struct Piece {
    data: String,
    /// Where the next piece begins: the `offset` to ask for it with.
    next_offset: u64,
}

/// `GET clusters/logs`: from `offset` on, or from near the end; held while there is nothing new and the reader follows.
pub(crate) async fn logs(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Piece> {
    let folder = app.engine.cluster_logs(ask.need("cluster_id")?)?;
    let name = ask.get("log")?.unwrap_or("spark");
    let (_, file) = LOGS.iter().find(|(known, _)| *known == name).ok_or_else(|| {
        Failure::invalid(format!("`log` must be one of: {}", LOGS.map(|(known, _)| known).join(", ")))
    })?;
    let folder = folder.ok_or_else(|| Failure::invalid("the logs of this cluster are not on the server's machine"))?;
    let offset = ask.count("offset")?;
    let follow = ask.flag("follow")?;
    let until = Instant::now() + if follow { app.settings.hold } else { Duration::ZERO };
    let path = folder.join(file);
    loop {
        let piece = read(&path, offset).await.map_err(|error| {
            tracing::error!("the log `{}` cannot be read: {error}", path.display());
            Failure::invalid(format!("the log cannot be read: {error}"))
        })?;
        if !piece.data.is_empty() || Instant::now() >= until || app.stop.is_cancelled() {
            return Ok(Json(piece));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Reads a piece. One that ends within a character leaves that to the next. A log that is not there yet is empty, and one that
/// is shorter than the offset was begun anew.
async fn read(path: &Path, offset: Option<u64>) -> io::Result<Piece> {
    let mut file = match File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Piece { data: String::new(), next_offset: 0 });
        }
        Err(error) => return Err(error),
    };
    let length = file.metadata().await?.len();
    let start = match offset {
        Some(offset) if offset <= length => offset,
        Some(_) => 0,
        None => length.saturating_sub(TAIL_BYTES),
    };
    file.seek(SeekFrom::Start(start)).await?;
    let mut bytes = Vec::new();
    file.take(PIECE_BYTES_MAX).read_to_end(&mut bytes).await?;
    // From near the end, the first line is mostly half a one.
    let skipped = if offset.is_none() && start > 0 {
        bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1)
    } else {
        0
    };
    let whole = whole_characters(&bytes);
    let data = String::from_utf8_lossy(&bytes[skipped.min(whole)..whole]).into_owned();
    Ok(Piece { data, next_offset: start + whole as u64 })
}

/// Returns how many bytes there are before a character that is cut off at the end.
fn whole_characters(bytes: &[u8]) -> usize {
    let start = bytes.len().saturating_sub(3);
    match std::str::from_utf8(&bytes[start..]) {
        Err(cut) if cut.error_len().is_none() => start + cut.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_log_is_read_by_pieces_and_from_near_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let piece = read(&path, None).await.unwrap();
        assert_eq!((piece.data.as_str(), piece.next_offset), ("", 0));
        std::fs::write(&path, "one\ntwo é").unwrap();
        let piece = read(&path, Some(0)).await.unwrap();
        assert_eq!((piece.data.as_str(), piece.next_offset), ("one\ntwo é", 10));
        let piece = read(&path, Some(4)).await.unwrap();
        assert_eq!(piece.data, "two é");
        assert_eq!(read(&path, Some(10)).await.unwrap().data, "");
        // Begun anew.
        assert_eq!(read(&path, Some(11)).await.unwrap().data, "one\ntwo é");
        // The last byte is not there yet.
        std::fs::write(&path, b"one\n\xc3").unwrap();
        let piece = read(&path, Some(0)).await.unwrap();
        assert_eq!((piece.data.as_str(), piece.next_offset), ("one\n", 4));
        let line = "x".repeat(99) + "\n";
        std::fs::write(&path, line.repeat(1000)).unwrap();
        let piece = read(&path, None).await.unwrap();
        assert!(piece.data.starts_with('x') && piece.data.len() % 100 == 0 && piece.next_offset == 100_000);
    }
}
