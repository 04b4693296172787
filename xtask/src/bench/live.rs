//! What commands print: how soon the first byte is with the client, and what a gigabyte of it costs.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};

use super::client::Client;
use super::figures::{Aim, Sample, Table};
use super::machine::{Machine, proc_figure};
use super::note;
use super::processes::{self, Family};
use super::server::Server;

const AIM: Aim = Aim::AtMost(Duration::from_millis(10));

/// Code that waits, prints the time in nanoseconds, and waits again: the answer is held when the text comes.
const CLOCKS: [(&str, &str, &str); 3] = [
    ("Python", "python", "import time; time.sleep(0.1); print(time.time_ns()); time.sleep(0.1)"),
    (
        "Scala",
        "scala",
        "Thread.sleep(100); { val now = java.time.Instant.now(); println(now.getEpochSecond * 1000000000L + now.getNano) }; \
         Thread.sleep(100)",
    ),
    ("R", "r", "Sys.sleep(0.1); cat(sprintf('%.0f\\n', as.numeric(Sys.time()) * 1e9)); Sys.sleep(0.1)"),
];

/// How much of a gigabyte's run is measured how often.
const FLOODS: u32 = 3;

/// Python that prints 10^9 bytes in lines of 100.
const FLOOD: &str =
    "import sys\nblock = ('0' * 99 + '\\n') * 10_000\nfor _ in range(1000):\n    sys.stdout.write(block)\n";

/// The bytes of that.
const FLOOD_BYTES: u64 = 1_000_000_000;

/// Measures both.
pub(crate) fn measure(machine: &Machine, server: &Server, runs: u32, table: &mut Table) -> anyhow::Result<()> {
    for (name, language, code) in CLOCKS {
        note(&format!("first byte of output, {name}"));
        let client = server.client()?;
        let Ok((context, _)) = client.open(language) else {
            note(&format!("no context in {name} can be had; its row is left out"));
            continue;
        };
        let mut sample = Sample::default();
        for run in 0..=runs {
            let took = first_byte(&client, &context, language, code)?;
            // The first one warms the way.
            if run > 0 {
                sample.push(took);
            }
        }
        client.close(&context)?;
        table.alone(&format!("first byte of live output, {name}"), &sample, AIM);
    }
    note("a gigabyte of text");
    flood(machine, server, table)
}

/// From the moment that the code prints to the text in hand.
fn first_byte(client: &Client, context: &str, language: &str, code: &str) -> anyhow::Result<Duration> {
    let command = client.send(context, language, code)?;
    loop {
        let page = client.output(context, &command, 0)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let text = page["data"].as_str().context("no data")?.trim();
        if !text.is_empty() {
            let printed: u64 = text.parse().with_context(|| format!("`{text}` is no time"))?;
            // Its end is waited for: the next one shall not be queued behind it.
            client.wait(context, &command)?;
            return Ok(now.saturating_sub(Duration::from_nanos(printed)));
        }
        ensure!(page["complete"] == false, "the code printed nothing: {page}");
    }
}

/// Prints a gigabyte in a context, and from the same Python into a pipe that is read and thrown away.
fn flood(machine: &Machine, server: &Server, table: &mut Table) -> anyhow::Result<()> {
    let client = server.client()?;
    let (context, _) = client.open("python")?;
    processes::quiet(server.pid())?;
    let driver = Family::of(server.pid())?.driver.pid;
    let pids = [server.pid(), driver];
    let (mut ours, mut raw, mut peaks) = (Sample::default(), Sample::default(), [0, 0]);
    for _ in 0..FLOODS {
        for pid in pids {
            // Linux's word for: begin a new peak.
            std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        }
        let executed = client.execute(&context, "python", FLOOD)?;
        ours.push(executed.took);
        let printed = client.printed(&context, &executed.command)?;
        ensure!(printed == FLOOD_BYTES, "{printed} bytes were printed, not {FLOOD_BYTES}");
        for (peak, pid) in peaks.iter_mut().zip(pids) {
            *peak = proc_figure(&format!("/proc/{pid}/status"), "VmHWM")?.max(*peak);
        }
        raw.push(into_a_pipe(machine)?);
    }
    client.close(&context)?;
    table.beside("1 GB of text, printed by Python, beside a pipe", &ours, &raw, Aim::Information);
    table.memory("… server, peak resident", peaks[0], None);
    table.memory("… driver process, peak resident", peaks[1], None);
    Ok(())
}

fn into_a_pipe(machine: &Machine) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut python = Command::new(&machine.python.program).args(["-c", FLOOD]).stdout(Stdio::piped()).spawn()?;
    let mut output = python.stdout.take().context("its output is a pipe")?;
    let (mut buffer, mut bytes) = (vec![0; 64 << 10], 0);
    while let length @ 1.. = output.read(&mut buffer)? {
        bytes += length as u64;
    }
    ensure!(python.wait()?.success() && bytes == FLOOD_BYTES, "the bare Python printed {bytes} bytes");
    Ok(begun.elapsed())
}
