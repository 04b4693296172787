//! The two sockets of a driver: made for the user alone, and the first message of whoever connects.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::protocol::frame;

/// How long a peer may take to say `hello`.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);

/// How many peers may be between connecting and their `hello`.
const GREETING_MAX: usize = 64;

/// Makes a folder that only the user may enter.
pub fn private_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

/// Listens on a socket that only the user may open. An older socket of that name is replaced.
pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Accepts for ever, and hands on each connection with its first message. A peer that says something else, or
/// nothing, is dropped.
pub(crate) async fn greet<T>(listener: UnixListener, arrivals: mpsc::Sender<(T, UnixStream)>)
where
    T: DeserializeOwned + Send + 'static,
{
    let greeting = std::sync::Arc::new(tokio::sync::Semaphore::new(GREETING_MAX));
    loop {
        let Ok(permit) = greeting.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: others will end.
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let arrivals = arrivals.clone();
        tokio::spawn(async move {
            let _permit = permit;
            let mut stream = stream;
            match tokio::time::timeout(HELLO_DEADLINE, frame::read::<T, _>(&mut stream)).await {
                Ok(Ok(Some(message))) => {
                    let _ = arrivals.send((message.head, stream)).await;
                }
                Ok(Ok(None)) => {}
                Ok(Err(error)) => tracing::warn!("a peer did not say hello: {error}"),
                Err(_) => tracing::warn!("a peer said nothing for {HELLO_DEADLINE:?}"),
            }
        });
    }
}
