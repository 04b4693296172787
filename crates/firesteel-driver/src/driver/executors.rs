//! The executors of the cluster: how many there are, how many there are to be, and what a resize comes to.
//!
//! The JVM tells of each that comes and goes. Where they run on Workers of ours (`nodes`), a resize starts or ends Workers
//! too; on an existing engine Spark asks for them and gives them back.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::driver::Driver;
use crate::protocol::interpreters::ToJvm;
use crate::protocol::link::DriverEvent;

/// How long the executors that were asked for may take to come, or those that are to go to finish what they run.
const SIZE_DEADLINE: Duration = Duration::from_secs(90);

/// What is known of the executors.
#[derive(Default)]
pub(super) struct Executors {
    /// How many there are to be, at least.
    pub(super) wanted: u32,
    /// Those there are, by Spark's id, with the Worker of ours that each runs on.
    present: HashMap<String, Option<u32>>,
    /// Until when they may come before the cluster is said to be ready without them, and what is said then.
    start: Option<(Instant, DriverEvent)>,
    /// Until when a resize may take.
    resize: Option<Instant>,
    /// Why no more can be had, once that is known.
    pub(super) cannot: Option<String>,
}

impl Executors {
    /// None yet, and so many to come.
    pub(super) fn wanting(count: u32) -> Self {
        Self { wanted: count, ..Self::default() }
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.present.len()).unwrap_or(u32::MAX)
    }

    /// Tells whether a Worker's executor is still there.
    pub(super) fn has_worker(&self, worker: u32) -> bool {
        self.present.values().any(|own| *own == Some(worker))
    }

    /// Tells whether a start or a resize is under way: what is told of the size then ends it.
    pub(super) fn are_awaited(&self) -> bool {
        self.start.is_some() || self.resize.is_some()
    }

    /// Says what is missing of what was asked for.
    fn shortfall(&self) -> String {
        let missing = format!("there are {} executors, not {}, after {SIZE_DEADLINE:?}", self.count(), self.wanted);
        match &self.cannot {
            Some(why) => format!("{missing}: {why}"),
            None => missing,
        }
    }
}

impl Driver {
    /// Spark is up. The cluster is ready when its executors are there, or have been waited for long enough, and its libraries
    /// are installed or have failed.
    pub(super) fn spark_is_ready(&mut self, ready: DriverEvent) {
        self.executors.start = Some((Instant::now() + SIZE_DEADLINE, ready));
        self.check_size(Instant::now());
    }

    pub(super) fn executor_added(&mut self, executor: String, worker: Option<u32>) {
        tracing::info!("executor {executor} is there");
        self.executors.present.insert(executor, worker);
        self.size_changed(None);
    }

    pub(super) fn executor_removed(&mut self, executor: &str, reason: String) {
        let Some(worker) = self.executors.present.remove(executor) else { return };
        tracing::info!("executor {executor} is gone: {reason}");
        if let Some(worker) = worker {
            self.worker_is_idle(worker);
        }
        self.size_changed(Some(reason));
    }

    /// A Worker is gone, and its executors with it: Spark itself notices later.
    pub(super) fn worker_lost(&mut self, worker: u32, reason: String) {
        let before = self.executors.count();
        self.executors.present.retain(|_, own| *own != Some(worker));
        if self.executors.count() < before {
            self.size_changed(Some(reason));
        }
    }

    fn size_changed(&mut self, lost: Option<String>) {
        if self.children.spark_is_up && !self.executors.are_awaited() {
            // Dynamic allocation lets go of what is idle: that is no loss.
            let lost = lost.filter(|_| self.executors.count() < self.executors.wanted);
            self.report(DriverEvent::Resized { executors: self.executors.count(), reason: lost });
        }
        self.check_size(Instant::now());
    }

    /// Asks for another number of executors. What comes of it is told by an event, a refusal too.
    pub(super) fn resize(&mut self, executors: u32, executors_max: u32) {
        if let Some(reason) = self.cannot_resize_to(executors, executors_max) {
            return self.report(DriverEvent::Resized { executors: self.executors.count(), reason: Some(reason) });
        }
        self.executors.wanted = executors;
        self.executors.resize = Some(Instant::now() + SIZE_DEADLINE);
        self.executors.cannot = None;
        self.match_workers();
        if let (Some(jvm), Some(_)) = (&self.children.jvm_control, &self.spec.executors) {
            jvm.ask(ToJvm::Resize { executors });
        }
        self.check_size(Instant::now());
    }

    fn cannot_resize_to(&self, executors: u32, executors_max: u32) -> Option<String> {
        let reason = match &self.spec.executors {
            None if executors_max == 0 => return None,
            None => "Spark runs inside the driver here; workers come with a restart",
            Some(_) if executors == 0 => {
                "a cluster that was started with workers keeps at least one; it can be without any after a restart"
            }
            Some(own) if own.max.is_some() || executors != executors_max => {
                "how a cluster follows its load is fixed when it starts; other bounds come with a restart"
            }
            Some(_) if !self.children.spark_is_up => "Spark is not up",
            Some(_) => return None,
        };
        Some(reason.to_owned())
    }

    /// Ends a start or a resize that has what it waits for, or has waited long enough.
    pub(super) fn check_size(&mut self, now: Instant) {
        let executors = self.executors.count();
        let (enough, exact) = (executors >= self.executors.wanted, executors == self.executors.wanted);
        let given_up = self.executors.cannot.is_some() && !enough;
        let over = |deadline: Instant| given_up || now >= deadline;
        let installed = self.libraries.first_are_done();
        let start = &mut self.executors.start;
        if let Some((_, ready)) = start.take_if(|(deadline, _)| installed && (enough || over(*deadline))) {
            if self.spec.executors.is_some() {
                let reason = (!enough).then(|| self.executors.shortfall());
                self.report(DriverEvent::Resized { executors, reason });
            }
            self.report(ready);
        }
        if self.executors.resize.take_if(|deadline| exact || over(*deadline)).is_some() {
            let reason = (!exact).then(|| self.executors.shortfall());
            self.report(DriverEvent::Resized { executors, reason });
        }
    }
}
