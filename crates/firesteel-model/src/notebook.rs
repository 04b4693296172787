//! Notebooks as source text: how a file says that it is one, and in which language.

use firesteel_api::Language;

/// What the first line of an exported notebook says, behind the comment sign of its language.
const MARK: &str = "Databricks notebook source";

/// Returns the suffix of a file of this language, without the dot.
pub fn suffix(language: Language) -> &'static str {
    match language {
        Language::Python => "py",
        Language::Scala => "scala",
        Language::Sql => "sql",
        Language::R => "r",
    }
}

/// Tells the language of a file by its name.
pub fn language_of(name: &str) -> Option<Language> {
    let (_, end) = name.rsplit_once('.')?;
    Language::ALL.into_iter().find(|language| suffix(*language).eq_ignore_ascii_case(end))
}

/// Returns the source below the line that says that it is a notebook of this language; `None` without that line.
pub fn without_mark(language: Language, source: &[u8]) -> Option<&[u8]> {
    let plain = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
    let rest = plain.strip_prefix(mark(language).as_bytes())?;
    match rest {
        [] => Some(rest),
        [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// Returns a source with the line that says that it is a notebook.
pub fn with_mark(language: Language, source: &[u8]) -> Vec<u8> {
    let mut text = mark(language).into_bytes();
    text.push(b'\n');
    text.extend_from_slice(source);
    text
}

fn mark(language: Language) -> String {
    let sign = match language {
        Language::Python | Language::R => "#",
        Language::Scala => "//",
        Language::Sql => "--",
    };
    format!("{sign} {MARK}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_put_on_and_taken_off() {
        for language in Language::ALL {
            let marked = with_mark(language, b"1\n");
            assert_eq!(without_mark(language, &marked), Some(&b"1\n"[..]));
        }
        assert_eq!(without_mark(Language::Python, b"# Databricks notebook source\r\n1"), Some(&b"1"[..]));
        assert_eq!(without_mark(Language::Python, b"# Databricks notebook sources\n1"), None);
        assert_eq!(without_mark(Language::Python, b"// Databricks notebook source\n1"), None);
    }

    #[test]
    fn a_suffix_tells_the_language() {
        assert_eq!(language_of("a.b.py"), Some(Language::Python));
        assert_eq!(language_of("a.R"), Some(Language::R));
        assert_eq!((language_of("a.txt"), language_of("py")), (None, None));
    }
}
