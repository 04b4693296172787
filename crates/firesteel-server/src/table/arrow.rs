//! Rows as an Arrow IPC stream.

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::Schema;

use super::TableError;

/// The writer of one stream. What it has written is taken out of it piece by piece.
pub(crate) struct ArrowText(StreamWriter<Vec<u8>>);

impl ArrowText {
    /// Begins a stream.
    pub(crate) fn new(schema: &Schema) -> Result<Self, TableError> {
        Ok(Self(StreamWriter::try_new(Vec::new(), schema)?))
    }

    /// Adds a batch.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        Ok(self.0.write(batch)?)
    }

    /// Says that nothing more comes. A stream without this is a broken one.
    pub(crate) fn finish(&mut self) -> Result<(), TableError> {
        Ok(self.0.finish()?)
    }

    /// Returns what was written since the last time.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.0.get_mut())
    }
}
