//! Rows as JSON, in the form of the reference's section 4.3.

use std::io::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use firesteel_api::results::Column;

use super::TableError;
use super::dates::{Fraction, write_date, write_moment};

/// Where the schema says, in JSON, what a `results` object says of its columns.
const COLUMNS_KEY: &str = "firesteel.columns";

/// Returns the `schema` of a `results` object.
pub(crate) fn columns(schema: &Schema) -> Result<Vec<Column>, TableError> {
    let text = schema.metadata().get(COLUMNS_KEY).ok_or(TableError::Columns)?;
    serde_json::from_str(text).map_err(|_| TableError::Columns)
}

/// Writes the rows of a batch, with commas between them, until they have `bytes_max` bytes. Returns how many were written.
pub(crate) fn write_rows(out: &mut Vec<u8>, batch: &RecordBatch, bytes_max: usize) -> Result<usize, TableError> {
    for row in 0..batch.num_rows() {
        let before = out.len();
        if !out.is_empty() {
            out.push(b',');
        }
        out.push(b'[');
        for (at, column) in batch.columns().iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_value(out, column, row, Fraction::Millis)?;
        }
        out.push(b']');
        if out.len() > bytes_max && before > 0 {
            out.truncate(before);
            return Ok(row);
        }
    }
    Ok(batch.num_rows())
}

/// Writes one value.
pub(super) fn write_value(
    out: &mut Vec<u8>,
    array: &dyn Array,
    row: usize,
    fraction: Fraction,
) -> Result<(), TableError> {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match array.data_type() {
        DataType::List(_) => write_list(out, array.as_list::<i32>().value(row).as_ref(), fraction),
        DataType::Struct(_) => write_struct(out, array, row, fraction),
        DataType::Map(..) => write_map(out, array, row, fraction),
        DataType::Utf8 => {
            write_string(out, array.as_string::<i32>().value(row));
            Ok(())
        }
        _ if is_bare(array, row) => write_text(out, array, row, fraction),
        _ => {
            out.push(b'"');
            write_text(out, array, row, fraction)?;
            out.push(b'"');
            Ok(())
        }
    }
}

/// Writes one value that is no list, struct or map as its text, without quotes or escapes. A null has none.
pub(super) fn write_text(
    out: &mut Vec<u8>,
    array: &dyn Array,
    row: usize,
    fraction: Fraction,
) -> Result<(), TableError> {
    // Writing into a vector cannot fail.
    let _ = match array.data_type() {
        DataType::Boolean => write!(out, "{}", array.as_boolean().value(row)),
        DataType::Int8 => write!(out, "{}", array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => write!(out, "{}", array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => write!(out, "{}", array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => write!(out, "{}", array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            write_float(out, value.into(), &serde_json::to_vec(&value).unwrap_or_default())
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            write_float(out, value, &serde_json::to_vec(&value).unwrap_or_default())
        }
        DataType::Decimal128(_, scale) => {
            write_decimal(out, array.as_primitive::<Decimal128Type>().value(row), *scale);
            Ok(())
        }
        DataType::Utf8 => out.write_all(array.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => out.write_all(STANDARD.encode(array.as_binary::<i32>().value(row)).as_bytes()),
        DataType::Date32 => {
            write_date(out, array.as_primitive::<Date32Type>().value(row).into());
            Ok(())
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            write_moment(out, array.as_primitive::<TimestampMicrosecondType>().value(row), fraction);
            out.write_all(if zone.is_some() { b"Z" } else { b"" })
        }
        other => return Err(TableError::Type(other.clone())),
    };
    Ok(())
}

/// Whether JSON has the value without quotes.
fn is_bare(array: &dyn Array, row: usize) -> bool {
    match array.data_type() {
        DataType::Boolean | DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => true,
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).is_finite(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).is_finite(),
        _ => false,
    }
}

fn write_float(out: &mut Vec<u8>, value: f64, finite: &[u8]) -> std::io::Result<()> {
    out.write_all(match value {
        _ if value.is_nan() => b"NaN",
        f64::INFINITY => b"Infinity",
        f64::NEG_INFINITY => b"-Infinity",
        _ => finite,
    })
}

/// Writes all digits, and none as a power of ten.
fn write_decimal(out: &mut Vec<u8>, value: i128, scale: i8) {
    let digits = value.unsigned_abs().to_string();
    if value < 0 {
        out.push(b'-');
    }
    let Ok(scale) = usize::try_from(scale) else {
        out.extend_from_slice(digits.as_bytes());
        let zeros = if value == 0 { 0 } else { usize::from(scale.unsigned_abs()) };
        return out.extend(std::iter::repeat_n(b'0', zeros));
    };
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, part) = padded.split_at(padded.len() - scale);
    out.extend_from_slice(whole.as_bytes());
    if !part.is_empty() {
        out.push(b'.');
        out.extend_from_slice(part.as_bytes());
    }
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string is JSON, and a vector takes it");
}

fn write_list(out: &mut Vec<u8>, values: &dyn Array, fraction: Fraction) -> Result<(), TableError> {
    out.push(b'[');
    for at in 0..values.len() {
        if at > 0 {
            out.push(b',');
        }
        write_value(out, values, at, fraction)?;
    }
    out.push(b']');
    Ok(())
}

fn write_struct(out: &mut Vec<u8>, array: &dyn Array, row: usize, fraction: Fraction) -> Result<(), TableError> {
    let value = array.as_struct();
    out.push(b'{');
    for (at, (name, column)) in value.column_names().iter().zip(value.columns()).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        write_value(out, column, row, fraction)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_map(out: &mut Vec<u8>, array: &dyn Array, row: usize, fraction: Fraction) -> Result<(), TableError> {
    let entries = array.as_map().value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    out.push(b'{');
    for at in 0..entries.len() {
        if at > 0 {
            out.push(b',');
        }
        write_key(out, keys, at, fraction)?;
        out.push(b':');
        write_value(out, values, at, fraction)?;
    }
    out.push(b'}');
    Ok(())
}

/// A key must be a string in JSON: what it would be as a value, in quotes.
fn write_key(out: &mut Vec<u8>, keys: &dyn Array, at: usize, fraction: Fraction) -> Result<(), TableError> {
    let mut value = Vec::new();
    write_value(&mut value, keys, at, fraction)?;
    if value.starts_with(b"\"") {
        out.extend_from_slice(&value);
    } else {
        write_string(out, &String::from_utf8_lossy(&value));
    }
    Ok(())
}
