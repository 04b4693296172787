//! The sources that run inside Spark's JVM, Python and R, carried by this program as text.

use std::sync::LazyLock;

use super::digest;

/// One source file.
#[derive(Debug)]
pub struct Source {
    /// Its path below the folder of its language.
    pub name: &'static str,
    /// What it says.
    pub text: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/interpreters.rs"));

/// What is compiled for the JVM, of every Scala version.
pub fn scala() -> &'static [Source] {
    SCALA
}

/// Whether a source is for `scala_version`: one in a folder `src-2.12` is for that version alone, all others for every one.
pub(crate) fn is_for(source: &Source, scala_version: &str) -> bool {
    let only = source.name.split_once('/').and_then(|(folder, _)| folder.strip_prefix("src-"));
    only.is_none_or(|only| only == scala_version)
}

/// The package `firesteel_python`.
pub fn python() -> &'static [Source] {
    PYTHON
}

/// What an R interpreter is made of; it starts with `main.R`.
pub fn r() -> &'static [Source] {
    R
}

/// Tells one state of the Scala sources from another.
pub fn scala_digest() -> &'static str {
    static DIGEST: LazyLock<String> = LazyLock::new(|| digest_of(SCALA));
    &DIGEST
}

/// Tells one state of the Python sources from another.
pub fn python_digest() -> &'static str {
    static DIGEST: LazyLock<String> = LazyLock::new(|| digest_of(PYTHON));
    &DIGEST
}

/// Tells one set of sources from another, by their names and texts.
pub(crate) fn digest_of(sources: &[Source]) -> String {
    digest(sources.iter().flat_map(|source| [source.name.as_bytes(), source.text.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_a_text_that_changes_changes_the_digest() {
        let of = |name, text| digest_of(&[Source { name, text }]);
        assert_eq!(of("a", "b"), of("a", "b"));
        assert_ne!(of("a", "b"), of("a", "c"));
        assert_ne!(of("a", "b"), of("ab", ""));
    }

    #[test]
    fn a_source_of_one_scala_version_is_left_out_for_the_other() {
        let source = |name| Source { name, text: "" };
        assert!(is_for(&source("src/Agent.scala"), "2.12") && is_for(&source("Agent.scala"), "2.13"));
        assert!(is_for(&source("src-2.12/Repl.scala"), "2.12") && !is_for(&source("src-2.12/Repl.scala"), "2.13"));
    }

    #[test]
    fn no_test_is_carried() {
        assert!(scala().iter().chain(python()).all(|source| !source.name.contains("test")));
    }
}
