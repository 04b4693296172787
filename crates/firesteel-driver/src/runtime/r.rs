//! R: where it is, and the sources of its interpreters written where it can read them.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::interpreters::r;
use super::{RuntimeError, python_sources};

/// What is said to whoever asks for R where there is none.
pub const MISSING: &str = "R is not installed on this machine; install it (Debian: `apt-get install r-base-core`) and \
                           start the server again";

/// The name of the folder that the sources are in.
pub(crate) const FOLDER: &str = "firesteel_r";

/// Returns the first `Rscript` on `path`.
pub fn find(path: Option<&OsStr>) -> Option<PathBuf> {
    let mut programs = path.into_iter().flat_map(env::split_paths).map(|folder| folder.join("Rscript"));
    programs.find(|program| program.is_file())
}

/// Writes the sources below `cache`, unless they are there, and returns the folder that holds them. R keeps what it
/// compiles of them there too.
pub fn ensure_r(cache: &Path) -> Result<PathBuf, RuntimeError> {
    python_sources::ensure(&cache.join("r"), FOLDER, r())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_on_the_path_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        std::fs::create_dir_all(one.join("Rscript")).unwrap();
        std::fs::create_dir(&two).unwrap();
        std::fs::write(two.join("Rscript"), "").unwrap();
        let path = env::join_paths([&one, &two]).unwrap();
        assert_eq!(find(Some(&path)), Some(two.join("Rscript")));
        assert_eq!(find(Some(one.as_os_str())), None);
        assert_eq!(find(None), None);
    }

    #[test]
    fn the_sources_begin_with_main() {
        let cache = tempfile::tempdir().unwrap();
        assert!(ensure_r(cache.path()).unwrap().join(FOLDER).join("main.R").is_file());
    }
}
