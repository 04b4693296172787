//! The end of a cluster on which nothing has run for as long as its owner set.

use std::time::Duration;

use firesteel_model::Cause;
use tokio::time::Instant;

use super::Task;

impl Task {
    /// When the cluster is ended, unless something is asked of it before.
    pub(super) fn idle_by(&self) -> Option<Instant> {
        let minutes = self.record.settings.autotermination_minutes;
        let counts = minutes > 0 && self.record.state.takes_work() && self.end_by.is_none();
        let idle_since = if counts { self.board.idle_since() } else { None };
        idle_since.map(|since| since + Duration::from_mins(u64::from(minutes)))
    }

    pub(super) async fn end_idle(&mut self) {
        // Something may have begun at this moment.
        if self.idle_by().is_none_or(|by| by > Instant::now()) {
            return;
        }
        let minutes = self.record.settings.autotermination_minutes;
        tracing::info!("nothing has run for {minutes} minutes; the cluster is ended");
        self.end_asked(Cause::Idle { minutes }, false, None).await;
    }
}
