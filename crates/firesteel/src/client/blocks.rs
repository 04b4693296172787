//! When what was typed is a whole command: a reading of brackets, strings and blocks, good enough to decide whether the
//! next line belongs to it.

use firesteel_api::Language;

/// Tells whether text is complete as it stands, the cursor being at its end.
///
/// Open brackets and strings never are. Python's blocks and SQL without `;` are once a blank line follows.
pub(super) fn is_complete(language: Language, text: &str) -> bool {
    if text.trim().is_empty() || is_directive(text) {
        return true;
    }
    let shape = Shape::of(language, text);
    if shape.open {
        return false;
    }
    let several = text.trim_start_matches('\n').contains('\n');
    let ended = several && text.lines().next_back().is_none_or(|line| line.trim().is_empty()) || text.ends_with('\n');
    match language {
        Language::Python => !shape.continues && (!shape.block || ended),
        Language::Sql => ended || shape.code.trim_end().ends_with(';'),
        Language::Scala | Language::R => ended || !shape.continues,
    }
}

/// Tells whether text is for the prompt itself: one line that begins with a colon.
pub(super) fn is_directive(text: &str) -> bool {
    let text = text.trim();
    text.starts_with(':') && !text.contains('\n')
}

/// Takes a script line by line and gives back whole commands.
///
/// A Python block ends where the next line at the margin begins, not at a blank line: scripts have blank lines in
/// functions.
pub(super) struct Blocks {
    pub(super) language: Language,
    text: String,
}

impl Blocks {
    /// Starts with nothing.
    pub(super) fn new(language: Language) -> Self {
        Self { language, text: String::new() }
    }

    /// Returns what the next line makes complete without being part of it.
    pub(super) fn before(&mut self, line: &str) -> Option<String> {
        if self.language != Language::Python || self.text.trim().is_empty() {
            return None;
        }
        let word = line.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        let goes_on = line.trim().is_empty()
            || line.starts_with([' ', '\t', '#', ')', ']', '}'])
            || ["else", "elif", "except", "finally"].contains(&word);
        let shape = Shape::of(self.language, &self.text);
        if goes_on || shape.open || shape.continues || shape.decorated || self.text.trim_start().starts_with("%%") {
            return None;
        }
        Some(std::mem::take(&mut self.text))
    }

    /// Adds a line; returns what is complete with it.
    pub(super) fn push(&mut self, line: &str) -> Option<String> {
        self.text += line;
        let complete = is_complete(self.language, &self.text);
        let waits = self.language == Language::Python && Shape::of(self.language, &self.text).block;
        self.text.push('\n');
        if self.text.trim().is_empty() {
            self.text.clear();
        }
        (complete && !waits && !self.text.is_empty()).then(|| std::mem::take(&mut self.text))
    }

    /// Returns what is left at the end, complete or not: its interpreter says what is wrong with it.
    pub(super) fn rest(&mut self) -> Option<String> {
        let text = std::mem::take(&mut self.text);
        (!text.trim().is_empty()).then_some(text)
    }
}

/// How a language writes what is not code.
struct Lexicon {
    line_comment: &'static str,
    block_comment: bool,
    /// Quotes of strings that may span lines, longest first.
    long: &'static [&'static str],
    /// Quotes of strings that end with their line.
    short: &'static [char],
}

impl Lexicon {
    fn of(language: Language) -> Self {
        match language {
            Language::Python => {
                Self { line_comment: "#", block_comment: false, long: &["\"\"\"", "'''"], short: &['"', '\''] }
            }
            Language::Scala => Self { line_comment: "//", block_comment: true, long: &["\"\"\""], short: &['"'] },
            Language::Sql => Self { line_comment: "--", block_comment: true, long: &["'", "\"", "`"], short: &[] },
            Language::R => Self { line_comment: "#", block_comment: false, long: &["'", "\"", "`"], short: &[] },
        }
    }
}

/// What a text looks like from afar.
#[derive(Debug, Default)]
struct Shape {
    /// A bracket, a long string or a comment is open.
    open: bool,
    /// The last line asks for another one.
    continues: bool,
    /// There is a Python block that the next line may belong to.
    block: bool,
    /// The last line of code is a Python decorator.
    decorated: bool,
    /// The code without comments, strings as `""`.
    code: String,
}

