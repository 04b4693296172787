//! A cluster's life: one driver at a time, from its launch to its end.

use firesteel_api::clusters::ClusterStatus;
use firesteel_api::v2::termination::TerminationCode;

use crate::UnknownState;

/// What a cluster is doing.
///
/// ```text
///               ready               resize asked
///   Pending ──────────▶ Running ◀──────────────────▶ Reconfiguring
///      ▲                   │        resize ended          │
///      │                   └──────────────┬───────────────┘
///      │ ended, lost                      │ restart asked
///      └────────────────────────────── Restarting
///
///   Pending, Running, Reconfiguring ──lost──▶ Error
///   any but Terminated ──end asked──▶ Terminating ──ended, lost──▶ Terminated
///   Error ──start asked, restart asked──▶ Pending
///   Terminated ──start asked──▶ Pending
/// ```
///
/// `Restarting` is shown as Pending. It differs from it in whose end an end is: in `Restarting` it is the old driver's,
/// which was asked for; in `Pending` it is the new one's, which is a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterState {
    /// A driver is being launched.
    Pending,
    /// Spark is up; contexts and commands are taken.
    Running,
    /// The number of workers is being changed; contexts and commands are taken.
    Reconfiguring,
    /// The old driver is being ended, so that a new one can be launched.
    Restarting,
    /// The driver is being ended.
    Terminating,
    /// There is no driver, because that was asked for.
    Terminated,
    /// There is no driver that can be used, and that was not asked for.
    Error {
        /// Why, for a reader who was not there.
        reason: String,
    },
}

/// What happens to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterEvent {
    /// The driver says that Spark is up.
    Ready,
    /// A user wants another number of workers.
    ResizeAsked,
    /// The number of workers is what it will be, whether or not all that were asked for could be had.
    ResizeEnded,
    /// A user wants the ended cluster back.
    StartAsked,
    /// A user wants a fresh driver.
    RestartAsked,
    /// A user wants the cluster ended.
    EndAsked,
    /// The driver has been asked to end, and has been reaped.
    Ended,
    /// The driver failed or ended by itself.
    Lost {
        /// The word for it.
        code: TerminationCode,
        /// What is known of it.
        reason: String,
    },
}

/// Something asked of a cluster that its state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a cluster that is {state} cannot {ask}")]
pub struct Refused {
    /// The name of the state that refused.
    pub state: &'static str,
    /// What was asked, as a verb.
    pub ask: &'static str,
}

impl ClusterState {
    /// The only way a cluster changes. What a driver does is never refused, since it is so: when it is late it changes
    /// nothing. Asking twice is one ask.
    pub fn after(self, event: ClusterEvent) -> Result<Self, Refused> {
        use {ClusterEvent as E, ClusterState as S};
        Ok(match (self, event) {
            (S::Pending, E::Ready) => S::Running,
            (state, E::Ready) => state,

            (S::Running | S::Reconfiguring, E::ResizeAsked) => S::Reconfiguring,
            // The launch reads the number that is wanted when it starts; a change under it would be missed.
            (state, E::ResizeAsked) => return Err(state.refuse("be resized")),
            (S::Reconfiguring, E::ResizeEnded) => S::Running,
            (state, E::ResizeEnded) => state,

            (S::Terminated | S::Error { .. } | S::Pending, E::StartAsked) => S::Pending,
            (state, E::StartAsked) => return Err(state.refuse("be started")),

            (S::Running | S::Reconfiguring | S::Restarting, E::RestartAsked) => S::Restarting,
            // A driver that is on its way up is as fresh as one that would follow it.
            (S::Pending | S::Error { .. }, E::RestartAsked) => S::Pending,
            (state @ (S::Terminating | S::Terminated), E::RestartAsked) => {
                return Err(state.refuse("be restarted"));
            }

            (S::Terminated, E::EndAsked) => S::Terminated,
            (_, E::EndAsked) => S::Terminating,

            (S::Restarting, E::Ended | E::Lost { .. }) => S::Pending,
            (S::Terminating, E::Ended | E::Lost { .. }) => S::Terminated,
            (S::Pending | S::Running | S::Reconfiguring, E::Lost { reason, .. }) => S::Error { reason },
            (S::Pending | S::Running | S::Reconfiguring, E::Ended) => S::Error { reason: "the driver ended".into() },
            (state @ (S::Terminated | S::Error { .. }), E::Ended | E::Lost { .. }) => state,
        })
    }

    /// Returns what clients see.
    pub fn status(&self) -> ClusterStatus {
        match self {
            Self::Pending | Self::Restarting => ClusterStatus::Pending,
            Self::Running => ClusterStatus::Running,
            Self::Reconfiguring => ClusterStatus::Reconfiguring,
            Self::Terminating => ClusterStatus::Terminating,
            Self::Terminated => ClusterStatus::Terminated,
            Self::Error { .. } => ClusterStatus::Error,
        }
    }

    /// Tells whether contexts can be made and commands queued.
    pub fn takes_work(&self) -> bool {
        matches!(self, Self::Running | Self::Reconfiguring)
    }

    /// Tells whether there is, or is about to be, a driver to look after.
    pub fn has_driver(&self) -> bool {
        !matches!(self, Self::Terminated | Self::Error { .. })
    }

