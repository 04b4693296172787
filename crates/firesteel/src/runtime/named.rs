//! A Spark that the user names: left alone, and given a Python and a Java where it has none.

use std::path::{Path, PathBuf};

use firesteel_driver::runtime::lock::Lock;
use firesteel_driver::runtime::pythons::{self, Python};
use firesteel_driver::runtime::spark::Spark;
use firesteel_driver::runtime::{Origin, Runtime};

use super::folders::{RuntimeFolder, RuntimeName};
use super::packages::{OLDEST_PYTHON, Packages};
use super::{Progress, SetupError, Surroundings, environment, java, make};

/// What it is called when it comes from `SPARK_HOME` or the configuration.
const DEFAULT_NAME: &str = "spark-home";
/// What a Python must be able to import to serve.
const MODULES: [&str; 3] = ["pyspark", "py4j", "IPython"];
/// How far a package `pyspark` lies below the environment it is installed in: `lib/python3.11/site-packages/pyspark`.
const PACKAGE_DEPTH: usize = 4;

/// Returns the runtime of the Spark in `spark_home`.
pub(crate) async fn ensure(
    data: &Path,
    name: Option<RuntimeName>,
    spark_home: &Path,
    around: &Surroundings,
    ui: &Progress,
) -> Result<Runtime, SetupError> {
    let spark_home = spark_home.canonicalize().unwrap_or_else(|_| spark_home.to_path_buf());
    let spark = Spark::at(&spark_home)?;
    let folder = RuntimeFolder::new(data, name.map_or_else(|| DEFAULT_NAME.parse(), Ok)?);
    let same = |own: &Runtime| {
        let python = around.pyspark_python.as_ref().is_none_or(|named| same_program(named, &own.python));
        own.spark_home == spark_home && python
    };
    if let Some(runtime) = folder.whole()?.filter(same) {
        return Ok(runtime);
    }
    folder.create()?;
    let waiting = |line: &str| ui.step(line).done();
    let lock = Lock::take(&folder.lock(), &waiting).await?;
    if let Some(runtime) = folder.whole()?.filter(same) {
        return Ok(runtime);
    }

    let packages = Packages::beside(&spark);
    let python = match own_python(&spark, &packages, around).await? {
        Some(found) => found,
        None => made_python(&folder, &lock, &spark, &packages, around, ui).await?,
    };
    let java = match java::find(&spark, around).await {
        Ok(java) => java,
        Err(advice) => {
            if !folder.environment().join("bin/python").exists() {
                let base = environment::find_python(&packages, around).await?;
                environment::ensure(&folder, &lock, &base, around, ui).await?;
            }
            java::install(&folder, &lock, &packages, advice, ui).await?
        }
    };
    let runtime = Runtime {
        name: folder.name.to_string(),
        spark_home: spark.home,
        spark_version: spark.version,
        scala_version: spark.scala,
        java_home: java::home(&folder, &java)?,
        java_version: java.version,
        python: python.program,
        python_version: python.version,
        python_path: python.path,
        origin: Origin::Named,
    };
    make::check(&runtime, ui).await?;
    runtime.write(&folder.path)?;
    Ok(runtime)
}

/// A Python that serves a Spark, and what it needs on `PYTHONPATH`.
struct Serving {
    program: PathBuf,
    version: String,
    path: Vec<PathBuf>,
}

/// Looks for a Python that has what it takes: the one that the user names, the one that the Spark is installed in, those
/// on `PATH`. One that is named and will not do is an error: the user meant it.
async fn own_python(spark: &Spark, packages: &Packages, around: &Surroundings) -> Result<Option<Serving>, SetupError> {
    if let Some(program) = &around.pyspark_python {
        return match serving(program, spark, around).await {
            Ok((python, Some(path))) => Ok(Some(Serving::new(program, &python, path))),
            Ok((python, None)) => {
                let missing = python.modules.iter().find(|(_, has)| !**has).map(|(name, _)| name.to_lowercase());
                Err(SetupError::NamedPythonLacks {
                    program: program.clone(),
                    missing: missing.unwrap_or_else(|| "pyspark".to_owned()),
                })
            }
            Err(reason) => {
                Err(SetupError::NamedPythonBroken { program: program.clone(), reason, least: OLDEST_PYTHON })
            }
        };
    }
    let environment = spark.home.ancestors().nth(PACKAGE_DEPTH).map(|folder| folder.join("bin/python"));
    let environment = environment.filter(|_| spark.home.join("__init__.py").is_file());
    let on_path = pythons::find(around.path.as_ref(), |python| packages.serve(python)).await.python;
    for program in environment.into_iter().chain(on_path.map(|python| python.program)) {
        if let Ok((python, Some(path))) = serving(&program, spark, around).await {
            return Ok(Some(Serving::new(&program, &python, path)));
        }
    }
    Ok(None)
}

/// Asks a Python for the modules, first by itself, then with Spark's own Python sources. The path is `None` where it
/// lacks some all the same.
async fn serving(
    program: &Path,
    spark: &Spark,
    around: &Surroundings,
) -> Result<(Python, Option<Vec<PathBuf>>), String> {
    let program = find_program(program, around);
    let sources = Spark::python_path(&spark.home);
    // Its own `pyspark` may be of another version than this Spark, unless this Spark is that package.
    let paths = if spark.home.join("__init__.py").is_file() { vec![Vec::new(), sources] } else { vec![sources] };
    let mut last = Err("it was not asked".to_owned());
    for path in paths {
        last = pythons::probe(&program, &path, &MODULES).await;
        if let Ok(python) = &last
            && python.has_all()
        {
            return Ok((python.clone(), Some(path)));
        }
    }
    last.map(|python| (python, None))
}

/// `PYSPARK_PYTHON` may be a bare name.
fn find_program(program: &Path, around: &Surroundings) -> PathBuf {
    if program.components().count() > 1 {
        return program.to_path_buf();
    }
    let folders = around.path.iter().flat_map(std::env::split_paths);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file()).unwrap_or_else(|| program.to_path_buf())
}

/// Makes an environment beside the Spark, with all but Spark in it.
async fn made_python(
    folder: &RuntimeFolder,
    lock: &Lock,
    spark: &Spark,
    packages: &Packages,
    around: &Surroundings,
    ui: &Progress,
) -> Result<Serving, SetupError> {
    let base = environment::find_python(packages, around).await?;
    make::check_room(folder, make::BESIDE_BYTES)?;
    let program = environment::ensure(folder, lock, &base, around, ui).await?;
    make::install_beside(folder, lock, packages, ui).await?;
    Ok(Serving { program, version: base.version_text, path: Spark::python_path(&spark.home) })
}

impl Serving {
    /// By the name that it was found under: an interpreter of a virtual environment is a link, and behind the link is
    /// another.
    fn new(program: &Path, python: &Python, path: Vec<PathBuf>) -> Self {
        let program = if program.components().count() > 1 { program.to_path_buf() } else { python.program.clone() };
        Self { program, version: python.version_text.clone(), path }
    }
}

/// Whether a program as the user named it is the one of a runtime.
fn same_program(named: &Path, own: &Path) -> bool {
    named == own || (named.components().count() == 1 && own.file_name().is_some_and(|name| name == named.as_os_str()))
}
