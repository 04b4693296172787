//! All rows of a table: those beyond the first ones, which alone its `results` object has, and those that are wanted as Arrow.
//!
//! They come page by page, or in one stream, and are printed as they come. A server that does not know the call has no more
//! than the first rows.

use std::io;

use firesteel_api::results::{ResultsBody, TablePage};
use firesteel_api::{ClusterId, CommandId, ContextId};
use reqwest::StatusCode;
use serde_json::Value;
use serde_json::value::RawValue;

use super::api::{Api, ApiError};
use super::failure::Failure;
use super::output::{Format, Output};
use super::session::Pace;
use super::table;

/// Behind every row that there is.
const BEYOND: u64 = i64::MAX as u64;

/// One table.
pub(super) struct WholeTable<'a> {
    /// Whom to ask.
    pub(super) api: &'a Api,
    /// Where it is.
    pub(super) cluster: &'a ClusterId,
    /// Where it is.
    pub(super) context: ContextId,
    /// What came to it.
    pub(super) command: CommandId,
}

/// How printing ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Printed {
    /// All that there is was printed.
    Rows,
    /// Nothing was: the server has no more than the result.
    Nothing,
}

/// Tells whether there is more to print than the result has.
pub(super) fn is_wanted(format: Format, body: &ResultsBody) -> bool {
    match (format, body) {
        (Format::Arrow, ResultsBody::Table { .. }) => true,
        (Format::Csv | Format::Json, ResultsBody::Table { truncated, .. }) => *truncated,
        _ => false,
    }
}

impl WholeTable<'_> {
    /// Prints all rows, and says on the standard error where some are lost.
    pub(super) async fn print(&self, format: Format, output: &mut Output) -> Result<Printed, Failure> {
        let printed = match format {
            Format::Arrow => self.print_stream(output).await,
            _ => self.print_pages(format, output).await,
        };
        match printed {
            Ok(()) => Ok(Printed::Rows),
            Err(Failure::Api(ApiError::Refused { status: StatusCode::NOT_FOUND, .. })) => Ok(Printed::Nothing),
            // A reader who has gone away, as `head` does, is no failure.
            Err(Failure::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => Ok(Printed::Rows),
            Err(failure) => Err(failure),
        }
    }

    async fn print_pages(&self, format: Format, output: &mut Output) -> Result<(), Failure> {
        let mut pace = Pace::new();
        let mut rows = 0;
        let mut begun = false;
        loop {
            let page = self.page(rows, None).await?;
            let (mut text, count) = self.rows(&page, format, rows == 0)?;
            if !std::mem::replace(&mut begun, true) {
                text.insert_str(0, &begin(&page, format));
            }
            rows += count as u64;
            if page.next_offset.is_none() && format == Format::Json {
                text += &format!("],\"truncated\":{}}}\n", page.truncated);
            }
            output.bytes(text.as_bytes()).map_err(Failure::io("print the result"))?;
            if page.next_offset.is_none() {
                tell(&page, rows, output);
                return Ok(());
            }
            // They are still being written.
            if count == 0 {
                pace.rest().await;
            }
        }
    }

    /// The rows of a page as text, and how many they are.
    fn rows(&self, page: &TablePage, format: Format, is_first: bool) -> Result<(String, usize), Failure> {
        let bad = |source| Failure::BadResult { command: self.command, source };
        if format == Format::Csv {
            let rows: Vec<Vec<Value>> = serde_json::from_str(page.data.get()).map_err(bad)?;
            return Ok((table::csv_rows(&rows), rows.len()));
        }
        let rows: Vec<&RawValue> = serde_json::from_str(page.data.get()).map_err(bad)?;
        let texts: Vec<&str> = rows.iter().map(|row| row.get()).collect();
        let comma = if is_first || texts.is_empty() { "" } else { "," };
        Ok((format!("{comma}{}", texts.join(",")), texts.len()))
    }

    /// Waits until all rows are there, so that it is known whether they are all, and takes them.
    async fn print_stream(&self, output: &mut Output) -> Result<(), Failure> {
        let mut pace = Pace::new();
        let last = loop {
            let page = self.page(BEYOND, Some(1)).await?;
            if page.total_rows.is_some() {
                break page;
            }
            pace.rest().await;
        };
        let mut stream = self.api.table_stream(self.cluster, self.context, self.command, "arrow").await?;
        let broken = |source| Failure::Api(ApiError::unreachable(self.api.url(), source));
        while let Some(piece) = stream.chunk().await.map_err(broken)? {
            output.bytes(&piece).map_err(Failure::io("print the result"))?;
        }
        tell(&last, last.total_rows.unwrap_or_default(), output);
        Ok(())
    }

    async fn page(&self, offset: u64, limit: Option<u64>) -> Result<TablePage, ApiError> {
        self.api.table_page(self.cluster, self.context, self.command, offset, limit).await
    }
}

