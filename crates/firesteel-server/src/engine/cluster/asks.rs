//! What users ask of a cluster's life: start, restart, end, resize, edit. Each is in the store before it is answered.

use std::ops::ControlFlow;

use firesteel_api::v2::termination::TerminationCode;
use firesteel_driver::protocol::link::ToDriver;
use firesteel_model::{Cause, ClusterEvent, ClusterSettings, ClusterState};
use firesteel_store::{ClusterRecord, StoreError};
use tokio::time::Instant;

use super::{END_DEADLINE, Reply, Request, Task, answer};
use crate::engine::EngineError;

impl Task {
    pub(super) async fn asked(&mut self, request: Request, reply: Reply) -> ControlFlow<()> {
        let outcome = match request {
            Request::Start { cause } => self.start_asked(cause).await,
            Request::Restart { cause } => self.restart_asked(cause).await,
            Request::Resize { settings, cause } => self.resize_asked(*settings, cause).await,
            Request::Edit { settings, cause } => self.edit_asked(*settings, cause).await,
            Request::Pin { pinned, cause } => self.pin_asked(pinned, cause).await,
            Request::Give { owner } => self.give_asked(&owner).await,
            Request::End { cause, wait } => {
                self.end_asked(cause, wait, reply).await;
                return ControlFlow::Continue(());
            }
            Request::Forget => {
                let outcome = self.store.delete_cluster(&self.record.id).await.map(drop).map_err(EngineError::from);
                let deleted = outcome.is_ok();
                answer(reply, outcome);
                return if deleted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
            }
            Request::Open { context, language } => {
                self.open(context, language).await;
                Ok(())
            }
            request => {
                self.pass_on(request);
                Ok(())
            }
        };
        answer(reply, outcome);
        ControlFlow::Continue(())
    }

    async fn start_asked(&mut self, cause: Cause) -> Result<(), EngineError> {
        let had_driver = self.record.state.has_driver();
        // Clients tell by this that it is on its way or there already. The server itself only wants it so.
        if had_driver && matches!(cause, Cause::User(_)) {
            return Err(self.unexpected());
        }
        self.happened(ClusterEvent::StartAsked, cause).await?;
        if had_driver && self.spec.is_some() {
            return Ok(()); // it is on its way up already
        }
        self.forget_contexts().await;
        self.launch().await;
        Ok(())
    }

    async fn restart_asked(&mut self, cause: Cause) -> Result<(), EngineError> {
        let had_driver = self.record.state.has_driver();
        self.happened(ClusterEvent::RestartAsked, cause).await?;
        match self.record.state {
            ClusterState::Restarting => {
                self.forget_contexts().await;
                self.end_driver().await;
            }
            ClusterState::Pending if !had_driver => {
                self.forget_contexts().await;
                self.launch().await;
            }
            _ => {} // the driver on its way up is as fresh as one that would follow it
        }
        Ok(())
    }

    /// Ends the driver; `reply` is answered when it has ended or, without `wait`, when that is under way.
    pub(super) async fn end_asked(&mut self, cause: Cause, wait: bool, reply: Reply) {
        let mut reply = reply;
        match self.happened(ClusterEvent::EndAsked, cause).await {
            Ok(()) if wait => self.enders.extend(reply.take()),
            Ok(()) => answer(reply.take(), Ok(())),
            Err(error) => return answer(reply, Err(error)),
        }
        self.end_driver().await;
    }

    async fn end_driver(&mut self) {
        let has_driver = self.link.is_some() || self.child.is_some() || self.spec.is_some();
        if !has_driver {
            return self.driver_lost(TerminationCode::default(), String::new()).await;
        }
        self.end_by.get_or_insert(Instant::now() + END_DEADLINE);
        self.send(ToDriver::Stop {}, None);
    }

    async fn resize_asked(&mut self, settings: ClusterSettings, cause: Cause) -> Result<(), EngineError> {
        let (executors, executors_max) = (settings.workers_min(), settings.workers_max());
        let record = self.store.resize_cluster(&self.record.id, settings, cause).await;
        self.show(self.allowed(record)?);
        self.send(ToDriver::Resize { executors, executors_max }, None);
        Ok(())
    }

    async fn edit_asked(&mut self, settings: ClusterSettings, cause: Cause) -> Result<(), EngineError> {
        let restart = match self.record.state {
            ClusterState::Running | ClusterState::Reconfiguring => self.record.settings.needs_restart(&settings),
            ClusterState::Terminated | ClusterState::Error { .. } => false,
            _ => return Err(self.unexpected()),
        };
        let record = self.store.edit_cluster(&self.record.id, settings, cause.clone()).await;
        self.show(self.allowed(record)?);
        if restart { self.restart_asked(cause).await } else { Ok(()) }
    }

    async fn pin_asked(&mut self, pinned: bool, cause: Cause) -> Result<(), EngineError> {
        let record = self.store.pin_cluster(&self.record.id, pinned, cause).await;
        self.show(self.allowed(record)?);
        Ok(())
    }

    async fn give_asked(&mut self, owner: &str) -> Result<(), EngineError> {
        let record = self.store.give_cluster(&self.record.id, owner).await;
        self.show(self.allowed(record)?);
        Ok(())
    }

    /// Stores an event of the cluster's life and shows what comes of it.
    async fn happened(&mut self, event: ClusterEvent, cause: Cause) -> Result<(), EngineError> {
        let record = self.store.cluster_event(&self.record.id, event, cause).await;
        self.show(self.allowed(record)?);
        Ok(())
    }

    /// Words a refusal of the model as clients know it.
    fn allowed(&self, stored: Result<ClusterRecord, StoreError>) -> Result<ClusterRecord, EngineError> {
        stored.map_err(|error| match error {
            StoreError::Refused(_) => self.unexpected(),
            other => other.into(),
        })
    }

    fn unexpected(&self) -> EngineError {
        EngineError::UnexpectedState { cluster: self.record.id.to_string(), status: self.record.state.status() }
    }
}
