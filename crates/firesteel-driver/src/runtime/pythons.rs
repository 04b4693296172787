//! Which Python there is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fmt};

use serde::Deserialize;

use super::child::Run;

/// A Python that does not say its version in this time is passed over.
const PROBE_TIME: Duration = Duration::from_secs(20);
/// The line that is looked for among whatever else a start-up file prints.
const MARK: &str = "firesteel-python ";
/// What Python is asked. It runs on any Python 3, so that one that is too old can be told by its version.
const QUESTION: &str = "\
import importlib.util, json, sys
print('firesteel-python ' + json.dumps({
    'program': sys.executable,
    'version': '.'.join(str(part) for part in sys.version_info[:3]),
    'modules': {name: importlib.util.find_spec(name) is not None for name in sys.argv[1:]},
}))";

/// Variables that would make one Python import what belongs to another.
pub const FOREIGN: &[&str] = &["PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__"];

/// An installed Python.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Python {
    /// The interpreter itself, behind links to a shim.
    pub program: PathBuf,
    /// As it says itself.
    #[serde(rename = "version")]
    pub version_text: String,
    /// Whether it can import what was asked for.
    pub modules: BTreeMap<String, bool>,
}

/// A version up to the minor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minor(pub u32, pub u32);

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Python {
    /// Its version up to the minor number.
    pub fn minor(&self) -> Minor {
        let mut parts = self.version_text.split('.').map(|part| part.parse().unwrap_or(0));
        Minor(parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    }

    /// Whether it can import all that was asked for.
    pub fn has_all(&self) -> bool {
        self.modules.values().all(|has| *has)
    }
}

/// Asks a Python what it is, and whether it can import `modules` with `path` added to where it looks.
pub async fn probe(program: &Path, path: &[PathBuf], modules: &[&str]) -> Result<Python, String> {
    let mut run = Run::new(program).args(["-c", QUESTION]).args(modules).deadline(PROBE_TIME).without(FOREIGN);
    if !path.is_empty() {
        run = run.env("PYTHONPATH", env::join_paths(path).map_err(|error| error.to_string())?);
    }
    let ended = run.to_end(&mut |_| {}).await.map_err(|error| error.to_string())?;
    let answer = ended.lines.iter().find_map(|line| line.strip_prefix(MARK));
    match answer.map(serde_json::from_str::<Python>) {
        Some(Ok(python)) if ended.success() => Ok(python),
        _ => Err(ended.tail(1)),
    }
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    /// The first one that serves.
    pub python: Option<Python>,
    /// The newest that does not.
    pub too_old: Option<Python>,
}

/// Tries what there is on `path`: `python3` first, as that is what the user calls Python, then by number, newest first.
pub async fn find(path: Option<&OsString>, serves: impl Fn(&Python) -> bool) -> Found {
    const NAMES: [&str; 7] =
        ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];
    let mut found = Found::default();
    let mut tried = Vec::new();
    for name in NAMES {
        for folder in path.into_iter().flat_map(env::split_paths) {
            let program = folder.join(name);
            // By the link, not by what it leads to: a shim acts by the name it is called.
            if !program.is_file() || tried.contains(&program) {
                continue;
            }
            tried.push(program.clone());
            let Ok(python) = probe(&program, &[], &[]).await else {
                continue;
            };
            if serves(&python) {
                found.python = Some(python);
                return found;
            }
            if found.too_old.as_ref().is_none_or(|other| other.minor() < python.minor()) {
                found.too_old = Some(python);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn fake(folder: &Path, name: &str, script: &str) {
        fs::write(folder.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn says(version: &str) -> String {
        format!(
            r#"echo hello; echo 'firesteel-python {{"program": "/x/{version}", "version": "{version}", "modules": {{}}}}'"#
        )
    }

    #[tokio::test]
    async fn one_that_is_new_enough_is_found_behind_older_and_broken_ones() {
        let folder = tempfile::tempdir().unwrap();
        fake(folder.path(), "python3", &says("3.9.2"));
        fake(folder.path(), "python3.13", "exit 127");
        fake(folder.path(), "python3.12", &says("3.12.1"));
        let path = folder.path().as_os_str().to_os_string();
        let found = find(Some(&path), |python| python.minor() >= Minor(3, 10)).await;
        assert_eq!(found.python.unwrap().program, Path::new("/x/3.12.1"));

        let found = find(Some(&path), |python| python.minor() >= Minor(3, 13)).await;
        assert_eq!(found.too_old.unwrap().minor(), Minor(3, 12));
        assert!(find(None, |_| true).await.python.is_none());
    }
}
