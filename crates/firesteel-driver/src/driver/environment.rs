//! The cluster's own Python environment: the folder that `%pip` installs into, over the runtime's packages and under no other cluster's.
//!
//! `firesteel_python/environment.py` makes it, in the folder that is named here, when the parent of the Python interpreters starts. It
//! lives as long as the driver: one that starts begins with none.

use std::io;
use std::path::{Path, PathBuf};

use crate::spec::{CommandSpec, DriverSpec};

/// What names the Python of Spark's executors, and of the parts of Spark's driver that start one.
const PYTHONS: [&str; 2] = ["PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"];

/// The environment's folder.
pub(super) fn folder(spec: &DriverSpec) -> PathBuf {
    spec.folder.join("python")
}

/// Removes what an earlier driver's interpreters installed. It is moved aside first: gigabytes take their time.
pub(super) fn clear(spec: &DriverSpec) -> io::Result<()> {
    let (folder, aside) = (folder(spec), spec.folder.join("python.old"));
    if aside.exists() {
        std::fs::remove_dir_all(&aside)?;
    }
    if folder.exists() {
        std::fs::rename(&folder, &aside)?;
        tokio::task::spawn_blocking(move || {
            if let Err(error) = std::fs::remove_dir_all(&aside) {
                tracing::warn!("`{}` cannot be removed: {error}", aside.display());
            }
        });
    }
    Ok(())
}

/// A child's command with the environment's Python in place of the runtime's, where executors are on this machine.
pub(super) fn within(spec: &DriverSpec, command: &CommandSpec) -> CommandSpec {
    let mut command = command.clone();
    if !executors_are_here(spec.conf.get("spark.master").map(String::as_str)) {
        return command;
    }
    let python = folder(spec).join("bin/python");
    for name in PYTHONS {
        if let Some(value) = command.env.get_mut(name).filter(|value| Path::new(value) == spec.python.program) {
            *value = python.display().to_string();
        }
    }
    command
}

fn executors_are_here(master: Option<&str>) -> bool {
    const HERE: [&str; 3] = ["local", "spark://127.", "spark://localhost:"];
    master.is_none_or(|master| HERE.iter().any(|start| master.starts_with(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executors_of_other_machines_have_no_folder_of_this_one() {
        for here in [None, Some("local[*]"), Some("local-cluster[2,1,1024]"), Some("spark://127.0.0.1:7077")] {
            assert!(executors_are_here(here), "{here:?}");
        }
        for there in ["spark://master:7077", "yarn", "k8s://https://host"] {
            assert!(!executors_are_here(Some(there)), "{there}");
        }
    }
}
