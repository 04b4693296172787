//! The Python package that interpreters are forked from, written where Python can import it.

use std::path::{Path, PathBuf};
use std::{fs, io, process};

use super::RuntimeError;
use super::interpreters::{Source, digest_of, python};

/// The name of the package.
pub const PACKAGE: &str = "firesteel_python";

/// The module of the package that executors' Python workers are forked from.
pub const DAEMON: &str = "firesteel_python.daemon";

/// Writes the package below `cache`, unless it is there, and returns the folder to put on `PYTHONPATH`.
pub fn ensure_python(cache: &Path) -> Result<PathBuf, RuntimeError> {
    ensure(&cache.join("python"), PACKAGE, python())
}

/// Writes `sources` to a folder of that name in a folder of their digest below `parent`, and returns the latter. Others
/// see all of them or none.
pub(super) fn ensure(parent: &Path, name: &str, sources: &[Source]) -> Result<PathBuf, RuntimeError> {
    let (folder, aside) = (parent.join(digest_of(sources)), parent.join(format!("part-{}", process::id())));
    if folder.is_dir() {
        return Ok(folder);
    }
    let write = || -> io::Result<()> {
        let _ = fs::remove_dir_all(&aside);
        for source in sources {
            let path = aside.join(name).join(source.name);
            fs::create_dir_all(path.parent().unwrap_or(&aside))?;
            fs::write(path, source.text)?;
        }
        match fs::rename(&aside, &folder) {
            // Another process was first, with the same files.
            Err(_) if folder.is_dir() => fs::remove_dir_all(&aside),
            other => other,
        }
    };
    write().map_err(|source| RuntimeError::io("write the sources to", &folder, source))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_written_once_and_leaves_nothing_aside() {
        let cache = tempfile::tempdir().unwrap();
        let sources =
            [Source { name: "__init__.py", text: "x = 1\n" }, Source { name: "sub/deep.py", text: "y = 2\n" }];
        let parent = cache.path().join("python");
        let folder = ensure(&parent, PACKAGE, &sources).unwrap();
        assert_eq!(fs::read_to_string(folder.join("firesteel_python/sub/deep.py")).unwrap(), "y = 2\n");
        fs::write(folder.join("mark"), "").unwrap();
        assert_eq!(ensure(&parent, PACKAGE, &sources).unwrap(), folder);
        assert!(folder.join("mark").exists());
        assert_eq!(fs::read_dir(parent).unwrap().count(), 1);
    }
}
