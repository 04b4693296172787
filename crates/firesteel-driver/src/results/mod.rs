//! Table results on disk: the files that interpreters write, and whoever reads them.
//!
//! Each context has a folder, each command that shows a table a file in it: an Arrow stream without its end mark, and beside
//! it an index, by which a reader finds its row and sees how far the file has grown. Interpreters write; this side makes the
//! folders, bounds what they hold, and removes them.
//!
//! - `folder`: all results of a cluster. `index`: one result's index. `reader`: whoever reads one.
//! - `outgoing`: what a reader gets, which has no secrets. `rows`: results whose interpreter has no Arrow.

mod folder;
mod index;
mod outgoing;
mod reader;
mod rows;

pub(crate) use folder::ResultsFolder;
pub(crate) use reader::{Readers, absent};
