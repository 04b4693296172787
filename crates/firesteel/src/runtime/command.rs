//! `firesteel runtime list|add|remove`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use firesteel_driver::runtime::lock::Lock;
use firesteel_driver::runtime::{Origin, RUNTIME_FILE};

use super::folders::{Listed, RuntimeFolder};
use super::{Progress, RuntimeName, SetupError, Surroundings, Wanted, ensure, list, pip, prepare};

/// What to do with runtimes.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the runtimes of the data folder.
    List,
    /// Makes a runtime, goes on making one, or takes a Spark that is there.
    Add {
        /// What it is called.
        name: String,
        /// The Spark to take, left where it is.
        #[arg(long, value_name = "DIR", conflicts_with = "spark_version")]
        spark_home: Option<PathBuf>,
        /// The Spark to install, in full, like 4.3.0.
        #[arg(long, value_name = "VERSION")]
        spark_version: Option<String>,
    },
    /// Removes a runtime. A Spark that was there before stays.
    Remove {
        /// What it is called.
        name: String,
    },
}

/// Carries out one command. `user_of` says which cluster uses a runtime, if one does. A Ctrl-C ends what was started.
pub(crate) async fn command(
    data: &Path,
    command: Command,
    around: &Surroundings,
    ui: &Progress,
    user_of: &(dyn Fn(&RuntimeName) -> Option<String> + Sync),
) -> Result<(), SetupError> {
    let work = async {
        match command {
            Command::List => show(&table(&list(data)?)),
            Command::Add { name, spark_home, spark_version } => {
                add(data, name.parse()?, spark_home, spark_version, around, ui).await
            }
            Command::Remove { name } => remove(data, &name.parse()?, user_of, ui).await,
        }
    };
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => Err(SetupError::Interrupted),
    }
}

async fn add(
    data: &Path,
    name: RuntimeName,
    spark_home: Option<PathBuf>,
    spark_version: Option<String>,
    around: &Surroundings,
    ui: &Progress,
) -> Result<(), SetupError> {
    let folder = RuntimeFolder::new(data, name.clone());
    if folder.whole()?.is_some() {
        return Err(SetupError::Exists(name.to_string()));
    }
    let name = Some(name);
    let wanted = match spark_home {
        Some(spark_home) => Wanted::Named { name, spark_home },
        None => Wanted::Made { name, spark_version },
    };
    let runtime = ensure(data, wanted, around, ui).await?;
    let step = ui.step("preparing what runs inside Spark");
    prepare(&runtime, data, &|line: &str| step.say(line)).await?;
    step.done();
    show(&table(&[Listed { name: folder.name, runtime: Some(runtime) }]))
}

/// The file that makes it a runtime goes first: whatever happens then, it is not used again.
async fn remove(
    data: &Path,
    name: &RuntimeName,
    user_of: &(dyn Fn(&RuntimeName) -> Option<String> + Sync),
    ui: &Progress,
) -> Result<(), SetupError> {
    let folder = RuntimeFolder::new(data, name.clone());
    if !folder.path.is_dir() {
        return Err(SetupError::Unknown(name.to_string()));
    }
    if let Some(cluster) = user_of(name) {
        return Err(SetupError::InUse { name: name.to_string(), cluster });
    }
    let waiting = |line: &str| ui.step(line).done();
    let _lock = Lock::take(&folder.lock(), &waiting).await?;
    let mark = folder.path.join(RUNTIME_FILE);
    match std::fs::remove_file(&mark) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(SetupError::io("remove", &mark, source)),
        _ => pip::clear(&folder.path),
    }
}

/// One line for each runtime, in columns.
fn table(listed: &[Listed]) -> String {
    let mut rows = vec![["NAME", "SPARK", "SCALA", "JAVA", "PYTHON", "ORIGIN", "STATE"].map(str::to_owned)];
    rows.extend(listed.iter().map(row));
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

fn row(listed: &Listed) -> [String; 7] {
    let name = listed.name.to_string();
    let Some(runtime) = &listed.runtime else {
        let dash = || "-".to_owned();
        let state = format!("half made: `firesteel runtime add {name}` goes on");
        return [name, dash(), dash(), dash(), dash(), dash(), state];
    };
    let origin = match runtime.origin {
        Origin::Made => "made".to_owned(),
        Origin::Named => runtime.spark_home.display().to_string(),
    };
    let state = runtime.missing().unwrap_or_else(|| "ready".to_owned());
    [
        name,
        runtime.spark_version.clone(),
        runtime.scala_version.clone(),
        runtime.java_version.clone(),
        runtime.python_version.clone(),
        origin,
        state,
    ]
}

fn show(text: &str) -> Result<(), SetupError> {
    let failed = |source| SetupError::io("write to", Path::new("standard output"), source);
    io::stdout().write_all(text.as_bytes()).map_err(failed)
}
