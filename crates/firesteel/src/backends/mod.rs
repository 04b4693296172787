//! Backends: where the executors of a cluster run. One file per kind.
//!
//! The configuration names them (`[backends.NAME]`); a cluster names one of those, or has the default one. A backend turns
//! a cluster's size into what its driver is told: Spark's master and configuration, the program that starts the JVM, and
//! the Workers that are the driver's own.

mod kubernetes;
mod local;
mod network;
mod standalone;
mod yarn;

use std::collections::BTreeMap;
use std::path::Path;

use firesteel_driver::runtime::{Runtime, node, submit};
use firesteel_driver::spec::{DriverSpec, ExecutorsSpec};
use firesteel_model::ClusterSettings;
use serde::Deserialize;

use crate::backends::kubernetes::Kubernetes;
use crate::backends::local::Local;
use crate::backends::standalone::Standalone;
use crate::backends::yarn::Yarn;
use crate::node_types::Machine;

/// What is said of a cluster without workers where Spark's executors are the only place to run.
const NO_WORKERS: &str = "a cluster of this backend has at least one worker: its tasks run on executors only";

/// The name of the backend that is there without being configured.
pub(crate) const LOCAL: &str = "local";

/// One backend, as the configuration has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Backend {
    /// This machine: inside the driver, or on Workers that the driver starts.
    Local(Local),
    /// An existing standalone cluster.
    Standalone(Standalone),
    /// An existing YARN cluster.
    Yarn(Yarn),
    /// An existing Kubernetes cluster.
    Kubernetes(Box<Kubernetes>),
}

/// The backends of a configuration, by name.
#[derive(Clone, Debug)]
pub(crate) struct Backends {
    by_name: BTreeMap<String, Backend>,
    default: String,
}

/// Why the backends of a configuration were refused.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum BadBackend {
    /// The name is taken by the kind of that name.
    #[error("the backend `local` is of the kind `local`; give another kind another name")]
    NotLocal,
    /// The default is none of them.
    #[error("default_backend is `{name}`, which is none of: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// A value is out of its range.
    #[error("backends.{backend}.{key}: {reason}")]
    Value {
        /// The backend.
        backend: String,
        /// The key.
        key: &'static str,
        /// What is wrong with it, and what is allowed.
        reason: String,
    },
}

/// The Spark that a cluster runs on, with what was made ready for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prepared<'a> {
    /// The runtime.
    pub(crate) runtime: &'a Runtime,
    /// The jar of the JVM side.
    pub(crate) jar: &'a Path,
    /// The class-data archive, where there is one.
    pub(crate) archive: Option<&'a Path>,
}

/// What a backend looks at to place a cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// What its owner wants of it.
    pub(crate) settings: &'a ClusterSettings,
    /// The machine of its driver.
    pub(crate) machine: Machine,
    /// The Spark that it runs on.
    pub(crate) prepared: Prepared<'a>,
}

impl Backends {
    /// Checks what a configuration says.
    pub(crate) fn new(configured: BTreeMap<String, Backend>, default: Option<String>) -> Result<Self, BadBackend> {
        let mut by_name = configured;
        by_name.entry(LOCAL.to_owned()).or_insert_with(|| Backend::Local(Local::default()));
        if !matches!(by_name[LOCAL], Backend::Local(_)) {
            return Err(BadBackend::NotLocal);
        }
        for (name, backend) in &by_name {
            let bad = |(key, reason)| BadBackend::Value { backend: name.clone(), key, reason };
            backend.check().map_err(bad)?;
        }
        let default = default.unwrap_or_else(|| LOCAL.to_owned());
        if !by_name.contains_key(&default) {
            let known = by_name.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(BadBackend::Unknown { name: default, known });
        }
        Ok(Self { by_name, default })
    }

    /// The name of the backend of clusters that name none.
    pub(crate) fn default_name(&self) -> &str {
        &self.default
    }

    /// The least number of workers of a cluster of the default backend: the size of the one that is made at the first start.
    pub(crate) fn least_workers(&self) -> u32 {
        u32::from(!matches!(self.by_name[&self.default], Backend::Local(_)))
    }

    /// Returns the backend of this name, the default one where none is named. The text of an error is for the cluster's owner.
    pub(crate) fn find(&self, name: Option<&str>) -> Result<&Backend, String> {
        let name = name.filter(|name| !name.is_empty()).unwrap_or(&self.default);
        self.by_name.get(name).ok_or_else(|| {
            let known = self.by_name.keys().cloned().collect::<Vec<_>>().join(", ");
            format!("there is no backend `{name}` in the configuration; those there are: {known}")
        })
    }
}

impl Backend {
    fn check(&self) -> Result<(), (&'static str, String)> {
        match self {
            Self::Local(local) => local.check(),
            Self::Standalone(standalone) => standalone.check(),
            Self::Yarn(yarn) => yarn.check(),
            Self::Kubernetes(kubernetes) => kubernetes.check(),
        }
    }

    /// Says why a cluster with these settings cannot be had here, where that is so. The text is for its owner.
    pub(crate) fn can_have(&self, settings: &ClusterSettings) -> Result<(), String> {
        let (least, most) = (settings.workers_min(), settings.workers_max());
        if least > most {
            return Err(format!("autoscale: min_workers is {least} and max_workers {most}"));
        }
        match self {
            Self::Local(_) => local::can_have(least, most),
            _ if least == 0 => Err(NO_WORKERS.to_owned()),
            Self::Standalone(_) | Self::Yarn(_) | Self::Kubernetes(_) => Ok(()),
        }
    }

