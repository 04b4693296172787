//! From `commands/cancel` to the status `Cancelled`: how long code of each kind goes on after its cancel.

use std::time::{Duration, Instant};

use super::client::Client;
use super::figures::{Aim, Sample, Table};
use super::note;
use super::server::Server;

/// What a cancel may take, and what it may take where an interrupt or Spark itself ends the code.
const AIM: Aim = Aim::AtMost(Duration::from_millis(250));
const SOON: Aim = Aim::AtMost(Duration::from_millis(100));

/// How often a kind is measured at most: until it is known to run, a held status call goes by.
const RUNS_MAX: u32 = 40;

/// How often a kind is measured that is killed at its deadline: each takes that long.
const KILLED_RUNS: u32 = 3;

/// How long code runs before it is cancelled: it is in what it is named for by then.
const UNDER_WAY: Duration = Duration::from_millis(200);

struct Kind {
    name: &'static str,
    language: &'static str,
    code: &'static str,
    aim: Aim,
}

const fn kind(name: &'static str, language: &'static str, code: &'static str, aim: Aim) -> Kind {
    Kind { name, language, code, aim }
}

const KINDS: &[Kind] = &[
    kind(
        "Spark job, Python",
        "python",
        "spark.range(10**9).crossJoin(spark.range(10**9).toDF('b')).groupBy().sum().collect()",
        SOON,
    ),
    kind("Spark job, Scala", "scala", "sc.parallelize(1 to 8, 8).foreach(_ => Thread.sleep(600000))", SOON),
    kind(
        "cross join, SQL",
        "sql",
        "select sum(a.id * b.id) from range(1000000000) a cross join range(1000000000) b",
        SOON,
    ),
    kind("sleep, Python", "python", "import time; time.sleep(600)", SOON),
    kind("sleep, Scala", "scala", "Thread.sleep(600000)", SOON),
    kind("`while True: pass`", "python", "while True: pass", AIM),
    kind(
        "`except KeyboardInterrupt: continue`",
        "python",
        "import time\nwhile True:\n    try: time.sleep(0.01)\n    except KeyboardInterrupt: continue",
        AIM,
    ),
    kind("bare `except: pass`", "python", "import time\nwhile True:\n    try: time.sleep(0.01)\n    except: pass", AIM),
    kind("a program, Python", "python", "import subprocess; subprocess.run(['sh', '-c', 'sleep 600; :'])", AIM),
    kind(
        "streaming query, Python",
        "python",
        "spark.readStream.format('rate').load().writeStream.format('noop').start().awaitTermination()",
        AIM,
    ),
    kind(
        "streaming query, Scala",
        "scala",
        "spark.readStream.format(\"rate\").load().writeStream.format(\"noop\").start().awaitTermination()",
        AIM,
    ),
    kind("`while (true) {}`", "scala", "while (true) {}", AIM),
    kind(
        "tail recursion",
        "scala",
        "@scala.annotation.tailrec def turn(n: Long): Long = if (n < 0) n else turn((n + 1) & 1023)\nturn(0)",
        AIM,
    ),
    kind(
        "swallowed exception",
        "scala",
        "while (true) { try { Thread.sleep(10) } catch { case e: Exception => } }",
        AIM,
    ),
];

/// The kind that nothing but the end of its process stops.
const KILLED: Kind =
    kind("C code that holds the GIL, until it is killed", "python", "sum(range(10**13))", Aim::Information);

/// Measures each kind in a context of its own.
pub(crate) fn measure(server: &Server, runs: u32, table: &mut Table) -> anyhow::Result<()> {
    let (client, runs) = (server.client()?, runs.min(RUNS_MAX));
    for kind in KINDS {
        one(&client, kind, runs, table)?;
    }
    queued(&client, runs, table)?;
    one(&client, &KILLED, runs.min(KILLED_RUNS), table)
}

fn one(client: &Client, kind: &Kind, runs: u32, table: &mut Table) -> anyhow::Result<()> {
    note(&format!("cancels, {}", kind.name));
    let (context, _) = client.open(kind.language)?;
    let mut sample = Sample::default();
    // The first one warms the way.
    for run in 0..=runs {
        let command = client.send(&context, kind.language, kind.code)?;
        client.until(&context, &command, "Running")?;
        std::thread::sleep(UNDER_WAY);
        let begun = Instant::now();
        client.cancel(&context, &command)?;
        client.until(&context, &command, "Cancelled")?;
        if run > 0 {
            sample.push(begun.elapsed());
        }
    }
    client.close(&context)?;
    table.alone(&format!("cancel: {}", kind.name), &sample, kind.aim);
    Ok(())
}

fn queued(client: &Client, runs: u32, table: &mut Table) -> anyhow::Result<()> {
    let (context, _) = client.open("python")?;
    client.send(&context, "python", "import time; time.sleep(600)")?;
    let mut sample = Sample::default();
    for _ in 0..runs {
        let command = client.send(&context, "python", "1")?;
        let begun = Instant::now();
        client.cancel(&context, &command)?;
        client.until(&context, &command, "Cancelled")?;
        sample.push(begun.elapsed());
    }
    client.close(&context)?;
    table.alone("cancel: a command still queued", &sample, SOON);
    Ok(())
}
