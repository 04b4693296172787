//! What is written down of a cluster's life: for each change of its state, what happened and, of an end, why.

use firesteel_api::v2::events::{EventDetails, EventType};
use firesteel_api::v2::termination::{TerminationCode, TerminationReason};

use crate::{ClusterEvent, ClusterSettings, ClusterState};

/// Who or what is behind a change of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A user asked.
    User(String),
    /// Nothing ran on the cluster for so many minutes.
    Idle {
        /// The time that was set.
        minutes: u32,
    },
    /// The server itself: `up` starts its cluster, and ends it with Ctrl-C.
    Server,
    /// The driver, or what became of it.
    Driver,
}

/// One line of a cluster's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What happened.
    pub kind: EventType,
    /// What else is known.
    pub details: EventDetails,
}

impl Cause {
    /// The user, where one asked.
    pub fn user(&self) -> Option<String> {
        match self {
            Self::User(name) => Some(name.clone()),
            _ => None,
        }
    }

    /// Why a cluster ends that is ended for this.
    fn ending(&self) -> TerminationReason {
        use TerminationCode as C;
        match self {
            Self::User(name) => TerminationReason::new(C::UserRequest).with("username", name),
            Self::Idle { minutes } => {
                TerminationReason::new(C::Inactivity).with("inactivity_duration_min", minutes.to_string())
            }
            Self::Server => TerminationReason::new(C::WorkspaceUpdate),
            Self::Driver => TerminationReason::new(C::DriverUnexpectedFailure),
        }
    }
}

/// Returns why the cluster ends, if this event is what ends it.
pub fn ending(
    before: &ClusterState,
    after: &ClusterState,
    event: &ClusterEvent,
    cause: &Cause,
) -> Option<TerminationReason> {
    match (after, event) {
        _ if before == after => None,
        (ClusterState::Error { reason }, ClusterEvent::Lost { code, .. }) => {
            Some(TerminationReason::new(*code).with(TerminationReason::MESSAGE, reason))
        }
        (ClusterState::Error { reason }, _) => {
            let reason = TerminationReason::new(TerminationCode::default()).with(TerminationReason::MESSAGE, reason);
            Some(reason)
        }
        // What failed before says more than that somebody then cleaned up.
        (ClusterState::Terminating, ClusterEvent::EndAsked) if before.has_driver() => Some(cause.ending()),
        _ => None,
    }
}

/// Returns what is written down when `event` took a cluster from `before` to `after`.
pub fn entry(
    before: &ClusterState,
    after: &ClusterState,
    event: &ClusterEvent,
    cause: &Cause,
    settings: &ClusterSettings,
    workers: u32,
) -> Option<Entry> {
    use {ClusterEvent as E, ClusterState as S, EventType as T};
    if before == after && !matches!(event, E::ResizeAsked) {
        return None;
    }
    let by = EventDetails { user: cause.user(), ..EventDetails::default() };
    let counted = EventDetails {
        current_num_workers: Some(workers),
        target_num_workers: Some(settings.workers_min()),
        ..EventDetails::default()
    };
    let ended = || EventDetails { reason: ending(before, after, event, cause), ..by.clone() };
    let (kind, details) = match (after, event) {
        (S::Running, E::Ready) => (T::Running, counted),
        (S::Reconfiguring, E::ResizeAsked) => {
            let cause = Some("USER_REQUEST".to_owned());
            (T::Resizing, EventDetails { cause, cluster_size: Some(settings.size()), user: by.user, ..counted })
        }
        (S::Pending, E::StartAsked) => (T::Starting, by),
        (S::Restarting | S::Pending, E::RestartAsked) => (T::Restarting, by),
        (S::Terminating, E::EndAsked) => (T::Terminating, ended()),
        (S::Error { .. }, _) => (T::Terminating, ended()),
        _ => return None,
    };
    Some(Entry { kind, details })
}

