//! The one driver of a cluster's folder.
//!
//! A driver holds a lock in its folder as long as it lives, and its process id stands in the locked file: as long as the lock
//! is held, that number is the driver's and nobody else's. So a server can end a driver that does not answer any more, and
//! two drivers never share a folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::process;

/// The locked file's name.
const LOCK: &str = "driver.lock";

/// How long a driver waits for one that is about to end.
const HOLD_DEADLINE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// How often the lock is tried meanwhile.
const HOLD_EVERY: Duration = Duration::from_millis(20);

/// Takes a cluster's folder; it is let go when the file is dropped, or with the process.
pub(crate) async fn hold(folder: &Path) -> io::Result<File> {
    let mut file = open(folder)?;
    let end = tokio::time::Instant::now() + HOLD_DEADLINE;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if tokio::time::Instant::now() < end => tokio::time::sleep(HOLD_EVERY).await,
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another driver of this cluster runs")),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())?;
    Ok(file)
}

/// Kills the driver that holds a folder; tells whether there was one. What it had started dies with it.
pub fn kill_holder(folder: &Path) -> io::Result<bool> {
    let mut file = match OpenOptions::new().read(true).open(folder.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    match file.try_lock_shared() {
        Ok(()) => return Ok(false), // dropped with the file
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let holder = text.parse::<i32>().ok().filter(|pid| *pid != std::process::id().cast_signed());
    if let Some(pid) = holder {
        process::signal(pid, Signal::SIGKILL);
    }
    Ok(holder.is_some())
}

fn open(folder: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(folder.join(LOCK))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::spec::CommandSpec;

    #[tokio::test]
    async fn a_holder_is_killed_and_the_next_one_gets_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!kill_holder(folder.path()).unwrap());
        let script = "exec 9>driver.lock; flock 9; printf $$ >&9; echo held; sleep 300";
        let spec =
            CommandSpec { program: "/bin/sh".into(), args: vec!["-c".into(), script.into()], env: BTreeMap::new() };
        let mark = format!("holder-{}", std::process::id());
        let log = process::open_log(&folder.path().join("log")).unwrap();
        let mut child = process::spawn(&spec, &mark, folder.path(), log).unwrap();
        while !process::last_lines(&folder.path().join("log"), 1).contains("held") {
            tokio::time::sleep(HOLD_EVERY).await;
        }
        assert!(kill_holder(folder.path()).unwrap());
        assert!(process::words(child.wait().await.unwrap()).starts_with("killed by signal 9"));
        // The shell's own `sleep` has the lock's descriptor too.
        process::sweep(&mark);
        let held = hold(folder.path()).await.unwrap();
        assert!(!kill_holder(folder.path()).unwrap(), "it is this very process");
        drop(held);
    }
}
