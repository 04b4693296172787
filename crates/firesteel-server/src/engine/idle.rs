//! Idle contexts: on a full cluster the one that has been idle for the longest makes room (reference, section 6).

use std::time::Duration;

use firesteel_store::now_ms;

use crate::engine::cluster::{Cluster, Request};
use crate::engine::{Engine, EngineError};

/// The switch in a cluster's Spark configuration: `false` keeps its contexts whatever happens.
const SWITCH: &str = "spark.databricks.chauffeur.enableIdleContextTracking";

impl Engine {
    /// Ends the context of a cluster that has been idle for the longest, if one has been idle for long enough; tells
    /// whether one did. Never one that runs something, be it a streaming query alone.
    pub(super) async fn make_room(&self, cluster: &Cluster) -> Result<bool, EngineError> {
        if !self.tracks_idle(cluster) {
            return Ok(false);
        }
        let idle = Duration::from_secs(self.0.limits.context_idle_seconds);
        let since = now_ms().saturating_sub(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX));
        while let Some(context) = cluster.board().idlest(since) {
            // In turn with `execute`: it may be used at this moment.
            let Some(turn) = cluster.board().turn(context) else {
                continue;
            };
            let _turn = turn.lock_owned().await;
            if !cluster.board().is_idle(context, since) {
                continue;
            }
            let was_there = self.0.store.disconnect_context(cluster.id(), context).await?;
            cluster.board().make_room(context);
            cluster.tell(Request::Close { context }).await?;
            if was_there {
                tracing::info!(cluster.id = %cluster.id(), "context {context} was idle and made room for another");
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn tracks_idle(&self, cluster: &Cluster) -> bool {
        let spec = self.0.launcher.spec(&cluster.record());
        !spec.is_ok_and(|spec| spec.conf.get(SWITCH).is_some_and(|value| value.eq_ignore_ascii_case("false")))
    }
}
