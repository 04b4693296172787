//! As many contexts as a cluster has, of mixed languages, alive and answering: how long it takes to make them, and what each costs.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::client::Client;
use super::figures::{Aim, Sample, Table};
use super::machine::proc_figure;
use super::note;
use super::processes::Family;
use super::server::Server;

/// Contexts of each language: a full cluster together.
const OF_EACH: usize = 50;

/// The languages, each with a line and what its result holds.
const LANGUAGES: [(&str, &str, &str); 3] =
    [("python", "40 + 2", "42"), ("scala", "40 + 2", "42"), ("sql", "select 42", "42")];

/// The aim for one context, in MiB.
const EACH_AT_MOST: u64 = 15;

/// How long the processes are left alone before they are looked at.
const REST: Duration = Duration::from_secs(5);

/// Makes them, asks each, and ends them.
pub(crate) fn measure(server: &Server, table: &mut Table) -> anyhow::Result<()> {
    note("150 contexts");
    let client = server.client()?;
    let (probe, _) = client.open("scala")?;
    let (heap_before, rest_before) = jvm(&client, &probe, server)?;
    client.close(&probe)?;

    let begun = Instant::now();
    let mut contexts = Vec::new();
    for (language, code, expected) in LANGUAGES.iter().cycle().take(OF_EACH * LANGUAGES.len()) {
        contexts.push((client.begin(language)?, *language, *code, *expected));
    }
    for (context, ..) in &contexts {
        client.until_running(context)?;
    }
    let made = begun.elapsed();
    let mut answers = Sample::default();
    for (context, language, code, expected) in &contexts {
        let executed = client.execute(context, language, code)?;
        ensure!(executed.results["data"].to_string().contains(expected), "{language}: {}", executed.results);
        answers.push(executed.took);
    }
    std::thread::sleep(REST);
    let (scala, ..) =
        contexts.iter().find(|(_, language, ..)| *language == "scala").context("there is a Scala context")?;
    let (heap, rest) = jvm(&client, scala, server)?;
    let interpreters = Family::of(server.pid())?.interpreters;
    let shares = interpreters.iter().map(|process| proc_figure(&format!("/proc/{}/smaps_rollup", process.pid), "Pss"));
    let python = shares.sum::<anyhow::Result<u64>>()? / interpreters.len() as u64;

    table.alone("150 contexts, a third of each: all Running", &std::iter::once(made).collect(), Aim::Information);
    table.alone("… a first command in each", &answers, Aim::Information);
    table.memory("… each Python context (PSS)", python, Some(EACH_AT_MOST));
    let each = |after: u64, before: u64| after.saturating_sub(before) / OF_EACH as u64;
    table.memory("… each Scala context, and one of SQL: heap", each(heap, heap_before), Some(EACH_AT_MOST));
    table.memory("… and the rest of the JVM (PSS)", each(rest, rest_before), None);
    contexts.iter().try_for_each(|(context, ..)| client.close(context))
}

/// The JVM's live heap, and what it has beside its heap; KiB.
fn jvm(client: &Client, context: &str, server: &Server) -> anyhow::Result<(u64, u64)> {
    let code = "{ System.gc(); Thread.sleep(500); System.gc(); val r = Runtime.getRuntime; \
                s\"${(r.totalMemory - r.freeMemory) / 1024} ${r.totalMemory / 1024}\" }";
    let results = client.execute(context, "scala", code)?.results;
    let text = results["data"].as_str().and_then(|text| text.rsplit(" = ").next()).context("a heap is told")?;
    let mut figures = text.split_whitespace().map(str::parse::<u64>);
    let mut next = || figures.next().context("two figures")?.context("a figure");
    let (used, total) = (next()?, next()?);
    let pss = proc_figure(&format!("/proc/{}/smaps_rollup", Family::of(server.pid())?.jvm.pid), "Pss")?;
    Ok((used, pss.saturating_sub(total)))
}
