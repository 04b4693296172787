//! Results of interpreters that have no Arrow: rows of JSON, which become Arrow on their way to a reader.
//!
//! The first message is the `schema` of the `results` object, every other one some rows: arrays with commas between them.
//! Dates are days and timestamps microseconds since 1970; all other values are as in a `results` object.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use firesteel_api::results::Column;
use serde_json::Value;

use super::outgoing::Unsent;

/// Where the schema says, in JSON, what the `results` object says of its columns.
const COLUMNS_KEY: &str = "firesteel.columns";

/// One table of such rows.
pub(super) struct JsonRows {
    schema: SchemaRef,
}

impl JsonRows {
    /// Reads the first message.
    pub(super) fn begin(columns: &[u8]) -> Result<Self, Unsent> {
        let said = String::from_utf8_lossy(columns).into_owned();
        let columns: Vec<Column> = serde_json::from_slice(columns).map_err(unreadable)?;
        let fields: Vec<Field> =
            columns.iter().map(|column| Field::new(&column.name, kind(&column.type_json), true)).collect();
        let schema = Schema::new(fields).with_metadata(HashMap::from([(COLUMNS_KEY.to_owned(), said)]));
        Ok(Self { schema: Arc::new(schema) })
    }

    /// The columns.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Reads any other message.
    pub(super) fn batch(&self, rows: &[u8]) -> Result<RecordBatch, Unsent> {
        let rows: Vec<Vec<Value>> = serde_json::from_slice(&[b"[", rows, b"]"].concat()).map_err(unreadable)?;
        if rows.iter().any(|row| row.len() != self.schema.fields().len()) {
            return Err(Unsent::Rows("a row has more or fewer values than there are columns".to_owned()));
        }
        let columns = self.schema.fields().iter().enumerate().map(|(at, field)| column(field.data_type(), &rows, at));
        Ok(RecordBatch::try_new(self.schema.clone(), columns.collect::<Result<_, _>>()?)?)
    }
}

/// The Arrow type for one of Spark's, which is JSON.
fn kind(spark: &str) -> DataType {
    match spark.trim_matches('"') {
        "boolean" => DataType::Boolean,
        "integer" => DataType::Int32,
        "long" => DataType::Int64,
        "double" => DataType::Float64,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => DataType::Utf8,
    }
}

fn column(kind: &DataType, rows: &[Vec<Value>], at: usize) -> Result<ArrayRef, Unsent> {
    Ok(match kind {
        DataType::Boolean => Arc::new(BooleanArray::from(cells(rows, at, Value::as_bool)?)),
        DataType::Int32 => Arc::new(Int32Array::from(cells(rows, at, int)?)),
        DataType::Int64 => Arc::new(Int64Array::from(cells(rows, at, Value::as_i64)?)),
        DataType::Float64 => Arc::new(Float64Array::from(cells(rows, at, double)?)),
        DataType::Date32 => Arc::new(Date32Array::from(cells(rows, at, int)?)),
        DataType::Timestamp(..) => {
            Arc::new(TimestampMicrosecondArray::from(cells(rows, at, Value::as_i64)?).with_timezone("UTC"))
        }
        _ => Arc::new(StringArray::from(cells(rows, at, Value::as_str)?)),
    })
}

fn cells<'a, T>(rows: &'a [Vec<Value>], at: usize, read: fn(&'a Value) -> Option<T>) -> Result<Vec<Option<T>>, Unsent> {
    let cell = |row: &'a Vec<Value>| match &row[at] {
        Value::Null => Ok(None),
        value => {
            let read = read(value);
            read.map(Some).ok_or_else(|| Unsent::Rows(format!("a value of column {at} is not of its type")))
        }
    };
    rows.iter().map(cell).collect()
}

fn int(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|value| i32::try_from(value).ok())
}

/// JSON has no numbers for three of them.
fn double(value: &Value) -> Option<f64> {
    match value.as_str() {
        None => value.as_f64(),
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
    }
}

fn unreadable(error: serde_json::Error) -> Unsent {
    Unsent::Rows(error.to_string())
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::*;

    fn rows(types: &[&str]) -> JsonRows {
        let columns = types.iter().enumerate().map(
            |(at, kind)| serde_json::json!({"name": format!("c{at}"), "type": format!("\"{kind}\""), "metadata": "{}"}),
        );
        JsonRows::begin(&serde_json::to_vec(&columns.collect::<Vec<_>>()).unwrap()).unwrap()
    }

    #[test]
    fn each_type_is_what_it_says() {
        let rows = rows(&["boolean", "integer", "long", "double", "date", "timestamp", "string"]);
        let batch = rows
            .batch(br#"[true,-1,9007199254740993,"NaN",-719162,-1000,"x"],[null,null,null,1.5,null,null,null]"#)
            .unwrap();
        let expected: [ArrayRef; 7] = [
            Arc::new(BooleanArray::from(vec![Some(true), None])),
            Arc::new(Int32Array::from(vec![Some(-1), None])),
            Arc::new(Int64Array::from(vec![Some(9_007_199_254_740_993), None])),
            Arc::new(Float64Array::from(vec![f64::NAN, 1.5])),
            Arc::new(Date32Array::from(vec![Some(-719_162), None])),
            Arc::new(TimestampMicrosecondArray::from(vec![Some(-1000), None]).with_timezone("UTC")),
            Arc::new(StringArray::from(vec![Some("x"), None])),
        ];
        for (found, expected) in batch.columns().iter().zip(&expected) {
            assert_eq!(found.to_data(), expected.to_data());
        }
        assert!(rows.schema().metadata()[COLUMNS_KEY].contains("\"c6\""));
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_not_a_null() {
        let rows = rows(&["integer"]);
        for wrong in [&br#"["1"]"#[..], b"[3000000000]", b"[1,2]", b"[]", b"[1", b"[1.5]"] {
            assert!(rows.batch(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
        assert!(JsonRows::begin(b"[1]").is_err());
    }
}
