//! The command line that starts a standalone Master or Worker of a driver's own, and what its executors are started with.

use std::path::{Path, PathBuf};

use super::launch;
use super::{Runtime, RuntimeError};
use crate::spec::CommandSpec;

/// The main class of a Master or a Worker. It reads one line of JSON on its standard input.
const NODE: &str = "firesteel.Node";

/// They do little, and nothing for long: a small heap, and the first compiler alone.
const FLAGS: [&str; 2] = ["-Xmx256m", "-XX:TieredStopAtLevel=1"];

/// Returns the command that starts a Master or a Worker.
pub fn node_command(runtime: &Runtime, jar: &Path, archive: Option<&Path>) -> Result<CommandSpec, RuntimeError> {
    let mut args = launch::flags();
    args.extend(archived(archive));
    args.extend(FLAGS.map(str::to_owned));
    args.extend(["-cp".to_owned(), launch::class_path(runtime, jar, &[])?, NODE.to_owned()]);
    Ok(CommandSpec { program: runtime.java(), args, env: launch::environment(runtime) })
}

/// What is first on the class path of a JVM that Spark starts on this machine. With the jars in the order of the archive, it
/// starts from the archive as the driver's own JVM does.
pub fn executor_class_path(runtime: &Runtime, jar: &Path) -> Result<String, RuntimeError> {
    launch::class_path(runtime, jar, &[])
}

/// The flags of such a JVM, as one line of Spark's configuration. Spark adds those that open modules by itself.
pub fn executor_flags(archive: Option<&Path>) -> String {
    let tuning = launch::flags().into_iter().filter(|flag| flag.starts_with("-XX:"));
    tuning.chain(archived(archive)).collect::<Vec<_>>().join(" ")
}

fn archived(archive: Option<&Path>) -> Option<String> {
    // A path with a blank cannot be told in Spark's configuration, where a blank ends a flag.
    let archive = archive.filter(|path| !path.as_os_str().as_encoded_bytes().contains(&b' '));
    archive.map(|path: &Path| format!("-XX:SharedArchiveFile={}", PathBuf::from(path).display()))
}
