//! Which libraries can be asked for at all.

use firesteel_api::libraries::Library;

use crate::path::TreePath;

/// Bytes of a URI, a requirement or a repository's address.
const WORD_BYTES_MAX: usize = 2_000;
/// What is left out of one set of coordinates.
const EXCLUSIONS_MAX: usize = 100;

/// Why a library cannot be had, and what can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadLibrary(String);

/// Refuses a library that no installer could take. That it is there is not looked at.
pub fn check(library: &Library) -> Result<(), BadLibrary> {
    match library {
        Library::Jar(uri) => file(uri, &[".jar"]),
        Library::Egg(uri) => file(uri, &[".egg"]),
        Library::Whl(uri) => file(uri, &[".whl"]),
        Library::Requirements(uri) => file(uri, &[".txt"]),
        Library::Pypi { package, repo } => {
            word("a package", package)?;
            repository(repo.as_deref())
        }
        Library::Maven { coordinates, repo, exclusions } => {
            maven(coordinates, exclusions)?;
            repository(repo.as_deref())
        }
        Library::Cran { package, .. } => bad(format!(
            "`{}`: R packages cannot be installed as libraries; `install.packages()` in an R context installs one for its cluster",
            shown(package)
        )),
    }
}

fn bad<T>(why: String) -> Result<T, BadLibrary> {
    Err(BadLibrary(why))
}

fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

fn file(uri: &str, suffixes: &[&str]) -> Result<(), BadLibrary> {
    word("a library's file", uri)?;
    if !suffixes.iter().any(|suffix| uri.to_ascii_lowercase().ends_with(suffix)) {
        return bad(format!("`{}` does not end in `{}`", shown(uri), suffixes.join("` or `")));
    }
    match uri.split_once(':') {
        Some((scheme, _)) if scheme != "dbfs" && is_scheme(scheme) => Ok(()),
        _ => TreePath::of_dbfs(uri).map(drop).map_err(|refused| BadLibrary(refused.to_string())),
    }
}

fn is_scheme(text: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(letters)
}

fn maven(coordinates: &str, exclusions: &[String]) -> Result<(), BadLibrary> {
    let parts = |text: &str, count| text.split(':').count() == count && text.split(':').all(is_part);
    if coordinates.len() > WORD_BYTES_MAX || !parts(coordinates, 3) {
        return bad(format!("`{}` is not of the form `group:artifact:version`", shown(coordinates)));
    }
    if exclusions.len() > EXCLUSIONS_MAX {
        return bad(format!("{} exclusions are more than {EXCLUSIONS_MAX}", exclusions.len()));
    }
    match exclusions.iter().find(|exclusion| exclusion.len() > WORD_BYTES_MAX || !parts(exclusion, 2)) {
        Some(wrong) => bad(format!("`{}` is not of the form `group:artifact`", shown(wrong))),
        None => Ok(()),
    }
}

fn is_part(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+*".contains(&byte))
}

fn repository(address: Option<&str>) -> Result<(), BadLibrary> {
    let Some(address) = address else { return Ok(()) };
    word("a repository", address)?;
    let known = ["https://", "http://", "file:/"].iter().any(|start| address.starts_with(start));
    if known && !address.contains([' ', ',']) {
        return Ok(());
    }
    bad(format!("`{}` is not the address of a repository, such as `https://host/path`", shown(address)))
}

/// Refuses what an installer could take for one of its options, or for more than one word.
fn word(noun: &str, text: &str) -> Result<(), BadLibrary> {
    if text.is_empty() || text.starts_with('-') || text.chars().any(char::is_control) {
        return bad(format!("`{}` is not the name of {noun}", shown(text)));
    }
    if text.len() > WORD_BYTES_MAX {
        return bad(format!("the name of {noun} has {} bytes; at most {WORD_BYTES_MAX} are taken", text.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn said(json: &str) -> String {
        match check(&serde_json::from_str(json).unwrap()) {
            Ok(()) => "well".to_owned(),
            Err(refused) => refused.to_string(),
        }
    }

    #[test]
    fn what_an_installer_takes_is_let_through() {
        for json in [
            r#"{"jar":"dbfs:/FileStore/jars/a.jar"}"#,
            r#"{"jar":"/FileStore/jars/A.JAR"}"#,
            r#"{"whl":"s3a://bucket/a-1-py3-none-any.whl"}"#,
            r#"{"requirements":"dbfs:/r.txt"}"#,
            r#"{"pypi":{"package":"simplejson[fast] >= 3.8, < 4","repo":"https://host/simple"}}"#,
            r#"{"maven":{"coordinates":"org.x:a_2.13:1.0-rc+1","repo":"file:///x","exclusions":["a:*"]}}"#,
        ] {
            assert_eq!(said(json), "well", "{json}");
        }
    }

    #[test]
    fn what_it_could_misread_is_refused() {
        for (json, expected) in [
            (r#"{"jar":"dbfs:/a.egg"}"#, "`dbfs:/a.egg` does not end in `.jar`"),
            (r#"{"jar":"dbfs:/../a.jar"}"#, "`/../a.jar` holds `.` or `..` as a name; write the path without"),
            (r#"{"jar":"a.jar"}"#, "`a.jar` is not an absolute path; begin it with `/`"),
            (r#"{"pypi":{"package":"--index-url=x"}}"#, "`--index-url=x` is not the name of a package"),
            (r#"{"pypi":{"package":"a\nb"}}"#, "`a\\nb` is not the name of a package"),
            (
                r#"{"pypi":{"package":"a","repo":"ftp://x"}}"#,
                "`ftp://x` is not the address of a repository, such as `https://host/path`",
            ),
            (r#"{"maven":{"coordinates":"a:b"}}"#, "`a:b` is not of the form `group:artifact:version`"),
            (r#"{"maven":{"coordinates":"a:b:1,c:d:1"}}"#, "`a:b:1,c:d:1` is not of the form `group:artifact:version`"),
        ] {
            assert_eq!(said(json), expected);
        }
        assert!(said(r#"{"cran":{"package":"dplyr"}}"#).contains("install.packages()"));
    }
}
