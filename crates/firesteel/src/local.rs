//! Clusters of the `local` backend: what their drivers are told, and how they are started.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firesteel_api::v2::catalog::{NodeType, SparkVersions};
use firesteel_api::{ClusterId, Language};
use firesteel_driver::process;
use firesteel_driver::protocol::interpreters::ResultLimits;
use firesteel_driver::runtime::{Runtime, launch, r};
use firesteel_driver::spec::{CommandSpec, DriverSpec, SpareCounts};
use firesteel_model::{ClusterSettings, Limits, policy};
use firesteel_server::engine::launch::{Launcher, write_spec};
use firesteel_server::files::DBFS_FOLDER;
use firesteel_server::http::Auth;
use firesteel_store::ClusterRecord;
use futures_util::future::BoxFuture;
use tokio::process::Child;

use crate::backends::{Backends, Place, Prepared};
use crate::node_types::{Machine, Share};
use crate::runtime::{Registry, RuntimeName};

/// The longest path that a socket can have, less the longest name we put behind a folder.
const SOCKETS_PATH_MAX: usize = 107 - "/python-18446744073709551615.pipe".len();

/// Everything that the drivers of this machine have in common.
pub(crate) struct Local {
    /// The data folder.
    pub(crate) data: PathBuf,
    /// This machine.
    pub(crate) machine: Machine,
    /// The runtimes that clusters run on.
    pub(crate) runtimes: Registry,
    /// The Python sources that run on all of them.
    pub(crate) python_sources: PathBuf,
    /// The command that starts an R interpreter, where there is R.
    pub(crate) r: Option<CommandSpec>,
    /// Where executors run.
    pub(crate) backends: Backends,
    /// Who may use a cluster's JDBC: who may use the server.
    pub(crate) auth: Arc<Auth>,
    /// The bounds of results.
    pub(crate) limits: Limits,
    /// Spare interpreters.
    pub(crate) spares: SpareCounts,
    /// The operator's own Spark configuration.
    pub(crate) spark_conf: BTreeMap<String, String>,
    /// How long a driver waits for a server that went away.
    pub(crate) orphan_seconds: u64,
}

impl Launcher for Local {
    fn spec(&self, cluster: &ClusterRecord) -> Result<DriverSpec, String> {
        let folder = self.data.join("clusters").join(cluster.id.as_str());
        let runtime = self.runtimes.find(cluster.settings.spark_version.as_deref())?;
        let (jar, archive) = self.prepare(&runtime)?;
        let prepared = Prepared { runtime: &runtime, jar: &jar, archive: archive.as_deref() };
        let runtime_version = runtime_version(&runtime.spark_version);
        let python = launch::python_command(&runtime, &self.python_sources).map_err(|error| error.to_string())?;
        let mut env = policy::given_env(&cluster.settings.spark_env_vars);
        env.insert("DATABRICKS_RUNTIME_VERSION".to_owned(), runtime_version.to_owned());
        let with_env = |command: CommandSpec| {
            let env = env.clone().into_iter().chain(command.env).collect(); // ours last
            CommandSpec { env, ..command }
        };
        let mut spec = DriverSpec {
            cluster: cluster.id.clone(),
            sockets: sockets_folder(&folder),
            jvm: with_env(self.jvm(&cluster.settings, prepared)?),
            python: with_env(python),
            r: self.r.clone().map(with_env),
            executors: None,
            properties: None,
            conf: self.conf(cluster, &folder),
            runtime_version: runtime_version.to_owned(),
            limits: ResultLimits {
                rows_max: self.limits.rows_max,
                table_bytes_max: self.limits.table_bytes_max,
                text_chars_max: self.limits.text_chars_max,
                result_bytes_max: self.limits.result_bytes_max,
                result_seconds_max: self.limits.result_seconds_max,
            },
            output_bytes_max: self.limits.output_bytes_max,
            results_bytes_max: self.limits.results_bytes_max,
            spares: self.spares,
            libraries: Vec::new(),
            library_seconds_max: self.limits.library_seconds_max,
            orphan_seconds: self.orphan_seconds,
            context_memory_mb: self.limits.context_memory_mb,
            cancel_seconds_max: self.limits.cancel_seconds_max,
            command_seconds_max: self.limits.command_seconds_max,
            folder,
        };
        let place = Place { settings: &cluster.settings, machine: self.machine, prepared };
        self.backends.find(cluster.settings.backend.as_deref())?.place(place, &mut spec)?;
        Ok(spec)
    }

    fn check(&self, settings: &ClusterSettings) -> Result<(), String> {
        self.runtimes.find(settings.spark_version.as_deref())?;
        for node in [&settings.node_type_id, &settings.driver_node_type_id] {
            self.machine.share(node.as_deref())?;
        }
        self.backends.find(settings.backend.as_deref())?.can_have(settings)
    }

    fn spark_versions(&self) -> SparkVersions {
        self.runtimes.versions()
    }

    fn node_types(&self) -> Vec<NodeType> {
        self.machine.node_types()
    }

    fn default_backend(&self) -> String {
        self.backends.default_name().to_owned()
    }

    fn folder(&self, cluster: &ClusterId) -> Option<PathBuf> {
        Some(self.data.join("clusters").join(cluster.as_str()))
    }

