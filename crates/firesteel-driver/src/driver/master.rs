//! The Master of an existing standalone cluster. While it is gone the application goes on with the executors it has; one that stays
//! away, or comes back without knowing the application, is the end of the cluster. Masters of the driver's own are `nodes`' business.

use std::time::{Duration, Instant};

use firesteel_api::v2::termination::TerminationCode;

use crate::driver::Driver;
use crate::protocol::link::DriverEvent;

impl Driver {
    /// The JVM has lost its Master, or has it back.
    pub(super) fn master_seen(&mut self, there: bool) {
        let Some(patience) = self.master_patience() else { return };
        self.master_due = (!there).then(|| Instant::now() + patience);
        let master = self.master_address();
        if there {
            return tracing::info!("the Master at {master} is back");
        }
        let reason = format!("the Master at {master} is gone; it is waited for, for up to {patience:?}");
        tracing::warn!("{reason}");
        if !self.executors.are_awaited() {
            self.report(DriverEvent::Resized { executors: self.executors.count(), reason: Some(reason) });
        }
    }

    /// Gives up a Master that has been away for too long.
    pub(super) fn check_master(&mut self, now: Instant) {
        if self.master_due.take_if(|due| now >= *due).is_some() {
            let (master, patience) = (self.master_address(), self.master_patience().unwrap_or_default());
            let reason = format!(
                "the Master at {master} went away and has not come back within {patience:?}, or does not know this application any more; \
                 start the cluster again when it is there"
            );
            self.fail(TerminationCode::SparkError, reason);
        }
    }

    /// How long a Master may be away; `None` where it is the driver's own, or there is none.
    fn master_patience(&self) -> Option<Duration> {
        self.spec.executors.as_ref()?.lost_master_seconds.map(Duration::from_secs)
    }

    fn master_address(&self) -> &str {
        self.spec.conf.get("spark.master").map_or("", String::as_str)
    }
}