impl Shape {
    fn of(language: Language, text: &str) -> Self {
        let lexicon = Lexicon::of(language);
        let mut shape = Self::default();
        let mut depth = 0_usize;
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let skipped = if rest.starts_with(lexicon.line_comment) {
                rest.find('\n').unwrap_or(rest.len())
            } else if lexicon.block_comment && rest.starts_with("/*") {
                match rest[2..].find("*/") {
                    Some(end) => end + 4,
                    None => return Self { open: true, ..shape },
                }
            } else if let Some(quote) = lexicon.long.iter().find(|quote| rest.starts_with(**quote)) {
                match string_end(&rest[quote.len()..], quote, language != Language::Scala) {
                    Some(end) => {
                        shape.code += "\"\"";
                        quote.len() + end
                    }
                    None => return Self { open: true, ..shape },
                }
            } else if lexicon.short.contains(&c) {
                shape.code += "\"\"";
                // One that is not closed is an error that its interpreter explains.
                let line = rest[1..].find('\n').map_or(rest, |end| &rest[..=end]);
                let quote = c.to_string();
                let end = string_end(&line[1..], &quote, true)
                    .or_else(|| string_end(&rest[1..], &quote, true).filter(|_| line.ends_with('\\')));
                end.map_or(line.len(), |end| end + 1)
            } else {
                0
            };
            if skipped > 0 {
                rest = &rest[skipped..];
                continue;
            }
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            // A character of Scala that is a bracket or a quote.
            if language == Language::Scala && c == '\'' && rest.chars().nth(2) == Some('\'') {
                shape.code += "''";
                rest = &rest[rest.char_indices().nth(3).map_or(rest.len(), |(at, _)| at)..];
                continue;
            }
            // Inside brackets a line break means nothing.
            shape.code.push(if depth > 0 && c == '\n' { ' ' } else { c });
            rest = &rest[c.len_utf8()..];
        }
        shape.open = depth > 0;
        shape.look(language);
        shape
    }

    /// Looks at the lines of the code once it is known.
    fn look(&mut self, language: Language) {
        let lines = self.code.lines().map(str::trim_end).filter(|line| !line.is_empty());
        let lines = lines.collect::<Vec<_>>();
        let last = lines.last().copied().unwrap_or_default();
        match language {
            Language::Python => {
                self.decorated = last.starts_with('@');
                let header = |line: &&str| line.ends_with(':') || line.starts_with('@') || line.starts_with("%%");
                self.block = lines.iter().any(header);
                self.continues = self.code.ends_with('\\');
            }
            Language::Scala => {
                let word = last.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
                let words = ["extends", "with", "else", "then", "do", "match", "yield", "new", "val", "def"];
                self.continues = last.ends_with(['=', ',', '.', '+', '-', '*', '/', '&', '|', '<'])
                    || last.ends_with("=>")
                    || words.contains(&word);
            }
            Language::R => {
                let word = last.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
                let ends = ['=', ',', '+', '-', '*', '/', '&', '|', '<', '>', '~', '^', '%'];
                self.continues = last.ends_with(ends) || ["else", "in", "repeat"].contains(&word);
            }
            Language::Sql => {}
        }
    }
}

/// Returns where a string ends, behind its quote.
fn string_end(text: &str, quote: &str, escapes: bool) -> Option<usize> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if text[at..].starts_with(quote) {
            return Some(at + quote.len());
        }
        at += c.len_utf8();
        if escapes && c == '\\' {
            at += text[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_complete_when_nothing_is_missing() {
        use Language::{Python, R, Scala, Sql};
        let cases = [
            (Python, "1+1", true),
            (Python, "", true),
            (Python, ":help", true),
            (Python, "f(1,", false),
            (Python, "f(1,\n2)", true),
            (Python, "def f():", false),
            (Python, "def f():\n  return 1", false),
            (Python, "def f():\n  return 1\n", true),
            (Python, "x = {1: 2}", true),
            (Python, "x = 1 # note:", true),
            (Python, "s = 'a: ('", true),
            (Python, "s = \"it's\"", true),
            (Python, "s = '''a\n\n", false),
            (Python, "s = '''a\nb'''", true),
            (Python, "s = 'it", true),
            (Python, "@f", false),
            (Python, "x = 1 + \\", false),
            (Python, "x = 1 + \\\n2", true),
            (Python, "%%sh", false),
            (Python, "%%sh\nls\n", true),
            (Scala, "val x = 1", true),
            (Scala, "val x =", false),
            (Scala, "def f(x: Int) = {", false),
            (Scala, "def f(x: Int) = {\n  x\n}", true),
            (Scala, "val c = '('", true),
            (Scala, "val s = \"\"\"a\n\"", false),
            (Scala, "x match", false),
            (Scala, "/* a", false),
            (Scala, "1 // (", true),
            (Sql, "select 1", false),
            (Sql, "select 1;", true),
            (Sql, "select 1; -- end", true),
            (Sql, "select 1\n", true),
            (Sql, "select ';", false),
            (Sql, "select 'it''s';", true),
            (Sql, "select a,\nb", false),
            (R, "x <- c(1,", false),
            (R, "x <-", false),
            (R, "df |>", false),
            (R, "df |>\n  head()", true),
            (R, "f <- function(x) {\n x\n}", true),
        ];
        for (language, text, expected) in cases {
            assert_eq!(is_complete(language, text), expected, "{language}: {text:?}");
        }
    }

    /// Splits a script as the prompt would run it.
    fn check(language: Language, script: &str, expected: &[&str]) {
        let mut blocks = Blocks::new(language);
        let mut found = Vec::new();
        for line in script.lines() {
            found.extend(blocks.before(line));
            found.extend(blocks.push(line));
        }
        found.extend(blocks.rest());
        let found = found.iter().map(|block| block.trim_end()).collect::<Vec<_>>();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_script_is_split_into_whole_commands() {
        check(
            Language::Python,
            "x = 1\n\n@cache\ndef f(a):\n  b = a\n\n  return b\nif x:\n  f(1)\nelse:\n  f(2)\n# note\nprint(\n 1\n)\n",
            &[
                "x = 1",
                "@cache\ndef f(a):\n  b = a\n\n  return b",
                "if x:\n  f(1)\nelse:\n  f(2)\n# note",
                "print(\n 1\n)",
            ],
        );
        check(Language::Sql, "use a;\nselect 1\nfrom t;\n\nselect 2", &["use a;", "select 1\nfrom t;", "select 2"]);
        check(Language::Scala, "val x = {\n\n 1\n}\nx +\n 1\n", &["val x = {\n\n 1\n}", "x +\n 1"]);
        check(Language::R, "f <- function(x) {\n x\n}\nf(1)\n", &["f <- function(x) {\n x\n}", "f(1)"]);
    }
}
