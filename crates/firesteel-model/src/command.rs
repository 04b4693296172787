//! A command's life: from the queue to its end, with or without a cancel on the way.

use firesteel_api::commands::CommandStatus;
use firesteel_api::results::Results;

use crate::UnknownState;

/// What a command is doing. Its own results are kept elsewhere: a state is small.
///
/// ```text
///   Queued ──started──▶ Running ──────────done──▶ Finished
///     │                    │
///     └───cancel asked─────┤
///                          ▼
///                     Cancelling ──done, interrupted──▶ Cancelled
///
///   Queued, Running ──interrupted──▶ Cancelled          (its context was destroyed)
///   Queued ──done──▶ Finished                           (a `started` that went missing)
///   Queued, Running, Cancelling ──engine lost──▶ Lost
/// ```
///
/// A queued command whose cancel is asked waits in `Cancelling` for the driver's word, because the driver holds the
/// queue and may have started it a moment before: `Cancelled` means that the code has stopped. The driver drops one
/// that still waits and says so at once.
///
/// A result that beats the interrupt is dropped, not shown: the clients that wait for the end of a cancel end on
/// `Cancelled` and `Error` only, and would poll a `Finished` command for twenty minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandState {
    /// It waits for its turn.
    Queued,
    /// The interpreter has it.
    Running,
    /// A cancel was accepted; the code may still run.
    Cancelling,
    /// The code ended, by itself or with an exception, and its results are kept.
    Finished,
    /// The code has stopped, or never started, because that was asked.
    Cancelled {
        /// What was lost with it, as a sentence: code that did not stop was killed with what it ran in.
        lost: Option<String>,
    },
    /// The engine failed under it.
    Lost {
        /// Why, for a reader who was not there.
        reason: String,
    },
}

/// What happens to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandEvent {
    /// The interpreter took it.
    Started,
    /// A user wants it stopped.
    CancelAsked,
    /// The code ended and gave results.
    Done,
    /// The driver says that it was dropped or stopped, as it was asked to be.
    Interrupted {
        /// What was lost with it, as a sentence.
        lost: Option<String>,
    },
    /// The interpreter or the driver is gone.
    EngineLost {
        /// What is known of it.
        reason: String,
    },
}

impl CommandState {
    /// The only way a command changes. Nothing leaves an over state; asking twice is one ask; every end that the driver
    /// reports ends a command that is not over, so that none is left waiting for an event that will not come.
    #[must_use]
    pub fn after(self, event: CommandEvent) -> Self {
        use {CommandEvent as E, CommandState as S};
        match (self, event) {
            (over @ (S::Finished | S::Cancelled { .. } | S::Lost { .. }), _) => over,
            (S::Queued | S::Running, E::Started) => S::Running,
            // The cancel was on its way to the driver when the driver started it.
            (S::Cancelling, E::Started) => S::Cancelling,
            (S::Queued | S::Running | S::Cancelling, E::CancelAsked) => S::Cancelling,
            (S::Queued | S::Running, E::Done) => S::Finished,
            (S::Cancelling, E::Done) => S::Cancelled { lost: None },
            (S::Queued | S::Running | S::Cancelling, E::Interrupted { lost }) => S::Cancelled { lost },
            (S::Queued | S::Running | S::Cancelling, E::EngineLost { reason }) => S::Lost { reason },
        }
    }

    /// Returns what clients see.
    pub fn status(&self) -> CommandStatus {
        match self {
            Self::Queued => CommandStatus::Queued,
            Self::Running => CommandStatus::Running,
            Self::Cancelling => CommandStatus::Cancelling,
            Self::Finished => CommandStatus::Finished,
            Self::Cancelled { .. } => CommandStatus::Cancelled,
            Self::Lost { .. } => CommandStatus::Error,
        }
    }

    /// Tells whether nothing more will happen to the command.
    pub fn is_over(&self) -> bool {
        self.status().is_over()
    }

    /// Returns the results that follow from the state alone: an error for a command that was cancelled, is being
    /// cancelled or was lost. `None` means that there are none yet, or, for `Finished`, that they are the code's own.
    pub fn fixed_results(&self) -> Option<Results> {
        match self {
            Self::Queued | Self::Running | Self::Finished => None,
            Self::Cancelling | Self::Cancelled { lost: None } => Some(Results::cancelled()),
            Self::Cancelled { lost: Some(lost) } => Some(Results::cancelled_with_loss(lost)),
            Self::Lost { reason } => Some(Results::error(reason.lines().next().unwrap_or_default(), reason)),
        }
    }

