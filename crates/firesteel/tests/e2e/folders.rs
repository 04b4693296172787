//! Where the end-to-end tests keep their files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// What of the data folder is kept from run to run: it takes minutes to make.
const KEPT: [&str; 2] = ["runtimes", "cache"];

/// `target/e2e`.
pub(crate) fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("e2e");
    fs::create_dir_all(&root).unwrap();
    root.canonicalize().unwrap()
}

/// The data folder of the shared server, and of those that come after it.
pub(crate) fn data() -> PathBuf {
    root().join("data")
}

/// Sees to it that one run at a time uses the folder: waits for another to end.
pub(crate) fn lock() -> File {
    let path = root().join("lock");
    let file = File::options().create(true).append(true).open(&path).unwrap();
    if file.try_lock().is_err() {
        eprintln!("waiting for another run of these tests to end: it holds `{}`", path.display());
        file.lock().unwrap();
    }
    file
}

/// Tells whether there is a runtime to share.
pub(crate) fn has_runtime() -> bool {
    data().join("runtimes").exists()
}

/// Empties a data folder of all but what takes long to make. Refuses while a server uses it.
pub(crate) fn clean(data: &Path) -> Result<(), String> {
    let Ok(lock) = File::options().read(true).write(true).open(data.join("lock")) else {
        return Ok(());
    };
    if lock.try_lock().is_err() {
        return Err(format!("a server of an earlier run still uses `{}`; end it first", data.display()));
    }
    for entry in fs::read_dir(data).unwrap().flatten() {
        let path = entry.path();
        if !KEPT.iter().any(|kept| entry.file_name() == *kept) {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|error| format!("failed to remove `{}`: {error}", path.display()))?;
        }
    }
    Ok(())
}

/// Makes an empty folder of this name, in place of an old one.
pub(crate) fn fresh(name: &str) -> PathBuf {
    let folder = root().join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Empties the data folder for a server of a case's own, which has the runtime then: the shared server has ended.
pub(crate) fn fresh_data() -> PathBuf {
    clean(&data()).unwrap();
    data()
}
