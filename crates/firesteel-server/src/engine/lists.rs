//! Lists of contexts and of commands, page by page.
//!
//! A page begins behind an id, not at a place: what is added or taken away meanwhile moves nothing.

use firesteel_api::commands::{CommandList, ListedCommand};
use firesteel_api::contexts::{ContextList, ListedContext};
use firesteel_store::{CommandRecord, ContextRecord};

use crate::engine::{Engine, EngineError};

/// Entries of a page when none are asked for.
pub const PAGE_DEFAULT: usize = 100;
/// Entries of a page at most.
pub const PAGE_MAX: usize = 1000;

/// Which page.
#[derive(Clone, Debug)]
pub struct Page {
    /// How many entries, from 1 to [`PAGE_MAX`].
    pub limit: usize,
    /// What the page before gave to ask for this one; `None` for the first.
    pub token: Option<String>,
}

impl Page {
    fn after<T: std::str::FromStr>(&self, call: &'static str) -> Result<Option<T>, EngineError> {
        let parse = |token: &String| {
            token.parse().map_err(|_| EngineError::BadPageToken { token: token.chars().take(80).collect(), call })
        };
        self.token.as_ref().map(parse).transpose()
    }
}

impl Engine {
    /// Returns a page of a cluster's contexts, the newest first.
    pub async fn contexts(&self, cluster: &str, page: Page) -> Result<ContextList, EngineError> {
        let cluster = self.find(cluster)?;
        let before = page.after("contexts/list")?;
        // One more than is shown tells whether there is a next page.
        let mut records = self.0.store.contexts_page(cluster.id(), before, page.limit + 1).await?;
        let more = records.len() > page.limit;
        records.truncate(page.limit);
        let next_page_token = records.last().filter(|_| more).map(|last| last.id.to_string());
        let contexts = records.into_iter().map(|record| listed_context(&record)).collect();
        Ok(ContextList { contexts, next_page_token })
    }

    /// Returns a page of a context's commands, the newest first.
    pub async fn commands(&self, cluster: &str, context: &str, page: Page) -> Result<CommandList, EngineError> {
        let cluster = self.find(cluster)?;
        let id = cluster.context_id(context)?;
        let before = page.after("commands/list")?;
        // Looked at first: one that ends in between is over in the store.
        let open = cluster.board().open(id);
        let mut records = self.0.store.commands_page(id, before, page.limit + 1).await?;
        let more = records.len() > page.limit;
        records.truncate(page.limit);
        let next_page_token = records.last().filter(|_| more).map(|last| last.sequence.to_string());
        let listed = |mut record: CommandRecord| {
            // A start is shown before it is stored.
            if let Some(state) = open.get(&record.id).filter(|_| !record.state.is_over()) {
                record.state = state.clone();
            }
            listed_command(&record)
        };
        Ok(CommandList { commands: records.into_iter().map(listed).collect(), next_page_token })
    }
}

fn listed_context(record: &ContextRecord) -> ListedContext {
    let ContextRecord { id, language, created_ms, .. } = *record;
    ListedContext { id, language, status: record.state.status(), created_ms }
}

fn listed_command(record: &CommandRecord) -> ListedCommand {
    let CommandRecord { id, language, created_ms, started_ms, ended_ms, .. } = *record;
    ListedCommand { id, language, status: record.state.status(), created_ms, started_ms, ended_ms }
}
