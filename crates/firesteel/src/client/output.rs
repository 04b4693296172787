//! What the client commands print: results on the standard output, everything else on the standard error.

use std::error::Error;
use std::io::{self, IsTerminal as _, Write};

use firesteel_api::results::{Results, ResultsBody};

use super::table;

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text as it is, rows as an aligned table.
    #[default]
    Table,
    /// Text as it is, rows as comma-separated values.
    Csv,
    /// The result as it travelled, a JSON object on one line.
    Json,
}

/// The two streams.
pub(super) struct Output {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// Whether colours may be passed on to `err`.
    colours: bool,
}

impl Output {
    /// Prints to the streams of this process.
    pub(super) fn of_process() -> Self {
        let colours = io::stderr().is_terminal();
        Self { out: Box::new(io::stdout()), err: Box::new(io::stderr()), colours }
    }

    /// Prints to other streams, without colours.
    #[cfg(test)]
    pub(super) fn to(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        Self { out, err, colours: false }
    }

    /// Prints a line for the user. A standard error that is closed loses it.
    pub(super) fn note(&mut self, text: &str) {
        writeln!(self.err, "{text}").ok();
        self.err.flush().ok();
    }

    /// Prints an error with its causes.
    pub(super) fn error(&mut self, error: &dyn Error) {
        self.note(&format!("error: {}", chain(error)));
    }

    /// Prints a result. A reader who has gone away, as `head` does, is no failure.
    pub(super) fn result(&mut self, results: &Results, body: &ResultsBody, format: Format) -> io::Result<()> {
        let printed = match (format, body) {
            (Format::Json, _) => self.print(&format!("{}\n", one_line(results))),
            (_, ResultsBody::Text { data, .. }) => self.print(&line(data)),
            (Format::Csv, ResultsBody::Table { data, schema, .. }) => self.print(&table::csv(schema, data)),
            (Format::Table, ResultsBody::Table { data, schema, .. }) => self.print(&table::aligned(schema, data)),
            (_, ResultsBody::Images { data, .. }) => self.print(&line(data.as_deref().unwrap_or_default())),
            (_, ResultsBody::Image { .. } | ResultsBody::Error { .. }) => Ok(()),
        };
        match body {
            ResultsBody::Text { truncated: true, .. } => self.note("note: the output was cut by the server"),
            ResultsBody::Table { truncated: true, data, .. } => {
                self.note(&format!("note: the server cut the table; these are the first {} rows", data.len()));
            }
            ResultsBody::Error { summary, cause } => self.raised(summary, cause),
            ResultsBody::Image { .. } if format != Format::Json => self.pictures(1),
            ResultsBody::Images { file_names, .. } if format != Format::Json => self.pictures(file_names.len()),
            _ => {}
        }
        match printed {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            printed => printed,
        }
    }

    fn raised(&mut self, summary: &str, cause: &str) {
        let text = if cause.trim().is_empty() { summary } else { cause };
        let text = if self.colours { text.to_owned() } else { plain(text) };
        self.note(text.trim_end());
    }

    fn pictures(&mut self, count: usize) {
        let noun = if count == 1 { "picture is" } else { "pictures are" };
        self.note(&format!("note: {count} {noun} not shown; `--format json` has the data"));
    }

    fn print(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// Joins an error and its causes into one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

fn line(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{text}\n") }
}

/// Returns the JSON text of a result on one line; white space between its tokens is all that may be lost.
fn one_line(results: &Results) -> String {
    // A line break inside a JSON string is always escaped.
    results.as_json().replace(['\n', '\r'], " ")
}

/// Drops the escape sequences of terminals.
fn plain(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            kept.push(c);
            continue;
        }
        match chars.next() {
            // Colours and movements end with a letter or a sign from `@` on.
            Some('[') => while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {},
            // Titles and links end with a bell, or with the escape of the next sequence.
            Some(']') => while chars.next_if(|c| !['\u{7}', '\u{1b}'].contains(c)).is_some() {},
            _ => continue,
        }
        if chars.peek().is_some_and(|c| *c != '\u{1b}') {
            chars.next();
        }
    }
    kept
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A stream that tests read.
    #[derive(Clone, Default)]
    pub(in crate::client) struct Tape(Arc<Mutex<Vec<u8>>>);

    impl Tape {
        /// Returns what was written so far.
        pub(in crate::client) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        /// Makes an output and the tapes of its two streams.
        pub(in crate::client) fn output() -> (Output, Self, Self) {
            let (out, err) = (Self::default(), Self::default());
            (Output::to(Box::new(out.clone()), Box::new(err.clone())), out, err)
        }
    }

    impl Write for Tape {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed(json: &str, format: Format) -> (String, String) {
        let (mut output, out, err) = Tape::output();
        let results = Results::from_json(json.to_owned()).unwrap();
        output.result(&results, &results.parse().unwrap(), format).unwrap();
        (out.text(), err.text())
    }

    #[test]
    fn each_kind_of_result_has_its_place() {
        let cut = r#"{"resultType":"table","data":[[1,null]],"schema":[{"name":"a","type":"\"integer\""},{"name":"b","type":"\"string\""}],"truncated":true,"isJsonSchema":true}"#;
        let note = "note: the server cut the table; these are the first 1 rows\n";
        let error = r#"{"resultType":"error","summary":"s","cause":"\u001b[0;31mE\u001b[0m: x\n"}"#;
        let images = r#"{"resultType":"images","fileNames":["data:image/png;base64,AA==","x"],"data":"t"}"#;
        let cases = [
            (r#"{"resultType":"text","data":"a\nb"}"#, Format::Table, "a\nb\n", ""),
            (r#"{"resultType":"text","data":""}"#, Format::Csv, "", ""),
            (
                r#"{"resultType":"text","data":"a","truncated":true}"#,
                Format::Table,
                "a\n",
                "note: the output was cut by the server\n",
            ),
            (r#"{"resultType":"text","data":""}"#, Format::Json, "{\"resultType\":\"text\",\"data\":\"\"}\n", ""),
            (cut, Format::Csv, "a,b\n1,\n", note),
            (cut, Format::Table, " a | b    \n---+------\n 1 | NULL \n", note),
            (error, Format::Table, "", "E: x\n"),
            (r#"{"resultType":"error","summary":"s","cause":""}"#, Format::Csv, "", "s\n"),
            (images, Format::Table, "t\n", "note: 2 pictures are not shown; `--format json` has the data\n"),
        ];
        for (json, format, out, err) in cases {
            assert_eq!(printed(json, format), (out.to_owned(), err.to_owned()), "{json}");
        }
        assert_eq!(printed(error, Format::Json).0, format!("{error}\n"));
    }

    #[test]
    fn escape_sequences_are_dropped_and_nothing_else() {
        for (text, expected) in [
            ("a\u{1b}[1;31mb\u{1b}[0mc", "abc"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{7}!", "link!"),
            ("é\u{1b}Mx\u{1b}", "éx"),
            ("[31m", "[31m"),
        ] {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }
}
