//! Whole files on their way to a server: read piece by piece, with a bar on a terminal. A transfer has no deadline, but one
//! that stands still has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Body, Response};
use tokio::io::AsyncReadExt as _;

use super::api::ApiError;
use super::failure::Failure;

/// Bytes that are read at a time.
const READ_BYTES: usize = 256 * 1024;
/// How long a transfer may stand still.
pub(super) const STILL: Duration = Duration::from_secs(60);
/// How long a transfer may take at all.
pub(super) const AT_ALL: Duration = Duration::from_secs(7 * 24 * 3600);

/// Waits for the answer to a request whose body counts itself in `sent`, as long as that grows.
pub(super) async fn watched(
    sending: impl Future<Output = Result<Response, ApiError>>,
    sent: &AtomicU64,
) -> Result<Response, Failure> {
    tokio::select! {
        answer = sending => answer.map_err(Failure::from),
        () = stands_still(sent) => Err(still()),
    }
}

/// A body that is a file of this machine.
pub(super) fn reading(file: tokio::fs::File, bar: ProgressBar, sent: Arc<AtomicU64>) -> Body {
    Body::wrap_stream(stream::try_unfold(file, move |mut file| {
        let (bar, sent) = (bar.clone(), sent.clone());
        async move {
            let mut bytes = Vec::with_capacity(READ_BYTES);
            let read = (&mut file).take(READ_BYTES as u64).read_to_end(&mut bytes).await?;
            bar.inc(read as u64);
            sent.fetch_add(read as u64, Ordering::Relaxed);
            Ok::<_, std::io::Error>((read > 0).then_some((Bytes::from(bytes), file)))
        }
    }))
}

/// A bar for one file, on a terminal.
pub(super) fn bar(name: &str, length: Option<u64>) -> ProgressBar {
    let template = "{prefix:24!} {bar:30} {bytes:>10}/{total_bytes} {bytes_per_sec} {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
    bar.with_style(style).with_prefix(name.to_owned())
}

/// Waits until nothing was sent for a while.
async fn stands_still(sent: &AtomicU64) {
    let mut last = None;
    loop {
        let now = sent.load(Ordering::Relaxed);
        if last == Some(now) {
            return;
        }
        last = Some(now);
        tokio::time::sleep(STILL).await;
    }
}

pub(super) fn still() -> Failure {
    let cause = std::io::Error::new(std::io::ErrorKind::TimedOut, format!("nothing moved for {} s", STILL.as_secs()));
    Failure::io("transfer the file")(cause)
}
