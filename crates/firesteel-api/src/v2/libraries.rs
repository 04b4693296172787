//! Libraries of clusters as 2.0 shows them (reference, section 14).

use serde::{Deserialize, Serialize};

use crate::ClusterId;
use crate::libraries::Library;

/// What a library is on a cluster. Clients wait until each is `INSTALLED`, `RESTORED` or `SKIPPED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InstallStatus {
    /// It waits: for its turn, or for the cluster to start.
    Pending,
    /// It is being installed.
    Installing,
    /// The cluster has it.
    Installed,
    /// It could not be installed; the messages say why.
    Failed,
    /// The cluster loses it at its next restart.
    UninstallOnRestart,
}

/// One library of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryStatus {
    /// Whether it is there because every cluster has it.
    pub is_library_for_all_clusters: bool,
    /// The library.
    pub library: Library,
    /// What the installer said: why it failed, or what to beware of.
    pub messages: Vec<String>,
    /// What it is on the cluster.
    pub status: InstallStatus,
}

/// The answer of `libraries/cluster-status`, and one entry of `libraries/all-cluster-statuses`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterLibraries {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// Its libraries, in the order in which they were asked for.
    pub library_statuses: Vec<LibraryStatus>,
}

/// The answer of `libraries/all-cluster-statuses`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllClusterLibraries {
    /// Every cluster that has or is to have libraries.
    pub statuses: Vec<ClusterLibraries>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_spelled_as_clients_compare_it() {
        let word = serde_json::to_string(&InstallStatus::UninstallOnRestart).unwrap();
        assert_eq!(word, r#""UNINSTALL_ON_RESTART""#);
    }
}
