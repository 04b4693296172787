//! Tables beyond the rows that a `results` object has.

use std::time::Duration;

use firesteel_api::commands::CommandStatus;
use firesteel_api::results::Results;
use firesteel_api::{CommandId, ContextId};

use super::cluster::Cluster;
use super::reading::{ReadError, Reading};
use super::{Engine, EngineError};

/// The table of a command that is over.
pub(crate) struct Table {
    /// What the store has of it: the first rows.
    pub(crate) head: Results,
    cluster: Cluster,
    context: ContextId,
    command: CommandId,
}

impl Engine {
    /// Returns the table that a command came to. While the command is not over, waits up to `hold` for that.
    pub(crate) async fn table(
        &self,
        cluster: &str,
        context: &str,
        command: &str,
        hold: Duration,
    ) -> Result<Table, EngineError> {
        let view = self.command(cluster, context, command, hold).await?;
        let no_table = |what: &str| EngineError::NoTable { command: view.id, what: what.to_owned() };
        let head = match (view.status, &view.results) {
            (CommandStatus::Finished, Some(results)) => results.clone(),
            (CommandStatus::Finished, None) => return Err(no_table("has no results")),
            (CommandStatus::Cancelled, _) => return Err(no_table("was cancelled")),
            (CommandStatus::Error, _) => return Err(no_table("was lost with its engine")),
            _ => return Err(EngineError::NotOver { command: view.id }),
        };
        match head.kind().as_deref() {
            Some("table") => {}
            Some("text") => return Err(no_table("came to text; commands/output has all of that")),
            Some(other) => return Err(no_table(&format!("came to a result of type `{other}`"))),
            None => return Err(no_table("came to something unknown")),
        }
        let cluster = self.find(cluster)?;
        let context = cluster.context_id(context)?;
        Ok(Table { head, context, command: view.id, cluster })
    }
}

impl Table {
    /// Reads its rows from `offset` on, out of what the driver keeps.
    pub(crate) async fn read(&self, offset: u64) -> Result<Reading, ReadError> {
        let Some(socket) = self.cluster.socket() else {
            return Err(ReadError::Absent("its cluster has no driver any more".to_owned()));
        };
        Reading::open(&socket, self.cluster.id().clone(), self.context, self.command, offset).await
    }

    /// The command.
    pub(crate) fn command(&self) -> CommandId {
        self.command
    }
}
