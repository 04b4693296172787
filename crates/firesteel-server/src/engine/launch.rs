//! How a cluster's driver is started: a process of its own, outside the server's process group, that outlives it.

use std::io;
use std::path::{Path, PathBuf};

use firesteel_api::v2::catalog::{NodeType, SparkVersions};
use firesteel_api::{ClusterId, Language};
use firesteel_driver::spec::DriverSpec;
use firesteel_model::ClusterSettings;
use firesteel_store::ClusterRecord;
use futures_util::future::BoxFuture;
use tokio::process::Child;

/// What the engine needs to know to have drivers.
pub trait Launcher: Send + Sync {
    /// Returns what a cluster's driver is told. The text of an error is for the cluster's owner.
    fn spec(&self, cluster: &ClusterRecord) -> Result<DriverSpec, String>;

    /// Says what of a user's settings cannot be had, and what can.
    fn check(&self, settings: &ClusterSettings) -> Result<(), String>;

    /// Returns the runtimes that clusters can be made with.
    fn spark_versions(&self) -> SparkVersions;

    /// Returns the kinds of nodes that clusters can be made of.
    fn node_types(&self) -> Vec<NodeType>;

    /// Returns the name of the backend of clusters that name none.
    fn default_backend(&self) -> String;

    /// Returns the folder of a cluster's logs, where it is on this machine.
    fn folder(&self, cluster: &ClusterId) -> Option<PathBuf>;

    /// Deletes what is left of a cluster whose driver has ended.
    fn remove(&self, cluster: &ClusterId) -> io::Result<()>;

    /// Says why its clusters do not have a language, where that is so.
    fn lacks(&self, _language: Language) -> Option<String> {
        None
    }

    /// Tells whether a password is a user's, for JDBC. Nobody's is, unless it says otherwise.
    fn admits(&self, _user: String, _password: String) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(false))
    }

    /// Starts a driver. `None` where it is no child of this process.
    fn launch(&self, spec: &DriverSpec) -> io::Result<Option<Child>>;
}

/// Writes a driver's specification where only the user can read it, and returns its path.
pub fn write_spec(spec: &DriverSpec) -> io::Result<PathBuf> {
    firesteel_driver::private_folder(&spec.folder)?;
    let path = spec.folder.join("driver.json");
    let aside = spec.folder.join("driver.json.new");
    write_private(&aside, &serde_json::to_vec_pretty(spec)?)?;
    std::fs::rename(&aside, &path)?;
    Ok(path)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}
