//! Where runtimes are and what they are called.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fmt, fs};

use firesteel_driver::runtime::Runtime;

use super::SetupError;

/// A longer name is refused.
const NAME_CHARS_MAX: usize = 64;

/// The name of a runtime, which is the name of its folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RuntimeName(String);

impl FromStr for RuntimeName {
    type Err = SetupError;

    fn from_str(text: &str) -> Result<Self, SetupError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let starts = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        if starts && text.len() <= NAME_CHARS_MAX && text.chars().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(SetupError::Name(text.to_owned()))
        }
    }
}

impl fmt::Display for RuntimeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The files of one runtime.
#[derive(Clone, Debug)]
pub(crate) struct RuntimeFolder {
    pub(crate) name: RuntimeName,
    pub(crate) path: PathBuf,
}

impl RuntimeFolder {
    pub(crate) fn new(data: &Path, name: RuntimeName) -> Self {
        // Programs are started with these paths from other folders than this process's own.
        let data = std::path::absolute(data).unwrap_or_else(|_| data.to_path_buf());
        Self { path: data.join("runtimes").join(&name.0), name }
    }

    /// Makes the folder, which is not a runtime yet.
    pub(crate) fn create(&self) -> Result<(), SetupError> {
        fs::create_dir_all(&self.path).map_err(|source| SetupError::io("make", &self.path, source))
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    pub(crate) fn environment(&self) -> PathBuf {
        self.path.join("venv")
    }

    /// The mirror of a Java that lacks what Spark asks for.
    pub(crate) fn java(&self) -> PathBuf {
        self.path.join("java")
    }

    /// Where installers unpack: beside what they make, so that one look tells whether there is room.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// The runtime, if it is whole and what it is made of is still there.
    pub(crate) fn whole(&self) -> Result<Option<Runtime>, SetupError> {
        Ok(Runtime::read(&self.path)?.filter(|runtime| runtime.missing().is_none()))
    }
}

/// Where what is compiled for runtimes is kept.
pub(crate) fn cache(data: &Path) -> PathBuf {
    std::path::absolute(data).unwrap_or_else(|_| data.to_path_buf()).join("cache")
}

/// What `firesteel runtime list` shows of one folder.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) name: RuntimeName,
    /// `None` while it is half made.
    pub(crate) runtime: Option<Runtime>,
}

/// Every runtime of the data folder, by name, the half-made too.
pub(crate) fn list(data: &Path) -> Result<Vec<Listed>, SetupError> {
    let folder = data.join("runtimes");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(SetupError::io("list", &folder, source)),
    };
    let mut listed = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().into_string().ok().and_then(|name| name.parse::<RuntimeName>().ok());
        if let (Some(name), true) = (name, entry.path().is_dir()) {
            listed.push(Listed { name, runtime: Runtime::read(&entry.path())? });
        }
    }
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listed)
}
