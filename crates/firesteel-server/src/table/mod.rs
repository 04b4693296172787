//! The rows of a table result, from the Arrow stream that a driver sends to the form that a client asked for.
//!
//! - `rows`: the stream as batches, from one row on and as many as are wanted.
//! - `json`: a batch as rows of the reference's section 4.3.
//! - `csv`: a batch as lines.
//! - `arrow`: a batch as a message of an Arrow stream.
//! - `dates`: days and moments as text, of every year that Spark has.
//! - `head`: the rows that a stored `results` object has, for when there is no stream.
//!
//! Nothing here waits, and nothing holds more than a batch.

mod arrow;
mod csv;
mod dates;
mod head;
mod json;
mod rows;
#[cfg(test)]
mod tests;

pub(crate) use arrow::ArrowText;
pub(crate) use arrow_array::RecordBatch;
pub(crate) use csv::CsvText;
pub(crate) use head::HeadTable;
pub(crate) use json::{columns, write_rows};
pub(crate) use rows::Rows;

/// Why a table cannot be put into another form.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    /// The driver sent something that is no Arrow stream.
    #[error("the rows that the driver sent cannot be read: {0}")]
    Arrow(#[from] arrow_schema::ArrowError),
    /// A batch that is larger than any that an interpreter writes.
    #[error("the driver sent a batch of more than {0} bytes")]
    TooLarge(usize),
    /// A type that no interpreter writes.
    #[error("columns of type {0} cannot be written")]
    Type(arrow_schema::DataType),
    /// The columns are not said in the stream.
    #[error("the rows that the driver sent do not say what their columns are")]
    Columns,
}
