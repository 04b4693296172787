//! Batches made here, in every form; real Spark's are in the end-to-end tests.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array,
    Int64Array, NullArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

/// One column as a JSON array of its values.
fn json(array: impl Array + 'static) -> String {
    let mut out = Vec::new();
    let batch = batch(vec![("c", Arc::new(array))]);
    assert_eq!(write_rows(&mut out, &batch, usize::MAX).unwrap(), batch.num_rows());
    let rows = String::from_utf8(out).unwrap();
    rows[1..rows.len() - 1].replace("],[", " ")
}

fn numbers(count: i64) -> RecordBatch {
    batch(vec![("n", Arc::new(Int64Array::from_iter_values(0..count)))])
}

#[test]
fn scalars_have_the_form_of_the_reference() {
    assert_eq!(json(Int64Array::from(vec![Some(i64::MIN), None])), "-9223372036854775808 null");
    assert_eq!(json(BooleanArray::from(vec![true, false])), "true false");
    assert_eq!(json(Float32Array::from(vec![0.1, f32::NAN])), "0.1 \"NaN\"");
    assert_eq!(
        json(Float64Array::from(vec![1.5, f64::INFINITY, f64::NEG_INFINITY, -0.0])),
        "1.5 \"Infinity\" \"-Infinity\" -0.0"
    );
    assert_eq!(json(StringArray::from(vec!["a\"\u{1}\n", "é😀"])), r#""a\"\u0001\n" "é😀""#);
    assert_eq!(json(BinaryArray::from(vec![&b"\x00\xff"[..], b""])), "\"AP8=\" \"\"");
    assert_eq!(json(Date32Array::from(vec![-719_162, 0])), "\"0001-01-01\" \"1970-01-01\"");
    let moments = TimestampMicrosecondArray::from(vec![-1]);
    assert_eq!(json(moments.clone()), "\"1969-12-31T23:59:59.999\"");
    assert_eq!(json(moments.with_timezone("UTC")), "\"1969-12-31T23:59:59.999Z\"");
    assert_eq!(json(NullArray::new(2)), "null null");
}

#[test]
fn decimals_have_all_their_digits() {
    let decimals =
        |scale, values: Vec<i128>| json(Decimal128Array::from(values).with_precision_and_scale(38, scale).unwrap());
    assert_eq!(decimals(2, vec![270_209, -5, 0]), "\"2702.09\" \"-0.05\" \"0.00\"");
    assert_eq!(
        decimals(0, vec![99_999_999_999_999_999_999_999_999_999_999_999_999]),
        "\"99999999999999999999999999999999999999\""
    );
    assert_eq!(decimals(38, vec![1]), "\"0.00000000000000000000000000000000000001\"");
    assert_eq!(decimals(-2, vec![15, 0, -1]), "\"1500\" \"0\" \"-100\"");
}

#[test]
fn what_is_nested_keeps_its_nulls() {
    let mut lists = ListBuilder::new(Int32Builder::new());
    lists.append_value([Some(1), None]);
    lists.append_null();
    assert_eq!(json(lists.finish()), "[1,null] null");
    let mut maps = MapBuilder::new(None, Int32Builder::new(), StringBuilder::new());
    maps.keys().append_value(7);
    maps.values().append_null();
    maps.append(true).unwrap();
    assert_eq!(json(maps.finish()), "{\"7\":null}");
    let fields =
        vec![(Arc::new(Field::new("x", DataType::Int32, true)), Arc::new(Int32Array::from(vec![1])) as ArrayRef)];
    assert_eq!(json(StructArray::from(fields)), "{\"x\":1}");
}

#[test]
fn a_page_ends_before_it_is_too_large() {
    let mut out = Vec::new();
    assert_eq!(write_rows(&mut out, &numbers(100), 11).unwrap(), 3);
    assert_eq!(out, b"[0],[1],[2]");
    // One row is always written, or a page would never get on.
    let mut out = Vec::new();
    assert_eq!(write_rows(&mut out, &numbers(100), 1).unwrap(), 1);
}

#[test]
fn csv_tells_a_null_from_an_empty_text() {
    let table = batch(vec![
        ("a,b", Arc::new(StringArray::from(vec![Some("say \"x\"\r\n"), Some(""), None]))),
        ("t", Arc::new(TimestampMicrosecondArray::from(vec![1, 1_000, 0]).with_timezone("UTC"))),
    ]);
    let text = [CsvText::head(table.schema_ref()), CsvText::batch(&table).unwrap()].concat();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "\"a,b\",t\r\n\"say \"\"x\"\"\r\n\",1970-01-01T00:00:00.000001Z\r\n\"\",1970-01-01T00:00:00.001Z\r\n,1970-01-01T00:00:00.000Z\r\n"
    );
}

#[test]
fn the_columns_are_said_in_the_stream() {
    let said = r#"[{"name":"a","type":"\"integer\"","metadata":"{}"}]"#;
    let metadata = HashMap::from([("firesteel.columns".to_owned(), said.to_owned())]);
    assert_eq!(columns(&Schema::empty().with_metadata(metadata)).unwrap()[0].type_json, "\"integer\"");
    assert!(matches!(columns(&Schema::empty()), Err(TableError::Columns)));
}

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = ArrowText::new(numbers(0).schema_ref()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.take() // as interpreters write them, without an end mark
}

#[test]
fn rows_of_nulls_alone_are_rows() {
    let nulls = batch(vec![("n", Arc::new(NullArray::new(3)))]);
    let mut writer = ArrowText::new(nulls.schema_ref()).unwrap();
    writer.write(&nulls).unwrap();
    let mut rows = Rows::new(1, 10);
    let mut batches = rows.push(writer.take().into()).unwrap();
    batches.extend(rows.end().unwrap());
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
}

proptest! {
    #[test]
    fn a_range_is_cut_out_of_any_batches_in_any_pieces(
        counts in prop::collection::vec(0usize..20, 1..8), piece in 1usize..700, offset in 0u64..100, limit in 0u64..100,
    ) {
        let total: usize = counts.iter().sum();
        let all = numbers(total as i64);
        let mut from = 0;
        let batches: Vec<_> = counts.iter().map(|count| { from += count; all.slice(from - count, *count) }).collect();
        let mut rows = Rows::new(offset, limit);
        let mut text = Vec::new();
        for bytes in stream(&batches).chunks(piece) {
            for batch in rows.push(Bytes::copy_from_slice(bytes)).unwrap() {
                write_rows(&mut text, &batch, usize::MAX).unwrap();
            }
        }
        let wanted: Vec<[u64; 1]> = (0..total as u64).skip(offset as usize).take(limit as usize).map(|n| [n]).collect();
        let found: Vec<[u64; 1]> = serde_json::from_str(&format!("[{}]", String::from_utf8(text).unwrap())).unwrap();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn any_bytes_are_rows_or_an_error(bytes: Vec<u8>) {
        let _ = Rows::new(0, 10).push(bytes.into());
    }
}
