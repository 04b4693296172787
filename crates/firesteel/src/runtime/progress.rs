//! What the user sees while a runtime is made: a line for each step, with a bar or a spinner on a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Where progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Bars and spinners on standard error.
    Terminal,
    /// Plain lines on standard error.
    Lines,
    /// Nowhere.
    #[cfg_attr(not(test), expect(dead_code, reason = "for tests"))]
    Silent,
}

impl Progress {
    /// What suits the standard error of this process.
    pub(crate) fn detect() -> Self {
        if io::stderr().is_terminal() { Self::Terminal } else { Self::Lines }
    }

    /// Begins a step. It ends as failed if it is dropped before [`Step::done`].
    pub(crate) fn step(self, text: impl Into<String>) -> Step {
        let text = text.into();
        let bar = match self {
            Self::Terminal => {
                let bar = ProgressBar::new_spinner().with_style(spinner()).with_prefix(text.clone());
                bar.enable_steady_tick(TICK);
                Some(bar)
            }
            Self::Lines => {
                line(&format!("{text} ..."));
                None
            }
            Self::Silent => None,
        };
        Step { to: self, text, bar, start: Instant::now(), over: false }
    }
}

/// One step under way.
#[derive(Debug)]
pub(crate) struct Step {
    to: Progress,
    text: String,
    bar: Option<ProgressBar>,
    start: Instant,
    over: bool,
}

impl Step {
    /// What the step does, for an error.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether [`Step::measure`] is shown to anyone.
    pub(crate) fn is_measured(&self) -> bool {
        self.bar.is_some()
    }

    /// Shows what goes on within the step, on a terminal.
    pub(crate) fn say(&self, detail: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(detail.to_owned());
        }
    }

    /// Shows how far a part of known size has come; `None` when it is over.
    pub(crate) fn measure(&self, bytes: Option<(u64, u64)>) {
        let Some(bar) = &self.bar else { return };
        match bytes {
            Some((done, all)) => {
                if bar.length() != Some(all) {
                    bar.set_style(measured());
                    bar.set_length(all);
                }
                bar.set_position(done.min(all));
            }
            None => {
                bar.unset_length();
                bar.set_style(spinner());
            }
        }
    }

    /// Ends the step well.
    pub(crate) fn done(mut self) {
        self.over = true;
        let text = format!("{} ({:.0} s)", self.text, self.start.elapsed().as_secs_f64());
        match self.to {
            Progress::Terminal => self.end("✔", &text),
            Progress::Lines => line(&format!("{text} done")),
            Progress::Silent => {}
        }
    }

    fn end(&self, mark: &str, text: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        line(&format!("{mark} {text}"));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.over && self.to == Progress::Terminal {
            self.end("✘", &self.text);
        }
    }
}

fn spinner() -> ProgressStyle {
    style("{spinner} {prefix} {elapsed} {wide_msg:.dim}")
}

fn measured() -> ProgressStyle {
    style("{spinner} {prefix} {elapsed} {bar:24} {bytes}/{total_bytes} {bytes_per_sec}")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// A line on standard error. Nobody is left to tell if that fails.
fn line(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