    /// Returns the name under which the state is stored.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Reconfiguring => "Reconfiguring",
            Self::Restarting => "Restarting",
            Self::Terminating => "Terminating",
            Self::Terminated => "Terminated",
            Self::Error { .. } => "Error",
        }
    }

    /// Returns why the cluster is in Error.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Error { reason } => Some(reason),
            _ => None,
        }
    }

    /// Reads back what [`name`](Self::name) and [`reason`](Self::reason) gave.
    pub fn from_parts(name: &str, reason: Option<String>) -> Result<Self, UnknownState> {
        Ok(match name {
            "Pending" => Self::Pending,
            "Running" => Self::Running,
            "Reconfiguring" => Self::Reconfiguring,
            "Restarting" => Self::Restarting,
            "Terminating" => Self::Terminating,
            "Terminated" => Self::Terminated,
            "Error" => Self::Error { reason: reason.unwrap_or_default() },
            _ => return Err(UnknownState::new("cluster", name)),
        })
    }

    fn refuse(&self, ask: &'static str) -> Refused {
        Refused { state: self.name(), ask }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(word: &str) -> ClusterEvent {
        match word {
            "ready" => ClusterEvent::Ready,
            "resize" => ClusterEvent::ResizeAsked,
            "resized" => ClusterEvent::ResizeEnded,
            "start" => ClusterEvent::StartAsked,
            "restart" => ClusterEvent::RestartAsked,
            "end" => ClusterEvent::EndAsked,
            "ended" => ClusterEvent::Ended,
            "lost" => ClusterEvent::Lost { code: TerminationCode::SparkError, reason: "killed by signal 9".into() },
            other => panic!("no event is called `{other}`"),
        }
    }

    const WORDS: [&str; 8] = ["ready", "resize", "resized", "start", "restart", "end", "ended", "lost"];

    /// Plays events, written as words, on a fresh cluster; compares the statuses it went through. `!` marks a refusal.
    #[track_caller]
    fn check(events: &str, expected: &str) {
        let (mut state, mut seen) = (ClusterState::Pending, String::from("Pending"));
        for word in events.split_whitespace() {
            match state.clone().after(event(word)) {
                Ok(next) => {
                    state = next;
                    seen += &format!(" → {:?}", state.status());
                }
                Err(refused) => seen += &format!(" ! {refused}"),
            }
        }
        assert_eq!(seen, expected, "{events}");
    }

    #[test]
    fn a_cluster_is_launched_resized_and_ended() {
        check("ready resize resized", "Pending → Running → Reconfiguring → Running");
        check("ready end ended", "Pending → Running → Terminating → Terminated");
        check("ready resize end ended", "Pending → Running → Reconfiguring → Terminating → Terminated");
    }

    #[test]
    fn a_restart_shows_pending_until_the_new_driver_is_ready() {
        check("ready restart ended ready", "Pending → Running → Pending → Pending → Running");
        check("ready restart lost ready", "Pending → Running → Pending → Pending → Running");
    }

    #[test]
    fn the_old_drivers_late_ready_does_not_end_a_restart() {
        check("ready restart ready", "Pending → Running → Pending → Pending");
    }

    #[test]
    fn a_restart_does_not_hide_that_the_new_driver_failed() {
        check("ready restart ended lost", "Pending → Running → Pending → Pending → Error");
    }

    #[test]
    fn a_lost_cluster_can_be_restarted_started_or_ended() {
        check("lost restart ready", "Pending → Error → Pending → Running");
        check("lost start ready", "Pending → Error → Pending → Running");
        check("lost end ended", "Pending → Error → Terminating → Terminated");
    }

    #[test]
    fn an_ended_cluster_can_only_be_started() {
        check("end ended start ready", "Pending → Terminating → Terminated → Pending → Running");
        check(
            "end ended restart resize",
            "Pending → Terminating → Terminated ! a cluster that is Terminated cannot be restarted \
             ! a cluster that is Terminated cannot be resized",
        );
    }

    #[test]
    fn the_end_of_a_driver_that_was_asked_to_end_is_no_failure() {
        check("ready end lost", "Pending → Running → Terminating → Terminated");
    }

    #[test]
    fn the_first_reason_is_kept() {
        let lost = ClusterState::Error { reason: "out of memory".into() };
        assert_eq!(lost.clone().after(event("lost")), Ok(lost));
    }

    fn states() -> impl Strategy<Value = ClusterState> {
        proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..12).prop_map(|words| {
            let step = |state: ClusterState, word| state.clone().after(event(word)).unwrap_or(state);
            words.into_iter().fold(ClusterState::Pending, step)
        })
    }

    proptest! {
        #[test]
        fn facts_are_never_refused(state in states(), word in proptest::sample::select(vec!["ready", "resized", "ended", "lost"])) {
            prop_assert!(state.after(event(word)).is_ok());
        }

        #[test]
        fn asking_twice_is_asking_once(state in states(), word in proptest::sample::select(vec!["resize", "start", "restart", "end"])) {
            if let Ok(once) = state.after(event(word)) {
                prop_assert_eq!(once.clone().after(event(word)), Ok(once));
            }
        }

        #[test]
        fn a_cluster_without_a_driver_stays_so_until_a_user_asks(state in states(), word in proptest::sample::select(vec!["ready", "resized", "ended", "lost"])) {
            if !state.has_driver() {
                prop_assert_eq!(state.clone().after(event(word)), Ok(state));
            }
        }

        #[test]
        fn a_stored_state_reads_back(state in states()) {
            let back = ClusterState::from_parts(state.name(), state.reason().map(Into::into));
            prop_assert_eq!(back, Ok(state));
        }
    }
}
