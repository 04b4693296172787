//! pip: installing into an environment, and telling why it failed. The user's own configuration of pip is left to work.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use firesteel_driver::runtime::child::{Ended, Run};
use firesteel_driver::runtime::lock::Lock;
use firesteel_driver::runtime::pythons::FOREIGN;

use super::SetupError;
use super::folders::RuntimeFolder;
use super::progress::Step;

/// How much of what pip said is shown.
const TAIL_LINES: usize = 8;
/// How often the size of a download is looked at.
const MEASURE_EVERY: Duration = Duration::from_millis(400);
/// How deep a download lies below the scratch folder.
const DOWNLOAD_DEPTH: usize = 2;

/// What to install.
pub(crate) enum What<'a> {
    /// One package.
    Package(&'a str),
    /// A requirements file.
    File(&'a Path),
}

/// Installs into the environment of `folder`. What is there already is passed over, without the network.
pub(crate) async fn install(
    folder: &RuntimeFolder,
    lock: &Lock,
    what: What<'_>,
    step: &Step,
) -> Result<(), SetupError> {
    let python = folder.environment().join("bin/python");
    forget_half_installed(&folder.environment())?;
    // Dropped after the run, so that nothing writes there any more.
    let scratch = Scratch::new(folder.scratch())?;
    let share = lock.share().map_err(|source| SetupError::io("share", &folder.lock(), source))?;

    let mut run = Run::new(&python)
        .args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"])
        .without(FOREIGN)
        .env("TMPDIR", &scratch.0)
        .input(share);
    run = match what {
        What::Package(package) => run.args([package]),
        What::File(path) => run.args([Path::new("-r"), path]),
    };
    let size = std::sync::Mutex::new(None);
    let mut hear = |line: &str| {
        step.say(line.trim());
        if let Ok(mut size) = size.lock() {
            *size = download_size(line);
        }
    };
    let ended = {
        let running = run.to_end(&mut hear);
        tokio::pin!(running);
        loop {
            tokio::select! {
                ended = &mut running => break ended,
                () = tokio::time::sleep(MEASURE_EVERY), if step.is_measured() => {
                    let all = size.lock().ok().and_then(|size| *size);
                    step.measure(all.map(|all| (largest(&scratch.0, DOWNLOAD_DEPTH), all)));
                }
            }
        }
    };
    step.measure(None);
    let ended = ended.map_err(|source| SetupError::io("run", &python, source))?;
    if ended.success() { Ok(()) } else { Err(failure(step.text(), &ended)) }
}

/// A folder of files that are of no use once pip has ended: gigabytes, if it was cut off.
struct Scratch(PathBuf);

impl Scratch {
    fn new(folder: PathBuf) -> Result<Self, SetupError> {
        clear(&folder)?;
        fs::create_dir_all(&folder).map_err(|source| SetupError::io("make", &folder, source))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = clear(&self.0);
    }
}

/// Tells apart the failures that ask for different things of the user.
fn failure(step: &str, ended: &Ended) -> SetupError {
    const ROOM: [&str; 2] = ["No space left on device", "Disk quota exceeded"];
    const NETWORK: [&str; 12] = [
        "NewConnectionError",
        "NameResolutionError",
        "Temporary failure in name resolution",
        "Name or service not known",
        "nodename nor servname provided",
        "Network is unreachable",
        "Connection refused",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "Connection reset by peer",
        "ProxyError",
        "Connection broken",
    ];
    let said = |words: &[&str]| ended.lines.iter().any(|line| words.iter().any(|word| line.contains(word)));
    let (step, tail) = (step.to_owned(), ended.tail(TAIL_LINES));
    if said(&ROOM) {
        SetupError::RanOutOfRoom { step, tail }
    } else if said(&NETWORK) {
        SetupError::NoNetwork { step, tail }
    } else {
        SetupError::Pip { step, tail }
    }
}

/// The size in `Downloading pyspark-4.3.0.tar.gz (455.9 MB)`.
fn download_size(line: &str) -> Option<u64> {
    let (_, size) = line.trim().strip_prefix("Downloading ")?.strip_suffix(')')?.rsplit_once('(')?;
    let (number, unit) = size.split_once(' ')?;
    let unit = match unit {
        "MB" => 1e6,
        "kB" => 1e3,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size of a download, rounded by pip")]
    number.parse::<f64>().ok().map(|number| (number * unit) as u64)
}

/// The size of the largest file in `folder`.
fn largest(folder: &Path, depth: usize) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(facts) if facts.is_dir() && depth > 1 => largest(&entry.path(), depth - 1),
        Ok(facts) if facts.is_file() => facts.len(),
        _ => 0,
    });
    sizes.max().unwrap_or(0)
}

/// Removes the records of packages whose installation was cut off, so that pip installs them again: it writes a
/// package's files first, then who installed it.
fn forget_half_installed(environment: &Path) -> Result<(), SetupError> {
    for site in site_packages(environment) {
        for entry in fs::read_dir(&site).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "dist-info") && !path.join("INSTALLER").exists() {
                clear(&path)?;
            }
        }
    }
    Ok(())
}

/// The folders of an environment's packages.
pub(crate) fn site_packages(environment: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(environment.join("lib")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().join("site-packages")).filter(|path| path.is_dir()).collect()
}

/// Removes a folder that may not be there.
pub(crate) fn clear(folder: &Path) -> Result<(), SetupError> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(SetupError::io("remove", folder, source)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_download_is_read_as_pip_writes_it() {
        assert_eq!(download_size("  Downloading pyspark-4.3.0.tar.gz (455.9 MB)"), Some(455_900_000));
        assert_eq!(download_size("  Downloading py4j-0.10.9.9-py2.py3-none-any.whl (203 kB)"), Some(203_000));
        assert_eq!(download_size("  Downloading x.metadata"), None);
        assert_eq!(download_size("Installing collected packages: py4j"), None);
    }

    #[test]
    fn a_record_without_an_installer_is_forgotten() {
        let environment = tempfile::tempdir().unwrap();
        let site = environment.path().join("lib/python3.11/site-packages");
        for name in ["whole-1.dist-info", "half-1.dist-info", "half"] {
            fs::create_dir_all(site.join(name)).unwrap();
        }
        fs::write(site.join("whole-1.dist-info/INSTALLER"), "pip").unwrap();
        forget_half_installed(environment.path()).unwrap();
        let mut left: Vec<_> = fs::read_dir(site).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["half", "whole-1.dist-info"]);
    }

    #[test]
    fn failures_are_told_apart() {
        let fail = |line: &str| failure("x", &Ended { status: None, lines: vec![line.into(), "ERROR: no".into()] });
        assert!(matches!(fail("OSError: [Errno 28] No space left on device"), SetupError::RanOutOfRoom { .. }));
        let retry = "WARNING: Retrying after connection broken by 'NewConnectionError(...)': /simple/pyspark/";
        assert!(matches!(fail(retry), SetupError::NoNetwork { .. }));
        assert!(matches!(fail("ERROR: No matching distribution found"), SetupError::Pip { .. }));
    }
}
