//! From `commands/execute` to the result in hand, beside the same line in the bare interpreter.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::bare::Bare;
use super::client::Client;
use super::figures::{Aim, Sample, Table};
use super::machine::Machine;
use super::server::Server;
use super::{note, processes};

const AIM: Aim = Aim::AtMost(Duration::from_millis(3));

/// How often each side executes before it is measured: compilers warm up.
pub(crate) const WARM_UP: u32 = 50;

/// How many times one side executes before it is the other's turn.
const TURN: u32 = 10;

/// Measures each language.
pub(crate) fn measure(machine: &Machine, server: &Server, runs: u32, table: &mut Table) -> anyhow::Result<()> {
    note("commands, Python");
    python(machine, server, runs, table)?;
    note("commands, Scala and SQL");
    jvm(machine, server, runs, table)
}

fn python(machine: &Machine, server: &Server, runs: u32, table: &mut Table) -> anyhow::Result<()> {
    let mut bare = Bare::python(machine)?;
    let client = server.client()?;
    let ours = Ours::open(&client, "python", "1+1", "\"2\"")?;
    let mut ours_calls = ours.calls();
    let mut sides = [Side::of(|| ours_calls.execute()), Side::of(|| bare.execute("ipython"))];
    take_turns(server, WARM_UP, runs, &mut sides)?;
    let [our, ipython] = sides.map(|side| side.sample);
    let plain = std::iter::repeat_with(|| bare.execute("plain")).take(runs as usize).collect::<Result<Sample, _>>()?;
    table.beside("Python `1+1`, beside IPython's `run_cell`", &our, &ipython, AIM);
    table.beside("… beside plain Python", &our, &plain, Aim::Information);
    let accepted = ours_calls.accepted.into_iter().skip(WARM_UP as usize).collect();
    table.alone("… its `execute` alone", &accepted, Aim::Information);
    table.alone("… a status that is there already, alone", &ours.answered(runs)?, Aim::Information);
    ours.close()
}

fn jvm(machine: &Machine, server: &Server, runs: u32, table: &mut Table) -> anyhow::Result<()> {
    let lines = [("Scala `1+1`", "scala", "1+1", "res"), ("SQL `select 1`", "sql", "select 1", "[[1]]")];
    let mut like_ours = Bare::jvm(machine)?;
    let mut submitted = Bare::spark_submit(machine)?;
    // Last: the server closes a connection on which nothing is asked for long.
    let client = server.client()?;
    for (name, language, code, expected) in lines {
        let ours = Ours::open(&client, language, code, expected)?;
        let mut ours_calls = ours.calls();
        let mut sides = [
            Side::of(|| ours_calls.execute()),
            Side::of(|| like_ours.execute(language)),
            Side::of(|| submitted.execute(language)),
        ];
        take_turns(server, WARM_UP, runs, &mut sides)?;
        let [our, same, submit] = sides.map(|side| side.sample);
        table.beside(&format!("{name}, beside a JVM like ours"), &our, &same, AIM);
        table.beside("… beside a JVM like `spark-shell`'s", &our, &submit, Aim::Information);
        ours.close()?;
    }
    Ok(())
}

/// A context in which one line is executed again and again.
struct Ours<'a> {
    client: &'a Client,
    context: String,
    language: &'a str,
    code: &'a str,
    expected: &'a str,
}

/// The executions of it.
struct Calls<'a> {
    ours: &'a Ours<'a>,
    /// How long it took until the command's id was in hand.
    accepted: Vec<Duration>,
}

impl<'a> Ours<'a> {
    fn open(client: &'a Client, language: &'a str, code: &'a str, expected: &'a str) -> anyhow::Result<Self> {
        let (context, _) = client.open(language)?;
        Ok(Self { client, context, language, code, expected })
    }

    fn calls(&self) -> Calls<'_> {
        Calls { ours: self, accepted: Vec::new() }
    }

    /// Asks for the status of a command that is over.
    fn answered(&self, runs: u32) -> anyhow::Result<Sample> {
        let command = self.client.execute(&self.context, self.language, self.code)?.command;
        let mut sample = Sample::default();
        for _ in 0..runs {
            let begun = Instant::now();
            self.client.status(&self.context, &command)?;
            sample.push(begun.elapsed());
        }
        Ok(sample)
    }

    fn close(self) -> anyhow::Result<()> {
        self.client.close(&self.context)
    }
}

impl Calls<'_> {
    fn execute(&mut self) -> anyhow::Result<Duration> {
        let Ours { client, context, language, code, expected } = self.ours;
        let executed = client.execute(context, language, code)?;
        let data = executed.results["data"].to_string();
        ensure!(data.contains(expected), "`{code}` came to {data}");
        self.accepted.push(executed.accepted);
        Ok(executed.took)
    }
}

/// One of those that take turns.
pub(crate) struct Side<'a> {
    execute: Box<dyn FnMut() -> anyhow::Result<Duration> + 'a>,
    /// What was measured.
    pub(crate) sample: Sample,
}

impl<'a> Side<'a> {
    pub(crate) fn of(execute: impl FnMut() -> anyhow::Result<Duration> + 'a) -> Self {
        Self { execute: Box::new(execute), sample: Sample::default() }
    }
}

/// Lets the sides execute in turn until each was measured so often, after they have warmed up and the server has made
/// the spares that it lacked.
pub(crate) fn take_turns(server: &Server, warm_up: u32, runs: u32, sides: &mut [Side<'_>]) -> anyhow::Result<()> {
    processes::quiet(server.pid())?;
    for side in &mut *sides {
        for _ in 0..warm_up {
            (side.execute)()?;
        }
    }
    let mut left = runs;
    while left > 0 {
        let turn = left.min(TURN);
        for side in &mut *sides {
            for _ in 0..turn {
                side.sample.push((side.execute)()?);
            }
        }
        left -= turn;
    }
    Ok(())
}
