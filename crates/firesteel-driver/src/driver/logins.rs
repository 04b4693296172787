//! JDBC: how many statements run, and logins: from the JVM to the server, and its word back. Nobody on the way knows who is right, or keeps a password.

use tokio::sync::watch;

use crate::driver::Driver;
use crate::protocol::interpreters::ToJvm;
use crate::protocol::link::FromDriver;
use crate::protocol::secret::Secret;

impl Driver {
    /// Asks the server. Without one the login is refused at once.
    pub(super) fn login_asked(&mut self, login: u64, user: String, password: Secret) {
        let ask = FromDriver::Login { login, user, password };
        if !self.link.as_ref().is_some_and(|link| link.ask(ask)) {
            tracing::warn!("a JDBC login is refused: there is no server to ask");
            self.login_answered(login, false);
        }
    }

    /// So many statements run now: what does is not idle.
    pub(super) fn statements_run(&mut self, active: usize) {
        self.statements.send_replace(active);
    }

    /// How many run, for a new connection to the server: it takes none for granted.
    pub(super) fn statements(&self) -> watch::Receiver<usize> {
        let mut statements = self.statements.subscribe();
        if *statements.borrow() > 0 {
            statements.mark_changed();
        }
        statements
    }

    /// Passes the server's word on.
    pub(super) fn login_answered(&mut self, login: u64, right: bool) {
        if let Some(jvm) = &self.children.jvm_control {
            jvm.ask(ToJvm::LoginAnswer { login, right });
        }
    }
}
