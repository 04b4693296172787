//! The engine: every cluster's task behind one cloneable handle.

use std::time::Duration;

use firesteel_api::clusters::{ClusterStatus, ClusterView};
use firesteel_api::commands::CommandView;
use firesteel_api::contexts::ContextView;
use firesteel_api::{ClusterId, CommandId, ContextId, Language};

mod error;

pub use error::EngineError;

/// A handle to every cluster. Cheap to clone.
///
/// Ids arrive as the text a client sent: one that does not parse is one that does not exist.
#[derive(Clone)]
pub struct Engine {}

impl Engine {
    /// Returns every cluster, ended ones included, in the order of their creation.
    pub fn clusters(&self) -> Vec<ClusterView> {
        todo!()
    }

    /// Returns one cluster.
    pub fn cluster(&self, cluster: &str) -> Result<ClusterView, EngineError> {
        let _ = cluster;
        todo!()
    }

    /// Makes a context; it is in the store when this returns.
    pub async fn create_context(
        &self,
        cluster: &str,
        language: Language,
    ) -> Result<ContextId, EngineError> {
        let _ = (cluster, language);
        todo!()
    }

    /// Returns a context's status; while it is Pending, waits up to `hold` for that to change.
    pub async fn context(
        &self,
        cluster: &str,
        context: &str,
        hold: Duration,
    ) -> Result<ContextView, EngineError> {
        let _ = (cluster, context, hold);
        todo!()
    }

    /// Ends a context and what it runs.
    pub async fn destroy_context(
        &self,
        cluster: &str,
        context: &str,
    ) -> Result<ContextId, EngineError> {
        let _ = (cluster, context);
        todo!()
    }

    /// Queues a command; it is in the store when this returns.
    pub async fn execute(
        &self,
        cluster: &str,
        context: &str,
        language: Language,
        source: String,
    ) -> Result<CommandId, EngineError> {
        let _ = (cluster, context, language, source);
        todo!()
    }

    /// Returns a command's status; while it is not over, waits up to `hold` for that to change.
    pub async fn command(
        &self,
        cluster: &str,
        context: &str,
        command: &str,
        hold: Duration,
    ) -> Result<CommandView, EngineError> {
        let _ = (cluster, context, command, hold);
        todo!()
    }

    /// Asks a command to stop. Asking twice, or asking one that is over, changes nothing and succeeds.
    pub async fn cancel(
        &self,
        cluster: &str,
        context: &str,
        command: &str,
    ) -> Result<CommandId, EngineError> {
        let _ = (cluster, context, command);
        todo!()
    }
}

#[allow(
    unused_imports,
    reason = "the statuses and ids are used by the cluster task"
)]
use {ClusterId as _, ClusterStatus as _};
