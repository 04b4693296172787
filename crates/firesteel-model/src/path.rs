//! Paths of our own trees: the files of `dbfs:/`, and the workspace.
//!
//! A path is absolute, has no way back (`..`) and no name that a file system could read in another way. What is made of
//! a client's text here is looked up below the tree's root, and nowhere else.

use std::fmt;

/// Bytes of a whole path: what Linux takes, with room for the folder that the tree is in.
pub const PATH_BYTES_MAX: usize = 3_500;
/// Bytes of one name in a path: what Linux takes.
pub const NAME_BYTES_MAX: usize = 255;
/// The folder in the root of `dbfs:/` that is the server's own: uploads under way and the table of mounts. It is not
/// listed, and no path leads into it.
pub const OWN_FOLDER: &str = ".firesteel";

/// The scheme of the file system.
const SCHEME: &str = "dbfs:";

/// An absolute path, tidied: `/`, or `/a/b` without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(String);

/// Why a text is no path of the tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// It does not begin with a slash.
    #[error("`{0}` is not an absolute path; begin it with `/`")]
    Relative(String),
    /// It names another file system, or another host.
    #[error("`{0}` is not on dbfs:/; no other file system can be reached here")]
    Elsewhere(String),
    /// It holds `.` or `..`.
    #[error("`{0}` holds `.` or `..` as a name; write the path without")]
    Dots(String),
    /// It holds a NUL.
    #[error("the path holds a NUL character")]
    Nul,
    /// It, or a name in it, is too long.
    #[error("the path is too long: at most {PATH_BYTES_MAX} bytes, and {NAME_BYTES_MAX} for each name")]
    TooLong,
    /// It leads into what the server keeps for itself.
    #[error("`/{OWN_FOLDER}` is the server's own")]
    Reserved,
}

impl TreePath {
    /// Reads a path of `dbfs:/`, with or without the scheme.
    pub fn of_dbfs(text: &str) -> Result<Self, BadPath> {
        let shown = || text.chars().take(200).collect::<String>();
        let plain = match text.strip_prefix(SCHEME) {
            // `dbfs://host/…` names a host; `dbfs:///…` has an empty one.
            Some(rest) if rest.starts_with("//") && !rest.starts_with("///") => {
                return Err(BadPath::Elsewhere(shown()));
            }
            Some(rest) => rest,
            None => text,
        };
        if !plain.starts_with('/') && plain.split('/').next().is_some_and(|first| first.contains(':')) {
            return Err(BadPath::Elsewhere(shown()));
        }
        let path = Self::read(plain)?;
        if path.names().next() == Some(OWN_FOLDER) {
            return Err(BadPath::Reserved);
        }
        Ok(path)
    }

    /// Reads a path of the workspace.
    pub fn of_workspace(text: &str) -> Result<Self, BadPath> {
        Self::read(text)
    }

    fn read(text: &str) -> Result<Self, BadPath> {
        let shown = || text.chars().take(200).collect::<String>();
        if text.contains('\0') {
            return Err(BadPath::Nul);
        }
        if !text.starts_with('/') {
            return Err(BadPath::Relative(shown()));
        }
        let mut path = String::with_capacity(text.len());
        for name in text.split('/').filter(|name| !name.is_empty()) {
            if name == "." || name == ".." {
                return Err(BadPath::Dots(shown()));
            }
            if name.len() > NAME_BYTES_MAX {
                return Err(BadPath::TooLong);
            }
            path.push('/');
            path.push_str(name);
        }
        if path.len() > PATH_BYTES_MAX {
            return Err(BadPath::TooLong);
        }
        if path.is_empty() {
            path.push('/');
        }
        Ok(Self(path))
    }

    /// Returns the root.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// Returns the text: `/` or `/a/b`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// Returns the last name; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the folder it is in; the root's is the root.
    pub fn parent(&self) -> Self {
        match self.0.rsplit_once('/') {
            None | Some(("", _)) => Self::root(),
            Some((parent, _)) => Self(parent.to_owned()),
        }
    }

    /// Returns the path of something in this folder; `name` must be one that a folder holds.
    pub fn join(&self, name: &str) -> Self {
        if self.is_root() { Self(format!("/{name}")) } else { Self(format!("{}/{name}", self.0)) }
    }

    /// Returns the path from the root on: `.` for the root itself, else `a/b`.
    pub fn below_root(&self) -> &str {
        if self.is_root() { "." } else { &self.0[1..] }
    }

    /// Returns the names from the root on.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|name| !name.is_empty())
    }

    /// Tells whether it is in `folder`, at any depth, or is it.
    pub fn is_within(&self, folder: &Self) -> bool {
        let rest = self.0.strip_prefix(&folder.0);
        folder.is_root() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let read = TreePath::of_dbfs(text);
        assert_eq!(read.as_ref().map_or_else(|bad| format!("{bad:?}"), ToString::to_string), expected, "{text:?}");
    }

    #[test]
    fn a_path_is_tidied_and_what_leads_elsewhere_is_refused() {
        check("/", "/");
        check("dbfs:/", "/");
        check("dbfs:///a/", "/a");
        check("//a//b/", "/a/b");
        check("dbfs:/a b/ü", "/a b/ü");
        check("/a%2F..%2Fb", "/a%2F..%2Fb");
        check("/a:b", "/a:b");
        check("a", "Relative(\"a\")");
        check("", "Relative(\"\")");
        check("dbfs:a", "Relative(\"a\")");
        check("file:/etc/passwd", "Elsewhere(\"file:/etc/passwd\")");
        check("s3a://bucket/x", "Elsewhere(\"s3a://bucket/x\")");
        check("dbfs://host/x", "Elsewhere(\"dbfs://host/x\")");
        check("/a/../b", "Dots(\"/a/../b\")");
        check("/a/.", "Dots(\"/a/.\")");
        check("/a\0b", "Nul");
        check("/.firesteel/uploads", "Reserved");
        check("dbfs:/.firesteel", "Reserved");
        check("/a/.firesteel", "/a/.firesteel");
        check(&format!("/{}", "x".repeat(256)), "TooLong");
        check(&"/x".repeat(2_000), "TooLong");
    }

    #[test]
    fn a_folder_holds_what_is_below_it_and_nothing_else() {
        let path = |text| TreePath::of_dbfs(text).unwrap();
        assert!(path("/a/b").is_within(&path("/a")) && path("/a").is_within(&path("/a")));
        assert!(path("/a").is_within(&path("/")) && !path("/ab").is_within(&path("/a")));
        assert_eq!(
            (path("/a/b").parent(), path("/a").parent(), path("/").parent()),
            (path("/a"), path("/"), path("/"))
        );
        assert_eq!((path("/").join("a"), path("/a").join("b")), (path("/a"), path("/a/b")));
        assert_eq!((path("/a/b").name(), path("/").name(), path("/").below_root()), ("b", "", "."));
    }

    proptest! {
        #[test]
        fn no_text_becomes_a_path_with_a_way_out(text in "(dbfs:|)[/a.\\\\%2F\0é:]{0,40}") {
            if let Ok(path) = TreePath::of_dbfs(&text) {
                prop_assert!(path.as_str().starts_with('/'));
                prop_assert!(path.names().all(|name| name != "." && name != ".." && !name.contains(['/', '\0'])));
                prop_assert_eq!(TreePath::of_dbfs(path.as_str()), Ok(path.clone()));
                prop_assert_eq!(TreePath::of_dbfs(&format!("dbfs:{path}")), Ok(path));
            }
        }
    }
}
