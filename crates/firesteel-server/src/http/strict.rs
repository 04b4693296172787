//! Results as the strict client wants them.
//!
//! `sbt-databricks` aborts on a key that it does not know. Of a `results` object it knows `resultType`, `data` as a
//! string and `cause`; so for it errors lose their `summary`, tables become text, and pictures a word about them.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use firesteel_api::commands::CommandView;
use firesteel_api::results::{Results, ResultsBody};
use serde_json::{Value, json};

use crate::http::AppState;

/// Cells that are longer are not cut, but no column is padded beyond this.
const COLUMN_CHARS_MAX: usize = 40;

/// Whether the caller is the strict client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strict {
    /// Keys that it does not know are left out.
    Yes,
    /// Results go out as they are.
    No,
}

impl FromRequestParts<AppState> for Strict {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Infallible> {
        let agent = parts.headers.get(header::USER_AGENT);
        let is_sbt = agent.is_some_and(|agent| agent.as_bytes().starts_with(b"sbt-databricks "));
        Ok(if is_sbt || app.settings.strict { Self::Yes } else { Self::No })
    }
}

impl Strict {
    /// Rewrites the results of a command where the caller needs it.
    pub(crate) fn apply(self, mut view: CommandView) -> CommandView {
        if self == Self::Yes {
            view.results = view.results.map(|results| plain(&results));
        }
        view
    }
}

fn plain(results: &Results) -> Results {
    let plain = match results.parse() {
        Ok(ResultsBody::Error { cause, .. }) => json!({"cause": cause, "resultType": "error"}),
        Ok(ResultsBody::Text { data, .. }) => text(data),
        Ok(ResultsBody::Table { data, schema, truncated, .. }) => {
            let names = schema.into_iter().map(|column| column.name).collect();
            text(table(names, data, truncated))
        }
        Ok(ResultsBody::Image { .. }) => text(pictures(1, None)),
        Ok(ResultsBody::Images { file_names, data }) => text(pictures(file_names.len(), data)),
        // A kind of result newer than this list: all of it, as text.
        Err(_) => text(results.as_json().to_owned()),
    };
    Results::from_json(plain.to_string()).expect("an object was just written")
}

fn text(data: String) -> Value {
    json!({"data": data, "resultType": "text"})
}

fn pictures(count: usize, printed: Option<String>) -> String {
    let word = if count == 1 { "picture" } else { "pictures" };
    let note = format!("[{count} {word}, which this client cannot show]");
    printed.filter(|printed| !printed.is_empty()).map(|printed| format!("{printed}\n{note}")).unwrap_or(note)
}

/// Lays a table out in columns, two blanks apart, under their names.
fn table(names: Vec<String>, data: Vec<Vec<Value>>, truncated: bool) -> String {
    if names.is_empty() {
        return String::new();
    }
    let count = data.len();
    let head = names.iter().map(|name| cell(&Value::from(name.as_str()))).collect();
    let lines: Vec<Vec<String>> =
        std::iter::once(head).chain(data.iter().map(|row| row.iter().map(cell).collect())).collect();
    let mut widths = vec![0; names.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().min(COLUMN_CHARS_MAX).max(*width);
        }
    }
    let mut laid_out: Vec<String> = lines
        .iter()
        .map(|line| {
            let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect();
    if truncated {
        laid_out.push(format!("(only the first {count} rows)"));
    }
    laid_out.join("\n")
}

/// One value on one line.
fn cell(value: &Value) -> String {
    let plain = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    plain.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &str, to: &str) {
        assert_eq!(plain(&Results::from_json(from.to_owned()).unwrap()).as_json(), to);
    }

    #[test]
    fn only_the_three_keys_of_the_strict_client_are_left() {
        check(
            r#"{"resultType":"error","summary":"<b>x</b>","cause":"a\n\tb"}"#,
            r#"{"cause":"a\n\tb","resultType":"error"}"#,
        );
        check(r#"{"resultType":"text","data":"x","truncated":true}"#, r#"{"data":"x","resultType":"text"}"#);
        check(
            r#"{"resultType":"images","fileNames":["data:image/png;base64,AA==","b"],"data":"hi"}"#,
            r#"{"data":"hi\n[2 pictures, which this client cannot show]","resultType":"text"}"#,
        );
        check(
            r#"{"resultType":"image","fileName":"data:image/png;base64,AA=="}"#,
            r#"{"data":"[1 picture, which this client cannot show]","resultType":"text"}"#,
        );
        check(r#"{"resultType":"new"}"#, r#"{"data":"{\"resultType\":\"new\"}","resultType":"text"}"#);
    }

    #[test]
    fn a_table_is_laid_out_as_text() {
        let column = |name: &str| format!(r#"{{"name":"{name}","type":"\"string\"","metadata":"{{}}"}}"#);
        let rows = r#"[[1,"é\n"],[null,true],[22,[1,{"a":"b"}]]]"#;
        let columns = format!("{},{}", column("identifier"), column("s"));
        check(
            &format!(
                r#"{{"resultType":"table","data":{rows},"schema":[{columns}],"truncated":true,"isJsonSchema":true}}"#
            ),
            &text(
                "identifier  s\n1           é\\n\nnull        true\n22          [1,{\"a\":\"b\"}]\n(only the first 3 rows)"
                    .to_owned(),
            )
            .to_string(),
        );
        check(
            r#"{"resultType":"table","data":[],"schema":[],"truncated":false,"isJsonSchema":true}"#,
            r#"{"data":"","resultType":"text"}"#,
        );
    }
}