/// Returns what is written down when a resize is over that took a cluster from so many workers to as many as were asked for. The service has a
/// word for more of them only: of fewer, the state tells.
pub fn resized(before: u32, workers: u32, settings: &ClusterSettings) -> Option<Entry> {
    let wanted = settings.workers_min();
    let details = EventDetails {
        current_num_workers: Some(workers),
        target_num_workers: Some(wanted),
        ..EventDetails::default()
    };
    (workers >= wanted && wanted >= before).then_some(Entry { kind: EventType::UpsizeCompleted, details })
}

/// Returns what is written down of a failed driver before its end is.
pub fn failure(after: &ClusterState, code: TerminationCode) -> Option<Entry> {
    let kind = match code {
        TerminationCode::DriverUnexpectedFailure | TerminationCode::DriverUnreachable => EventType::DriverNotResponding,
        _ => EventType::SparkException,
    };
    let message = after.reason()?.to_owned();
    let details = EventDetails { driver_state_message: Some(message), ..EventDetails::default() };
    Some(Entry { kind, details })
}

/// Returns what is written down when there are fewer workers than there should be.
pub fn shortage(workers: u32, reason: String) -> Entry {
    let details = EventDetails {
        current_num_workers: Some(workers),
        driver_state_message: Some(reason),
        ..EventDetails::default()
    };
    Entry { kind: EventType::NodesLost, details }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> ClusterEvent {
        ClusterEvent::Lost { code: TerminationCode::DriverOutOfMemory, reason: "no memory".into() }
    }

    /// Plays events on a cluster that runs; compares what is written down.
    #[track_caller]
    fn check(events: Vec<(ClusterEvent, Cause)>, expected: &str) {
        let settings = ClusterSettings::default();
        let (mut state, mut seen) = (ClusterState::Running, Vec::new());
        for (event, cause) in events {
            let after = state.clone().after(event.clone()).unwrap();
            if let Some(entry) = entry(&state, &after, &event, &cause, &settings, 0) {
                let code = entry.details.reason.map(|reason| format!("({:?})", reason.code)).unwrap_or_default();
                seen.push(format!("{:?}{code}", entry.kind));
            }
            state = after;
        }
        assert_eq!(seen.join(" "), expected);
    }

    #[test]
    fn a_life_is_written_down() {
        use ClusterEvent as E;
        let ann = || Cause::User("ann".into());
        check(
            vec![(E::EndAsked, ann()), (E::Ended, Cause::Driver), (E::StartAsked, ann()), (E::Ready, Cause::Driver)],
            "Terminating(UserRequest) Starting Running",
        );
        check(vec![(E::EndAsked, Cause::Idle { minutes: 10 })], "Terminating(Inactivity)");
        check(vec![(E::ResizeAsked, ann()), (E::ResizeEnded, Cause::Driver)], "Resizing");
        check(vec![(E::RestartAsked, ann()), (lost(), Cause::Driver), (E::Ready, Cause::Driver)], "Restarting Running");
    }

    #[test]
    fn a_resize_is_completed_by_the_workers_that_were_asked_for_unless_they_are_fewer() {
        let resized = |before, workers, num_workers| {
            super::resized(before, workers, &ClusterSettings { num_workers, ..ClusterSettings::default() })
        };
        for (before, workers, wanted, written) in
            [(1, 3, 3, true), (2, 2, 2, true), (1, 2, 3, false), (3, 1, 1, false), (3, 2, 1, false)]
        {
            assert_eq!(resized(before, workers, wanted).is_some(), written, "{before} → {workers} of {wanted}");
        }
    }

    #[test]
    fn what_failed_stays_the_reason_when_the_cluster_is_then_ended() {
        let ann = Cause::User("ann".into());
        check(
            vec![(lost(), Cause::Driver), (ClusterEvent::EndAsked, ann)],
            "Terminating(DriverOutOfMemory) Terminating",
        );
    }
}
