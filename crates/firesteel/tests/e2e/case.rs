//! What a case is, and in which order the cases run.

use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex};

use libtest_mimic::{Arguments, Trial};

use crate::server::Server;

/// When a case runs. A stage begins when all cases of the earlier ones are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// On the shared server, many at a time.
    Shared,
    /// On the shared server, one at a time.
    Alone,
    /// The shared server's end.
    End,
    /// With what it starts itself, one at a time.
    Own,
}

/// One case: a sentence and what shows that it is true.
pub(crate) struct Case {
    name: String,
    stage: Stage,
    run: Run,
}

enum Run {
    Shared(Box<dyn FnOnce(&Server) + Send>),
    Own(Box<dyn FnOnce() + Send>),
    End,
}

impl Case {
    /// A case on the shared server. The name is a path, as libtest has them.
    pub(crate) fn shared(name: &str, run: impl FnOnce(&Server) + Send + 'static) -> Self {
        Self { name: short(name), stage: Stage::Shared, run: Run::Shared(Box::new(run)) }
    }

    /// A case that starts what it needs.
    pub(crate) fn own(name: &str, run: impl FnOnce() + Send + 'static) -> Self {
        Self { name: short(name), stage: Stage::Own, run: Run::Own(Box::new(run)) }
    }

    /// Moves the case to another stage.
    pub(crate) fn at(self, stage: Stage) -> Self {
        Self { stage, ..self }
    }
}

/// The last word on the shared server, whatever the filter: see [`Server::end`].
pub(crate) fn end() -> Case {
    let name = "the_end::ctrl_c_ends_the_server_and_leaves_no_process_behind".to_owned();
    Case { name, stage: Stage::End, run: Run::End }
}

fn short(path: &str) -> String {
    path.strip_prefix("e2e::").unwrap_or(path).to_owned()
}

/// Makes cases of functions that take the shared server: `shared![a, b]`.
macro_rules! shared {
    ($($name:ident),* $(,)?) => {
        vec![$($crate::case::Case::shared(concat!(module_path!(), "::", stringify!($name)), $name)),*]
    };
}

/// Makes cases of functions that start their own: `own![a, b]`.
macro_rules! own {
    ($($name:ident),* $(,)?) => {
        vec![$($crate::case::Case::own(concat!(module_path!(), "::", stringify!($name)), $name)),*]
    };
}

/// The cases of one run, filtered, in the order of their stages.
pub(crate) struct Plan {
    cases: Vec<Case>,
}

impl Plan {
    /// Applies the filters.
    pub(crate) fn new(cases: Vec<Case>, arguments: &Arguments) -> Self {
        let fits =
            |name: &str, word: &String| if arguments.exact { name == word } else { name.contains(word.as_str()) };
        let wanted = |case: &Case| {
            arguments.filter.as_ref().is_none_or(|word| fits(&case.name, word))
                && !arguments.skip.iter().any(|word| fits(&case.name, word))
        };
        let mut cases = cases;
        let shared = cases.iter().any(|case| case.stage < Stage::End && wanted(case));
        cases.retain(|case| wanted(case) || (case.stage == Stage::End && shared));
        assert!(cases.is_sorted_by_key(|case| case.stage), "the stages follow each other");
        Self { cases }
    }

    /// Tells whether the shared server is needed.
    pub(crate) fn needs_server(&self) -> bool {
        self.cases.iter().any(|case| case.stage <= Stage::End)
    }

    /// Runs the cases and prints libtest's summary.
    pub(crate) fn run(self, arguments: Arguments, server: Option<Server>) -> ExitCode {
        let turns = Arc::new(Turns::of(self.cases.iter().map(|case| case.stage)));
        let server = server.map(Arc::new);
        let trials = self.cases.into_iter().map(|case| {
            let (turns, server) = (turns.clone(), server.clone());
            Trial::test(case.name, move || {
                let _turn = turns.wait(case.stage);
                match (case.run, server) {
                    (Run::Shared(run), Some(server)) => run(&server),
                    (Run::End, Some(server)) => server.end(),
                    (Run::Own(run), _) => run(),
                    (Run::Shared(_) | Run::End, None) => unreachable!("the server was started for them"),
                }
                Ok(())
            })
        });
        // What is left is what was asked for: the filters have been applied, by rules that know the stages.
        let arguments = Arguments { filter: None, skip: Vec::new(), ..arguments };
        libtest_mimic::run(&arguments, trials.collect()).exit_code()
    }
}

/// Who may run. Cases are begun in the order of their stages, so that one that waits waits for others that run.
struct Turns {
    /// For each stage, the cases that are not over, and whether one of a stage of single cases runs.
    state: Mutex<(Vec<usize>, bool)>,
    changed: Condvar,
}

impl Turns {
    fn of(stages: impl Iterator<Item = Stage>) -> Self {
        let mut left = vec![0; Stage::Own as usize + 1];
        stages.for_each(|stage| left[stage as usize] += 1);
        Self { state: Mutex::new((left, false)), changed: Condvar::new() }
    }

    fn wait(&self, stage: Stage) -> Turn<'_> {
        let state = self.state.lock().unwrap();
        let busy = |(left, single): &mut (Vec<usize>, bool)| {
            left[..stage as usize].iter().any(|left| *left > 0) || (stage != Stage::Shared && *single)
        };
        let mut state = self.changed.wait_while(state, busy).unwrap();
        state.1 = stage != Stage::Shared;
        Turn { turns: self, stage }
    }
}

/// A running case's turn; it is over when this is dropped, panic or not.
struct Turn<'a> {
    turns: &'a Turns,
    stage: Stage,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.state.lock().unwrap();
        state.0[self.stage as usize] -= 1;
        state.1 = false;
        self.turns.changed.notify_all();
    }
}
