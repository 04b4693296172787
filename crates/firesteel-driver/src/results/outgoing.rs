//! What leaves the driver of a result's file: Arrow whatever its interpreter wrote, and without secrets.
//!
//! Secrets that user code has read by the time of the reading are taken out of texts, binaries and names, also inside of
//! what is nested. A batch without any, which is nearly every one, leaves as it is in the file: only its bytes are looked
//! through.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, ListArray, MapArray, RecordBatch, StringArray, StructArray};
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};

use super::rows::JsonRows;
use crate::redact::Secrets;

/// The longest message that leaves. Interpreters write up to 48 MiB, and a secret may be shorter than what stands for it.
pub(super) const MESSAGE_BYTES_MAX: usize = 60 << 20;

/// The end mark of an Arrow stream.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Why a message cannot leave.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsent {
    /// It is not in the form that interpreters write.
    #[error("its rows cannot be read: {0}")]
    Arrow(#[from] ArrowError),
    /// The same, of rows that are JSON.
    #[error("its rows cannot be read: {0}")]
    Rows(String),
    /// What stands for the secrets makes it too large.
    #[error("with its secrets taken out, a batch of it has more than {} MiB", MESSAGE_BYTES_MAX >> 20)]
    TooLarge,
}

/// The way of one result's messages. Cheap to clone.
#[derive(Clone)]
pub(super) struct Outgoing {
    secrets: Secrets,
    form: Form,
}

/// What the file holds.
#[derive(Clone)]
enum Form {
    /// Messages of an Arrow stream; this is the first one.
    Arrow(Arc<[u8]>),
    /// Rows of JSON.
    Json(Arc<JsonRows>),
}

impl Outgoing {
    /// Takes the first message; returns what leaves of it, and the way of the others.
    pub(super) fn begin(secrets: Secrets, message: Vec<u8>) -> Result<(Self, Vec<u8>), Unsent> {
        if message.first() == Some(&b'[') {
            let rows = JsonRows::begin(&message)?;
            let schema = encoded(&redacted_schema(&secrets, rows.schema()))?;
            return Ok((Self { secrets, form: Form::Json(Arc::new(rows)) }, schema));
        }
        let leaves = if secrets.is_in(&message) {
            let schema = decoded_schema(&message)?;
            encoded(&redacted_schema(&secrets, &schema))?
        } else {
            message.clone()
        };
        Ok((Self { secrets, form: Form::Arrow(message.into()) }, leaves))
    }

    /// Whether batches leave as they are in the file.
    pub(super) fn is_unread(&self) -> bool {
        matches!(self.form, Form::Arrow(_)) && self.secrets.is_empty()
    }

    /// Takes any other message; returns what leaves of it.
    pub(super) fn batch(&self, message: Vec<u8>) -> Result<Vec<u8>, Unsent> {
        let growth = self.secrets.growth(&message);
        if growth.is_some_and(|growth| message.len().saturating_add(growth) > MESSAGE_BYTES_MAX) {
            return Err(Unsent::TooLarge);
        }
        let batch = match &self.form {
            Form::Arrow(_) if growth.is_none() => return Ok(message),
            Form::Arrow(schema) => decoded_batch(schema, message)?,
            Form::Json(rows) => rows.batch(&message)?,
        };
        encoded_batch(&if growth.is_some() { redacted_batch(&self.secrets, &batch)? } else { batch })
    }
}

// ---- messages ----

fn decoded_schema(message: &[u8]) -> Result<SchemaRef, Unsent> {
    let mut decoder = StreamDecoder::new();
    // A message without a body is known when the next one begins.
    decoder.decode(&mut Buffer::from([message, &END[..]].concat()))?;
    decoder.schema().ok_or_else(|| Unsent::Rows("it does not begin with its columns".to_owned()))
}

fn decoded_batch(schema: &[u8], message: Vec<u8>) -> Result<RecordBatch, Unsent> {
    let mut decoder = StreamDecoder::new();
    for part in [schema.to_vec(), message, END.to_vec()] {
        let mut buffer = Buffer::from(part);
        while !buffer.is_empty() {
            if let Some(batch) = decoder.decode(&mut buffer)? {
                return Ok(batch);
            }
        }
    }
    Err(Unsent::Rows("a batch of it is not whole".to_owned()))
}

