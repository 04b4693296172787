//! What the server and the driver say to each other over `driver.sock`.

use firesteel_api::commands::Progress;
use firesteel_api::libraries::Library;
use firesteel_api::v2::termination::TerminationCode;
use firesteel_api::{ClusterId, CommandId, ContextId, Language};
use serde::{Deserialize, Serialize};

use crate::protocol::secret::Secret;
use crate::protocol::secrets::{SecretAnswer, SecretAsk};

/// From the server to the driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToDriver {
    /// The first message of a connection.
    Hello {
        /// Must be [`crate::protocol::VERSION`].
        version: u32,
        /// Must be the driver's own.
        cluster: ClusterId,
    },
    /// Make a context; asking again changes nothing.
    Open {
        /// The context.
        context: ContextId,
        /// The language to have ready first.
        language: Language,
    },
    /// Queue the source in the payload.
    Execute {
        /// The context.
        context: ContextId,
        /// The command.
        command: CommandId,
        /// 1, 2, 3 … in the context: what was taken before is passed over.
        sequence: u64,
        /// The language of the source.
        language: Language,
        /// How long it may run, where whoever sent it said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_seconds: Option<u64>,
    },
    /// Stop a command.
    Cancel {
        /// The context.
        context: ContextId,
        /// The command.
        command: CommandId,
    },
    /// End a context.
    Close {
        /// The context.
        context: ContextId,
    },
    /// Change the number of executors of the running application.
    Resize {
        /// How many there are to be, or how many at least.
        executors: u32,
        /// How many at most: the same number, unless they follow the load.
        executors_max: u32,
    },
    /// Install a library; asking again for one that is there, or on its way, changes nothing.
    Install {
        /// The library.
        library: Library,
    },
    /// Every event up to this one is in the store.
    Ack {
        /// Its number.
        event: u64,
    },
    /// What was asked about secrets.
    SecretAnswer(SecretAnswer),
    /// Whether a login is right.
    LoginAnswer {
        /// Which.
        login: u64,
        /// Whether the password is the user's.
        right: bool,
    },
    /// End everything and exit.
    Stop {},
    /// In place of `hello`, as the only message of a connection of its own: send the rows of a table result.
    Read {
        /// Must be [`crate::protocol::VERSION`].
        version: u32,
        /// Must be the driver's own.
        cluster: ClusterId,
        /// The context.
        context: ContextId,
        /// The command.
        command: CommandId,
        /// The first row that is wanted, counted from 0.
        offset: u64,
    },
}

/// From the driver to the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromDriver {
    /// The answer to `hello`: what the driver holds.
    Welcome {
        /// The protocol's version.
        version: u32,
        /// The cluster.
        cluster: ClusterId,
        /// A word that no other life of this driver has.
        generation: String,
        /// Its process.
        pid: i32,
        /// Its contexts.
        contexts: Vec<HeldContext>,
    },
    /// The answer to a `hello` that does not fit.
    Refused {
        /// Why.
        reason: String,
    },
    /// User code asks about secrets. No event: what was asked is forgotten with the connection.
    SecretAsk(SecretAsk),
    /// Something happened.
    Event {
        /// 1, 2, 3 … for the life of the driver.
        event: u64,
        /// What.
        #[serde(flatten)]
        what: DriverEvent,
    },
    /// How far the Spark jobs of a running command are. It has no number, is not acknowledged and may be left out: the
    /// next one says all.
    Progress {
        /// Its context.
        context: ContextId,
        /// The command.
        command: CommandId,
        /// How far.
        #[serde(flatten)]
        progress: Progress,
    },
    /// Somebody logs in over JDBC. It has no number and is not kept: without an answer the login is refused.
    Login {
        /// Counts them.
        login: u64,
        /// Who they say they are.
        user: String,
        /// The password, or a token where the user is `token`.
        password: Secret,
    },
    /// JDBC runs so many statements now. It has no number: said when that changes, and on a new connection where there are any.
    Statements {
        /// How many.
        active: usize,
    },
}

/// One context that a driver holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldContext {
    /// The context.
    pub context: ContextId,
    /// The sequence number of the last command it took.
    pub accepted: u64,
}

/// What a driver reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum DriverEvent {
    /// Spark is up.
    Ready {
        /// Such as `4.3.0`.
        spark_version: String,
        /// Such as `2.13.18`.
        scala_version: String,
        /// Such as `local[*]`.
        master: String,
        /// Spark's application id.
        app_id: String,
        /// Spark's own page, where it is on.
        ui_url: Option<String>,
    },
    /// There are so many executors, and a resize that was asked for is over.
    Resized {
        /// How many there are.
        executors: u32,
        /// Why there are not as many as were asked for, where that is so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Spark did not come up or is gone, and every context with it.
    Failed {
        /// The word for it.
        #[serde(default)]
        code: TerminationCode,
        /// Why.
        reason: String,
    },
    /// A library is further.
    Library {
        /// The library.
        library: Library,
        /// How far.
        step: LibraryStep,
        /// What the installer said.
        messages: Vec<String>,
    },
    /// A context takes commands.
    ContextRunning {
        /// The context.
        context: ContextId,
    },
    /// A context is lost.
    ContextFailed {
        /// The context.
        context: ContextId,
        /// Why.
        reason: String,
    },
    /// A context has so many live streaming queries now.
    Streams {
        /// The context.
        context: ContextId,
        /// How many.
        active: usize,
    },
    /// A command runs.
    Started {
        /// Its context.
        context: ContextId,
        /// The command.
        command: CommandId,
    },
    /// A command printed the text in the payload.
    Output {
        /// Its context.
        context: ContextId,
        /// The command.
        command: CommandId,
        /// How many bytes of text it had printed before.
        offset: u64,
    },
    /// A command ended; the payload is its `results` object.
    Finished {
        /// Its context.
        context: ContextId,
        /// The command.
        command: CommandId,
    },
    /// A command's code has stopped because it was asked to.
    Cancelled {
        /// Its context.
        context: ContextId,
        /// The command.
        command: CommandId,
        /// What was lost with it, as a sentence: code that did not stop was killed with what it ran in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost: Option<String>,
    },
    /// The engine failed under a command.
    Lost {
        /// Its context.
        context: ContextId,
        /// The command.
        command: CommandId,
        /// Why.
        reason: String,
    },
}

/// How far a library is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LibraryStep {
    /// Its installer runs.
    Installing,
    /// It is there.
    Installed,
    /// The installer failed.
    Failed,
}
