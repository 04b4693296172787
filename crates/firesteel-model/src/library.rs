//! A library's life on one cluster: from the wish to have it until it is there, or to lose it until it is gone.

mod check;

use firesteel_api::libraries::AttachmentStatus;
use firesteel_api::v2::libraries::InstallStatus;

pub use check::{BadLibrary, check};

use crate::UnknownState;

/// What a library is on a cluster. One that the cluster does not have and is not to have is not known there at all.
///
/// ```text
///   (none) ──asked for──▶ Pending ──begun──▶ Installing ──installed──▶ Installed
///                          ▲   ▲                 └────────failed─────▶ Failed
///                          │   └──────asked for──────────────────────────┘
///                          │
///   UninstallOnRestart ◀── uninstall asked of a live cluster: any
///          └──asked for──▶ Pending
///
///   the driver is gone:  UninstallOnRestart ──▶ (none);  any other ──▶ Pending
///   uninstall asked of a cluster without a driver: any ──▶ (none)
/// ```
///
/// A class path and a Python process cannot be made to forget what they have loaded; that is why a library goes with
/// the driver only (reference, section 8.1: detach works at the next restart).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LibraryState {
    /// It waits: for its turn, or for the cluster to start.
    Pending,
    /// The driver installs it.
    Installing,
    /// The cluster has it.
    Installed,
    /// The installer failed.
    Failed,
    /// The cluster loses it with its driver.
    UninstallOnRestart,
}

/// What happens to a library of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LibraryEvent {
    /// A user wants it there.
    InstallAsked,
    /// The driver has begun with it.
    Begun,
    /// The driver has it.
    Installed,
    /// The installer failed.
    Failed,
    /// A user wants it gone; the cluster has a driver.
    UninstallAsked,
    /// A user wants it gone; the cluster has no driver.
    UninstallAskedIdle,
    /// The cluster's driver is gone, and what it had with it.
    DriverGone,
}

impl LibraryState {
    /// The only way a library changes on a cluster that knows it; `None` when the cluster does not know it any more. What a
    /// driver reports late changes nothing.
    #[must_use]
    pub fn after(self, event: LibraryEvent) -> Option<Self> {
        use {LibraryEvent as E, LibraryState as S};
        match (self, event) {
            (_, E::UninstallAskedIdle) | (S::UninstallOnRestart, E::DriverGone) => None,
            (_, E::UninstallAsked) => Some(S::UninstallOnRestart),
            (_, E::DriverGone) | (S::Failed | S::UninstallOnRestart, E::InstallAsked) => Some(S::Pending),
            (S::Pending | S::Installing, E::Begun) => Some(S::Installing),
            (S::Pending | S::Installing, E::Installed) => Some(S::Installed),
            (S::Pending | S::Installing, E::Failed) => Some(S::Failed),
            (same, E::InstallAsked | E::Begun | E::Installed | E::Failed) => Some(same),
        }
    }

    /// Returns what clients of 2.0 see.
    pub fn status(self) -> InstallStatus {
        match self {
            Self::Pending => InstallStatus::Pending,
            Self::Installing => InstallStatus::Installing,
            Self::Installed => InstallStatus::Installed,
            Self::Failed => InstallStatus::Failed,
            Self::UninstallOnRestart => InstallStatus::UninstallOnRestart,
        }
    }

    /// Returns what clients of 1.2 see.
    pub fn attachment(self) -> AttachmentStatus {
        match self {
            Self::UninstallOnRestart => AttachmentStatus::Detached,
            _ => AttachmentStatus::Attached,
        }
    }

    /// Returns the name under which the state is stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Installing => "Installing",
            Self::Installed => "Installed",
            Self::Failed => "Failed",
            Self::UninstallOnRestart => "UninstallOnRestart",
        }
    }

    /// Reads back what [`name`](Self::name) gave.
    pub fn from_name(name: &str) -> Result<Self, UnknownState> {
        Ok(match name {
            "Pending" => Self::Pending,
            "Installing" => Self::Installing,
            "Installed" => Self::Installed,
            "Failed" => Self::Failed,
            "UninstallOnRestart" => Self::UninstallOnRestart,
            _ => return Err(UnknownState::new("library", name)),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&str; 7] = ["ask", "begin", "done", "fail", "drop", "drop-idle", "driver"];

    fn event(word: &str) -> LibraryEvent {
        match word {
            "ask" => LibraryEvent::InstallAsked,
            "begin" => LibraryEvent::Begun,
            "done" => LibraryEvent::Installed,
            "fail" => LibraryEvent::Failed,
            "drop" => LibraryEvent::UninstallAsked,
            "drop-idle" => LibraryEvent::UninstallAskedIdle,
            "driver" => LibraryEvent::DriverGone,
            other => panic!("no event is called `{other}`"),
        }
    }

    /// Plays events, written as words, on a library that was just asked for; compares what it went through.
    #[track_caller]
    fn check(events: &str, expected: &str) {
        let (mut state, mut seen) = (Some(LibraryState::Pending), String::from("Pending"));
        for word in events.split_whitespace() {
            state = state.and_then(|state| state.after(event(word)));
            seen += &format!(" → {}", state.map_or("gone", LibraryState::name));
        }
        assert_eq!(seen, expected, "{events}");
    }

    #[test]
    fn a_library_is_installed_and_comes_back_at_restart() {
        check("begin done driver begin done", "Pending → Installing → Installed → Pending → Installing → Installed");
    }

    #[test]
    fn a_failed_one_is_tried_again_when_asked_or_at_restart() {
        check("begin fail ask", "Pending → Installing → Failed → Pending");
        check("begin fail driver", "Pending → Installing → Failed → Pending");
    }

    #[test]
    fn one_that_is_to_go_goes_with_the_driver() {
        check(
            "begin done drop done driver",
            "Pending → Installing → Installed → UninstallOnRestart → UninstallOnRestart → gone",
        );
        check("begin done drop-idle", "Pending → Installing → Installed → gone");
        check("drop ask", "Pending → UninstallOnRestart → Pending");
    }

    proptest! {
        #[test]
        fn every_state_reads_back_and_a_report_changes_only_what_is_under_way(
            words in proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..12)
        ) {
            let mut state = Some(LibraryState::Pending);
            for word in words {
                let Some(before) = state else { break };
                prop_assert_eq!(LibraryState::from_name(before.name()), Ok(before));
                state = before.after(event(word));
                if matches!(word, "done" | "fail" | "begin")
                    && !matches!(before, LibraryState::Pending | LibraryState::Installing)
                {
                    prop_assert_eq!(state, Some(before));
                }
            }
        }
    }
}
