//! One context, from its making to its end, and the commands that run in it.
//!
//! ```text
//! open ─▶ wait until Running ─▶ run … run ─▶ close
//!            │ a signal            │ a signal: cancel, wait for the end; a second one: wait no more
//!            ╰────────────────────▶ close
//! ```
//!
//! A context that was made here is destroyed here, whatever happened in between.

use std::time::Duration;

use firesteel_api::commands::CommandStatus;
use firesteel_api::contexts::ContextStatus;
use firesteel_api::results::{Results, ResultsBody};
use firesteel_api::{ClusterId, CommandId, ContextId, Language};
use tokio::time::{Instant, sleep, timeout};

use super::api::{Api, ApiError};
use super::failure::Failure;
use super::interrupts::Interrupts;
use super::live;
use super::output::Output;

/// How long a cluster that is being started is waited for.
const START_MAX: Duration = Duration::from_secs(20 * 60);
/// The pause between two looks at such a cluster.
const START_PAUSE: Duration = Duration::from_secs(1);
/// The first and the longest pause between two polls that were answered at once: ours are held by the server.
const POLL_FIRST: Duration = Duration::from_millis(20);
const POLL_MAX: Duration = Duration::from_secs(1);
/// A poll that took longer than this was held.
const HELD: Duration = Duration::from_millis(200);
/// How long the end of a context may take, and how long when the user is leaving at once.
const CLOSE_MAX: Duration = Duration::from_secs(15);
const LEAVE_MAX: Duration = Duration::from_secs(1);
/// How long the last output of a command that is over is waited for. Without it the result shows the same.
const LAST_OUTPUT: Duration = Duration::from_secs(5);

/// A context in use.
pub(super) struct Session {
    api: Api,
    cluster: ClusterId,
    context: ContextId,
    ending: Ending,
}

/// What is to become of a context when its session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is destroyed.
    Destroy,
    /// It is left to others.
    Leave,
}

/// How a command ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It has results: of code that ran, or an error.
    Ended {
        /// Which command.
        command: CommandId,
        /// As they travelled.
        results: Results,
        /// What is in them.
        body: ResultsBody,
    },
    /// It was cancelled, by this signal if one came here.
    Cancelled(Option<u8>),
    /// A second signal came before it had stopped.
    Abandoned(u8),
}

