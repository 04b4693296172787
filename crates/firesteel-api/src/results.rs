//! What a command came to (reference, section 4).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The `results` object of a command that is over.
///
/// It is carried as the JSON text its interpreter wrote: a table of two megabytes is neither parsed nor built again
/// on its way to the client. [`Results::parse`] reads it where the content matters.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Results(Box<RawValue>);

impl Results {
    /// Takes JSON text; anything that is not one JSON object is refused.
    pub fn from_json(text: String) -> Result<Self, serde_json::Error> {
        let raw = RawValue::from_string(text)?;
        if raw.get().starts_with('{') {
            Ok(Self(raw))
        } else {
            Err(serde::de::Error::custom("`results` is not an object"))
        }
    }

    /// Returns the JSON text.
    pub fn as_json(&self) -> &str {
        self.0.get()
    }

    /// Returns its `resultType`.
    pub fn kind(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Kind {
            #[serde(rename = "resultType")]
            kind: String,
        }
        serde_json::from_str::<Kind>(self.as_json()).ok().map(|kind| kind.kind)
    }

    /// Reads the content.
    pub fn parse(&self) -> Result<ResultsBody, serde_json::Error> {
        serde_json::from_str(self.as_json())
    }

    /// Makes a text result. Trailing newlines are dropped (section 4.2).
    pub fn text(data: &str) -> Self {
        ResultsBody::Text { data: data.trim_end_matches(['\n', '\r']).to_owned(), truncated: false }.into()
    }

    /// Makes an error result; both fields are always strings (section 4.5).
    pub fn error(summary: impl Into<String>, cause: impl Into<String>) -> Self {
        ResultsBody::Error { summary: summary.into(), cause: cause.into() }.into()
    }

    /// Makes the result of a command whose cancel was accepted (section 3.3).
    pub fn cancelled() -> Self {
        Self::error(
            "Command cancelled",
            "com.databricks.backend.common.rpc.CommandCancelledException\n\tat firesteel.Command.cancel(Command)",
        )
    }

    /// Makes the result of a command whose cancel cost more than the command: `lost` says what.
    pub fn cancelled_with_loss(lost: &str) -> Self {
        let summary = format!("Command cancelled: {lost}");
        let exception = "com.databricks.backend.common.rpc.CommandCancelledException";
        let cause = format!("{exception}: {summary}\n\tat firesteel.Command.cancel(Command)");
        Self::error(summary, cause)
    }
}

impl PartialEq for Results {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

/// The content of a `results` object, by its `resultType`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "resultType", rename_all = "lowercase")]
pub enum ResultsBody {
    /// What was printed, then the echo.
    Text {
        /// The text, without a trailing newline.
        data: String,
        /// Whether something was cut. Sent only when true.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        truncated: bool,
    },
    /// Rows.
    Table {
        /// One array per row.
        data: Vec<Vec<serde_json::Value>>,
        /// One entry per column.
        schema: Vec<Column>,
        /// Whether rows were cut.
        truncated: bool,
        /// Always true: each column's `type` is itself JSON.
        #[serde(rename = "isJsonSchema")]
        is_json_schema: bool,
    },
    /// One picture.
    Image {
        /// A data URL.
        #[serde(rename = "fileName")]
        file_name: String,
    },
    /// Pictures, and what was printed beside them.
    Images {
        /// Data URLs of PNG files.
        #[serde(rename = "fileNames")]
        file_names: Vec<String>,
        /// What was printed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data: Option<String>,
    },
    /// The code raised, or the engine failed.
    Error {
        /// One line; it may hold HTML for Python.
        summary: String,
        /// The whole trace.
        cause: String,
    },
}

impl From<ResultsBody> for Results {
    fn from(body: ResultsBody) -> Self {
        let raw = serde_json::value::to_raw_value(&body);
        Self(raw.expect("a results body has string keys and no failing serializer"))
    }
}

/// Some rows of a table: the fields of a table result, and where the rows stand.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TablePage {
    /// Always `table`.
    pub result_type: String,
    /// One array per row.
    pub data: Box<RawValue>,
    /// One entry per column.
    pub schema: Vec<Column>,
    /// Whether rows were lost: nothing more comes, and this is not all.
    pub truncated: bool,
    /// Why rows were lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Always true, as in a table result.
    pub is_json_schema: bool,
    /// The first row's number, from 0.
    pub offset: u64,
    /// Where to go on; null at the end.
    pub next_offset: Option<u64>,
    /// How many rows there are; null while they are still being counted.
    pub total_rows: Option<u64>,
}

impl TablePage {
    /// Makes a page of rows that are JSON arrays with commas between them.
    pub fn new(rows: Vec<u8>, schema: Vec<Column>, offset: u64, next: Option<u64>, total: Option<u64>) -> Self {
        let text = format!("[{}]", String::from_utf8_lossy(&rows));
        let data = RawValue::from_string(text).expect("rows are JSON");
        Self {
            result_type: "table".to_owned(),
            data,
            schema,
            truncated: false,
            reason: None,
            is_json_schema: true,
            offset,
            next_offset: next,
            total_rows: total,
        }
    }

    /// Says why rows were lost, where they were.
    #[must_use]
    pub fn cut(self, reason: Option<String>) -> Self {
        Self { truncated: reason.is_some(), reason, ..self }
    }
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The column's name.
    pub name: String,
    /// Spark's JSON type, as JSON inside this string.
    #[serde(rename = "type")]
    pub type_json: String,
    /// A JSON object inside this string.
    #[serde(default)]
    pub metadata: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_result_has_no_trailing_newline_and_no_extra_key() {
        assert_eq!(Results::text("a\n\nb\n\n").as_json(), r#"{"resultType":"text","data":"a\n\nb"}"#);
    }

    #[test]
    fn a_table_reads_back_as_it_was_written() {
        let wire = r#"{"resultType":"table","data":[[1,null]],"schema":[{"name":"a","type":"\"integer\"","metadata":"{}"}],"truncated":false,"isJsonSchema":true}"#;
        let results = Results::from_json(wire.to_owned()).unwrap();
        assert_eq!(Results::from(results.parse().unwrap()).as_json(), wire);
    }

    #[test]
    fn only_an_object_is_a_result() {
        assert!(Results::from_json("[1]".into()).is_err());
        assert!(Results::from_json("{\"resultType\"".into()).is_err());
    }
}