fn encoded(schema: &Schema) -> Result<Vec<u8>, Unsent> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
    Ok(std::mem::take(writer.get_mut()))
}

fn encoded_batch(batch: &RecordBatch) -> Result<Vec<u8>, Unsent> {
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref())?;
    writer.get_mut().clear(); // the schema has left already
    writer.write(batch)?;
    Ok(std::mem::take(writer.get_mut()))
}

// ---- without secrets ----

fn redacted_schema(secrets: &Secrets, schema: &Schema) -> Schema {
    let fields: Vec<FieldRef> = schema.fields().iter().map(|field| redacted_field(secrets, field)).collect();
    let words = schema.metadata().iter().map(|(key, value)| (key.clone(), redacted_text(secrets, value).into_owned()));
    Schema::new(fields).with_metadata(words.collect::<HashMap<_, _>>())
}

fn redacted_field(secrets: &Secrets, field: &FieldRef) -> FieldRef {
    let kind = match field.data_type() {
        DataType::List(inner) => DataType::List(redacted_field(secrets, inner)),
        DataType::Map(inner, sorted) => DataType::Map(redacted_field(secrets, inner), *sorted),
        DataType::Struct(inner) => DataType::Struct(inner.iter().map(|field| redacted_field(secrets, field)).collect()),
        other => other.clone(),
    };
    Arc::new(Field::new(redacted_text(secrets, field.name()), kind, field.is_nullable()))
}

fn redacted_batch(secrets: &Secrets, batch: &RecordBatch) -> Result<RecordBatch, Unsent> {
    let columns = batch.columns().iter().map(|column| redacted(secrets, column)).collect::<Result<_, _>>()?;
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}

fn redacted(secrets: &Secrets, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>().iter();
            Arc::new(texts.map(|text| text.map(|text| redacted_text(secrets, text))).collect::<StringArray>())
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>().iter();
            Arc::new(values.map(|value| value.map(|value| secrets.redacted(value))).collect::<BinaryArray>())
        }
        DataType::List(field) => {
            let list = array.as_list::<i32>();
            let values = redacted(secrets, list.values())?;
            Arc::new(ListArray::try_new(field.clone(), list.offsets().clone(), values, list.nulls().cloned())?)
        }
        DataType::Map(field, sorted) => {
            let map = array.as_map();
            let entries = redacted_struct(secrets, map.entries())?;
            Arc::new(MapArray::try_new(field.clone(), map.offsets().clone(), entries, map.nulls().cloned(), *sorted)?)
        }
        DataType::Struct(_) => Arc::new(redacted_struct(secrets, array.as_struct())?),
        _ => array.clone(),
    })
}

fn redacted_struct(secrets: &Secrets, value: &StructArray) -> Result<StructArray, ArrowError> {
    let columns = value.columns().iter().map(|column| redacted(secrets, column)).collect::<Result<_, _>>()?;
    StructArray::try_new_with_length(value.fields().clone(), columns, value.nulls().cloned(), value.len())
}

