//! What libraries each cluster has, or is to have or to lose.

use firesteel_api::ClusterId;
use firesteel_api::libraries::Library;
use firesteel_model::{LibraryEvent, LibraryState};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::clusters::{json, need};
use crate::columns::{parsed, unreadable};
use crate::error::Failure;
use crate::libraries::spelling;
use crate::{Store, StoreError};

/// Libraries of one cluster.
const CLUSTER_LIBRARIES_MAX: usize = 1_000;
/// Bytes of what an installer has said of one library.
const MESSAGES_BYTES_MAX: usize = 64 * 1024;

const SELECT: &str = "SELECT cluster_libraries.*, EXISTS (
        SELECT 1 FROM libraries WHERE libraries.library_json = cluster_libraries.library_json AND for_all
    ) AS for_all FROM cluster_libraries";

/// One library of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallRecord {
    /// The cluster.
    pub cluster: ClusterId,
    /// The library.
    pub library: Library,
    /// Whether every cluster has it.
    pub for_all: bool,
    /// What it is there.
    pub state: LibraryState,
    /// What the installer said.
    pub messages: Vec<String>,
}

impl Store {
    /// Takes note that a cluster is to have libraries, all of them or none.
    pub async fn ask_install(&self, cluster: &ClusterId, libraries: &[Library]) -> Result<(), StoreError> {
        let (cluster, spellings) = (cluster.clone(), spellings(libraries)?);
        self.write("store libraries of a cluster", move |db| {
            need(db, &cluster)?;
            spellings.iter().try_for_each(|library| ask(db, &cluster, library))
        })
        .await
    }

    /// Takes note that a cluster is to lose libraries; those that it does not have are passed over.
    pub async fn ask_uninstall(&self, cluster: &ClusterId, libraries: &[Library]) -> Result<(), StoreError> {
        let (cluster, spellings) = (cluster.clone(), spellings(libraries)?);
        self.write("drop libraries of a cluster", move |db| {
            spellings.iter().try_for_each(|library| drop_one(db, &cluster, library))
        })
        .await
    }

    /// Returns the libraries of one cluster, or of all, in the order in which they were asked for.
    pub async fn installs(&self, cluster: Option<&ClusterId>) -> Result<Vec<InstallRecord>, StoreError> {
        let cluster = cluster.map(ToString::to_string);
        self.read_bulk("list the libraries of clusters", move |db| {
            db.prepare_cached(&format!("{SELECT} WHERE ?1 IS NULL OR cluster = ?1 ORDER BY number"))?
                .query_map([cluster], record)?
                .collect()
        })
        .await
    }

    /// Returns where a library is, or is to be.
    pub async fn installs_of(&self, library: &Library) -> Result<Vec<InstallRecord>, StoreError> {
        let spelling = spelling(library)?;
        self.read_bulk("list the clusters of a library", move |db| {
            db.prepare_cached(&format!("{SELECT} WHERE library_json = ?1 ORDER BY number"))?
                .query_map([spelling], record)?
                .collect()
        })
        .await
    }
}

/// The driver of a cluster is gone, and all that it had installed.
pub(crate) fn driver_gone(db: &Connection, cluster: &ClusterId) -> Result<(), Failure> {
    let libraries = known(db, cluster)?;
    libraries.iter().try_for_each(|library| happen(db, cluster, library, LibraryEvent::DriverGone, Some(&[])))
}

/// Applies what a driver reports of a library.
pub(crate) fn report(
    db: &Connection,
    cluster: &ClusterId,
    library: &Library,
    event: LibraryEvent,
    messages: &[String],
) -> Result<(), Failure> {
    happen(db, cluster, &library.key(), event, Some(messages))
}

/// Gives every cluster a library.
pub(crate) fn ask_everywhere(db: &Connection, library: &str) -> Result<(), Failure> {
    let clusters: Vec<ClusterId> = db
        .prepare_cached("SELECT id FROM clusters")?
        .query_map([], |row| parsed(row, "id"))?
        .collect::<rusqlite::Result<_>>()?;
    clusters.iter().try_for_each(|cluster| ask(db, cluster, library))
}

/// Takes a library from every cluster.
pub(crate) fn drop_everywhere(db: &Connection, library: &str) -> Result<(), Failure> {
    let clusters: Vec<ClusterId> = db
        .prepare_cached("SELECT cluster FROM cluster_libraries WHERE library_json = ?1")?
        .query_map([library], |row| parsed(row, "cluster"))?
        .collect::<rusqlite::Result<_>>()?;
    clusters.iter().try_for_each(|cluster| drop_one(db, cluster, library))
}

/// Gives a new cluster what every cluster has.
pub(crate) fn give_all(db: &Connection, cluster: &ClusterId) -> Result<(), Failure> {
    let libraries: Vec<String> = db
        .prepare_cached("SELECT library_json FROM libraries WHERE for_all ORDER BY node")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    libraries.iter().try_for_each(|library| ask(db, cluster, library))
}

