//! What a user's text names: a path on this machine, or one of `dbfs:/`.

use std::path::PathBuf;

use crate::client::failure::Failure;

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A path on this machine.
    Here(PathBuf),
    /// A path of `dbfs:/`, from its slash on. A slash at its end says that it is a folder.
    There(String),
}

impl Place {
    /// Reads an argument of `cp`: what is on the server begins with `dbfs:`.
    pub(super) fn of(text: &str) -> Result<Self, Failure> {
        if text.starts_with("dbfs:") {
            return Ok(Self::There(Self::remote(text)?));
        }
        let local = text.strip_prefix("file:").unwrap_or(text);
        if text.is_empty() || local.is_empty() {
            return Err(Failure::Usage("a path is empty".into()));
        }
        Ok(Self::Here(PathBuf::from(local)))
    }

    /// Reads an argument that can only be on the server; the scheme may be left out.
    pub(super) fn remote(text: &str) -> Result<String, Failure> {
        let path = text.strip_prefix("dbfs:").unwrap_or(text);
        if !path.starts_with('/') {
            return Err(Failure::Usage(format!("`{text}` is no path of dbfs:/; write it as `dbfs:/…`")));
        }
        if path.split('/').any(|name| name == "." || name == "..") {
            return Err(Failure::Usage(format!("`{text}` holds `.` or `..` as a name; write the path without")));
        }
        let tidy: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        let end = if path.ends_with('/') && !tidy.is_empty() { "/" } else { "" };
        Ok(format!("/{}{end}", tidy.join("/")))
    }
}

/// Returns the last name of a path of `dbfs:/`.
pub(super) fn name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// Returns the path of `name` in a folder of `dbfs:/`.
pub(super) fn join(folder: &str, name: &str) -> String {
    format!("{}/{name}", folder.trim_end_matches('/'))
}
