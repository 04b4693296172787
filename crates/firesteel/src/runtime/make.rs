//! A runtime made in the data folder, step by step. Each step passes over what is there, so that one that was
//! interrupted goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use firesteel_driver::runtime::child::Run;
use firesteel_driver::runtime::lock::Lock;
use firesteel_driver::runtime::pythons::{FOREIGN, Python};
use firesteel_driver::runtime::spark::Spark;
use firesteel_driver::runtime::{Origin, Runtime, RuntimeError};
use nix::sys::statvfs::statvfs;

use super::folders::{RuntimeFolder, RuntimeName};
use super::packages::{DEFAULT_SPARKS, Packages};
use super::{Progress, SetupError, Surroundings, environment, java, pip};

/// What must be free before Spark is installed: its archive, what is unpacked of it, the package built of it, and what
/// is installed, all at one time.
const MAKE_BYTES: u64 = 3_000_000_000;
/// What must be free before the other packages are.
const PACKAGES_BYTES: u64 = 900_000_000;
/// How long Spark may take to say its version, and Python to import everything.
const CHECK_TIME: Duration = Duration::from_secs(180);
/// How much of what failed is shown.
const TAIL_LINES: usize = 8;
/// What every interpreter imports.
const IMPORTS: &str = "import IPython, matplotlib, numpy, pandas, pyarrow, pyspark.sql";

/// Returns the runtime called `name`, made if it is not there.
pub(crate) async fn ensure(
    data: &Path,
    name: Option<RuntimeName>,
    spark_version: Option<String>,
    around: &Surroundings,
    ui: &Progress,
) -> Result<Runtime, SetupError> {
    let folder = |name: &Option<RuntimeName>, packages: &Packages| -> Result<RuntimeFolder, SetupError> {
        let own = || format!("spark-{}", packages.spark_version).parse();
        Ok(RuntimeFolder::new(data, name.clone().map_or_else(own, Ok)?))
    };
    let candidates: Vec<Packages> = match &spark_version {
        Some(version) => vec![Packages::of(version)?],
        None => DEFAULT_SPARKS.into_iter().map(Packages::of).collect::<Result<_, _>>()?,
    };
    for packages in &candidates {
        if let Some(runtime) =
            folder(&name, packages)?.whole()?.filter(|own| own.spark_version == packages.spark_version)
        {
            return Ok(runtime);
        }
    }
    let (packages, python) = choose(&candidates, around).await?;
    make(&folder(&name, packages)?, packages, &python, around, ui).await
}

/// The first of the candidates that there is a Python for. What is said if there is none is about the first.
async fn choose<'a>(candidates: &'a [Packages], around: &Surroundings) -> Result<(&'a Packages, Python), SetupError> {
    let mut refused = None;
    for packages in candidates {
        match environment::find_python(packages, around).await {
            Ok(python) => return Ok((packages, python)),
            Err(error) => refused = Some(error),
        }
    }
    // The last candidate asks for the least, so what it lacks is what to do.
    Err(refused.unwrap_or(SetupError::NoPython { least: super::packages::OLDEST_PYTHON }))
}

async fn make(
    folder: &RuntimeFolder,
    packages: &Packages,
    python: &Python,
    around: &Surroundings,
    ui: &Progress,
) -> Result<Runtime, SetupError> {
    folder.create()?;
    let waiting = |line: &str| ui.step(line).done();
    let lock = Lock::take(&folder.lock(), &waiting).await?;
    if let Some(runtime) = folder.whole()?.filter(|own| own.spark_version == packages.spark_version) {
        return Ok(runtime);
    }
    check_room(folder, installed(folder).map_or(MAKE_BYTES, |_| PACKAGES_BYTES))?;
    let interpreter = environment::ensure(folder, &lock, python, around, ui).await?;

    let step = ui.step(format!("installing Spark {} (about 450 MB)", packages.spark_version));
    pip::install(folder, &lock, pip::What::Package(&packages.spark()), &step).await?;
    step.done();
    let home = installed(folder).ok_or_else(|| RuntimeError::NotSpark {
        folder: folder.environment(),
        reason: "the package `pyspark` is not in it".to_owned(),
    })?;
    let spark = Spark::at(&home)?;

    install_beside(folder, &lock, packages, ui).await?;
    let java = match java::find(&spark, around).await {
        Ok(java) => java,
        Err(advice) => java::install(folder, &lock, packages, advice, ui).await?,
    };
    let runtime = Runtime {
        name: folder.name.to_string(),
        spark_home: spark.home,
        spark_version: spark.version,
        scala_version: spark.scala,
        java_home: java::home(folder, &java)?,
        java_version: java.version,
        python: interpreter,
        python_version: python.version_text.clone(),
        python_path: Vec::new(),
        origin: Origin::Made,
    };
    check(&runtime, ui).await?;
    runtime.write(&folder.path)?;
    Ok(runtime)
}

