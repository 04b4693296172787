//! What the first line of a command asks for: `%sql` and its like name another language than the command's own, `%md` is a page, and
//! `%run` is refused.
//!
//! Pure. Blank lines and comments may stand before that line. Whatever is cut away leaves blanks or empty lines behind, so that the
//! places in an error are those of the text that was sent.

use bytes::Bytes;
use firesteel_api::Language;
use firesteel_api::results::{Results, ResultsBody};
use pulldown_cmark::{Options, Parser, html};

use crate::output::Printed;

/// What a command comes to before any interpreter sees it.
#[derive(Debug, PartialEq)]
pub(crate) enum Routed {
    /// Code of this language.
    Code(Language, Bytes),
    /// Nothing to run: this is its result.
    Answer(Results),
}

/// How long a page may be: its HTML is several times as long.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// Reads the first line of a command's code. A text that is the answer has at most `text_chars_max` characters.
pub(crate) fn route(language: Language, code: Bytes, text_chars_max: usize) -> Routed {
    // What is no UTF-8 is for the interpreter to refuse.
    let Some(line) = std::str::from_utf8(&code).ok().and_then(|text| magic_line(language, text)) else {
        return Routed::Code(language, code);
    };
    match line.word {
        "%sql" => Routed::Code(Language::Sql, line.padded()),
        "%scala" => Routed::Code(Language::Scala, line.padded()),
        "%r" => Routed::Code(Language::R, line.padded()),
        "%python" => Routed::Code(Language::Python, line.bare()),
        "%md" => Routed::Answer(page(line.rest, text_chars_max)),
        "%run" => Routed::Answer(Results::error(RUN_REFUSED, RUN_REFUSED)),
        // Those of IPython that any command may begin with.
        "%sh" | "%%sh" | "%fs" | "%pip" if language != Language::Python => Routed::Code(Language::Python, line.whole()),
        _ => Routed::Code(language, code),
    }
}

/// What is refused in every language (reference, section 5.4).
const RUN_REFUSED: &str =
    "%run is not supported over this API: send the source of the other notebook as a command of its own";

/// A text whose first line of code begins with `%`.
struct MagicLine<'a> {
    /// How many lines are before it.
    line: usize,
    /// How many characters are before the word in its line.
    column: usize,
    word: &'a str,
    /// Everything behind the word.
    rest: &'a str,
}

/// Finds the first line that is neither empty nor a comment, if it begins with a magic's word.
fn magic_line(language: Language, text: &str) -> Option<MagicLine<'_>> {
    let comment = match language {
        Language::Python | Language::R => "#",
        Language::Sql => "--",
        Language::Scala => "//",
    };
    let mut at = 0;
    for (line, content) in text.split_inclusive('\n').enumerate() {
        let code = content.trim_start();
        if code.starts_with('%') {
            let start = at + content.len() - code.len();
            let word = code.split(char::is_whitespace).next()?;
            let column = content.len() - code.len();
            return Some(MagicLine { line, column, word, rest: &text[start + word.len()..] });
        }
        if !code.is_empty() && !code.starts_with(comment) {
            return None;
        }
        at += content.len();
    }
    None
}

impl MagicLine<'_> {
    /// The rest at the place where it was.
    fn padded(&self) -> Bytes {
        self.below(&" ".repeat(self.column + self.word.len()), self.rest)
    }

    /// The rest in its line, from the first column: Python takes blanks for an indentation.
    fn bare(&self) -> Bytes {
        self.below("", self.rest.trim_start_matches([' ', '\t']))
    }

    /// The word and the rest.
    fn whole(&self) -> Bytes {
        self.below(self.word, self.rest)
    }

    fn below(&self, start: &str, rest: &str) -> Bytes {
        let mut text = "\n".repeat(self.line);
        text.push_str(start);
        text.push_str(rest);
        text.into()
    }
}

