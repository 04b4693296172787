//! The tests of what is not Rust: the interpreters' own suites, each with a driver of its own that plays the protocol.
//!
//! They need the runtime of the shared server, and the jar that was compiled for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::case::Case;
use crate::{folders, r, runtimes};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = own![the_python_interpreter_passes_its_own_tests, the_jvm_s_interpreters_pass_their_own_tests];
    if r::installed() {
        cases.extend(own![the_r_interpreter_passes_its_own_tests]);
    }
    cases
}

fn the_python_interpreter_passes_its_own_tests() {
    let runtime = runtime();
    let python = runtime["python"].as_str().unwrap();
    let java_home = runtime["java_home"].as_str().unwrap();
    // The wrapper of a Java that lacks a module lies behind `java` on the path.
    let path = format!("{java_home}/bin:{}", std::env::var("PATH").unwrap());
    let environment =
        [("SPARK_HOME", runtime["spark_home"].as_str().unwrap()), ("JAVA_HOME", java_home), ("PATH", &path)];
    passes(Command::new(python).envs(environment), "python", &["-m", "unittest", "discover", "-s", "tests", "-t", "."]);
}

fn the_jvm_s_interpreters_pass_their_own_tests() {
    let runtime = runtime();
    let java = format!("{}/bin/java", runtime["java_home"].as_str().unwrap());
    let environment = [
        ("SPARK_HOME", runtime["spark_home"].as_str().unwrap()),
        ("PYSPARK_PYTHON", runtime["python"].as_str().unwrap()),
        ("FIRESTEEL_JAR", jar().to_str().unwrap()),
        ("JAVA", &java),
        ("JAVA_OPTIONS", "-XX:TieredStopAtLevel=1"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    passes(Command::new("python3").envs(environment), "scala/tests", &["-m", "unittest"]);
}

fn the_r_interpreter_passes_its_own_tests() {
    passes(&mut Command::new("python3"), "r", &["-m", "unittest", "discover", "-s", "tests", "-t", "."]);
}

/// Runs a suite in its folder; what it said is shown when it fails.
#[track_caller]
fn passes(command: &mut Command, folder: &str, arguments: &[&str]) {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firesteel-driver/interpreters");
    let output = command.args(arguments).current_dir(sources.join(folder)).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", output.status);
    assert!(!said.contains("Ran 0 tests"), "{said}");
}

/// The runtime that the first start made.
pub(crate) fn runtime() -> Value {
    let folders = std::fs::read_dir(folders::data().join("runtimes")).unwrap().flatten();
    let files = folders.filter_map(|folder| std::fs::read(folder.path().join("runtime.json")).ok());
    let runtimes = files.map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap());
    let other = |runtime: &Value| runtimes::OTHERS.iter().any(|version| runtime["spark_version"] == *version);
    runtimes.into_iter().find(|runtime| !other(runtime)).unwrap()
}

/// The newest of the jars: the one of today's sources.
fn jar() -> PathBuf {
    let version = runtime()["spark_version"].as_str().unwrap().to_owned();
    let folders = std::fs::read_dir(folders::data().join("cache/jvm")).unwrap().flatten();
    let folders = folders.filter(|folder| folder.file_name().to_str().unwrap().starts_with(&version));
    let jars = folders.map(|folder| folder.path().join("firesteel.jar")).filter(|jar| jar.exists());
    jars.max_by_key(|jar| jar.metadata().unwrap().modified().unwrap()).unwrap()
}
