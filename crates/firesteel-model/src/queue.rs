//! The commands of one context, as its driver holds them: in order, one at a time, each at most once.
//!
//! The server numbers the commands of a context 1, 2, 3 …; after a crash it sends again what it is not sure about. The
//! queue remembers the highest number that it has decided on and passes over anything not above it, so nothing runs
//! twice. What a queue holds beside a command's id is the driver's business.

use std::collections::VecDeque;

use firesteel_api::CommandId;

/// The commands of one context.
///
/// ```text
///   push ──▶ waiting (bounded, in order) ──start_next──▶ running (one) ──ended──▶ forgotten
///                 └──cancel──▶ dropped                      └──cancel──▶ still running, until `ended`
/// ```
#[derive(Debug)]
pub struct Queue<T> {
    accepted: u64,
    waiting: VecDeque<(CommandId, T)>,
    waiting_max: usize,
    running: Option<CommandId>,
    door: Door,
}

#[derive(Debug, PartialEq, Eq)]
enum Door {
    Open,
    Closed,
}

/// What became of a pushed command that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It waits for its turn.
    Waiting,
    /// It was decided on before; the item was dropped.
    Repeated,
}

/// Why a pushed command will not run. Its number counts as decided: the caller must report its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushRefused {
    /// As many commands wait as may.
    #[error("the context already has {0} commands waiting")]
    Full(usize),
    /// The context is being destroyed.
    #[error("the context is closed")]
    Closed,
}

/// What a cancel found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel<T> {
    /// It had not started and never will: it is over.
    Dropped(T),
    /// It runs: whoever runs it must be interrupted.
    Running,
    /// It is over, or was never pushed. Nothing is to be done.
    Unknown,
}

/// What a queue held when it was closed.
#[derive(Debug, PartialEq, Eq)]
pub struct Drained<T> {
    /// The command that runs, to be interrupted.
    pub running: Option<CommandId>,
    /// The commands that had not started and never will, in order.
    pub waiting: Vec<(CommandId, T)>,
}

impl<T> Queue<T> {
    /// Makes an empty queue in which at most `waiting_max` commands wait.
    pub fn new(waiting_max: usize) -> Self {
        Self { accepted: 0, waiting: VecDeque::new(), waiting_max, running: None, door: Door::Open }
    }

    /// Takes a command, unless its number was decided on before. Numbers may skip: a command that was cancelled before
    /// it was sent never comes.
    pub fn push(&mut self, sequence: u64, command: CommandId, item: T) -> Result<Pushed, PushRefused> {
        if sequence <= self.accepted {
            return Ok(Pushed::Repeated);
        }
        // Before the refusals: a command whose refusal was reported must not run when it is sent again.
        self.accepted = sequence;
        if self.door == Door::Closed {
            return Err(PushRefused::Closed);
        }
        if self.waiting.len() >= self.waiting_max {
            return Err(PushRefused::Full(self.waiting_max));
        }
        self.waiting.push_back((command, item));
        Ok(Pushed::Waiting)
    }

    /// Takes out the command whose turn it is, and counts it as running. `None` while another runs, or when none waits.
    pub fn start_next(&mut self) -> Option<(CommandId, T)> {
        if self.running.is_some() {
            return None;
        }
        let (command, item) = self.waiting.pop_front()?;
        self.running = Some(command);
        Some((command, item))
    }

    /// Returns the command whose turn it is. `None` while another runs, or when none waits.
    pub fn peek(&self) -> Option<(CommandId, &T)> {
        match self.running {
            Some(_) => None,
            None => self.waiting.front().map(|(command, item)| (*command, item)),
        }
    }

    /// Takes note that the running command is over. Returns false, and changes nothing, for any other command.
    pub fn ended(&mut self, command: CommandId) -> bool {
        let is_it = self.running == Some(command);
        if is_it {
            self.running = None;
        }
        is_it
    }

    /// Drops a command that waits; tells what to do about any other.
    pub fn cancel(&mut self, command: CommandId) -> Cancel<T> {
        if self.running == Some(command) {
            return Cancel::Running;
        }
        let found = self.waiting.iter().position(|(waiting, _)| *waiting == command);
        match found.and_then(|at| self.waiting.remove(at)) {
            Some((_, item)) => Cancel::Dropped(item),
            None => Cancel::Unknown,
        }
    }

    /// Refuses everything from now on and hands over what is left. The running command stays so until `ended`.
    pub fn close(&mut self) -> Drained<T> {
        self.door = Door::Closed;
        Drained { running: self.running, waiting: self.waiting.drain(..).collect() }
    }

