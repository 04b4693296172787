//! What the client commands print: results on the standard output, everything else on the standard error.

use std::error::Error;
use std::io::{self, IsTerminal as _, Write};

use firesteel_api::commands::Progress;
use firesteel_api::results::{Results, ResultsBody};
use indicatif::{ProgressBar, ProgressStyle};

use super::table;

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text as it is, rows as an aligned table.
    #[default]
    Table,
    /// Text as it is, rows as comma-separated values: all rows, also those beyond what a result shows.
    Csv,
    /// The result as it travelled, a JSON object on one line; a table with all its rows.
    Json,
    /// All rows of a table as an Arrow IPC stream; everything else is refused.
    Arrow,
}

/// How much of what was shown is remembered, to be left out of the result. A result's text is far shorter.
const SHOWN_BYTES_MAX: usize = 1 << 20;

/// The two streams.
pub(super) struct Output {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// Whether `err` is a terminal: colours are passed on to it, and progress is shown.
    terminal: bool,
    format: Format,
    bar: Option<ProgressBar>,
    shown: Shown,
}

/// What of a command was shown while it ran.
#[derive(Default)]
struct Shown {
    /// Its beginning.
    text: String,
    /// Not all of it is in `text`.
    is_longer: bool,
    /// The last line has no end.
    in_line: bool,
}

