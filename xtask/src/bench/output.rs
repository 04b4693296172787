//! What a process prints, with the moment it was printed.

use std::io::Read;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::bail;

/// The output of one process, read by a thread of its own.
pub(crate) struct Output {
    chunks: Receiver<(Instant, Vec<u8>)>,
    /// What was read and not yet asked for.
    text: Vec<u8>,
}

impl Output {
    /// Starts to read, to the end.
    pub(crate) fn of(mut source: impl Read + Send + 'static) -> Self {
        let (sender, chunks) = mpsc::channel();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            // A terminal whose last process is gone fails to be read; that is its end.
            while let Ok(length @ 1..) = source.read(&mut chunk) {
                if sender.send((Instant::now(), chunk[..length].to_vec())).is_err() {
                    return;
                }
            }
        });
        Self { chunks, text: Vec::new() }
    }

    /// Waits for a text; returns when it was there and all that came before it. What follows it is kept.
    pub(crate) fn until(&mut self, wanted: &str, patience: Duration) -> anyhow::Result<(Instant, String)> {
        let deadline = Instant::now() + patience;
        let mut seen = Instant::now();
        loop {
            if let Some(at) = self.text.windows(wanted.len()).position(|window| window == wanted.as_bytes()) {
                let before: Vec<u8> = self.text.drain(..at + wanted.len()).take(at).collect();
                return Ok((seen, String::from_utf8_lossy(&before).into_owned()));
            }
            match self.chunks.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((when, chunk)) => {
                    seen = when;
                    self.text.extend(chunk);
                }
                Err(ended) => {
                    let why = match ended {
                        RecvTimeoutError::Timeout => "it took too long",
                        RecvTimeoutError::Disconnected => "the output ended",
                    };
                    bail!("waited for `{}`; {why}. It said: {}", wanted.trim(), String::from_utf8_lossy(&self.text));
                }
            }
        }
    }

    /// Waits for a line and returns it.
    pub(crate) fn line(&mut self, patience: Duration) -> anyhow::Result<String> {
        Ok(self.until("\n", patience)?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_text_is_kept_and_the_end_is_told() {
        let mut output = Output::of(&b"one\ntwo> three"[..]);
        let patience = Duration::from_secs(10);
        assert_eq!(output.line(patience).unwrap(), "one");
        assert_eq!(output.until("> ", patience).unwrap().1, "two");
        let error = output.line(patience).unwrap_err().to_string();
        assert!(error.contains("the output ended") && error.contains("three"), "{error}");
    }
}
