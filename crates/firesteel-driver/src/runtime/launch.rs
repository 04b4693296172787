//! The command lines that start the driver's JVM, Python and R. The flags are measured; they live in the tables here.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::spark::Spark;
use super::{Runtime, RuntimeError, python_sources, r};
use crate::spec::CommandSpec;

/// The main class of the driver's JVM. It reads one line of JSON on its standard input.
pub(crate) const AGENT: &str = "firesteel.Agent";

/// How the driver's JVM is tuned. On few cores the JIT's own work is most of the cost of starting, so methods come to
/// its second compiler 30 times later than by default, and loops 3 times: a start costs a third of the processor time of
/// a plain one, and long queries run as fast as with defaults (with the first compiler alone they take twice as long). An
/// archive is made with the same flags.
const FLAGS: &[&str] = &[
    "-XX:Tier4InvocationThreshold=150000",
    "-XX:Tier4MinInvocationThreshold=18000",
    "-XX:Tier4CompileThreshold=450000",
    "-XX:Tier4BackEdgeThreshold=120000",
    // Hundreds of contexts fill less: the JVM then fails at random.
    "-XX:ReservedCodeCacheSize=256m",
    "-Xss4m",
];

/// The collector for so few cores that one with threads of its own only takes them from user code.
const FEW_CORES: (usize, &str) = (2, "-XX:+UseSerialGC");

/// What every JVM of Spark is given, and what an unknown flag must not stop.
const SETTINGS: &[&str] = &[
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-Djava.awt.headless=true",
    "-Dfile.encoding=UTF-8",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.allocator.type=pooled",
    "-Dio.netty.handler.ssl.defaultEndpointVerificationAlgorithm=NONE",
    "--enable-native-access=ALL-UNNAMED",
];

/// What Spark reaches into: the list of its `JavaModuleOptions`, which holds what its closure cleaner needs too.
const OPENS: &[&str] = &[
    "java.base/java.lang",
    "java.base/java.lang.invoke",
    "java.base/java.lang.reflect",
    "java.base/java.io",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.base/sun.nio.cs",
    "java.base/sun.security.action",
    "java.base/sun.util.calendar",
    "java.security.jgss/sun.security.krb5",
];

/// What differs from one driver JVM to the next. The default is a local one.
#[derive(Clone, Debug, Default)]
pub struct JvmOptions {
    /// The largest heap, as `-Xmx` takes it: `spark.driver.memory`, which Spark cannot set for a JVM that runs already.
    pub heap: Option<String>,
    /// Folders and jars behind Spark's own: of `hive-site.xml`, `core-site.xml`, `log4j2.properties`. They come last, as
    /// an archive allows no folder before its end.
    pub class_path: Vec<PathBuf>,
    /// The user's own: `spark.driver.extraJavaOptions`, taken apart.
    pub java: Vec<String>,
    /// Variables set last, over those of this module.
    pub env: BTreeMap<String, String>,
}

/// Returns the command that starts the driver's JVM: the jar of the JVM side first on the class path.
pub fn jvm_command(
    runtime: &Runtime,
    jar: &Path,
    archive: Option<&Path>,
    options: &JvmOptions,
) -> Result<CommandSpec, RuntimeError> {
    let mut args = flags();
    args.extend(archive.map(|archive| format!("-XX:SharedArchiveFile={}", archive.display())));
    args.extend(options.heap.iter().map(|heap| format!("-Xmx{heap}")));
    args.extend(options.java.iter().cloned());
    args.push("-cp".to_owned());
    args.push(class_path(runtime, jar, &options.class_path)?);
    args.push(AGENT.to_owned());
    let mut env = environment(runtime);
    env.extend(options.env.clone());
    Ok(CommandSpec { program: runtime.java(), args, env })
}

/// Returns the command that starts the parent of the Python interpreters. `sources` is what
/// [`python_sources::ensure_python`] returned.
pub fn python_command(runtime: &Runtime, sources: &Path) -> Result<CommandSpec, RuntimeError> {
    let mut env = environment(runtime);
    let path = std::iter::once(sources.to_path_buf()).chain(runtime.python_path.iter().cloned());
    env.insert("PYTHONPATH".to_owned(), join(path)?);
    // What user code prints is seen as it is printed.
    env.insert("PYTHONUNBUFFERED".to_owned(), "1".to_owned());
    let args = vec!["-m".to_owned(), python_sources::PACKAGE.to_owned()];
    Ok(CommandSpec { program: runtime.python.clone(), args, env })
}

/// Returns the command that starts an R interpreter. `sources` is what [`r::ensure_r`] returned.
pub fn r_command(rscript: &Path, sources: &Path) -> CommandSpec {
    let text = |path: &Path| path.display().to_string();
    let main = sources.join(r::FOLDER).join("main.R");
    CommandSpec {
        program: rscript.to_path_buf(),
        // No profile, no saved workspace: what a user has set up for a console of their own is not a context's.
        args: vec!["--vanilla".to_owned(), text(&main), text(sources)],
        env: BTreeMap::new(),
    }
}

