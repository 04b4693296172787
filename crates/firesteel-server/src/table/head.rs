//! The rows that a stored `results` object has: all there is when the driver keeps no file of them.

use arrow_schema::Schema;
use firesteel_api::results::{Column, Results, ResultsBody};
use serde_json::Value;

use super::csv::line;
use super::{ArrowText, TableError};

/// A table as it was stored.
pub(crate) struct HeadTable {
    /// What its columns are.
    pub(crate) columns: Vec<Column>,
    /// Its rows.
    pub(crate) rows: Vec<Vec<Value>>,
    /// Whether there were more.
    pub(crate) truncated: bool,
}

impl HeadTable {
    /// Reads a `results` object; `None` when it is no table.
    pub(crate) fn of(results: &Results) -> Option<Self> {
        match results.parse() {
            Ok(ResultsBody::Table { data, schema, truncated, .. }) => {
                Some(Self { columns: schema, rows: data, truncated })
            }
            _ => None,
        }
    }

    /// Returns some rows as CSV.
    pub(crate) fn csv(&self, offset: usize, count: usize) -> Vec<u8> {
        if self.columns.is_empty() {
            return Vec::new();
        }
        let mut out = line(self.columns.iter().map(|column| Some(column.name.as_str())));
        for row in self.rows.iter().skip(offset).take(count) {
            let texts: Vec<Option<String>> = row.iter().map(text).collect();
            out.extend(line(texts.iter().map(Option::as_deref)));
        }
        out
    }

    /// Returns a table without columns as an Arrow stream. Any other has lost what its values were before they became JSON.
    pub(crate) fn arrow(&self) -> Result<Option<Vec<u8>>, TableError> {
        if !self.columns.is_empty() {
            return Ok(None);
        }
        let mut stream = ArrowText::new(&Schema::empty())?;
        stream.finish()?;
        Ok(Some(stream.take()))
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