    /// Returns the highest number that was decided on; 0 before the first.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Returns the command that runs.
    pub fn running(&self) -> Option<CommandId> {
        self.running
    }

    /// Returns how many commands wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Makes the id of the `n`th command of a test.
    fn id(n: u64) -> CommandId {
        format!("00000000-0000-4000-8000-{n:012}").parse().unwrap()
    }

    #[test]
    fn commands_run_one_at_a_time_in_order() {
        let mut queue = Queue::new(10);
        for n in 1..=3 {
            assert_eq!(queue.push(n, id(n), n), Ok(Pushed::Waiting));
        }
        assert_eq!(queue.peek(), Some((id(1), &1)));
        assert_eq!(queue.start_next(), Some((id(1), 1)));
        assert_eq!(queue.peek(), None);
        assert_eq!(queue.start_next(), None);
        assert!(!queue.ended(id(2)));
        assert!(queue.ended(id(1)));
        assert!(!queue.ended(id(1)));
        assert_eq!(queue.start_next(), Some((id(2), 2)));
    }

    #[test]
    fn a_command_sent_again_is_passed_over_even_when_it_is_over() {
        let mut queue = Queue::new(10);
        queue.push(1, id(1), ()).unwrap();
        assert_eq!(queue.push(1, id(1), ()), Ok(Pushed::Repeated));
        queue.start_next();
        queue.ended(id(1));
        assert_eq!(queue.push(1, id(1), ()), Ok(Pushed::Repeated));
        assert_eq!(queue.start_next(), None);
    }

    #[test]
    fn a_command_refused_by_a_full_queue_does_not_run_when_sent_again() {
        let mut queue = Queue::new(1);
        queue.push(1, id(1), ()).unwrap();
        assert_eq!(queue.push(2, id(2), ()), Err(PushRefused::Full(1)));
        queue.start_next();
        assert_eq!(queue.push(2, id(2), ()), Ok(Pushed::Repeated));
        assert_eq!(queue.push(3, id(3), ()), Ok(Pushed::Waiting));
    }

    #[test]
    fn a_cancel_drops_what_waits_and_leaves_what_runs() {
        let mut queue = Queue::new(10);
        for n in 1..=3 {
            queue.push(n, id(n), n).unwrap();
        }
        queue.start_next();
        assert_eq!(queue.cancel(id(2)), Cancel::Dropped(2));
        assert_eq!(queue.cancel(id(2)), Cancel::Unknown);
        assert_eq!(queue.cancel(id(1)), Cancel::Running);
        queue.ended(id(1));
        assert_eq!(queue.start_next(), Some((id(3), 3)));
    }

    #[test]
    fn a_closed_queue_hands_over_what_is_left_and_takes_nothing() {
        let mut queue = Queue::new(10);
        for n in 1..=3 {
            queue.push(n, id(n), n).unwrap();
        }
        queue.start_next();
        assert_eq!(queue.close(), Drained { running: Some(id(1)), waiting: vec![(id(2), 2), (id(3), 3)] });
        assert_eq!(queue.push(4, id(4), 4), Err(PushRefused::Closed));
        assert!(queue.ended(id(1)));
        assert_eq!(queue.start_next(), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(u64),
        Start,
        End,
        Cancel(u64),
        Close,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (1..30u64).prop_map(Step::Push),
            4 => Just(Step::Start),
            3 => Just(Step::End),
            2 => (1..30u64).prop_map(Step::Cancel),
            1 => Just(Step::Close),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn nothing_runs_twice_out_of_order_or_after_its_cancel(steps in steps()) {
            let mut queue = Queue::new(3);
            let (mut started, mut dropped) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Push(n) => drop(queue.push(n, id(n), n)),
                    Step::Start => started.extend(queue.start_next().map(|(_, n)| n)),
                    Step::End => drop(queue.running().map(|command| queue.ended(command))),
                    Step::Cancel(n) => {
                        if let Cancel::Dropped(n) = queue.cancel(id(n)) {
                            dropped.push(n);
                        }
                    }
                    Step::Close => dropped.extend(queue.close().waiting.into_iter().map(|(_, n)| n)),
                }
                prop_assert!(queue.waiting() <= 3);
            }
            prop_assert!(started.is_sorted_by(|a, b| a < b), "{started:?}");
            prop_assert!(started.iter().all(|n| !dropped.contains(n)), "{started:?} {dropped:?}");
        }
    }
}
