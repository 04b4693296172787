//! Following one command: what it prints, how far it is and how it ends, from any offset on.
//!
//! The board wakes whoever follows; the database is read where the board does not have the text, and never to find out
//! whether there is more.

use std::time::Duration;

use firesteel_api::commands::{CommandOutput, CommandStatus, Progress};
use firesteel_api::{CommandId, ContextId};
use firesteel_store::{Output, Store};

use crate::engine::EngineError;
use crate::engine::board::Watched;

/// The most bytes of output in one answer or event.
pub const OUTPUT_PAGE_BYTES_MAX: usize = 1 << 20;

/// One who follows a command.
pub struct Follow {
    store: Store,
    context: ContextId,
    command: CommandId,
    /// What the board shows of it; `None` when it was over from the start.
    watched: Option<Watched>,
    offset: u64,
    told: Told,
}

/// What was told last.
#[derive(Default)]
struct Told {
    status: Option<CommandStatus>,
    progress: Option<Progress>,
    end: bool,
}

/// What is new of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// It is doing something else.
    Status(CommandStatus),
    /// It has printed something.
    Output {
        /// What, and where that begins.
        output: Output,
        /// How many bytes before it are not kept.
        skipped: u64,
    },
    /// Its Spark jobs are further.
    Progress(Progress),
    /// It is over and all is told. Nothing follows.
    End(CommandStatus),
}

/// What there is from an offset on.
struct Look {
    output: Output,
    skipped: u64,
    /// Nothing follows.
    last: bool,
}

impl Follow {
    pub(super) fn new(
        store: Store,
        context: ContextId,
        command: CommandId,
        watched: Option<Watched>,
        offset: u64,
    ) -> Self {
        Self { store, context, command, watched, offset, told: Told::default() }
    }

    /// Where the text begins that was not told.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Waits up to `hold` for output, or for the end, and returns up to `bytes` of it.
    pub async fn output(mut self, bytes: usize, hold: Duration) -> Result<CommandOutput, EngineError> {
        let wanted = self.offset;
        let waited = tokio::time::timeout(hold, self.some_output(bytes)).await;
        let look = match waited {
            Ok(look) => look?,
            Err(_) => self.look(bytes).await?,
        };
        let status = self.status().await?;
        Ok(CommandOutput {
            id: self.command,
            status,
            offset: look.output.start,
            next_offset: look.output.stop().max(wanted),
            skipped: look.skipped,
            data: look.output.text,
            complete: look.last,
        })
    }

    /// Waits for news and returns them; `None` behind the end. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<News>, EngineError> {
        while !self.told.end {
            let over = self.mark();
            let progress = self.watched.as_ref().and_then(|watched| watched.live.borrow().progress);
            let status = self.status().await?;
            if !over && self.told.status.replace(status) != Some(status) {
                return Ok(Some(News::Status(status)));
            }
            if !over && progress.is_some() && self.told.progress != progress {
                self.told.progress = progress;
                return Ok(progress.map(News::Progress));
            }
            let look = self.look(OUTPUT_PAGE_BYTES_MAX).await?;
            if !look.output.text.is_empty() || look.skipped > 0 {
                self.offset = look.output.stop();
                return Ok(Some(News::Output { output: look.output, skipped: look.skipped }));
            }
            if over {
                self.told.end = true;
                return Ok(Some(News::End(status)));
            }
            self.changed().await;
        }
        Ok(None)
    }

    async fn some_output(&mut self, bytes: usize) -> Result<Look, EngineError> {
        loop {
            let over = self.mark();
            let look = self.look(bytes).await?;
            if over || !look.output.text.is_empty() {
                return Ok(look);
            }
            self.changed().await;
        }
    }

    /// Takes note of what the board shows now, to be woken by what comes later. Tells whether the command is over, or gone.
    fn mark(&mut self) -> bool {
        match &mut self.watched {
            Some(watched) => {
                watched.live.mark_unchanged();
                let gone = watched.state.has_changed().is_err();
                watched.state.borrow_and_update().is_over() || gone
            }
            None => true,
        }
    }

    async fn changed(&mut self) {
        let Some(watched) = &mut self.watched else { return };
        // An error says that it is over, which is looked at next.
        tokio::select! {
            _ = watched.live.changed() => {}
            _ = watched.state.changed() => {}
        }
    }

    /// Looks for output from the offset on: on the board, else in the store, else what the board has behind a gap.
    async fn look(&mut self, bytes: usize) -> Result<Look, EngineError> {
        let over = self.mark();
        let offset = self.offset;
        let on_board = |behind_a_gap: bool| {
            let live = self.watched.as_ref().map(|watched| watched.live.borrow());
            let piece = live.as_ref().and_then(|live| if behind_a_gap { live.after(offset) } else { live.at(offset) });
            piece.map(|piece| piece.clone().part(offset, bytes))
        };
        let found = |output: Output, last| {
            let skipped = output.start.saturating_sub(offset);
            Look { output, skipped, last }
        };
        if !over && let Some(output) = on_board(false) {
            return Ok(found(output, false));
        }
        let page = self.store.output(self.context, self.command, offset, bytes).await?.ok_or_else(|| self.gone())?;
        if over || !page.output.text.is_empty() {
            let last = over && page.output.stop() >= page.all;
            return Ok(found(page.output, last));
        }
        match on_board(true) {
            Some(output) => Ok(found(output, false)),
            None => Ok(found(Output { start: offset, text: String::new() }, false)),
        }
    }

    async fn status(&self) -> Result<CommandStatus, EngineError> {
        if let Some(watched) = &self.watched {
            let state = watched.state.borrow();
            if !state.is_over() && watched.state.has_changed().is_ok() {
                return Ok(state.status());
            }
        }
        let state = self.store.command_state(self.context, self.command).await?;
        Ok(state.ok_or_else(|| self.gone())?.status())
    }

    fn gone(&self) -> EngineError {
        match &self.watched {
            // It was there, and went with its context.
            Some(_) => EngineError::UnknownContext(self.context.to_string()),
            None => EngineError::UnknownCommand(self.command.to_string()),
        }
    }
}
