//! A Python virtual environment. It is made where it stays: the programs in it name the folder that it was made in.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use firesteel_driver::runtime::child::Run;
use firesteel_driver::runtime::lock::Lock;
use firesteel_driver::runtime::pythons::{self, FOREIGN, Python};

use super::folders::RuntimeFolder;
use super::packages::{OLDEST_PYTHON, Packages};
use super::{Progress, SetupError, Surroundings, pip};

/// How long making an environment may take.
const MAKE_TIME: Duration = Duration::from_secs(300);
/// How long an environment's pip may take to say its version.
const PROBE_TIME: Duration = Duration::from_secs(60);
/// How much of what failed is shown.
const TAIL_LINES: usize = 4;

/// Finds a Python on `PATH` that the packages are for.
pub(crate) async fn find_python(packages: &Packages, around: &Surroundings) -> Result<Python, SetupError> {
    let found = pythons::find(around.path.as_ref(), |python| packages.serve(python)).await;
    let (least, most) = packages.pythons();
    match (found.python, found.too_old) {
        (Some(python), _) => Ok(python),
        (None, Some(other)) => Err(SetupError::PythonUnfit {
            program: other.program,
            found: other.version_text,
            spark: packages.spark_version.clone(),
            least,
            most,
        }),
        (None, None) => Err(SetupError::NoPython { least: OLDEST_PYTHON.max(least) }),
    }
}

/// Makes the environment of `folder` for `python`, unless it is there and works, and returns its interpreter.
pub(crate) async fn ensure(
    folder: &RuntimeFolder,
    lock: &Lock,
    python: &Python,
    around: &Surroundings,
    ui: &Progress,
) -> Result<PathBuf, SetupError> {
    let environment = folder.environment();
    let own = environment.join("bin/python");
    if works(&own, python).await {
        return Ok(own);
    }
    let step = ui.step(format!("making an environment for Python {}", python.version_text));
    let share = || lock.share().map_err(|source| SetupError::io("share", &folder.lock(), source));
    let mut first = None;
    for maker in makers(&python.program, around) {
        pip::clear(&environment)?;
        let [program, args @ ..] = maker.as_slice() else { continue };
        let run =
            Run::new(program).args(args).args([&environment]).without(FOREIGN).input(share()?).deadline(MAKE_TIME);
        let ended = run.to_end(&mut |line| step.say(line)).await;
        let tail = match ended {
            Ok(ended) if ended.success() && works(&own, python).await => {
                step.done();
                return Ok(own);
            }
            Ok(ended) => ended.tail(TAIL_LINES),
            Err(error) => error.to_string(),
        };
        first.get_or_insert(tail);
    }
    // What is left of the attempts would only be in the way.
    pip::clear(&environment)?;
    Err(SetupError::NoVenv { program: python.program.clone(), minor: python.minor(), tail: first.unwrap_or_default() })
}

/// Python's own module, then `virtualenv` where someone installed it.
fn makers(python: &Path, around: &Surroundings) -> Vec<Vec<PathBuf>> {
    let module = |name: &str| vec![python.to_path_buf(), "-m".into(), name.into()];
    let mut makers = vec![module("venv"), module("virtualenv")];
    let folders = around.path.iter().flat_map(env::split_paths);
    if let Some(program) = folders.map(|folder| folder.join("virtualenv")).find(|program| program.is_file()) {
        makers.push(vec![program, "--python".into(), python.to_path_buf()]);
    }
    makers
}

/// Whether an environment's interpreter starts, is of the same Python, and has pip.
async fn works(own: &Path, python: &Python) -> bool {
    if !own.exists() {
        return false;
    }
    let same = pythons::probe(own, &[], &["pip"]).await;
    if !same.is_ok_and(|own| own.minor() == python.minor() && own.has_all()) {
        return false;
    }
    let pip = Run::new(own).args(["-m", "pip", "--version"]).without(FOREIGN).deadline(PROBE_TIME);
    pip.to_end(&mut |_| {}).await.is_ok_and(|ended| ended.success())
}
