//! Frames: a length of four bytes, then that many bytes.
//!
//! A message is one JSON frame and, when its object says `"payload": true`, one raw frame behind it. Reading is
//! not cancel-safe in the middle of a message, so a connection is read by a task that does nothing else.

use std::io;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest JSON frame, in bytes.
pub const JSON_BYTES_MAX: usize = 1 << 20;

/// The longest payload frame, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 20;

/// A message as it was read: what its JSON says, and the raw bytes behind it.
#[derive(Debug)]
pub struct Message<T> {
    /// The JSON object.
    pub head: T,
    /// The bytes behind it, where there were any.
    pub payload: Option<Bytes>,
}

/// Payloads up to this are written together with their head: one call, and one wake-up of the reader.
const TOGETHER_BYTES_MAX: usize = 32 << 10;

/// Why a connection cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed, or ended in the middle of a message.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// A length above the bound: the peer does not speak this protocol, or something wrote into its descriptor.
    #[error("a frame of {length} bytes is above the bound of {max}")]
    TooLong {
        /// What was announced.
        length: usize,
        /// The bound.
        max: usize,
    },
    /// A frame that is not the JSON of a known message.
    #[error("a frame holds no known message")]
    Json(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Tail {
    #[serde(default)]
    payload: bool,
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    #[serde(flatten)]
    head: &'a T,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    payload: bool,
}

/// Reads one message; `None` at an orderly end of the connection.
pub async fn read<T, R>(reader: &mut R) -> Result<Option<Message<T>>, FrameError>
where
    T: DeserializeOwned,
    R: AsyncRead + Unpin,
{
    let Some(json) = read_frame(reader, JSON_BYTES_MAX).await? else {
        return Ok(None);
    };
    let payload = if serde_json::from_slice::<Tail>(&json)?.payload {
        let frame = read_frame(reader, PAYLOAD_BYTES_MAX).await?;
        Some(frame.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?)
    } else {
        None
    };
    Ok(Some(Message { head: serde_json::from_slice(&json)?, payload }))
}

async fn read_frame<R: AsyncRead + Unpin>(reader: &mut R, max: usize) -> Result<Option<Bytes>, FrameError> {
    let mut length = [0u8; 4];
    // An end before the first byte is orderly, one inside the length is not.
    if reader.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    reader.read_exact(&mut length[1..]).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > max {
        return Err(FrameError::TooLong { length, max });
    }
    // Grown as the bytes arrive: an announced length alone costs nothing.
    let mut frame = Vec::with_capacity(length.min(64 << 10));
    let read = (&mut *reader).take(length as u64).read_to_end(&mut frame).await?;
    if read < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(Some(frame.into()))
}

/// Writes one message and flushes it.
pub async fn write<T, W>(writer: &mut W, head: &T, payload: Option<&[u8]>) -> io::Result<()>
where
    T: Serialize,
    W: AsyncWrite + Unpin,
{
    let mut bytes = encode(head, payload)?;
    let mut rest = payload.unwrap_or_default();
    if rest.len() <= TOGETHER_BYTES_MAX {
        bytes.extend_from_slice(std::mem::take(&mut rest));
    }
    writer.write_all(&bytes).await?;
    writer.write_all(rest).await?;
    writer.flush().await
}

/// Returns a message's JSON frame and, where there is a payload, that frame's length: everything but the payload itself.
pub fn encode<T: Serialize>(head: &T, payload: Option<&[u8]>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, &Envelope { head, payload: payload.is_some() })?;
    let length = frame_length(bytes.len() - 4, JSON_BYTES_MAX)?;
    bytes[..4].copy_from_slice(&length);
    if let Some(payload) = payload {
        bytes.extend_from_slice(&frame_length(payload.len(), PAYLOAD_BYTES_MAX)?);
    }
    Ok(bytes)
}

fn frame_length(length: usize, max: usize) -> io::Result<[u8; 4]> {
    match u32::try_from(length) {
        Ok(short) if length <= max => Ok(short.to_be_bytes()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, FrameError::TooLong { length, max })),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn read_all(mut bytes: &[u8]) -> (Vec<Message<Value>>, Option<FrameError>) {
        let mut seen = Vec::new();
        loop {
            match block(read::<Value, _>(&mut bytes)) {
                Ok(Some(message)) => seen.push(message),
                Ok(None) => return (seen, None),
                Err(error) => return (seen, Some(error)),
            }
        }
    }

    #[test]
    fn a_message_with_a_payload_comes_back_whole() {
        let mut bytes = Vec::new();
        block(write(&mut bytes, &json!({"type": "output"}), Some(b"\x00\xffabc"))).unwrap();
        block(write(&mut bytes, &json!({"type": "bound"}), None)).unwrap();
        let (seen, error) = read_all(&bytes);
        assert!(error.is_none());
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].payload.as_deref(), Some(&b"\x00\xffabc"[..]));
        assert!(seen[1].payload.is_none());
    }

    #[test]
    fn a_length_above_the_bound_is_refused_before_anything_is_read() {
        let (_, error) = read_all(&[0x7f, 0xff, 0xff, 0xff]);
        assert!(matches!(error, Some(FrameError::TooLong { .. })), "{error:?}");
    }

    proptest! {
        #[test]
        fn a_cut_message_is_an_error_and_never_a_shorter_one(payload: Vec<u8>, cut in 1usize..400) {
            let mut bytes = Vec::new();
            block(write(&mut bytes, &json!({"type": "x"}), Some(&payload))).unwrap();
            let cut = cut.min(bytes.len());
            let (seen, error) = read_all(&bytes[..bytes.len() - cut]);
            prop_assert!(seen.is_empty());
            prop_assert!(error.is_some() || cut == bytes.len());
        }

        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = read_all(&bytes);
        }
    }
}
