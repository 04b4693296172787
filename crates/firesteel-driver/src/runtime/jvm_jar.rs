//! The JVM side compiled by Spark's own Scala compiler, once for each Spark and each state of the sources.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, io};

use super::child::Run;
use super::interpreters::{Source, is_for, scala, scala_digest};
use super::lock::Lock;
use super::spark::Spark;
use super::{Runtime, RuntimeError, Say};

/// About 10 s on a quiet machine; a compiler that takes this long hangs.
const COMPILE_TIME: Duration = Duration::from_secs(600);
/// Packing is a second's work.
const PACK_TIME: Duration = Duration::from_secs(60);
/// How much of what the compiler said is shown.
const TAIL_LINES: usize = 20;
/// The class among the sources that makes a jar of a folder of classes, with the manifest that a Java agent needs.
const PACK: &str = "firesteel.Pack";
/// The compiler recurses deeply; the second flag halves its time, as it is over before hot code pays.
const COMPILER_FLAGS: [&str; 3] = ["-Xss8m", "-XX:TieredStopAtLevel=1", "-Dscala.usejavacp=true"];

/// Returns the jar of the JVM side for `runtime`, compiled first if it is not in `cache`. Only whole jars get there.
pub async fn ensure_jar(runtime: &Runtime, cache: &Path, say: Say<'_>) -> Result<PathBuf, RuntimeError> {
    let folder = jar_folder(runtime, cache);
    let jar = folder.join("firesteel.jar");
    if jar.is_file() {
        return Ok(jar);
    }
    fs::create_dir_all(&folder).map_err(|source| RuntimeError::io("make", &folder, source))?;
    let _lock = Lock::take(&folder.join("lock"), say).await?;
    if !jar.is_file() {
        say(&format!("compiling the JVM side for Spark {} (once)", runtime.spark_version));
        compile(runtime, scala(), &folder.join("part"), &jar).await?;
    }
    Ok(jar)
}

/// The folder of what is made for one Spark out of one state of the sources.
pub(crate) fn jar_folder(runtime: &Runtime, cache: &Path) -> PathBuf {
    cache.join("jvm").join(format!("{}-{}-{}", runtime.spark_version, runtime.scala_version, scala_digest()))
}

async fn compile(runtime: &Runtime, sources: &[Source], work: &Path, jar: &Path) -> Result<(), RuntimeError> {
    let sources_folder = work.join("sources");
    let classes = work.join("classes");
    let packed = work.join("firesteel.jar");
    let write = || -> io::Result<Vec<PathBuf>> {
        if work.exists() {
            fs::remove_dir_all(work)?;
        }
        fs::create_dir_all(&classes)?;
        let mut paths = Vec::new();
        for source in sources.iter().filter(|source| is_for(source, &runtime.scala_version)) {
            let path = sources_folder.join(source.name);
            fs::create_dir_all(path.parent().unwrap_or(&sources_folder))?;
            fs::write(&path, source.text)?;
            paths.push(path);
        }
        Ok(paths)
    };
    let paths = write().map_err(|source| RuntimeError::io("write the sources to", work, source))?;
    let failed = |tail: String| RuntimeError::Compile { version: runtime.spark_version.clone(), tail };

    let jars = Spark::jars(&runtime.spark_home)?;
    let options: [OsString; 6] =
        ["-usejavacp", "-deprecation:false", "-nowarn", "-encoding", "UTF-8", "-d"].map(OsString::from);
    let compiler = java(runtime, &jars)?
        .args(["scala.tools.nsc.Main"])
        .args(options)
        .args([&classes])
        .args(&paths)
        .inside(work)
        .deadline(COMPILE_TIME);
    let ended = run(runtime, compiler).await?;
    if !ended.success() {
        return Err(failed(ended.tail(TAIL_LINES)));
    }

    let mut with_classes = vec![classes.clone()];
    with_classes.extend(jars);
    let pack = java(runtime, &with_classes)?.args([PACK]).args([&classes, &packed]).inside(work).deadline(PACK_TIME);
    let ended = run(runtime, pack).await?;
    if !ended.success() || !packed.is_file() {
        return Err(failed(format!("packing: {}", ended.tail(TAIL_LINES))));
    }
    let place = || -> io::Result<()> {
        fs::File::open(&packed)?.sync_all()?;
        fs::rename(&packed, jar)?;
        fs::remove_dir_all(work)
    };
    place().map_err(|source| RuntimeError::io("put in place", jar, source))
}

fn java(runtime: &Runtime, class_path: &[PathBuf]) -> Result<Run, RuntimeError> {
    let class_path = env::join_paths(class_path)
        .map_err(|error| RuntimeError::io("name on a class path", &runtime.spark_home, io::Error::other(error)))?;
    // Options that users set for their own JVMs change what a compiler says, and can stop it.
    let run = Run::new(runtime.java()).without(&["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"]);
    Ok(run.args(COMPILER_FLAGS).args(["-cp"]).args([class_path]))
}

async fn run(runtime: &Runtime, run: Run) -> Result<super::child::Ended, RuntimeError> {
    run.to_end(&mut |_| {}).await.map_err(|source| RuntimeError::Run { program: runtime.java(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::Origin;
    use super::*;

    /// A runtime whose Java is a shell script.
    fn runtime(folder: &Path, script: &str) -> Runtime {
        let java = folder.join("java/bin/java");
        fs::create_dir_all(folder.join("java/bin")).unwrap();
        fs::create_dir_all(folder.join("spark/jars")).unwrap();
        fs::write(&java, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&java, fs::Permissions::from_mode(0o755)).unwrap();
        Runtime {
            name: "fake".into(),
            spark_home: folder.join("spark"),
            spark_version: "4.3.0".into(),
            scala_version: "2.13".into(),
            java_home: folder.join("java"),
            java_version: "17".into(),
            python: "/usr/bin/python3".into(),
            python_version: "3.11.7".into(),
            python_path: Vec::new(),
            origin: Origin::Named,
        }
    }

    #[tokio::test]
    async fn the_compiler_s_last_lines_are_shown_and_no_jar_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = runtime(folder.path(), "echo 'Agent.scala:3: error: not found'; exit 1");
        let failed = ensure_jar(&runtime, folder.path(), &|_| {}).await.unwrap_err().to_string();
        assert!(failed.contains("Spark 4.3.0") && failed.contains("Agent.scala:3"), "{failed}");
        assert!(!jar_folder(&runtime, folder.path()).join("firesteel.jar").exists());
    }

    #[tokio::test]
    async fn a_jar_is_made_once_however_many_ask() {
        let folder = tempfile::tempdir().unwrap();
        let calls = folder.path().join("calls");
        // The last argument of the packer is the jar.
        let script = format!(
            "echo call >> {}; case \"$*\" in *{PACK}*) for jar do :; done; echo jar > \"$jar\";; esac",
            calls.display()
        );
        let runtime = runtime(folder.path(), &script);
        let ensure = || ensure_jar(&runtime, folder.path(), &|_| {});
        let (one, two) = tokio::join!(ensure(), ensure());
        assert_eq!(one.unwrap(), two.unwrap());
        assert_eq!(ensure().await.unwrap(), jar_folder(&runtime, folder.path()).join("firesteel.jar"));
        assert_eq!(fs::read_to_string(calls).unwrap(), "call\ncall\n");
    }
}