/// What stands before the first row.
fn begin(page: &TablePage, format: Format) -> String {
    if format == Format::Csv {
        return table::csv_header(&page.schema);
    }
    let schema = serde_json::to_string(&page.schema).unwrap_or_default();
    format!("{{\"resultType\":\"table\",\"schema\":{schema},\"isJsonSchema\":true,\"data\":[")
}

fn tell(last: &TablePage, rows: u64, output: &mut Output) {
    if last.truncated {
        let why = last.reason.as_deref().unwrap_or("the server does not say why");
        output.note(&format!("note: the table is cut after {rows} rows: {why}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::fake::{Fake, Reply};
    use super::super::output::tests::Tape;
    use super::*;

    /// Answers of `commands/result`, one after the other.
    async fn print(format: Format, answers: &[&str]) -> (Result<Printed, String>, String, String) {
        let answers: Vec<String> = answers.iter().rev().map(|answer| (*answer).to_owned()).collect();
        let answers = Arc::new(Mutex::new(answers));
        let fake = Fake::start(move |ask| {
            assert!(ask.line.starts_with("GET /api/1.2/commands/result?"), "{}", ask.line);
            match answers.lock().unwrap().pop().expect("an answer").split_once(' ') {
                Some(("404", body)) => Reply::Json(404, body.to_owned()),
                Some(("200", body)) => Reply::ok(body),
                other => panic!("{other:?}"),
            }
        });
        let fake = fake.await;
        let (mut output, out, err) = Tape::output();
        let api = fake.api();
        let cluster = "c1".parse().unwrap();
        let command = CommandId::generate();
        let table = WholeTable { api: &api, cluster: &cluster, context: "7".parse().unwrap(), command };
        let printed = table.print(format, &mut output).await.map_err(|failure| failure.to_string());
        (printed, out.text(), err.text())
    }

    fn page(rows: &str, next: &str, more: &str) -> String {
        format!(
            r#"200 {{"resultType":"table","data":{rows},"schema":[{{"name":"a","type":"\"string\"","metadata":"{{}}"}}],"isJsonSchema":true,"offset":0,"nextOffset":{next},"totalRows":null,{more}}}"#
        )
    }

    #[tokio::test]
    async fn pages_are_one_text() {
        let pages = [
            page("[[\"x\"],[null]]", "2", "\"truncated\":false"),
            page("[]", "2", "\"truncated\":false"),
            page("[[\"\"]]", "null", "\"truncated\":false"),
        ];
        let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
        let (printed, out, err) = print(Format::Csv, &pages).await;
        assert_eq!((printed, out.as_str(), err.as_str()), (Ok(Printed::Rows), "a\nx\n\n\"\"\n", ""));
        let (printed, out, err) = print(Format::Json, &pages).await;
        let json = r#"{"resultType":"table","schema":[{"name":"a","type":"\"string\"","metadata":"{}"}],"isJsonSchema":true,"data":[["x"],[null],[""]],"truncated":false}"#;
        assert_eq!((printed, out, err.as_str()), (Ok(Printed::Rows), format!("{json}\n"), ""));
    }

    #[tokio::test]
    async fn what_is_lost_is_told() {
        let cut = page("[[\"x\"]]", "null", "\"truncated\":true,\"reason\":\"it is too large\"");
        let (printed, out, err) = print(Format::Json, &[&cut]).await;
        assert_eq!(printed, Ok(Printed::Rows));
        assert!(out.ends_with("[[\"x\"]],\"truncated\":true}\n"), "{out}");
        assert_eq!(err, "note: the table is cut after 1 rows: it is too large\n");
    }

    #[tokio::test]
    async fn a_server_that_has_no_more_is_no_failure() {
        let unknown = r#"404 {"error_code":"ENDPOINT_NOT_FOUND","message":"x"}"#;
        let (printed, out, err) = print(Format::Csv, &[unknown]).await;
        assert_eq!((printed, out.as_str(), err.as_str()), (Ok(Printed::Nothing), "", ""));
    }
}
