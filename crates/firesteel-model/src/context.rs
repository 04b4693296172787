//! A context's life: from the ask for an interpreter until it is destroyed or its engine is gone.

use firesteel_api::contexts::ContextStatus;

use crate::UnknownState;

/// What a context is doing. One that was destroyed has no state: it is gone.
///
/// ```text
///   Pending ──ready──▶ Running
///      └──────┬───────────┘
///            lost
///             ▼
///           Error
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextState {
    /// Its interpreter is being made; commands are queued.
    Pending,
    /// It runs commands.
    Running,
    /// Its engine is gone, for good.
    Error {
        /// Why, for a reader who was not there.
        reason: String,
    },
}

/// What happens to a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextEvent {
    /// Its interpreter takes commands.
    Ready,
    /// It could not be made, or the driver under it is gone.
    Lost {
        /// What is known of it.
        reason: String,
    },
}

impl ContextState {
    /// The only way a context changes. Nothing leaves Error; the first reason is kept.
    #[must_use]
    pub fn after(self, event: ContextEvent) -> Self {
        use {ContextEvent as E, ContextState as S};
        match (self, event) {
            (S::Error { reason }, _) => S::Error { reason },
            (S::Pending | S::Running, E::Ready) => S::Running,
            (S::Pending | S::Running, E::Lost { reason }) => S::Error { reason },
        }
    }

    /// Returns what clients see.
    pub fn status(&self) -> ContextStatus {
        match self {
            Self::Pending => ContextStatus::Pending,
            Self::Running => ContextStatus::Running,
            Self::Error { .. } => ContextStatus::Error,
        }
    }

    /// Tells whether nothing more will happen to the context.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Error { .. })
    }

    /// Returns the name under which the state is stored.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Error { .. } => "Error",
        }
    }

    /// Returns why the context is in Error.
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
            "Error" => Self::Error { reason: reason.unwrap_or_default() },
            _ => return Err(UnknownState::new("context", name)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays events, written as words, on a fresh context; compares the states it went through.
    #[track_caller]
    fn check(events: &str, expected: &str) {
        let (mut state, mut seen) = (ContextState::Pending, String::from("Pending"));
        for word in events.split_whitespace() {
            state = state.after(match word {
                "ready" => ContextEvent::Ready,
                reason => ContextEvent::Lost { reason: reason.into() },
            });
            seen += &format!(" → {:?}", state.status());
            seen += state.reason().unwrap_or_default();
            assert_eq!(ContextState::from_parts(state.name(), state.reason().map(Into::into)), Ok(state.clone()));
        }
        assert_eq!(seen, expected, "{events}");
    }

    #[test]
    fn a_context_becomes_ready_once() {
        check("ready ready", "Pending → Running → Running");
    }

    #[test]
    fn a_lost_context_stays_lost_for_its_first_reason() {
        check("(oom) ready (exit)", "Pending → Error(oom) → Error(oom) → Error(oom)");
        check("ready (oom) ready", "Pending → Running → Error(oom) → Error(oom)");
    }
}
