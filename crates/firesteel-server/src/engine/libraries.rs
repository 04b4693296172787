//! Libraries, as both APIs ask for them: what was uploaded, and what each cluster has or is to have.
//!
//! What is asked is in the store when it is answered. A cluster that runs hears of it at once, any other when it starts.

use std::collections::BTreeMap;

use firesteel_api::libraries::{ALL_CLUSTERS, Attachment, Library, LibraryView, ListedLibrary};
use firesteel_api::v2::libraries::{ClusterLibraries, LibraryStatus};
use firesteel_api::{ClusterId, LibraryId};
use firesteel_store::{InstallRecord, LibraryRecord, NewLibrary, StoreError};

use super::cluster::Request;
use super::{Engine, EngineError};
use crate::files::LIBRARY_FOLDER;

impl Engine {
    /// Returns every library that was uploaded, by folder and name.
    pub async fn libraries(&self) -> Result<Vec<ListedLibrary>, EngineError> {
        let records = self.0.store.libraries().await?;
        let listed = |record: LibraryRecord| ListedLibrary {
            folder: record.path.parent().to_string(),
            id: record.id,
            name: record.path.name().to_owned(),
        };
        Ok(records.into_iter().map(listed).collect())
    }

    /// Returns one library, and what it is on each cluster that knows it.
    pub async fn library(&self, library: &str) -> Result<LibraryView, EngineError> {
        let record = self.library_record(library).await?;
        let installs = self.0.store.installs_of(&record.library).await?;
        let attachment =
            |install: InstallRecord| Attachment { cluster_id: install.cluster, status: install.state.attachment() };
        Ok(LibraryView {
            attach_all_clusters: record.for_all,
            files: files(&record),
            folder: record.path.parent().to_string(),
            id: record.id,
            lib_type: record.library.kind(),
            name: record.path.name().to_owned(),
            statuses: installs.into_iter().map(attachment).collect(),
        })
    }

    /// Adds a library, whose file is there, and attaches it where that is asked for.
    pub async fn add_library(&self, new: NewLibrary, cluster: Option<&str>) -> Result<LibraryId, EngineError> {
        let (library, for_all) = (new.library.clone(), new.for_all);
        let name = new.path.name().to_owned();
        if let Some(cluster) = cluster.filter(|cluster| *cluster != ALL_CLUSTERS) {
            self.find(cluster)?;
        }
        let new = NewLibrary { for_all: for_all || cluster == Some(ALL_CLUSTERS), ..new };
        let id = self.0.store.insert_library(new).await.map_err(|error| match error {
            StoreError::Exists { .. } => EngineError::NameTaken(name),
            other => worded(other),
        })?;
        match cluster.filter(|cluster| *cluster != ALL_CLUSTERS) {
            Some(cluster) if !for_all => self.install(cluster, vec![library]).await?,
            _ => self.tell_all(&library).await?,
        }
        Ok(id)
    }

    /// Deletes a library; clusters lose it at their restart. Returns what is known of it.
    pub async fn delete_library(&self, library: &str) -> Result<LibraryRecord, EngineError> {
        let id = self.library_record(library).await?.id;
        self.0.store.delete_library(id).await.map_err(|error| missing(error, library))
    }

    /// Gives a library to a cluster, or to all, those made later too.
    pub async fn attach(&self, library: &str, cluster: &str) -> Result<(), EngineError> {
        let record = self.library_record(library).await?;
        if cluster != ALL_CLUSTERS {
            return self.install(cluster, vec![record.library]).await;
        }
        let everywhere = self.0.store.set_library_for_all(record.id, true).await;
        everywhere.map_err(|error| missing(error, library))?;
        self.tell_all(&record.library).await
    }

    /// Takes a library from a cluster, or from all, at their restart.
    pub async fn detach(&self, library: &str, cluster: &str) -> Result<(), EngineError> {
        let record = self.library_record(library).await?;
        if cluster != ALL_CLUSTERS {
            return self.uninstall(cluster, vec![record.library]).await;
        }
        let nowhere = self.0.store.set_library_for_all(record.id, false).await;
        nowhere.map_err(|error| missing(error, library)).map(drop)
    }