/// Installs what user code finds beside Spark.
pub(crate) async fn install_beside(
    folder: &RuntimeFolder,
    lock: &Lock,
    packages: &Packages,
    ui: &Progress,
) -> Result<(), SetupError> {
    let step = ui.step("installing IPython, pandas, pyarrow, numpy and matplotlib");
    let requirements = folder.path.join("requirements.txt");
    fs::write(&requirements, packages.requirements())
        .map_err(|source| SetupError::io("write", &requirements, source))?;
    pip::install(folder, lock, pip::What::File(&requirements), &step).await?;
    step.done();
    Ok(())
}

/// Starts what is there once: Java with Spark's launcher and every flag that it gives, and Python with all that it
/// imports.
pub(crate) async fn check(runtime: &Runtime, ui: &Progress) -> Result<(), SetupError> {
    let step = ui.step("checking that it starts");
    let jars = runtime.spark_home.join("jars/*");
    let spark = Run::new(runtime.java())
        .args(["--add-modules=jdk.incubator.vector", "-XX:TieredStopAtLevel=1", "-cp"])
        .args([jars.as_os_str()])
        .args(["org.apache.spark.deploy.SparkSubmit", "--version"])
        .without(&["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"])
        .env("SPARK_HOME", &runtime.spark_home)
        .env("SPARK_LOCAL_IP", "127.0.0.1")
        .deadline(CHECK_TIME);
    let ended = spark.to_end(&mut |_| {}).await.map_err(|source| SetupError::io("run", &runtime.java(), source))?;
    if !ended.success() {
        return Err(SetupError::SparkWillNotStart {
            version: runtime.spark_version.clone(),
            java: runtime.java_version.clone(),
            java_home: runtime.java_home.clone(),
            tail: ended.tail(TAIL_LINES),
        });
    }
    let mut python = Run::new(&runtime.python).args(["-c", IMPORTS]).without(FOREIGN).deadline(CHECK_TIME);
    // Where matplotlib keeps its list of fonts is the user's matter; that it shows nothing is ours.
    python = python.env("MPLBACKEND", "agg");
    if let Ok(path) = std::env::join_paths(&runtime.python_path) {
        python = python.env("PYTHONPATH", path);
    }
    let ended = python.to_end(&mut |_| {}).await.map_err(|source| SetupError::io("run", &runtime.python, source))?;
    if !ended.success() {
        return Err(SetupError::PackagesWillNotLoad { python: runtime.python.clone(), tail: ended.tail(TAIL_LINES) });
    }
    step.done();
    Ok(())
}

/// The folder of Spark in the environment, if pip got that far.
fn installed(folder: &RuntimeFolder) -> Option<PathBuf> {
    let homes = pip::site_packages(&folder.environment()).into_iter().map(|site| site.join("pyspark"));
    homes.into_iter().find(|home| Spark::at(home).is_ok())
}

/// Refuses to begin what will not fit.
pub(crate) fn check_room(folder: &RuntimeFolder, needed: u64) -> Result<(), SetupError> {
    let facts = statvfs(&folder.path).map_err(|source| SetupError::io("look at", &folder.path, source.into()))?;
    #[allow(clippy::useless_conversion, reason = "the widths of these numbers differ between systems")]
    let free = u64::from(facts.blocks_available()).saturating_mul(u64::from(facts.fragment_size()));
    if free < needed {
        let (free_mb, needed_mb) = (free / 1_000_000, needed / 1_000_000);
        return Err(SetupError::NoRoom { folder: folder.path.clone(), free_mb, needed_mb });
    }
    Ok(())
}

/// What must be free for the packages beside a Spark that is there.
pub(crate) const BESIDE_BYTES: u64 = PACKAGES_BYTES;