fn ask(db: &Connection, cluster: &ClusterId, library: &str) -> Result<(), Failure> {
    let known = known(db, cluster)?;
    if known.iter().any(|known| known == library) {
        return happen(db, cluster, library, LibraryEvent::InstallAsked, Some(&[]));
    }
    if known.len() >= CLUSTER_LIBRARIES_MAX {
        return Err(StoreError::Full { what: "libraries on one cluster", max: CLUSTER_LIBRARIES_MAX }.into());
    }
    db.prepare_cached(
        "INSERT INTO cluster_libraries (cluster, library_json, state, messages_json) VALUES (?1, ?2, ?3, '[]')",
    )?
    .execute(params![cluster.as_str(), library, LibraryState::Pending.name()])?;
    Ok(())
}

fn drop_one(db: &Connection, cluster: &ClusterId, library: &str) -> Result<(), Failure> {
    let has_driver = need(db, cluster)?.state.has_driver();
    let event = if has_driver { LibraryEvent::UninstallAsked } else { LibraryEvent::UninstallAskedIdle };
    happen(db, cluster, library, event, None)
}

/// Puts a library of a cluster through an event; one that the cluster does not know is passed over. What was said is kept
/// only while it is about the state that it was said of.
fn happen(
    db: &Connection,
    cluster: &ClusterId,
    library: &str,
    event: LibraryEvent,
    messages: Option<&[String]>,
) -> Result<(), Failure> {
    let before: Option<String> = db
        .prepare_cached("SELECT state FROM cluster_libraries WHERE cluster = ?1 AND library_json = ?2")?
        .query_row(params![cluster.as_str(), library], |row| row.get(0))
        .optional()?;
    let Some(before) = before else { return Ok(()) };
    let before = LibraryState::from_name(&before).map_err(unreadable)?;
    match before.after(event) {
        None => {
            db.prepare_cached("DELETE FROM cluster_libraries WHERE cluster = ?1 AND library_json = ?2")?
                .execute(params![cluster.as_str(), library])?;
        }
        Some(after) if after != before => {
            db.prepare_cached(
                "UPDATE cluster_libraries SET state = ?3, messages_json = coalesce(?4, messages_json)
                 WHERE cluster = ?1 AND library_json = ?2",
            )?
            .execute(params![cluster.as_str(), library, after.name(), messages.map(said)])?;
        }
        Some(_) => {}
    }
    Ok(())
}

/// The messages as they are stored, as far as they fit.
fn said(messages: &[String]) -> String {
    let mut left = MESSAGES_BYTES_MAX;
    let mut kept = Vec::new();
    for message in messages {
        let cut = &message[..message.floor_char_boundary(left)];
        left -= cut.len();
        if !cut.is_empty() {
            kept.push(cut);
        }
    }
    serde_json::to_string(&kept).expect("messages are text")
}

fn known(db: &Connection, cluster: &ClusterId) -> rusqlite::Result<Vec<String>> {
    db.prepare_cached("SELECT library_json FROM cluster_libraries WHERE cluster = ?1 ORDER BY number")?
        .query_map([cluster.as_str()], |row| row.get(0))?
        .collect()
}

fn spellings(libraries: &[Library]) -> Result<Vec<String>, StoreError> {
    libraries.iter().map(spelling).collect()
}

fn record(row: &Row<'_>) -> rusqlite::Result<InstallRecord> {
    let state: String = row.get("state")?;
    Ok(InstallRecord {
        cluster: parsed(row, "cluster")?,
        library: json(&row.get::<_, String>("library_json")?)?,
        for_all: row.get("for_all")?,
        state: LibraryState::from_name(&state).map_err(unreadable)?,
        messages: json(&row.get::<_, String>("messages_json")?)?,
    })
}

#[cfg(test)]
mod tests {
    use firesteel_api::LibraryId;
    use firesteel_api::v2::termination::TerminationCode;
    use firesteel_model::{Cause, ClusterEvent, ClusterSettings, TreePath};
    use tempfile::TempDir;

    use super::*;
    use crate::{Change, ClusterRecord, NewLibrary};

    fn store() -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    async fn cluster(store: &Store, id: &str) -> ClusterId {
        let id: ClusterId = id.parse().unwrap();
        let record = ClusterRecord::new(id.clone(), ClusterSettings::default(), "ann", 10_000, 1);
        store.insert_cluster(record, Cause::Server).await.unwrap();
        id
    }

    async fn start(store: &Store, id: &ClusterId) {
        store.cluster_event(id, ClusterEvent::StartAsked, Cause::Server).await.unwrap();
        store.change(id, vec![Change::ClusterReady]).await.unwrap();
    }