/// The flags that an archive and the JVM that uses it have in common.
pub(crate) fn flags() -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let collector = (cores <= FEW_CORES.0).then_some(FEW_CORES.1);
    let plain = FLAGS.iter().copied().chain(collector).chain(SETTINGS.iter().copied()).map(str::to_owned);
    plain.chain(OPENS.iter().map(|package| format!("--add-opens={package}=ALL-UNNAMED"))).collect()
}

/// Our jar, then Spark's by name, then what else there is. Explicit: an archive knows jars, not wildcards.
pub(crate) fn class_path(runtime: &Runtime, jar: &Path, more: &[PathBuf]) -> Result<String, RuntimeError> {
    let mut paths = vec![jar.to_path_buf()];
    paths.extend(Spark::jars(&runtime.spark_home)?);
    paths.extend_from_slice(more);
    join(paths)
}

/// What Spark and the processes that it starts find in their environment.
pub(crate) fn environment(runtime: &Runtime) -> BTreeMap<String, String> {
    let text = |path: &Path| path.display().to_string();
    BTreeMap::from([
        ("SPARK_HOME".to_owned(), text(&runtime.spark_home)),
        // A Spark of PyPI has no RELEASE file to tell its Scala version by.
        ("SPARK_SCALA_VERSION".to_owned(), runtime.scala_version.clone()),
        ("JAVA_HOME".to_owned(), text(&runtime.java_home)),
        ("PYSPARK_PYTHON".to_owned(), text(&runtime.python)),
        ("PYSPARK_DRIVER_PYTHON".to_owned(), text(&runtime.python)),
        // Spark would bind to the first address that is not loopback.
        ("SPARK_LOCAL_IP".to_owned(), "127.0.0.1".to_owned()),
    ])
}

fn join(paths: impl IntoIterator<Item = PathBuf>) -> Result<String, RuntimeError> {
    let paths: Vec<PathBuf> = paths.into_iter().collect();
    let failed =
        |source| RuntimeError::io("put on a path", paths.first().map_or(Path::new(""), PathBuf::as_path), source);
    let joined = env::join_paths(&paths).map_err(|error| failed(io::Error::other(error)))?;
    joined.into_string().map_err(|_: OsString| failed(io::Error::other("its name is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Origin;
    use super::*;

    #[test]
    fn a_driver_s_command_line_has_its_jar_first_and_folders_last() {
        let folder = tempfile::tempdir().unwrap();
        let jars = folder.path().join("jars");
        fs::create_dir(&jars).unwrap();
        for name in ["b.jar", "a.jar", "notes.txt"] {
            fs::write(jars.join(name), "").unwrap();
        }
        let runtime = Runtime {
            name: "x".into(),
            spark_home: folder.path().into(),
            spark_version: "4.3.0".into(),
            scala_version: "2.13".into(),
            java_home: "/java".into(),
            java_version: "17".into(),
            python: "/venv/bin/python".into(),
            python_version: "3.11.7".into(),
            python_path: vec!["/spark/python".into()],
            origin: Origin::Named,
        };
        let options = JvmOptions {
            heap: Some("2g".into()),
            class_path: vec!["/conf".into()],
            java: vec!["-Dx=a b".into()],
            env: BTreeMap::from([("SPARK_LOCAL_IP".into(), "10.0.0.1".into())]),
        };
        let command = jvm_command(&runtime, Path::new("/c/f.jar"), Some(Path::new("/c/a.jsa")), &options).unwrap();
        assert_eq!(command.program, Path::new("/java/bin/java"));
        let [.., java, cp, path, main] = command.args.as_slice() else { panic!("too short") };
        let expected = format!("/c/f.jar:{0}/a.jar:{0}/b.jar:/conf", jars.display());
        assert_eq!((java.as_str(), cp.as_str(), path, main.as_str()), ("-Dx=a b", "-cp", &expected, AGENT));
        for flag in ["-Xmx2g", "-XX:SharedArchiveFile=/c/a.jsa"] {
            assert!(command.args.iter().any(|arg| arg == flag), "{flag}");
        }
        assert!(command.args.iter().all(|arg| !arg.starts_with("-Dspark")));
        assert_eq!(command.env["SPARK_LOCAL_IP"], "10.0.0.1");
        assert_eq!(command.env["SPARK_SCALA_VERSION"], "2.13");

        let python = python_command(&runtime, Path::new("/c/python/1")).unwrap();
        assert_eq!(python.args, ["-m", "firesteel_python"]);
        assert_eq!(python.env["PYTHONPATH"], "/c/python/1:/spark/python");
    }
}