    /// Has libraries installed on a cluster.
    pub async fn install(&self, cluster: &str, libraries: Vec<Library>) -> Result<(), EngineError> {
        let cluster = self.find(cluster)?;
        self.0.store.ask_install(cluster.id(), &libraries).await.map_err(worded)?;
        cluster.tell(Request::Install { libraries }).await
    }

    /// Has libraries gone from a cluster, at its restart where it runs.
    pub async fn uninstall(&self, cluster: &str, libraries: Vec<Library>) -> Result<(), EngineError> {
        let cluster = self.find(cluster)?;
        self.0.store.ask_uninstall(cluster.id(), &libraries).await.map_err(worded)
    }

    /// Returns the libraries of a cluster, in the order in which they were asked for.
    pub async fn cluster_libraries(&self, cluster: &str) -> Result<ClusterLibraries, EngineError> {
        let cluster = self.find(cluster)?;
        let installs = self.0.store.installs(Some(cluster.id())).await?;
        let library_statuses = installs.into_iter().map(status).collect();
        Ok(ClusterLibraries { cluster_id: cluster.id().clone(), library_statuses })
    }

    /// Returns the libraries of every cluster that has or is to have some.
    pub async fn all_cluster_libraries(&self) -> Result<Vec<ClusterLibraries>, EngineError> {
        let mut clusters = BTreeMap::<ClusterId, Vec<LibraryStatus>>::new();
        for install in self.0.store.installs(None).await? {
            clusters.entry(install.cluster.clone()).or_default().push(status(install));
        }
        let one = |(cluster_id, library_statuses)| ClusterLibraries { cluster_id, library_statuses };
        Ok(clusters.into_iter().map(one).collect())
    }

    async fn tell_all(&self, library: &Library) -> Result<(), EngineError> {
        for install in self.0.store.installs_of(library).await? {
            // One that was deleted meanwhile needs nothing.
            if let Ok(cluster) = self.find(install.cluster.as_str()) {
                cluster.tell(Request::Install { libraries: vec![library.clone()] }).await?;
            }
        }
        Ok(())
    }

    async fn library_record(&self, library: &str) -> Result<LibraryRecord, EngineError> {
        let unknown = || EngineError::UnknownLibrary(library.chars().take(80).collect());
        let id: LibraryId = library.parse().map_err(|_| unknown())?;
        self.0.store.library(id).await.map_err(|error| missing(error, library))
    }
}

/// Its files, by their names in the folder of libraries: clients put `dbfs:/FileStore/jars/` before them. One without a
/// file is named as its installer knows it.
fn files(record: &LibraryRecord) -> Vec<String> {
    let Some(file) = &record.file else { return vec![record.library.to_string()] };
    let name = file.as_str().strip_prefix(LIBRARY_FOLDER).unwrap_or(file.as_str());
    vec![name.trim_start_matches('/').to_owned()]
}

fn status(install: InstallRecord) -> LibraryStatus {
    LibraryStatus {
        is_library_for_all_clusters: install.for_all,
        library: install.library,
        messages: install.messages,
        status: install.state.status(),
    }
}

fn missing(error: StoreError, library: &str) -> EngineError {
    match error {
        StoreError::Missing { .. } => EngineError::UnknownLibrary(library.to_owned()),
        other => worded(other),
    }
}

/// What the store refuses of a library, which is no failure of the store.
fn worded(error: StoreError) -> EngineError {
    match error {
        StoreError::Full { .. } | StoreError::TooLarge { .. } | StoreError::Exists { .. } => {
            EngineError::BadLibrary(error.to_string())
        }
        StoreError::NoCluster(cluster) => EngineError::UnknownCluster(cluster.to_string()),
        other => other.into(),
    }
}
