//! A library of 1 GiB, uploaded beside the same bytes over TLS to a plain server; what of memory the server takes meanwhile; and how long
//! a jar takes from its attaching to its first use in a task.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use super::client::Client;
use super::figures::{Aim, Sample, Table};
use super::files::{ABOVE_IDLE, Plain, RUNS, curl, fill, path, resident, watched};
use super::machine::Machine;
use super::server::Server;

/// How often a jar is attached.
const ATTACHED: usize = 5;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Uploads the file, in turns with the plain server, and attaches small jars.
pub(crate) fn measure(machine: &Machine, server: &Server, table: &mut Table) -> anyhow::Result<()> {
    super::note("libs");
    let folder = machine.folder.join("libs");
    std::fs::create_dir_all(&folder)?;
    uploads(&folder, server, table)?;
    attach(&folder, server, table)?;
    Ok(std::fs::remove_dir_all(&folder)?)
}

fn uploads(folder: &Path, server: &Server, table: &mut Table) -> anyhow::Result<()> {
    let sent = folder.join("sent.jar");
    fill(&sent)?;
    let plain = Plain::start(server, folder)?;
    let client = server.client()?;
    let idle = resident(server.pid())?;
    let (mut ours, mut raw, mut most) = (Sample::default(), Sample::default(), 0);
    for _ in 0..RUNS {
        let (form, url) = (format!("uri=@{}", path(&sent)?), format!("{}/api/1.2/libraries/upload", server.url));
        let (took, peak) = watched(server.pid(), || curl(server, &["--form", "name=bench", "--form", &form, &url]))?;
        ours.push(took);
        most = most.max(peak);
        raw.push(curl(server, &["--upload-file", path(&sent)?, &format!("{}/bench.bin", plain.url)])?);
        delete(&client, "bench")?;
    }
    std::fs::remove_file(&sent)?;
    table.ratio("upload of a library of 1 GiB, beside a plain TLS server", &ours, &raw, 2.0);
    table.memory("server above idle, during that upload", most.saturating_sub(idle), Some(ABOVE_IDLE));
    Ok(())
}

/// Each jar holds a file of its own, which a task looks for until it is there.
fn attach(folder: &Path, server: &Server, table: &mut Table) -> anyhow::Result<()> {
    let client = server.client()?;
    let (context, _) = client.open("scala")?;
    let mut took = Sample::default();
    for number in 0..ATTACHED {
        let (text, jar) = (format!("bench-{number}.txt"), format!("bench-{number}.jar"));
        std::fs::write(folder.join(&text), "x")?;
        let pack = Command::new("python3").args(["-m", "zipfile", "-c", &jar, &text]).current_dir(folder).status()?;
        ensure!(pack.success(), "the jar could not be packed: {pack}");
        let form = format!("uri=@{}", path(&folder.join(&jar))?);
        curl(server, &["--form", &form, &format!("{}/api/1.2/libraries/upload", server.url)])?;
        let begun = Instant::now();
        let ask = json!({"libraryId": find(&client, &jar)?, "clusterId": server.cluster});
        client.post("libraries/attach", &ask)?;
        let look = format!("Thread.currentThread.getContextClassLoader.getResource(\"{text}\") != null");
        let code = format!("sc.parallelize(Seq(1), 1).map(_ => {look}).collect.head");
        while !client.execute(&context, "scala", &code)?.results["data"].as_str().is_some_and(|it| it.ends_with("true"))
        {
            ensure!(begun.elapsed() < PATIENCE, "{jar} was not there after {PATIENCE:?}");
        }
        took.push(begun.elapsed());
        delete(&client, &jar)?;
    }
    client.close(&context)?;
    table.alone("a jar, from attach to its first use in a task", &took, Aim::Information);
    Ok(())
}

fn find(client: &Client, name: &str) -> anyhow::Result<String> {
    let all = client.get("libraries/list", &[])?;
    let found = all.as_array().and_then(|all| all.iter().find(|one| one["name"] == name));
    match found.map(|one| &one["id"]) {
        Some(Value::String(id)) => Ok(id.clone()),
        _ => bail!("there is no library `{name}`"),
    }
}

fn delete(client: &Client, name: &str) -> anyhow::Result<()> {
    let ask = json!({"libraryId": find(client, name)?});
    client.post("libraries/delete", &ask).map(drop).context("a library could not be deleted")
}