fn redacted_text<'a>(secrets: &Secrets, text: &'a str) -> Cow<'a, str> {
    match secrets.redacted(text.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Int32Array;
    use arrow_array::builder::{ListBuilder, MapBuilder, StringBuilder};

    use super::*;

    /// Sends a batch through, and returns how a reader sees it.
    fn sent(secrets: &Secrets, batch: &RecordBatch) -> RecordBatch {
        let (outgoing, schema) = Outgoing::begin(secrets.clone(), encoded(batch.schema_ref()).unwrap()).unwrap();
        decoded_batch(&schema, outgoing.batch(encoded_batch(batch).unwrap()).unwrap()).unwrap()
    }

    fn secrets(value: &str) -> Secrets {
        let secrets = Secrets::default();
        secrets.learn(value.as_bytes());
        secrets
    }

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
        let said = HashMap::from([("firesteel.columns".to_owned(), r#"[{"name":"hunter2"}]"#.to_owned())]);
        let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>()).with_metadata(said);
        RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
    }

    fn nested(text: &str) -> RecordBatch {
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_value([Some("a"), Some(text), None]);
        lists.append_null();
        let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        maps.keys().append_value(text);
        maps.values().append_value(text);
        maps.append(true).unwrap();
        maps.append(false).unwrap();
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(text), None]));
        let fields = vec![(Arc::new(Field::new("x", DataType::Utf8, true)), texts.clone())];
        batch(vec![
            ("hunter2", texts),
            ("binary", Arc::new(BinaryArray::from(vec![Some(text.as_bytes()), None]))),
            ("list", Arc::new(lists.finish())),
            ("map", Arc::new(maps.finish())),
            ("struct", Arc::new(StructArray::from(fields))),
            ("number", Arc::new(Int32Array::from(vec![1, 2]))),
        ])
    }

    #[test]
    fn a_secret_is_taken_out_of_texts_and_names_wherever_they_are() {
        let seen = sent(&secrets("hunter2"), &nested("my hunter2!"));
        assert_eq!(seen.columns(), nested("my [REDACTED]!").columns());
        assert_eq!(seen.schema().field(0).name(), "[REDACTED]");
        assert_eq!(seen.schema().metadata()["firesteel.columns"], r#"[{"name":"[REDACTED]"}]"#);
    }

    #[test]
    fn what_has_no_secret_leaves_as_it_is() {
        let plain = nested("nothing");
        let (outgoing, _) = Outgoing::begin(secrets("elsewhere"), encoded(plain.schema_ref()).unwrap()).unwrap();
        let message = encoded_batch(&plain).unwrap();
        assert_eq!(outgoing.batch(message.clone()).unwrap(), message);
        assert!(!outgoing.is_unread());
        let (outgoing, _) = Outgoing::begin(Secrets::default(), encoded(plain.schema_ref()).unwrap()).unwrap();
        assert!(outgoing.is_unread());
    }

    #[test]
    fn a_secret_that_is_read_later_is_taken_out_from_then_on() {
        let secrets = Secrets::default();
        let rows = nested("hunter2");
        let (outgoing, schema) = Outgoing::begin(secrets.clone(), encoded(rows.schema_ref()).unwrap()).unwrap();
        secrets.learn(b"hunter2");
        let seen = decoded_batch(&schema, outgoing.batch(encoded_batch(&rows).unwrap()).unwrap()).unwrap();
        assert_eq!(seen.columns(), nested("[REDACTED]").columns());
    }

    #[test]
    fn a_batch_that_would_grow_too_large_is_not_sent() {
        let text = "x".repeat(7 << 20);
        let rows = batch(vec![("a", Arc::new(StringArray::from(vec![text.as_str()])))]);
        let (outgoing, _) = Outgoing::begin(secrets("x"), encoded(rows.schema_ref()).unwrap()).unwrap();
        assert!(matches!(outgoing.batch(encoded_batch(&rows).unwrap()), Err(Unsent::TooLarge)));
    }

    #[test]
    fn what_is_no_arrow_is_an_error() {
        let (outgoing, _) = Outgoing::begin(secrets("hunter2"), b"no schema".to_vec()).unwrap();
        assert!(outgoing.batch(b"my hunter2".to_vec()).is_err());
        assert!(Outgoing::begin(secrets("hunter2"), b"hunter2".to_vec()).is_err());
    }

    #[test]
    fn rows_of_json_are_arrow_without_secrets() {
        let columns = br#"[{"name":"a","type":"\"string\"","metadata":"{}"}]"#;
        let (outgoing, schema) = Outgoing::begin(secrets("hunter2"), columns.to_vec()).unwrap();
        let seen = decoded_batch(&schema, outgoing.batch(br#"["a hunter2"],[null]"#.to_vec()).unwrap()).unwrap();
        assert_eq!(seen.column(0).as_string::<i32>(), &StringArray::from(vec![Some("a [REDACTED]"), None]));
    }
}
