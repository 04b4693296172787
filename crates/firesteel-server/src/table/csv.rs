//! Rows as CSV (RFC 4180): a line of names first, lines end in CR LF, fields in quotes where they need them.
//!
//! A null is nothing, an empty text is `""`. What is nested is JSON, as in a `results` object; all else is as there, without its quotes,
//! except that a timestamp has its microseconds where it has any.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};

use super::TableError;
use super::dates::Fraction;
use super::json::{write_text, write_value};

/// The writer of one CSV file.
pub(crate) struct CsvText;

impl CsvText {
    /// Returns the line of names.
    pub(crate) fn head(schema: &Schema) -> Vec<u8> {
        line(schema.fields().iter().map(|field| Some(field.name().as_str())))
    }

    /// Returns the lines of a batch.
    pub(crate) fn batch(batch: &RecordBatch) -> Result<Vec<u8>, TableError> {
        let mut out = Vec::new();
        let mut field = Vec::new();
        for row in 0..batch.num_rows() {
            for (at, column) in batch.columns().iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_cell(&mut out, &mut field, column, row)?;
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(out)
    }
}

/// Returns one line; a field without text is a null.
pub(super) fn line<'a>(fields: impl Iterator<Item = Option<&'a str>>) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, field) in fields.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if let Some(text) = field {
            write_field(&mut out, text.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn write_cell(out: &mut Vec<u8>, field: &mut Vec<u8>, column: &dyn Array, row: usize) -> Result<(), TableError> {
    if column.is_null(row) || *column.data_type() == DataType::Null {
        return Ok(());
    }
    match column.data_type() {
        DataType::Utf8 => write_field(out, column.as_string::<i32>().value(row).as_bytes()),
        DataType::List(_) | DataType::Struct(_) | DataType::Map(..) => {
            field.clear();
            write_value(field, column, row, Fraction::Millis)?;
            write_field(out, field);
        }
        // Digits, words and base64 need no quotes.
        _ => write_text(out, column, row, Fraction::AsNeeded)?,
    }
    Ok(())
}

fn write_field(out: &mut Vec<u8>, text: &[u8]) {
    if !text.is_empty() && !text.iter().any(|byte| matches!(byte, b'"' | b',' | b'\r' | b'\n')) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for byte in text {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
