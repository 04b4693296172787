//! How the rows of a table result travel: the form of the files that interpreters write, and what a driver says to
//! whoever reads one over `driver.sock`.

use serde::{Deserialize, Serialize};

/// The longest payload of [`FromResult::Bytes`].
pub const PIECE_BYTES_MAX: usize = 1 << 20;

/// From the driver to a reader: the answers to [`crate::protocol::link::ToDriver::Read`], in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromResult {
    /// There is nothing to read.
    Absent {
        /// Why.
        reason: String,
    },
    /// It can be read; the next bytes are the schema.
    Opened {
        /// How it ended, where it has.
        ended: Option<ResultEnded>,
    },
    /// The next bytes are batches, the first of which begins with this row.
    At {
        /// Counted from 0.
        row: u64,
    },
    /// A part of the Arrow stream, in the payload.
    Bytes {},
    /// All that is there was sent; more will come.
    SoFar {
        /// How many rows there are.
        rows: u64,
    },
    /// Nothing more comes.
    Ended(ResultEnded),
}

/// How a result ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultEnded {
    /// How many rows were kept.
    pub rows: u64,
    /// Whether that is all of them.
    pub end: ResultEnd,
    /// Why it is not; empty where it is.
    pub reason: String,
}

/// Whether a result was kept whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultEnd {
    /// It was.
    Whole,
    /// It is as large as a result may be; there were more rows.
    Bound,
    /// The run ended early, or the file is gone.
    Failed,
}

impl ResultEnd {
    /// Reads the number that an index has for it.
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Whole),
            1 => Some(Self::Bound),
            2 => Some(Self::Failed),
            _ => None,
        }
    }
}
