//! Stopping a command: because a user cancels it, or because its time is up.
//!
//! The ladder: its Spark jobs and its thread or process are interrupted, again and again with growing pauses, until the code has
//! stopped. Code that has not by the cluster's deadline (`cancel_seconds_max`) loses what it runs in: a Python or R process is killed
//! and the context goes on with a fresh one; in the JVM, where a thread cannot be killed, the context is given up.

use std::time::{Duration, Instant};

use bytes::Bytes;
use firesteel_api::results::Results;
use firesteel_api::{CommandId, ContextId};
use firesteel_model::queue::Cancel;

use crate::context::{Run, Stop, Why};
use crate::driver::Driver;
use crate::interpreter::Ended;
use crate::protocol::interpreters::InterpreterId;
use crate::protocol::link::DriverEvent;

/// How long a command that is to stop may take until it is interrupted again; the pause doubles.
const AGAIN_FIRST: Duration = Duration::from_millis(50);

/// What the pause grows to.
const AGAIN_MAX: Duration = Duration::from_millis(500);

/// Spark's configuration of a cluster may set a time limit under this key, in seconds, as on the service.
const LIMIT_KEY: &str = "spark.databricks.execution.timeout";

impl Why {
    /// What of a command's end is said to be the reason.
    fn words(self) -> String {
        match self {
            Self::Cancelled => "its cancel".to_owned(),
            Self::TimeIsUp(limit) => format!("its time limit of {limit:?}"),
        }
    }
}

impl Driver {
    /// The time limit of a command that may ask for one itself: the shortest of all that there are.
    pub(super) fn limit_of(&self, asked_seconds: Option<u64>) -> Option<Duration> {
        let of_spark = self.spec.conf.get(LIMIT_KEY).and_then(|text| text.trim().parse().ok());
        let limits = [asked_seconds, of_spark, Some(self.spec.command_seconds_max)];
        limits.into_iter().flatten().filter(|seconds| *seconds > 0).min().map(Duration::from_secs)
    }

    pub(super) fn cancel(&mut self, id: ContextId, command: CommandId) {
        let Some(context) = self.contexts.get_mut(&id) else {
            return;
        };
        match (context.queue.cancel(command), context.run.as_mut()) {
            (Cancel::Dropped(_), _) => self.report(DriverEvent::Cancelled { context: id, command, lost: None }),
            (Cancel::Running, Some(run)) => match &mut run.stop {
                Some(stop) => stop.why = Why::Cancelled,
                None => self.stop(id, command, Why::Cancelled),
            },
            // It is over, and its event says how.
            (Cancel::Running | Cancel::Unknown, _) => {}
        }
    }

    /// Begins to stop a context's running command.
    fn stop(&mut self, id: ContextId, command: CommandId, why: Why) {
        let Some(run) = self.contexts.get_mut(&id).and_then(|context| context.run.as_mut()) else {
            return;
        };
        let (interpreter, since) = (run.interpreter, Instant::now());
        run.stop = Some(Stop { why, since, again: (since + AGAIN_FIRST, AGAIN_FIRST) });
        self.interrupt(interpreter, id, command);
    }

    /// When the next command that is to stop is interrupted again.
    pub(super) fn next_press(&self) -> Option<Instant> {
        let running = self.contexts.values().filter(|context| context.queue.running().is_some());
        let stops = running.filter_map(|context| context.run.as_ref()?.stop.as_ref());
        stops.map(|stop| stop.again.0).min()
    }

    /// Ends commands whose time is up, interrupts again those that are to stop, and gives up interpreters that do not.
    pub(super) fn press_stops(&mut self, now: Instant) {
        let deadline = Duration::from_secs(self.spec.cancel_seconds_max);
        for id in self.contexts.keys().copied().collect::<Vec<_>>() {
            let Some(context) = self.contexts.get_mut(&id) else {
                continue;
            };
            let (Some(run), Some(command)) = (context.run.as_mut(), context.queue.running()) else {
                continue;
            };
            let interpreter = run.interpreter;
            match next_step(run, now, deadline) {
                Step::None => {}
                Step::Begin(why) => self.stop(id, command, why),
                Step::Again => self.interrupt(interpreter, id, command),
                Step::GiveUp(why) => self.give_up(id, interpreter, why),
            }
        }
    }

    /// Code that does not stop: its process is killed where it has one of its own; in the JVM, where threads cannot be
    /// killed, the context is given up and says so.
    fn give_up(&mut self, id: ContextId, interpreter: InterpreterId, why: Why) {
        let deadline = Duration::from_secs(self.spec.cancel_seconds_max);
        if self.is_process(interpreter) {
            let reason =
                format!("the code did not stop within {deadline:?} of {}, so its process was killed", why.words());
            return self.lose(interpreter, &reason);
        }
        let Some(command) = self.contexts.get(&id).and_then(|context| context.queue.running()) else {
            return;
        };
        let reason = format!(
            "the code did not stop within {deadline:?} of {} and may go on inside the JVM; the context is lost, make a \
             new one",
            why.words()
        );
        self.report(DriverEvent::Lost { context: id, command, reason: reason.clone() });
        self.report(DriverEvent::ContextFailed { context: id, reason });
        self.close(id);
    }

    /// Reports the end of a command that ran to it, or was stopped.
    pub(super) fn report_end(&self, context: ContextId, command: CommandId, stopped: Option<Why>, ended: Ended) {
        let results = match (stopped, ended) {
            (Some(Why::TimeIsUp(limit)), _) => time_is_up(limit, None),
            (_, Ended::Results(_, results)) => results,
            (_, Ended::Cancelled) => return self.report(DriverEvent::Cancelled { context, command, lost: None }),
        };
        let results = self.secrets.redact(results);
        self.events.push(DriverEvent::Finished { context, command }, Some(results));
    }

    /// Reports the end of a command that was to stop, and has, with all that its interpreter held.
    pub(super) fn report_killed(&self, context: ContextId, command: CommandId, why: Why, lost: &str) {
        match why {
            Why::Cancelled => {
                self.report(DriverEvent::Cancelled { context, command, lost: Some(lost.to_owned()) });
            }
            Why::TimeIsUp(limit) => {
                let results = time_is_up(limit, Some(lost));
                self.events.push(DriverEvent::Finished { context, command }, Some(results));
            }
        }
    }
}

/// What is to be done about a running command.
enum Step {
    None,
    Begin(Why),
    Again,
    GiveUp(Why),
}

fn next_step(run: &mut Run, now: Instant, deadline: Duration) -> Step {
    match (&mut run.stop, run.ends_by) {
        (None, Some((end, limit))) if now >= end => Step::Begin(Why::TimeIsUp(limit)),
        (None, _) => Step::None,
        (Some(stop), _) if now.duration_since(stop.since) >= deadline => Step::GiveUp(stop.why),
        (Some(Stop { again: (when, pause), .. }), _) if now >= *when => {
            *pause = (*pause * 2).min(AGAIN_MAX);
            *when = now + *pause;
            Step::Again
        }
        (Some(_), _) => Step::None,
    }
}

/// The results of a command that ran out of time: code that ended, as every client reads it.
fn time_is_up(limit: Duration, lost: Option<&str>) -> Bytes {
    let lost = lost.map(|lost| format!(": {lost}")).unwrap_or_default();
    let text = format!("The command was stopped: it ran for longer than its time limit of {limit:?}{lost}");
    Bytes::from(Results::error(&*text, &*text).as_json().to_owned())
}