    fn remove(&self, cluster: &ClusterId) -> io::Result<()> {
        let folder = self.data.join("clusters").join(cluster.as_str());
        for folder in [sockets_folder(&folder), folder] {
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn lacks(&self, language: Language) -> Option<String> {
        (language == Language::R && self.r.is_none()).then(|| r::MISSING.to_owned())
    }

    fn admits(&self, user: String, password: String) -> BoxFuture<'_, bool> {
        // JDBC listens on this machine only: who guesses is on it.
        Box::pin(self.auth.admits(user, password, IpAddr::V4(Ipv4Addr::LOCALHOST)))
    }

    fn launch(&self, spec: &DriverSpec) -> io::Result<Option<Child>> {
        let path = write_spec(spec)?;
        let log = process::open_log(&spec.folder.join("driver.log"))?;
        process::spawn_driver(&std::env::current_exe()?, &path, log).map(Some)
    }
}

impl Local {
    /// What is compiled for a runtime. It is there, but for the first start on a runtime after this program was replaced: that one takes its
    /// time, and this thread with it, which is one of several.
    fn prepare(&self, runtime: &Runtime) -> Result<(PathBuf, Option<PathBuf>), String> {
        let work = crate::runtime::prepare(runtime, &self.data, &|line: &str| tracing::info!("{line}"));
        let made = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work));
        made.map_err(|error| error.to_string())
    }

    /// The command of the JVM. Spark cannot set the heap of one that runs already.
    fn jvm(&self, settings: &ClusterSettings, prepared: Prepared<'_>) -> Result<CommandSpec, String> {
        let own = |conf: &BTreeMap<String, String>| conf.get("spark.driver.memory").cloned();
        let share = settings.driver_node().map(|node| self.machine.share(Some(node))).transpose()?;
        let heap = own(&settings.spark_conf).or_else(|| share.map(Share::heap)).or_else(|| own(&self.spark_conf));
        let options = launch::JvmOptions { heap, ..launch::JvmOptions::default() };
        let Prepared { runtime, jar, archive } = prepared;
        launch::jvm_command(runtime, jar, archive, &options).map_err(|error| error.to_string())
    }

    /// Spark's configuration: ours, the operator's over it, and the cluster's own over both.
    fn conf(&self, cluster: &ClusterRecord, folder: &Path) -> BTreeMap<String, String> {
        let work = folder.join("work");
        let text = |path: &Path| path.display().to_string();
        let ours = [
            ("spark.app.name", format!("firesteel {}", cluster.settings.cluster_name)),
            ("spark.driver.host", "127.0.0.1".to_owned()),
            ("spark.driver.bindAddress", "127.0.0.1".to_owned()),
            // Nothing of Spark's own is open to others on this machine.
            ("spark.ui.enabled", "false".to_owned()),
            ("spark.authenticate", "true".to_owned()),
            ("spark.local.dir", text(&work)),
            ("spark.sql.warehouse.dir", text(&self.data.join("warehouse"))),
            // `dbfs:/`, for the driver and for executors: Hadoop's two kinds of file system over one folder.
            ("spark.hadoop.fs.dbfs.impl", "firesteel.DbfsFileSystem".to_owned()),
            ("spark.hadoop.fs.AbstractFileSystem.dbfs.impl", "firesteel.DbfsContext".to_owned()),
            ("spark.hadoop.fs.dbfs.root", text(&self.data.join(DBFS_FOLDER))),
            // As Spark's own shells: at INFO every statement writes 25 lines.
            ("spark.log.level", "WARN".to_owned()),
            // Contexts share the cores: a long job of one does not hold up a short one of another.
            ("spark.scheduler.mode", "FAIR".to_owned()),
            // A table is Spark's own on every version: without a metastore Spark 3.5 would refuse to make one.
            ("spark.sql.legacy.createHiveTableByDefault", "false".to_owned()),
        ];
        let mut conf: BTreeMap<String, String> = ours.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        conf.extend(self.spark_conf.clone());
        conf.extend(policy::given_conf(&cluster.settings.spark_conf));
        // The one that the API tells.
        conf.insert("spark.firesteel.jdbc.port".to_owned(), cluster.jdbc_port.to_string());
        conf
    }
}

/// Returns a cluster whose driver runs on a runtime of the data folder, if one does.
pub(crate) fn cluster_on(data: &Path, runtime: &RuntimeName) -> Option<String> {
    let spark_home = Runtime::read(&data.join("runtimes").join(runtime.to_string())).ok()??.spark_home;
    let mut folders = std::fs::read_dir(data.join("clusters")).ok()?.flatten().map(|entry| entry.path());
    folders.find_map(|folder| {
        // A driver takes its mark away when it ends.
        folder.join("mark").exists().then_some(())?;
        let spec = DriverSpec::read(&folder.join("driver.json")).ok()?;
        let same = spec.jvm.env.get("SPARK_HOME").is_some_and(|home| Path::new(home) == spark_home);
        same.then(|| spec.cluster.to_string())
    })
}

/// What user code finds in `DATABRICKS_RUNTIME_VERSION`: clients read it as a number and compare it with 13.
fn runtime_version(spark_version: &str) -> &'static str {
    if spark_version.starts_with("3.") { "15.4" } else { "17.3" }
}

/// The cluster's own folder where a socket's path fits; else one in the folder for temporary files, named after it.
fn sockets_folder(folder: &Path) -> PathBuf {
    use sha2::Digest;
    let own = folder.join("sockets");
    if own.as_os_str().len() <= SOCKETS_PATH_MAX {
        return own;
    }
    let digest = sha2::Sha256::digest(folder.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    std::env::temp_dir().join(format!("firesteel-{}-{name}", nix::unistd::getuid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_s_path_fits_whatever_the_data_folder_is() {
        let short = Path::new("/data/clusters/c");
        assert!(sockets_folder(short).starts_with(short));
        let long = PathBuf::from(format!("/{}/clusters/c", "x".repeat(120)));
        assert!(sockets_folder(&long).as_os_str().len() <= SOCKETS_PATH_MAX);
        assert_ne!(sockets_folder(&long), sockets_folder(&long.join("other")));
    }
}
