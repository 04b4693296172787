//! The class-data archive that the driver's JVM starts from, made once by a training run.
//!
//! It is a help, not a need: without it the JVM only starts more slowly. So a failure is told and remembered, and the
//! start goes on.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use serde_json::{Map, Value, json};
use tracing::warn;

use super::child::Run;
use super::lock::Lock;
use super::spark::Spark;
use super::{Runtime, RuntimeError, Say, digest, launch};

/// A training run takes some 30 s, and several times that on a busy machine.
const TRAIN_TIME: Duration = Duration::from_secs(300);
/// How long a failure is believed, so that not every start pays for it.
const FAILURE_BELIEVED: Duration = Duration::from_secs(24 * 60 * 60);
/// Spark's configuration in a training run, beside its folders: closed to the network, and silent.
const TRAIN_CONF: &[(&str, &str)] = &[
    ("spark.master", "local[2]"),
    ("spark.ui.enabled", "false"),
    ("spark.driver.host", "127.0.0.1"),
    ("spark.driver.bindAddress", "127.0.0.1"),
];
/// Archiving Java's own classes is a second's work.
const BASE_TIME: Duration = Duration::from_secs(60);

/// Returns the archive for `runtime` and the `jar` of [`ensure_jar`](super::jvm_jar::ensure_jar), made first if it is
/// not beside the jar. `None` if it cannot be made: the reason goes to the log, and to a file beside the jar.
pub async fn ensure_archive(runtime: &Runtime, jar: &Path, say: Say<'_>) -> Option<PathBuf> {
    match ensure(runtime, jar, say).await {
        Ok(archive) => archive,
        Err(error) => {
            warn!("starting without a class-data archive: {error}");
            None
        }
    }
}

async fn ensure(runtime: &Runtime, jar: &Path, say: Say<'_>) -> Result<Option<PathBuf>, RuntimeError> {
    let folder = jar.parent().unwrap_or(Path::new("."));
    let key = key(runtime, jar)?;
    let archive = folder.join(format!("archive-{key}.jsa"));
    let failed = archive.with_extension("failed");
    if archive.is_file() {
        return Ok(Some(archive));
    }
    if failed_lately(&failed) {
        return Ok(None);
    }
    let _lock = Lock::take(&folder.join("archive.lock"), say).await?;
    if archive.is_file() {
        return Ok(Some(archive));
    }
    say("making the class-data archive that Spark starts from (once)");
    let work = folder.join("training");
    let aside = work.join("archive.jsa");
    let clear = || match fs::remove_dir_all(&work) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(RuntimeError::io("remove", &work, source)),
        _ => Ok(()),
    };
    clear()?;
    fs::create_dir_all(&work).map_err(|source| RuntimeError::io("make", &work, source))?;
    let order = order(&work)?;

    let base = base(runtime, folder, &work, &key).await?;
    let mut run = Run::new(runtime.java())
        .args(launch::flags())
        .args(base.map(|base| format!("-XX:SharedArchiveFile={}", base.display())))
        .args([format!("-XX:ArchiveClassesAtExit={}", aside.display())])
        .args([format!("-Djava.io.tmpdir={}", work.display())])
        .args(["-cp".to_owned(), launch::class_path(runtime, jar, &[])?, launch::AGENT.to_owned()])
        .input(order)
        .without(&["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"])
        .inside(&work)
        .deadline(TRAIN_TIME);
    for (name, value) in launch::environment(runtime) {
        run = run.env(name, value);
    }
    let ended = run.to_end(&mut |_| {}).await;
    let ended = ended.map_err(|source| RuntimeError::Run { program: runtime.java(), source })?;
    let made = ended.success() && aside.is_file();
    if made {
        fs::rename(&aside, &archive).map_err(|source| RuntimeError::io("put in place", &archive, source))?;
        let _ = fs::remove_file(&failed);
    } else {
        let about = |line: &&String| line.contains("Archive") || line.contains("[cds");
        let reason = ended.lines.iter().find(about).cloned().unwrap_or_else(|| ended.tail(1));
        warn!("starting without a class-data archive, as the training run failed: {reason}");
        fs::write(&failed, ended.lines.join("\n")).map_err(|source| RuntimeError::io("write", &failed, source))?;
    }
    clear()?;
    Ok(made.then_some(archive))
}

