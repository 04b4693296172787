//! Logins over JDBC: from the JVM to the server, and its word back. Nobody on the way knows who is right, or keeps a password.

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

    /// Passes the server's word on.
    pub(super) fn login_answered(&mut self, login: u64, right: bool) {
        if let Some(jvm) = &self.children.jvm_control {
            jvm.ask(ToJvm::LoginAnswer { login, right });
        }
    }
}
