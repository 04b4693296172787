//! Libraries as 1.2 shows them (reference, section 8), and what a library is on both APIs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ClusterId, LibraryId};

/// The word that 1.2 takes in place of a cluster's id: this one and every cluster made later.
pub const ALL_CLUSTERS: &str = "__ALL_CLUSTERS";

/// What can be installed on a cluster, as 2.0 spells it: an object with one key (reference, section 14).
///
/// It is also what the store and the driver know a library by: two that are spelled alike are the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Library {
    /// A jar file, by its URI.
    Jar(String),
    /// A Python egg, by its URI.
    Egg(String),
    /// A Python wheel, by its URI.
    Whl(String),
    /// A file of pip requirements, by its URI.
    Requirements(String),
    /// What pip installs by name.
    Pypi {
        /// A requirement such as `simplejson==3.8.0`.
        package: String,
        /// The index to ask; the machine's own when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repo: Option<String>,
    },
    /// What Spark's Ivy resolves.
    Maven {
        /// `group:artifact:version`.
        coordinates: String,
        /// The repository to ask beside the usual ones.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repo: Option<String>,
        /// `group:artifact` of what is left out; `*` for either.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        exclusions: Vec<String>,
    },
    /// An R package. Known so that it can be refused by name.
    Cran {
        /// The package.
        package: String,
        /// The mirror to ask.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repo: Option<String>,
    },
}

impl Library {
    /// Returns the one spelling by which a library is known: its JSON.
    pub fn key(&self) -> String {
        serde_json::to_string(self).expect("a library has string keys and no failing serializer")
    }

    /// Returns the URI of the file it is, if it is one.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Jar(uri) | Self::Egg(uri) | Self::Whl(uri) | Self::Requirements(uri) => Some(uri),
            Self::Pypi { .. } | Self::Maven { .. } | Self::Cran { .. } => None,
        }
    }

    /// Returns the kind as 1.2 names it.
    pub fn kind(&self) -> LibraryKind {
        match self {
            Self::Jar(_) => LibraryKind::JavaJar,
            Self::Egg(_) => LibraryKind::PythonEgg,
            Self::Whl(_) => LibraryKind::PythonWheel,
            Self::Requirements(_) => LibraryKind::PythonRequirements,
            Self::Pypi { .. } => LibraryKind::PythonPypi,
            Self::Maven { .. } => LibraryKind::Maven,
            Self::Cran { .. } => LibraryKind::Cran,
        }
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jar(uri) | Self::Egg(uri) | Self::Whl(uri) | Self::Requirements(uri) => f.write_str(uri),
            Self::Pypi { package, .. } | Self::Cran { package, .. } => f.write_str(package),
            Self::Maven { coordinates, .. } => f.write_str(coordinates),
        }
    }
}

/// The kind of a library: `libType` of 1.2. The first three are documented; the others are what 2.0 has beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LibraryKind {
    /// `java-jar`; sbt's plugin sends `scala` for it.
    JavaJar,
    /// `python-egg`
    PythonEgg,
    /// `python-pypi`
    PythonPypi,
    /// `python-wheel`
    PythonWheel,
    /// `python-requirements`
    PythonRequirements,
    /// `maven`
    Maven,
    /// `cran`
    Cran,
}

impl LibraryKind {
    /// Reads a `libType`, in any case.
    pub fn from_lib_type(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "java-jar" | "scala" | "jar" => Self::JavaJar,
            "python-egg" | "egg" => Self::PythonEgg,
            "python-pypi" | "pypi" => Self::PythonPypi,
            "python-wheel" | "whl" => Self::PythonWheel,
            "python-requirements" => Self::PythonRequirements,
            "maven" => Self::Maven,
            "cran" => Self::Cran,
            _ => return None,
        })
    }

    /// Reads the kind off the name of a file.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (_, suffix) = name.rsplit_once('.')?;
        Some(match suffix.to_ascii_lowercase().as_str() {
            "jar" => Self::JavaJar,
            "egg" => Self::PythonEgg,
            "whl" => Self::PythonWheel,
            "txt" => Self::PythonRequirements,
            _ => return None,
        })
    }
}

/// One library as `libraries/list` has it: these three keys and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedLibrary {
    /// The folder of the workspace it lies in.
    pub folder: String,
    /// The library.
    pub id: LibraryId,
    /// Its name.
    pub name: String,
}

/// One library as `libraries/status` has it: these seven keys and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LibraryView {
    /// Whether clusters made later get it too.
    pub attach_all_clusters: bool,
    /// Its files, by their names below `dbfs:/FileStore/jars`; the name of a package where there is none.
    pub files: Vec<String>,
    /// The folder of the workspace it lies in.
    pub folder: String,
    /// The library.
    pub id: LibraryId,
    /// Its kind.
    pub lib_type: LibraryKind,
    /// Its name.
    pub name: String,
    /// What it is on each cluster that knows it.
    pub statuses: Vec<Attachment>,
}

/// What a library is on one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// Whether the cluster has it. Strict clients know these two words only.
    pub status: AttachmentStatus,
}

/// Whether a cluster has a library. What a detach or a delete takes away is there until the cluster's restart, and
/// `Detached` already: it is the wish that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttachmentStatus {
    /// The cluster has it or is about to.
    Attached,
    /// The cluster loses it at its next restart.
    Detached,
}

/// The answer of `libraries/upload` and `libraries/delete`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryRef {
    /// The library.
    pub id: LibraryId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_an_object_with_one_key() {
        let pypi: Library = serde_json::from_str(r#"{"pypi":{"package":"simplejson==3.8.0"}}"#).unwrap();
        assert_eq!(pypi.key(), r#"{"pypi":{"package":"simplejson==3.8.0"}}"#);
        let maven = r#"{"maven":{"coordinates":"a:b:1","exclusions":["c:*"]}}"#;
        assert_eq!(serde_json::from_str::<Library>(maven).unwrap().key(), maven);
        assert_eq!(Library::Jar("dbfs:/a.jar".into()).key(), r#"{"jar":"dbfs:/a.jar"}"#);
        assert!(serde_json::from_str::<Library>(r#"{"jar":"a","egg":"b"}"#).is_err());
    }

    #[test]
    fn a_kind_is_read_off_what_clients_send() {
        assert_eq!(LibraryKind::from_lib_type("scala"), Some(LibraryKind::JavaJar));
        assert_eq!(LibraryKind::from_lib_type("Python-Egg"), Some(LibraryKind::PythonEgg));
        assert_eq!(LibraryKind::from_lib_type("zip"), None);
        assert_eq!(LibraryKind::from_file_name("a-1.0-py3.6.egg"), Some(LibraryKind::PythonEgg));
        assert_eq!(LibraryKind::from_file_name("A.JAR"), Some(LibraryKind::JavaJar));
        assert_eq!(LibraryKind::from_file_name("jar"), None);
    }

    #[test]
    fn a_kind_travels_as_the_document_names_it() {
        let words: Vec<String> = [LibraryKind::JavaJar, LibraryKind::PythonEgg, LibraryKind::PythonPypi]
            .iter()
            .map(|kind| serde_json::to_string(kind).unwrap())
            .collect();
        assert_eq!(words, [r#""java-jar""#, r#""python-egg""#, r#""python-pypi""#]);
    }
}