/// A page in Markdown as the HTML of it, which is how pages travel.
fn page(markdown: &str, text_chars_max: usize) -> Results {
    if markdown.len() > PAGE_BYTES_MAX {
        let text = format!("a page of {} bytes is too long: at most {PAGE_BYTES_MAX}", markdown.len());
        return Results::error(&*text, &*text);
    }
    let mut text = String::new();
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    html::push_html(&mut text, Parser::new_ext(markdown.trim(), options));
    let mut printed = Printed::new(text_chars_max);
    printed.push(text.trim_end().as_bytes());
    let (data, truncated) = printed.take();
    ResultsBody::Text { data, truncated }.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(language: Language, code: &str, expected: (Language, &str)) {
        let routed = route(language, Bytes::copy_from_slice(code.as_bytes()), 1000);
        assert_eq!(routed, Routed::Code(expected.0, Bytes::copy_from_slice(expected.1.as_bytes())), "{code:?}");
    }

    #[test]
    fn a_word_at_the_beginning_names_the_language_and_places_stay() {
        use Language::{Python, R, Scala, Sql};
        check(Python, "%sql select 1", (Sql, "     select 1"));
        check(Python, "%sql\nselect 1", (Sql, "    \nselect 1"));
        check(Sql, "%python print(1)\nx = 2", (Python, "print(1)\nx = 2"));
        check(Sql, "-- first\n\n  %python\nx", (Python, "\n\n\nx"));
        check(Scala, "// COMMAND ----------\n %r\nx", (R, "\n   \nx"));
        check(R, "# a\n%scala val x = 1", (Scala, "\n       val x = 1"));
        check(Python, "%python\r\n1", (Python, "\r\n1"));
        check(Sql, "%sql", (Sql, "    "));
    }

    #[test]
    fn the_magics_of_ipython_go_to_python_whole() {
        use Language::{Python, Scala, Sql};
        check(Scala, "%sh ls\npwd", (Python, "%sh ls\npwd"));
        check(Sql, "-- c\n%fs ls /", (Python, "\n%fs ls /"));
        check(Sql, "%pip install x", (Python, "%pip install x"));
        check(Python, "# c\n%pip install x", (Python, "# c\n%pip install x"));
        check(Python, "%%time\nx", (Python, "%%time\nx"));
    }

    #[test]
    fn everything_else_stays_what_it_is() {
        use Language::{Python, R, Scala, Sql};
        for (language, code) in [
            (Python, "x = 1\n%sql select 1"),
            (Python, "-- no comment here\n%sql"),
            (Python, "%sqlx"),
            (Python, "%"),
            (Python, ""),
            (Sql, "select 5 %sql"),
            (Scala, "# no\n%sql"),
            (R, "5 %in% x"),
        ] {
            check(language, code, (language, code));
        }
        let binary = Bytes::from_static(b"%sql \xff");
        assert_eq!(route(Python, binary.clone(), 1000), Routed::Code(Python, binary));
    }

    #[test]
    fn a_page_is_html_and_run_is_refused() {
        let page = |code: &'static str| route(Language::Scala, Bytes::from_static(code.as_bytes()), 20);
        assert_eq!(page("%md\n# *Hi*\n"), Routed::Answer(Results::text("<h1><em>Hi</em></h1>")));
        assert_eq!(page("%md a | b"), Routed::Answer(Results::text("<p>a | b</p>")));
        let Routed::Answer(long) = page("%md a page that is long") else { unreachable!() };
        assert!(matches!(long.parse().unwrap(), ResultsBody::Text { truncated: true, .. }), "{long:?}");
        assert_eq!(page("%run ./other"), Routed::Answer(Results::error(RUN_REFUSED, RUN_REFUSED)));
    }

    proptest! {
        #[test]
        fn lines_are_never_moved(before in "(#[a-z ]*\n|\n){0,4}", rest in "( [a-z]{0,5})?(\n[a-z]{0,3}){0,4}") {
            let code = format!("{before}%sql{rest}");
            let Routed::Code(language, text) = route(Language::Python, code.clone().into(), 1000) else { unreachable!() };
            prop_assert_eq!(language, Language::Sql);
            let lines = |text: &str| text.split('\n').map(str::len).collect::<Vec<_>>();
            let (had, has) = (lines(&code), lines(std::str::from_utf8(&text).unwrap()));
            let skipped = before.matches('\n').count();
            prop_assert_eq!(&had[skipped..], &has[skipped..]);
            prop_assert_eq!(had.len(), has.len());
        }
    }
}