impl Session {
    /// Makes a context, waiting for a cluster that is being started, and says so.
    pub(super) async fn open(
        api: &Api,
        cluster: &ClusterId,
        language: Language,
        stop: &mut Interrupts,
        output: &mut Output,
    ) -> Result<Self, Failure> {
        let end = Instant::now() + START_MAX;
        let mut told = false;
        loop {
            // A task of its own, so that a signal does not lose the id of a context that was made.
            let asked = (api.clone(), cluster.clone());
            let mut asked = tokio::spawn(async move { asked.0.create_context(&asked.1, language).await });
            let answer = tokio::select! {
                answer = &mut asked => answer.expect("the task neither panics nor is aborted"),
                signal = stop.next() => {
                    let made = async { asked.await.expect("the task neither panics nor is aborted") };
                    let undo = async {
                        if let Ok(context) = made.await {
                            api.destroy_context(cluster, context).await.ok();
                        }
                    };
                    tokio::select! {
                        _ = timeout(CLOSE_MAX, undo) => {}
                        _ = stop.next() => {}
                    }
                    return Err(Failure::Stopped(signal));
                }
            };
            match answer {
                Ok(context) => return Ok(Self::of(api, cluster, context, Ending::Destroy)),
                Err(error) if error.is_not_ready() && Instant::now() < end => {
                    if !told {
                        output.note(&format!("cluster `{cluster}` is being started; waiting for it"));
                        told = true;
                    }
                    tokio::select! {
                        () = sleep(START_PAUSE) => {}
                        signal = stop.next() => return Err(Failure::Stopped(signal)),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes a context that exists.
    pub(super) fn of(api: &Api, cluster: &ClusterId, context: ContextId, ending: Ending) -> Self {
        Self { api: api.clone(), cluster: cluster.clone(), context, ending }
    }

    /// Returns the context.
    pub(super) fn context(&self) -> ContextId {
        self.context
    }

    /// Leaves the context to others when the session ends.
    pub(super) fn keep(&mut self) {
        self.ending = Ending::Leave;
    }

    /// Waits until the context takes commands.
    pub(super) async fn ready(&self, stop: &mut Interrupts) -> Result<(), Failure> {
        let poll = async {
            let mut pace = Pace::new();
            loop {
                let view = self.api.context_status(&self.cluster, self.context).await?;
                match view.status {
                    ContextStatus::Running => return Ok(()),
                    ContextStatus::Error => return Err(Failure::ContextLost(self.context)),
                    ContextStatus::Pending => pace.rest().await,
                }
            }
        };
        tokio::select! {
            biased;
            signal = stop.next() => Err(Failure::Stopped(signal)),
            ready = poll => ready,
        }
    }

    /// Runs code, shows what it prints, and waits for its end. The first signal cancels it, the second one gives it up.
    pub(super) async fn run(
        &self,
        language: Language,
        code: &str,
        stop: &mut Interrupts,
        output: &mut Output,
    ) -> Result<Outcome, Failure> {
        let execute = self.api.execute(&self.cluster, self.context, language, code);
        tokio::pin!(execute);
        let mut asked = None;
        let command = tokio::select! {
            command = &mut execute => command?,
            signal = stop.next() => {
                asked = Some(signal);
                // The command may have begun: its id is needed to cancel it.
                tokio::select! {
                    command = &mut execute => command?,
                    signal = stop.next() => return Ok(Outcome::Abandoned(signal)),
                }
            }
        };
        let ended = self.shown_to_its_end(command, output);
        tokio::pin!(ended);
        let signal = match asked {
            Some(signal) => signal,
            None => tokio::select! {
                outcome = &mut ended => return outcome,
                signal = stop.next() => signal,
            },
        };
        let cancelled = async {
            self.api.cancel(&self.cluster, self.context, command).await?;
            Ok(match ended.await? {
                Outcome::Cancelled(_) => Outcome::Cancelled(Some(signal)),
                outcome => outcome,
            })
        };
        tokio::select! {
            outcome = cancelled => outcome,
            signal = stop.next() => Ok(Outcome::Abandoned(signal)),
        }
    }

    /// Ends the session. A signal while the context is being destroyed leaves at once.
    pub(super) async fn close(self, stop: &mut Interrupts) -> Result<(), ApiError> {
        if self.ending == Ending::Leave {
            return Ok(());
        }
        tokio::select! {
            answer = timeout(CLOSE_MAX, self.api.destroy_context(&self.cluster, self.context)) => answer.unwrap_or(Ok(())),
            _ = stop.next() => Ok(()),
        }
    }

    /// Ends the session of a user who waits no more: the server is told, the answer hardly waited for.
    pub(super) async fn leave(self) {
        if self.ending == Ending::Destroy {
            timeout(LEAVE_MAX, self.api.destroy_context(&self.cluster, self.context)).await.ok();
        }
    }

    /// Shows a command until it is over, and returns how it ended.
    async fn shown_to_its_end(&self, command: CommandId, output: &mut Output) -> Result<Outcome, Failure> {
        output.begin();
        let outcome = {
            let show = live::show(&self.api, &self.cluster, self.context, command, output);
            let ended = self.ended(command);
            tokio::pin!(show, ended);
            tokio::select! {
                outcome = &mut ended => {
                    // The last of what it printed is on its way.
                    timeout(LAST_OUTPUT, show).await.ok();
                    outcome
                }
                () = &mut show => ended.await,
            }
        };
        output.no_progress();
        outcome
    }

    /// Waits for the end of a command.
    async fn ended(&self, command: CommandId) -> Result<Outcome, Failure> {
        let mut pace = Pace::new();
        loop {
            let view = self.api.command_status(&self.cluster, self.context, command).await?;
            match view.status {
                CommandStatus::Cancelled => return Ok(Outcome::Cancelled(None)),
                CommandStatus::Finished | CommandStatus::Error => {
                    let results = view.results.unwrap_or_else(|| Results::text(""));
                    let body = results.parse().map_err(|source| Failure::BadResult { command, source })?;
                    return Ok(Outcome::Ended { command, results, body });
                }
                CommandStatus::Queued | CommandStatus::Running | CommandStatus::Cancelling => pace.rest().await,
            }
        }
    }
}

/// The rhythm of polls: at once after one that the server held, slower and slower after those it did not.
pub(super) struct Pace {
    asked: Instant,
    pause: Duration,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { asked: Instant::now(), pause: POLL_FIRST }
    }

    /// Waits until it is time for the next poll.
    pub(super) async fn rest(&mut self) {
        if self.asked.elapsed() < HELD {
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(POLL_MAX);
        } else {
            self.pause = POLL_FIRST;
        }
        self.asked = Instant::now();
    }
}