    /// Completes what a driver is told: where its Spark runs. The text of an error is for the cluster's owner.
    pub(crate) fn place(&self, place: Place<'_>, spec: &mut DriverSpec) -> Result<(), String> {
        self.can_have(place.settings)?;
        match self {
            Self::Local(local) => local.place(place, spec),
            Self::Standalone(standalone) => standalone.place(place, spec),
            Self::Yarn(yarn) => yarn.place(place, spec),
            Self::Kubernetes(kubernetes) => kubernetes.place(place, spec),
        }
    }
}

/// What one executor of an existing engine has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExecutorSize {
    /// How many tasks it runs at once; 1 when absent.
    cores: Option<u32>,
    /// Its memory in MiB; 1024 when absent.
    memory_mb: Option<u32>,
    /// Its Python, where it is not at the same path as this machine's.
    python: Option<String>,
}

impl ExecutorSize {
    fn check(&self) -> Result<(), (&'static str, String)> {
        let (cores, memory_mb) = self.cores_and_memory();
        match (cores, memory_mb) {
            (0, _) => Err(("executor.cores", "must be at least 1".to_owned())),
            // Spark refuses to start one with less than 450.
            (_, ..512) => Err(("executor.memory_mb", "must be at least 512".to_owned())),
            _ => Ok(()),
        }
    }

    fn cores_and_memory(&self) -> (u32, u32) {
        (self.cores.unwrap_or(1), self.memory_mb.unwrap_or(1024))
    }

    fn apply(&self, spec: &mut DriverSpec) {
        let (cores, memory_mb) = self.cores_and_memory();
        spec.conf.insert("spark.executor.cores".to_owned(), cores.to_string());
        spec.conf.insert("spark.executor.memory".to_owned(), format!("{memory_mb}m"));
        if let Some(python) = &self.python {
            // The interpreters themselves are started by their path; this is what they tell executors.
            spec.python.env.insert("PYSPARK_PYTHON".to_owned(), python.clone());
            spec.jvm.env.insert("PYSPARK_PYTHON".to_owned(), python.clone());
        }
    }
}

/// Has the driver's JVM started through `spark-submit` on an existing engine.
fn submitted(master: &str, place: Place<'_>, spec: &mut DriverSpec) -> Result<(), String> {
    let Prepared { runtime, jar, archive } = place.prepared;
    let class_path = node::executor_class_path(runtime, jar).map_err(|error| error.to_string())?;
    let user = spec.conf.remove("spark.driver.extraJavaOptions").unwrap_or_default();
    let flags = format!("{} {user}", submit::driver_flags(archive));
    spec.conf.insert("spark.driver.extraJavaOptions".to_owned(), flags.trim_end().to_owned());
    defaults(spec, [("spark.driver.extraClassPath", class_path)]);
    let properties = spec.folder.join(submit::PROPERTIES);
    let old = std::mem::replace(&mut spec.jvm, submit::submit_command(runtime, jar, master, &properties));
    spec.jvm.env.extend(old.env);
    if let Some(heap) = old.args.iter().find_map(|arg| arg.strip_prefix("-Xmx")) {
        spec.conf.insert("spark.driver.memory".to_owned(), heap.to_owned());
    }
    spec.properties = Some(properties);
    spec.conf.insert("spark.master".to_owned(), master.to_owned());
    let max = place.settings.autoscale.map(|_| place.settings.workers_max());
    let count = place.settings.workers_min();
    spec.executors = Some(ExecutorsSpec { count, max, lost_master_seconds: None, workers: None });
    Ok(())
}

/// A file or folder of the configuration: drivers run elsewhere than where the server was started.
fn absolute(key: &'static str, path: &Path) -> Result<(), (&'static str, String)> {
    if path.is_absolute() { Ok(()) } else { Err((key, format!("`{}` is not an absolute path", path.display()))) }
}

/// Puts settings into Spark's configuration, under those that are there: an operator's or a user's own stay.
fn defaults(spec: &mut DriverSpec, settings: impl IntoIterator<Item = (&'static str, String)>) {
    for (key, value) in settings {
        spec.conf.entry(key.to_owned()).or_insert(value);
    }
}

/// Spark's own way of having as many executors as there is work for.
fn scaling(least: u32, most: u32) -> [(&'static str, String); 5] {
    [
        ("spark.dynamicAllocation.enabled", "true".to_owned()),
        // No shuffle service is needed: an executor stays while what it wrote is read.
        ("spark.dynamicAllocation.shuffleTracking.enabled", "true".to_owned()),
        ("spark.dynamicAllocation.minExecutors", least.to_string()),
        ("spark.dynamicAllocation.initialExecutors", least.to_string()),
        ("spark.dynamicAllocation.maxExecutors", most.to_string()),
    ]
}

/// What lets executors go in good order: they finish what they run, and hand their blocks to others.
fn leaving() -> [(&'static str, String); 6] {
    [
        ("spark.decommission.enabled", "true".to_owned()),
        ("spark.storage.decommission.enabled", "true".to_owned()),
        ("spark.storage.decommission.rddBlocks.enabled", "true".to_owned()),
        ("spark.storage.decommission.shuffleBlocks.enabled", "true".to_owned()),
        // How often it is looked whether all blocks are elsewhere; Spark's own 30 s would be most of the time that a resize takes.
        ("spark.storage.decommission.replicationReattemptInterval", "1s".to_owned()),
        // Below the deadline of a resize: one that does not come to an end is ended.
        ("spark.executor.decommission.forceKillTimeout", "60s".to_owned()),
    ]
}

#[cfg(test)]
mod tests;
