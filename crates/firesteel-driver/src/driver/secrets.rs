//! Questions about secrets, on their way from the JVM to the server and back.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::driver::Driver;
use crate::protocol::interpreters::ToJvm;
use crate::protocol::link::FromDriver;
use crate::protocol::secrets::{SecretAnswer, SecretAsk};

/// How long the server may take to answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// Questions that wait at a time.
const ASKS_MAX: usize = 1024;

/// The questions that wait for the server, by their numbers.
pub(super) type Waiting = HashMap<u64, Instant>;

impl Driver {
    /// User code in the JVM asks.
    pub(super) fn secret_asked(&mut self, ask: SecretAsk) {
        let number = ask.ask;
        let refusal = match &self.link {
            None => Some("the server is away; secrets can be read when it is back"),
            Some(_) if self.secret_asks.len() >= ASKS_MAX => Some("too many questions about secrets wait"),
            Some(link) if !link.ask(FromDriver::SecretAsk(ask)) => Some("the server does not read"),
            Some(_) => None,
        };
        match refusal {
            Some(why) => self.answer_secret(SecretAnswer::refusal(number, why)),
            None => {
                self.secret_asks.insert(number, Instant::now() + ANSWER_DEADLINE);
            }
        }
    }

    /// The server answers. What it tells is a secret from now on.
    pub(super) fn secret_answered(&mut self, answer: SecretAnswer) {
        if self.secret_asks.remove(&answer.ask).is_none() {
            return;
        }
        if let Some(value) = answer.value.as_deref().and_then(|value| BASE64_STANDARD.decode(value).ok()) {
            self.secrets.learn(&value);
        }
        self.answer_secret(answer);
    }

    /// Gives up questions whose time is over, or whose server is gone.
    pub(super) fn check_secret_asks(&mut self, now: Instant) {
        let gone = self.link.is_none();
        let over: Vec<u64> =
            self.secret_asks.iter().filter(|(_, end)| gone || **end <= now).map(|(ask, _)| *ask).collect();
        for ask in over {
            self.secret_asks.remove(&ask);
            self.answer_secret(SecretAnswer::refusal(ask, "the server did not answer"));
        }
    }

    fn answer_secret(&self, answer: SecretAnswer) {
        if let Some(jvm) = &self.children.jvm_control {
            jvm.ask(ToJvm::SecretAnswer(answer));
        }
    }
}