/// The archive of Java's own classes that ours is made on top of, for a trimmed Java that comes without one. Ours records
/// its path, so it is put in place first, and a JVM that is given ours finds it.
async fn base(runtime: &Runtime, folder: &Path, work: &Path, key: &str) -> Result<Option<PathBuf>, RuntimeError> {
    let shipped = ["lib/server/classes.jsa", "lib/server/classes_nocoops.jsa"];
    if shipped.iter().any(|path| runtime.java_home.join(path).exists()) {
        return Ok(None);
    }
    let (base, aside) = (folder.join(format!("base-{key}.jsa")), work.join("base.jsa"));
    if !base.is_file() {
        let run = Run::new(runtime.java())
            .args(launch::flags())
            .args(["-Xshare:dump".to_owned(), format!("-XX:SharedArchiveFile={}", aside.display())])
            .without(&["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"])
            .deadline(BASE_TIME);
        let ended = run.to_end(&mut |_| {}).await;
        ended.map_err(|source| RuntimeError::Run { program: runtime.java(), source })?;
        if !aside.is_file() {
            return Ok(None);
        }
        fs::rename(&aside, &base).map_err(|source| RuntimeError::io("put in place", &base, source))?;
    }
    Ok(Some(base))
}

/// The line that the JVM reads on its standard input, as a file: do once what a driver does at its start, and exit.
fn order(work: &Path) -> Result<fs::File, RuntimeError> {
    let mut conf: Map<String, Value> =
        TRAIN_CONF.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    for name in ["spark.local.dir", "spark.sql.warehouse.dir"] {
        conf.insert(name.to_owned(), work.display().to_string().into());
    }
    let line = json!({"train": true, "runtime_version": "", "repl_dir": work.join("classes"), "conf": conf});
    let path = work.join("order.json");
    fs::write(&path, format!("{line}\n"))
        .and_then(|()| fs::File::open(&path))
        .map_err(|source| RuntimeError::io("write", &path, source))
}

/// Changes with all that an archive depends on: Java, the flags, and each jar's name, size and time.
fn key(runtime: &Runtime, jar: &Path) -> Result<String, RuntimeError> {
    let mut parts = vec![runtime.java_version.clone(), runtime.java_home.display().to_string()];
    parts.extend(launch::flags());
    for jar in [jar.to_path_buf()].into_iter().chain(Spark::jars(&runtime.spark_home)?) {
        let facts = fs::metadata(&jar).map_err(|source| RuntimeError::io("look at", &jar, source))?;
        let time = facts.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        parts.push(format!("{} {} {:?}", jar.display(), facts.len(), time));
    }
    Ok(digest(parts.iter().map(String::as_bytes)))
}

fn failed_lately(path: &Path) -> bool {
    let age = fs::metadata(path).and_then(|facts| facts.modified()).map(|time| time.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age < FAILURE_BELIEVED)
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::super::java::JavaSearch;
    use super::super::jvm_jar::ensure_jar;
    use super::super::{Origin, java, pythons};
    use super::*;

    #[tokio::test]
    async fn the_jvm_side_is_compiled_and_archived_for_the_spark_that_is_named() {
        let Some(home) = env::var_os("SPARK_HOME") else {
            println!("skipped: SPARK_HOME is not set");
            return;
        };
        let spark = Spark::at(Path::new(&home)).unwrap();
        let path = env::var_os("PATH");
        let search = JavaSearch::usual(env::var_os("JAVA_HOME").map(PathBuf::from), path.clone());
        let java = search.find(java::majors(spark.line())).await.java.unwrap();
        let python = pythons::find(path.as_ref(), |_| true).await.python.unwrap();
        let runtime = Runtime {
            name: "named".into(),
            spark_home: spark.home,
            spark_version: spark.version,
            scala_version: spark.scala,
            java_home: java.home,
            java_version: java.version,
            python: python.program,
            python_version: python.version_text,
            python_path: Vec::new(),
            origin: Origin::Named,
        };
        let cache = tempfile::tempdir().unwrap();
        let say = |line: &str| println!("{line}");
        let jar = ensure_jar(&runtime, cache.path(), &say).await.unwrap();
        let archive = ensure_archive(&runtime, &jar, &say).await;
        let reasons = fs::read_dir(jar.parent().unwrap()).unwrap().flatten().map(|entry| entry.path());
        let reasons = reasons.filter(|path| path.extension().is_some_and(|extension| extension == "failed"));
        let reasons: Vec<String> = reasons.map(|path| fs::read_to_string(path).unwrap()).collect();
        assert!(archive.is_some(), "{reasons:?}");
        // Both are there now: nothing is run.
        let silent = |line: &str| panic!("{line}");
        assert_eq!(ensure_jar(&runtime, cache.path(), &silent).await.unwrap(), jar);
        assert_eq!(ensure_archive(&runtime, &jar, &silent).await, archive);
    }
}
