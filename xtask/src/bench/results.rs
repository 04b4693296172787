//! A large table: from the command to its last byte in hand, beside Spark writing the same rows itself, and what the processes
//! that it passes through hold meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::client::Client;
use super::figures::{Aim, Sample, Table};
use super::machine::proc_figure;
use super::note;
use super::processes::{self, Family};
use super::server::Server;

/// The bytes of a row in CSV: 128 digits that no codec makes shorter by much, and at least three more.
const ROW_BYTES: u64 = 131;

/// The forms that come in one stream, each with the form that Spark writes itself.
const FORMS: [(&str, &str); 2] = [("csv", "csv"), ("arrow", "option('compression', 'none').parquet")];

/// What server and driver may hold more than before, in MiB: their buffers, and not a share of the table.
const MORE_MIB_MAX: u64 = 64;

/// Measures a table of some MB in both forms.
pub(crate) fn measure(server: &Server, mb: u64, table: &mut Table) -> anyhow::Result<()> {
    let client = server.client()?;
    let (probe, _) = client.open("scala")?;
    let rows = mb * 1_000_000 / ROW_BYTES + 1;
    let query = format!(
        "select id, concat(sha2(string(id), 256), sha2(string(-id), 256)) as text from range(0, {rows}, 1, 16)"
    );
    for (form, raw) in FORMS {
        note(&format!("a table of {mb} MB as {form}"));
        let raw = spark_writes(&client, &query, raw)?;
        processes::quiet(server.pid())?;
        let peaks = Peaks::begin(server, &client, &probe)?;
        let (context, _) = client.open("sql")?;
        let begun = Instant::now();
        let shown = client.execute(&context, "sql", &query)?;
        let bytes = client.download(&context, &shown.command, form)?;
        let took = begun.elapsed();
        ensure!(bytes >= mb * 1_000_000, "the {form} had {bytes} bytes");
        let [server_more, driver_more, jvm, heap] = peaks.end(&client, &probe)?;
        client.close(&context)?;
        table.alone(&format!("a table of {mb} MB: its first rows in hand"), &one(shown.took), Aim::Information);
        table.beside(
            &format!("… the last byte as {form}, beside Spark's own write"),
            &one(took),
            &one(raw),
            Aim::Information,
        );
        table.memory(&format!("… server, peak above what it held ({form})"), server_more, Some(MORE_MIB_MAX));
        table.memory("… driver process, the same", driver_more, Some(MORE_MIB_MAX));
        table.memory("… JVM, peak resident", jvm, None);
        table.memory("… JVM, peak of its heap", heap, None);
    }
    client.close(&probe)
}

fn one(duration: Duration) -> Sample {
    std::iter::once(duration).collect()
}

/// Spark alone, with all cores, into files of this machine.
fn spark_writes(client: &Client, query: &str, form: &str) -> anyhow::Result<Duration> {
    let (context, _) = client.open("python")?;
    let code = format!(
        "import shutil, tempfile, time\nfolder = 'file:' + tempfile.mkdtemp()\nbegun = time.perf_counter()\n\
         spark.sql(\"{query}\").write.mode('overwrite').{form}(folder)\nprint(time.perf_counter() - begun)\n\
         shutil.rmtree(folder.removeprefix('file:'))"
    );
    let executed = client.execute(&context, "python", &code)?;
    client.close(&context)?;
    let text = executed.results["data"].as_str().with_context(|| format!("no time in {}", executed.results))?;
    Ok(Duration::from_secs_f64(text.trim().parse()?))
}

/// What the processes hold at most, from now on.
struct Peaks {
    /// Server, driver and JVM.
    pids: [i32; 3],
    /// What server and driver held before, in KiB.
    before: [u64; 2],
}

/// The pools of the JVM's heap.
const POOLS: &str = "import scala.jdk.CollectionConverters._\nval pools = java.lang.management.ManagementFactory.getMemoryPoolMXBeans.asScala\
                     .filter(_.getType == java.lang.management.MemoryType.HEAP)";

impl Peaks {
    fn begin(server: &Server, client: &Client, probe: &str) -> anyhow::Result<Self> {
        let family = Family::of(server.pid())?;
        let pids = [server.pid(), family.driver.pid, family.jvm.pid];
        client.execute(probe, "scala", &format!("{POOLS}\nSystem.gc()\npools.foreach(_.resetPeakUsage())"))?;
        for pid in pids {
            // Linux's word for: begin a new peak.
            std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        }
        let before = [proc_figure(&status(pids[0]), "VmRSS")?, proc_figure(&status(pids[1]), "VmRSS")?];
        Ok(Self { pids, before })
    }

    /// Server and driver: what they held more; the JVM and its heap: what they held. In KiB.
    fn end(self, client: &Client, probe: &str) -> anyhow::Result<[u64; 4]> {
        let peak = |at: usize| proc_figure(&status(self.pids[at]), "VmHWM");
        let (server, driver, jvm) = (peak(0)?, peak(1)?, peak(2)?);
        let code = "print(pools.map(_.getPeakUsage.getUsed).sum)";
        let heap =
            client.execute(probe, "scala", code)?.results["data"].as_str().context("no text")?.trim().parse::<u64>()?;
        Ok([server.saturating_sub(self.before[0]), driver.saturating_sub(self.before[1]), jvm, heap / 1024])
    }
}

fn status(pid: i32) -> String {
    format!("/proc/{pid}/status")
}
