//! The driver's bytes as batches of rows.

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::SchemaRef;
use bytes::Bytes;

use super::TableError;

/// How many bytes may come before a batch is whole. Interpreters end a result whose batches would be larger.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// The end mark of an Arrow stream. Interpreters leave it out.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Reads a stream piece by piece, and keeps the rows that are wanted.
pub(crate) struct Rows {
    decoder: StreamDecoder,
    /// Rows to leave out yet.
    skip: u64,
    /// Rows that are wanted yet.
    left: u64,
    /// Bytes since the last whole batch.
    pending: usize,
}

impl Rows {
    /// A reader of `left` rows, the first of which is row `offset`.
    pub(crate) fn new(offset: u64, left: u64) -> Self {
        Self { decoder: StreamDecoder::new(), skip: offset, left, pending: 0 }
    }

    /// The bytes that follow begin with this row.
    pub(crate) fn at(&mut self, row: u64) {
        self.skip = self.skip.saturating_sub(row);
    }

    /// Takes a piece; returns the batches that are whole with it, without what is not wanted of them.
    pub(crate) fn push(&mut self, bytes: Bytes) -> Result<Vec<RecordBatch>, TableError> {
        self.pending += bytes.len();
        let mut buffer = Buffer::from(bytes);
        let mut batches = Vec::new();
        while !buffer.is_empty() {
            let Some(batch) = self.decoder.decode(&mut buffer)? else { break };
            self.pending = buffer.len();
            batches.extend(self.wanted(&batch));
        }
        if self.pending > BATCH_BYTES_MAX {
            return Err(TableError::TooLarge(BATCH_BYTES_MAX));
        }
        Ok(batches)
    }

    /// Says that nothing more comes: a message without a body, such as a batch of nulls alone, is known only then.
    pub(crate) fn end(&mut self) -> Result<Vec<RecordBatch>, TableError> {
        self.push(Bytes::from_static(&END))
    }

    /// What the stream says of its columns, once it has.
    pub(crate) fn schema(&self) -> Option<SchemaRef> {
        self.decoder.schema()
    }

    /// How many rows are wanted yet.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    fn wanted(&mut self, batch: &RecordBatch) -> Option<RecordBatch> {
        let rows = batch.num_rows();
        let from = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rows);
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(rows - from);
        self.skip -= from as u64;
        self.left -= count as u64;
        (count > 0).then(|| batch.slice(from, count))
    }
}