    async fn driver_is_gone(store: &Store, id: &ClusterId) {
        let lost = ClusterEvent::Lost { code: TerminationCode::default(), reason: "gone".into() };
        store.cluster_event(id, lost, Cause::Driver).await.unwrap();
    }

    async fn happens(store: &Store, id: &ClusterId, library: &Library, event: LibraryEvent, said: &str) {
        let messages = if said.is_empty() { Vec::new() } else { vec![said.to_owned()] };
        store.change(id, vec![Change::Library { library: library.clone(), event, messages }]).await.unwrap();
    }

    /// The libraries of a cluster, as words.
    async fn seen(store: &Store, id: &ClusterId) -> String {
        let installs = store.installs(Some(id)).await.unwrap();
        let word = |one: &InstallRecord| format!("{} {:?} {}", one.library, one.state, one.messages.join("; "));
        installs.iter().map(word).collect::<Vec<_>>().join(", ")
    }

    fn jar(name: &str) -> Library {
        Library::Jar(format!("dbfs:/FileStore/jars/{name}.jar"))
    }

    fn path(name: &str) -> TreePath {
        TreePath::of_dbfs(&format!("/FileStore/jars/{name}.jar")).unwrap()
    }

    async fn add(store: &Store, name: &str, for_all: bool) -> Result<LibraryId, StoreError> {
        let place = TreePath::of_workspace(&format!("/Shared/{name}")).unwrap();
        store.expect_library_file(&path(name)).await?;
        let new = NewLibrary { path: place, library: jar(name), file: Some(path(name)), for_all };
        store.insert_library(new).await
    }

    #[tokio::test]
    async fn what_is_installed_goes_with_the_driver_and_is_asked_for_again() {
        let (_folder, store) = store();
        let id = cluster(&store, "c1").await;
        start(&store, &id).await;
        let (a, b) = (Library::Jar("a".into()), Library::Jar("b".into()));
        store.ask_install(&id, &[a.clone(), b.clone()]).await.unwrap();
        happens(&store, &id, &a, LibraryEvent::Installed, "beware").await;
        happens(&store, &id, &b, LibraryEvent::Failed, "no").await;
        assert_eq!(seen(&store, &id).await, "a Installed beware, b Failed no");
        store.ask_install(&id, std::slice::from_ref(&b)).await.unwrap();
        store.ask_uninstall(&id, std::slice::from_ref(&a)).await.unwrap();
        assert_eq!(seen(&store, &id).await, "a UninstallOnRestart beware, b Pending ");
        driver_is_gone(&store, &id).await;
        assert_eq!(seen(&store, &id).await, "b Pending ");
        // What the driver reports late, and of what is unknown, changes nothing.
        happens(&store, &id, &a, LibraryEvent::Installed, "late").await;
        store.ask_uninstall(&id, &[b, a]).await.unwrap();
        assert_eq!(seen(&store, &id).await, "");
    }

    #[tokio::test]
    async fn a_library_of_all_clusters_is_that_of_later_ones_too() {
        let (_folder, store) = store();
        let first = cluster(&store, "c1").await;
        let id = add(&store, "a", true).await.unwrap();
        let later = cluster(&store, "c2").await;
        for cluster in [&first, &later] {
            assert_eq!(seen(&store, cluster).await, "dbfs:/FileStore/jars/a.jar Pending ");
        }
        assert!(store.installs(None).await.unwrap().iter().all(|one| one.for_all));
        start(&store, &later).await;
        store.set_library_for_all(id, false).await.unwrap();
        assert_eq!(seen(&store, &first).await, "");
        assert_eq!(seen(&store, &later).await, "dbfs:/FileStore/jars/a.jar UninstallOnRestart ");
        let last = cluster(&store, "c3").await;
        assert_eq!(seen(&store, &last).await, "");
    }

    #[tokio::test]
    async fn a_file_is_stray_until_its_library_is_there_and_after() {
        let (_folder, store) = store();
        store.expect_library_file(&path("lost")).await.unwrap();
        let id = add(&store, "a", false).await.unwrap();
        let clash = add(&store, "a", false).await;
        assert!(matches!(clash, Err(StoreError::Exists { .. })), "{clash:?}");
        store.forget_library_file(&path("a")).await.unwrap();
        assert_eq!(store.stray_library_files().await.unwrap(), [path("lost")]);
        assert_eq!(store.libraries().await.unwrap().len(), 1);
        assert_eq!(store.library(id).await.unwrap().file, Some(path("a")));
        store.delete_library(id).await.unwrap();
        assert_eq!(store.stray_library_files().await.unwrap(), [path("a"), path("lost")]);
        let gone = store.library(id).await;
        assert!(matches!(gone, Err(StoreError::Missing { .. })), "{gone:?}");
    }
}
