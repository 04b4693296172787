//! The libraries of a cluster, between the store and its driver.
//!
//! A driver that is launched finds them in its specification and is not ready before it has dealt with them. One that runs
//! is told of each; it passes over what it has, so that a new link may tell it again.

use firesteel_driver::protocol::link::{LibraryStep, ToDriver};
use firesteel_driver::spec::DriverSpec;
use firesteel_model::{LibraryEvent, LibraryState};

use super::{Link, Task, Trouble, push};

impl Task {
    /// Adds what a new driver is to install before anything else.
    pub(super) async fn with_libraries(&self, mut spec: DriverSpec) -> DriverSpec {
        match self.store.installs(Some(&self.record.id)).await {
            Ok(installs) => spec.libraries = installs.into_iter().map(|install| install.library).collect(),
            // It hears of them over its link, if only after it is ready.
            Err(error) => tracing::error!("the cluster's libraries could not be read: {error}"),
        }
        spec
    }

    /// Tells a driver of what it may not have heard of, or whose outcome was not heard.
    pub(super) async fn settle_libraries(&self, link: &Link) -> Result<(), Trouble> {
        for install in self.store.installs(Some(&self.record.id)).await? {
            if matches!(install.state, LibraryState::Pending | LibraryState::Installing) {
                push(link, ToDriver::Install { library: install.library }, None).await?;
            }
        }
        Ok(())
    }
}

/// What a driver's report means to the model.
pub(super) fn event(step: LibraryStep) -> LibraryEvent {
    match step {
        LibraryStep::Installing => LibraryEvent::Begun,
        LibraryStep::Installed => LibraryEvent::Installed,
        LibraryStep::Failed => LibraryEvent::Failed,
    }
}