    /// Returns the name under which the state is stored.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Running => "Running",
            Self::Cancelling => "Cancelling",
            Self::Finished => "Finished",
            Self::Cancelled { .. } => "Cancelled",
            Self::Lost { .. } => "Lost",
        }
    }

    /// Returns why the command was lost, or what was lost with one that was cancelled.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Lost { reason } => Some(reason),
            Self::Cancelled { lost } => lost.as_deref(),
            _ => None,
        }
    }

    /// Reads back what [`name`](Self::name) and [`reason`](Self::reason) gave.
    pub fn from_parts(name: &str, reason: Option<String>) -> Result<Self, UnknownState> {
        Ok(match name {
            "Queued" => Self::Queued,
            "Running" => Self::Running,
            "Cancelling" => Self::Cancelling,
            "Finished" => Self::Finished,
            "Cancelled" => Self::Cancelled { lost: reason },
            "Lost" => Self::Lost { reason: reason.unwrap_or_default() },
            _ => return Err(UnknownState::new("command", name)),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(word: &str) -> CommandEvent {
        match word {
            "start" => CommandEvent::Started,
            "cancel" => CommandEvent::CancelAsked,
            "done" => CommandEvent::Done,
            "stopped" => CommandEvent::Interrupted { lost: None },
            "killed" => CommandEvent::Interrupted { lost: Some("its process was killed".into()) },
            "lost" => CommandEvent::EngineLost { reason: "the driver was killed".into() },
            other => panic!("no event is called `{other}`"),
        }
    }

    const WORDS: [&str; 6] = ["start", "cancel", "done", "stopped", "killed", "lost"];

    /// Plays events, written as words, on a fresh command; compares the statuses it went through.
    #[track_caller]
    fn check(events: &str, expected: &str) {
        let (mut state, mut seen) = (CommandState::Queued, String::from("Queued"));
        for word in events.split_whitespace() {
            state = state.after(event(word));
            seen += &format!(" → {:?}", state.status());
        }
        assert_eq!(seen, expected, "{events}");
    }

    #[test]
    fn a_command_runs_to_its_end() {
        check("start done", "Queued → Running → Finished");
        check("start start done", "Queued → Running → Running → Finished");
        check("done", "Queued → Finished");
    }

    #[test]
    fn a_cancel_ends_in_cancelled_whatever_the_code_did_meanwhile() {
        check("start cancel stopped", "Queued → Running → Cancelling → Cancelled");
        check("start cancel done", "Queued → Running → Cancelling → Cancelled");
        check("start cancel done stopped", "Queued → Running → Cancelling → Cancelled → Cancelled");
    }

    #[test]
    fn a_queued_command_is_cancelled_on_the_drivers_word() {
        check("cancel stopped", "Queued → Cancelling → Cancelled");
        check("cancel start stopped", "Queued → Cancelling → Cancelling → Cancelled");
        check("cancel start done", "Queued → Cancelling → Cancelling → Cancelled");
    }

    #[test]
    fn a_cancel_that_comes_too_late_changes_nothing() {
        check("start done cancel", "Queued → Running → Finished → Finished");
        check("start lost cancel stopped", "Queued → Running → Error → Error → Error");
    }

    #[test]
    fn a_destroyed_context_stops_its_commands() {
        check("stopped", "Queued → Cancelled");
        check("start stopped", "Queued → Running → Cancelled");
    }

    #[test]
    fn a_lost_engine_ends_what_was_open_and_nothing_else() {
        check("lost", "Queued → Error");
        check("start lost done", "Queued → Running → Error → Error");
        check("start cancel lost", "Queued → Running → Cancelling → Error");
        check("start done lost", "Queued → Running → Finished → Finished");
    }

    #[test]
    fn results_of_a_state_are_an_error_with_two_strings() {
        let lost = CommandState::Queued.after(CommandEvent::EngineLost { reason: "out of memory\nlog: x".into() });
        let expected = r#"{"resultType":"error","summary":"out of memory","cause":"out of memory\nlog: x"}"#;
        assert_eq!(lost.fixed_results().unwrap().as_json(), expected);
        let cancelling = CommandState::Queued.after(CommandEvent::CancelAsked);
        let shown = cancelling.fixed_results().unwrap();
        assert!(shown.as_json().contains("CommandCancelledException"));
        assert_eq!(cancelling.clone().after(event("stopped")).fixed_results(), Some(shown));
        let killed = cancelling.after(event("killed")).fixed_results().unwrap();
        let said = "Command cancelled: its process was killed";
        assert!(killed.as_json().contains("CommandCancelledException: Command cancelled: its process"), "{killed:?}");
        assert!(killed.as_json().contains(&format!(r#""summary":"{said}""#)), "{killed:?}");
        assert_eq!(CommandState::Finished.fixed_results(), None);
    }

    fn words() -> impl Strategy<Value = Vec<&'static str>> {
        proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..12)
    }

    fn play(words: &[&str]) -> CommandState {
        words.iter().fold(CommandState::Queued, |state, word| state.after(event(word)))
    }

    proptest! {
        #[test]
        fn nothing_leaves_an_over_state(before in words(), more in words()) {
            let state = play(&before);
            if state.is_over() {
                let later = more.iter().fold(state.clone(), |state, word| state.after(event(word)));
                prop_assert_eq!(later, state);
            }
        }

        #[test]
        fn every_end_ends_a_command(before in words(), end in proptest::sample::select(vec!["done", "stopped", "lost"])) {
            prop_assert!(play(&before).after(event(end)).is_over());
        }

        #[test]
        fn asking_to_cancel_twice_is_asking_once(before in words(), between in words()) {
            let once = play(&before).after(CommandEvent::CancelAsked);
            prop_assert_eq!(once.clone().after(CommandEvent::CancelAsked), once.clone());
            let play_on = |state| between.iter().fold(state, |state: CommandState, word| state.after(event(word)));
            prop_assert_eq!(play_on(once.clone()).after(CommandEvent::CancelAsked), play_on(once));
        }

        #[test]
        fn a_cancel_that_was_accepted_never_shows_finished(before in words(), after in words()) {
            let state = play(&before);
            if !state.is_over() {
                let asked = state.after(CommandEvent::CancelAsked);
                let later = after.iter().fold(asked, |state, word| state.after(event(word)));
                prop_assert_ne!(later.status(), CommandStatus::Finished);
            }
        }

        #[test]
        fn a_stored_state_reads_back(before in words()) {
            let state = play(&before);
            let back = CommandState::from_parts(state.name(), state.reason().map(Into::into));
            prop_assert_eq!(back, Ok(state));
        }
    }
}