impl Output {
    /// Prints to the streams of this process.
    pub(super) fn of_process() -> Self {
        let terminal = io::stderr().is_terminal();
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), terminal)
    }

    fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, terminal: bool) -> Self {
        Self { out, err, terminal, format: Format::default(), bar: None, shown: Shown::default() }
    }

    /// Prints to other streams, without colours.
    #[cfg(test)]
    pub(super) fn to(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        Self::new(out, err, false)
    }

    /// Prints results like this from now on.
    pub(super) fn show(&mut self, format: Format) {
        self.format = format;
    }

    /// A command begins: nothing of it was shown.
    pub(super) fn begin(&mut self) {
        self.shown = Shown::default();
    }

    /// Shows what a command has printed just now, before which `skipped` bytes are missing. Its result says so too where this
    /// cannot be written.
    pub(super) fn live(&mut self, text: &str, skipped: u64) {
        if matches!(self.format, Format::Json | Format::Arrow) {
            return; // the result is one JSON text, and has the output; or it is no text
        }
        if skipped > 0 {
            self.end_line();
            self.note(&format!("note: {skipped} bytes of output are not kept by the server"));
            self.shown.is_longer = true;
        }
        let bar = self.bar.clone();
        let mut print = || {
            self.out.write_all(text.as_bytes()).ok();
            self.out.flush().ok();
        };
        match bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
        self.shown.add(text);
    }

    /// Shows how far a command's Spark jobs are, on a terminal.
    pub(super) fn progress(&mut self, progress: &Progress) {
        if !self.terminal {
            return;
        }
        self.end_line();
        let bar = self.bar.get_or_insert_with(|| ProgressBar::new(0).with_style(bar_style()));
        let Progress { jobs, stages, tasks } = progress;
        bar.set_length(tasks.all);
        bar.set_position(tasks.done);
        bar.set_message(format!(
            "tasks {}/{}, stages {}/{}, jobs {}/{}",
            tasks.done, tasks.all, stages.done, stages.all, jobs.done, jobs.all
        ));
    }

    /// Takes the progress away.
    pub(super) fn no_progress(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Ends a line that a command has begun.
    fn end_line(&mut self) {
        if std::mem::take(&mut self.shown.in_line) {
            self.out.write_all(b"\n").ok();
            self.out.flush().ok();
        }
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

    /// Prints a piece of something longer.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.end_line();
        self.out.write_all(bytes)?;
        self.out.flush()
    }

    /// Prints text as it is. A reader who has gone away is no failure.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        match self.print(text) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            printed => printed,
        }
    }

    /// Prints what of a result was not shown already. A reader who has gone away, as `head` does, is no failure.
    pub(super) fn result(&mut self, results: &Results, body: &ResultsBody) -> io::Result<()> {
        let format = self.format;
        let shown = std::mem::take(&mut self.shown);
        let is_text = matches!(body, ResultsBody::Text { .. } | ResultsBody::Images { .. });
        self.shown.in_line = shown.in_line;
        if !is_text {
            self.end_line();
        }
        let printed = match (format, body) {
            (Format::Json, _) => self.print(&format!("{}\n", one_line(results))),
            (Format::Arrow, _) => Ok(()),
            (_, ResultsBody::Text { data, truncated }) => self.rest(shown.rest(data, *truncated)),
            (Format::Csv, ResultsBody::Table { data, schema, .. }) => self.print(&table::csv(schema, data)),
            (Format::Table, ResultsBody::Table { data, schema, .. }) => self.print(&table::aligned(schema, data)),
            (_, ResultsBody::Images { data, .. }) => self.rest(shown.rest(data.as_deref().unwrap_or_default(), false)),
            (_, ResultsBody::Image { .. } | ResultsBody::Error { .. }) => Ok(()),
        };
        match body {
            ResultsBody::Text { truncated: true, .. } if shown.text.is_empty() => {
                self.note("note: the output was cut by the server");
            }
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

    /// Prints the rest of a text of which the beginning was shown.
    fn rest(&mut self, rest: &str) -> io::Result<()> {
        // It has the end of the line that was begun.
        self.shown.in_line &= !rest.starts_with('\n');
        self.end_line();
        self.print(&line(rest))
    }

    fn raised(&mut self, summary: &str, cause: &str) {
        let text = if cause.trim().is_empty() { summary } else { cause };
        let text = if self.terminal { text.to_owned() } else { plain(text) };
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

impl Shown {
    fn add(&mut self, text: &str) {
        let room = SHOWN_BYTES_MAX - self.text.len();
        let kept = text.floor_char_boundary(room);
        self.is_longer |= kept < text.len();
        self.text.push_str(&text[..kept]);
        if !text.is_empty() {
            self.in_line = !text.ends_with('\n');
        }
    }

    /// Returns what a text has beyond what was shown. One that was cut has nothing.
    fn rest<'a>(&self, text: &'a str, truncated: bool) -> &'a str {
        let bare = self.text.trim_end_matches(['\n', '\r']);
        if self.is_longer || (truncated && !self.text.is_empty()) {
            return "";
        }
        text.strip_prefix(self.text.as_str())
            .or_else(|| text.strip_prefix(bare).filter(|rest| rest.is_empty()))
            .unwrap_or(text)
    }
}

fn bar_style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{bar:24} {msg} {elapsed}");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
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
        output.show(format);
        output.result(&results, &results.parse().unwrap()).unwrap();
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
    fn what_was_shown_is_not_printed_twice() {
        let text = |data: &str, more: &str| format!(r#"{{"resultType":"text","data":"{data}"{more}}}"#);
        let table = r#"{"resultType":"table","data":[[1]],"schema":[{"name":"a","type":"\"integer\""}],"truncated":false,"isJsonSchema":true}"#;
        for (pieces, result, out) in [
            (&["a\n", "b\n"][..], text("a\\nb", ""), "a\nb\n"),
            (&["a\n\n"], text("a\\n\\nres0: Int = 2", ""), "a\n\nres0: Int = 2\n"),
            (&["a"], text("a\\n42", ""), "a\n42\n"),
            (&["a"], text("a", ""), "a\n"),
            (&[], text("a", ""), "a\n"),
            (&["long"], text("lo\\n*** cut", r#","truncated":true"#), "long\n"),
            (&["dropped\n"], text("alone", ""), "dropped\nalone\n"),
            (&["a"], table.to_owned(), "a\n a \n---\n 1 \n"),
        ] {
            let (mut output, tape, err) = Tape::output();
            output.begin();
            pieces.iter().for_each(|piece| output.live(piece, 0));
            let results = Results::from_json(result.clone()).unwrap();
            output.result(&results, &results.parse().unwrap()).unwrap();
            assert_eq!((tape.text().as_str(), err.text().as_str()), (out, ""), "{pieces:?} {result}");
        }
    }

    #[test]
    fn json_is_the_result_alone_and_a_gap_is_told() {
        let (mut output, tape, err) = Tape::output();
        output.show(Format::Json);
        output.live("a", 0);
        assert_eq!(tape.text(), "");
        output.show(Format::Table);
        output.live("a", 0);
        output.live("b\n", 17);
        assert_eq!(
            (tape.text().as_str(), err.text().as_str()),
            ("a\nb\n", "note: 17 bytes of output are not kept by the server\n")
        );
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
