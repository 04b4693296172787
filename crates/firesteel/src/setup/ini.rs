//! The profile files of the SDKs: sections of `key = value` lines.
//!
//! As the SDKs read them, a section does not inherit from `DEFAULT`, and a value is what follows the first `=` or
//! `:`, without the blanks around it. There is no interpolation and no continuation line.

use std::collections::BTreeMap;

/// The content of a profile file, by section.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ini(BTreeMap<String, BTreeMap<String, String>>);

/// A line that is neither a section, nor a key with a value, nor a comment.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not `key = value`, `[section]` or a comment")]
pub(crate) struct BadLine {
    line: usize,
}

impl Ini {
    /// Reads the text of a file. Keys are taken in lower case; of two alike, the last counts.
    pub(crate) fn parse(text: &str) -> Result<Self, BadLine> {
        let mut sections = BTreeMap::<String, BTreeMap<String, String>>::new();
        let mut section = "DEFAULT".to_owned();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            let bad = || BadLine { line: index + 1 };
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(rest) = line.strip_prefix('[') {
                let (name, after) = rest.split_once(']').ok_or_else(bad)?;
                if !(after.trim().is_empty() || after.trim_start().starts_with(['#', ';'])) {
                    return Err(bad());
                }
                section = name.trim().to_owned();
                sections.entry(section.clone()).or_default();
                continue;
            }
            let (key, value) = line.split_once(['=', ':']).ok_or_else(bad)?;
            let key = key.trim().to_ascii_lowercase();
            if key.is_empty() {
                return Err(bad());
            }
            let keys = sections.entry(section.clone()).or_default();
            keys.insert(key, value.trim().to_owned());
        }
        Ok(Self(sections))
    }

    /// Returns whether there is such a section.
    pub(crate) fn has(&self, section: &str) -> bool {
        self.0.contains_key(section)
    }

    /// Returns a value; an empty one counts as none.
    pub(crate) fn get(&self, section: &str, key: &str) -> Option<&str> {
        let value = self.0.get(section)?.get(key)?;
        (!value.is_empty()).then_some(value.as_str())
    }

    /// Returns the names of the sections.
    pub(crate) fn sections(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_file_is_read_as_the_sdks_read_it() {
        let text = "\u{feff}; by hand\r\n[DEFAULT]\r\nhost = https://a:8443/\r\nToken=fst_a=b#c\r\nempty =\r\n\
                    \n[ci] # another\n  host: http://b\n[ci]\ncluster_id = x\n";
        let ini = Ini::parse(text).unwrap();
        let cases = [
            ("DEFAULT", "host", Some("https://a:8443/")),
            ("DEFAULT", "token", Some("fst_a=b#c")),
            ("DEFAULT", "empty", None),
            ("ci", "host", Some("http://b")),
            ("ci", "cluster_id", Some("x")),
            ("ci", "token", None),
            ("none", "host", None),
        ];
        for (section, key, expected) in cases {
            assert_eq!(ini.get(section, key), expected, "{section} {key}");
        }
        assert_eq!(ini.sections().collect::<Vec<_>>(), ["DEFAULT", "ci"]);
    }

    #[test]
    fn a_damaged_line_is_named() {
        for (text, line) in [("[a\n", 1), ("[a]\nhost\n", 2), ("\n= x", 2), ("[a] b\n", 1)] {
            assert_eq!(Ini::parse(text), Err(BadLine { line }), "{text}");
        }
    }
}
