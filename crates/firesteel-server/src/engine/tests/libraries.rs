//! Libraries: what is asked of both APIs, what the driver hears of it, and what it says.

use firesteel_api::libraries::ALL_CLUSTERS;
use firesteel_driver::protocol::link::LibraryStep;
use firesteel_model::TreePath;
use firesteel_store::NewLibrary;

use super::*;

fn jar(name: &str) -> Library {
    Library::Jar(format!("dbfs:/FileStore/jars/{name}.jar"))
}

impl Bench {
    /// The cluster's libraries, as words.
    async fn libraries(&self) -> String {
        let all = self.engine.cluster_libraries(CLUSTER).await.unwrap();
        let word = |one: &firesteel_api::v2::libraries::LibraryStatus| {
            format!("{} {:?} {}", one.library, one.status, one.messages.join("; ")).trim_end().to_owned()
        };
        all.library_statuses.iter().map(word).collect::<Vec<_>>().join(", ")
    }

    async fn library_is(&mut self, library: &Library, step: LibraryStep, said: &[&str]) {
        let messages = said.iter().map(|text| (*text).to_owned()).collect();
        self.driver.say(DriverEvent::Library { library: library.clone(), step, messages }).await;
        self.driver.acknowledged().await;
    }

    async fn upload(&self, name: &str, cluster: Option<&str>) -> Result<String, EngineError> {
        let path = TreePath::of_workspace(&format!("/Shared/{name}")).unwrap();
        let file = TreePath::of_dbfs(&format!("/FileStore/jars/{name}.jar")).unwrap();
        let new = NewLibrary { path, library: jar(name), file: Some(file), for_all: false };
        self.engine.add_library(new, cluster).await.map(|id| id.to_string())
    }
}

#[tokio::test]
async fn a_library_goes_to_the_driver_and_its_words_come_back() {
    let mut bench = Bench::running().await;
    let a = jar("a");
    bench.engine.install(CLUSTER, vec![a.clone()]).await.unwrap();
    assert_eq!(bench.libraries().await, "dbfs:/FileStore/jars/a.jar Pending");
    bench.driver.heard(ToDriver::Install { library: a.clone() }).await;
    bench.library_is(&a, LibraryStep::Installing, &[]).await;
    assert_eq!(bench.libraries().await, "dbfs:/FileStore/jars/a.jar Installing");
    // Its outcome was not heard by the server that went away: the next one asks.
    bench.restart().await;
    bench.driver.accept().await;
    bench.driver.heard(ToDriver::Install { library: a.clone() }).await;
    bench.library_is(&a, LibraryStep::Failed, &["ERROR: no"]).await;
    assert_eq!(bench.libraries().await, "dbfs:/FileStore/jars/a.jar Failed ERROR: no");
    bench.engine.uninstall(CLUSTER, vec![a]).await.unwrap();
    assert_eq!(bench.libraries().await, "dbfs:/FileStore/jars/a.jar UninstallOnRestart ERROR: no");
}

#[tokio::test]
async fn what_is_attached_is_told_to_a_driver_before_it_starts() {
    let bench = Bench::empty(Limits::default(), false).await;
    bench.store.insert_cluster(record(ClusterState::Terminated), Cause::Server).await.unwrap();
    bench.engine.adopt(record(ClusterState::Terminated)).await.unwrap();
    bench.engine.install(CLUSTER, vec![jar("a"), jar("b")]).await.unwrap();
    bench.engine.uninstall(CLUSTER, vec![jar("b")]).await.unwrap();
    bench.engine.start_cluster(CLUSTER, Cause::Server).await.unwrap();
    assert_eq!(*bench.launcher.libraries.lock().unwrap(), [jar("a")]);
}

#[tokio::test]
async fn an_upload_is_attached_where_that_is_asked_for_and_its_name_is_its_own() {
    let mut bench = Bench::running().await;
    let id = bench.upload("a", Some(CLUSTER)).await.unwrap();
    bench.driver.heard(ToDriver::Install { library: jar("a") }).await;
    let view = bench.engine.library(&id).await.unwrap();
    assert_eq!((view.files, view.statuses.len()), (vec!["a.jar".to_owned()], 1));
    let taken = bench.upload("a", None).await.unwrap_err();
    assert_eq!(taken.to_string(), "NameConflictException: Node named 'a' already exists");
    let nowhere = bench.upload("b", Some("nope")).await.unwrap_err();
    assert_eq!(nowhere.to_string(), "Cluster nope does not exist");
    assert_eq!(bench.engine.libraries().await.unwrap().len(), 1, "what was refused is not there");

    let all = bench.upload("c", Some(ALL_CLUSTERS)).await.unwrap();
    bench.driver.heard(ToDriver::Install { library: jar("c") }).await;
    assert!(bench.engine.library(&all).await.unwrap().attach_all_clusters);
    bench.engine.detach(&all, ALL_CLUSTERS).await.unwrap();
    assert!(!bench.engine.library(&all).await.unwrap().attach_all_clusters);
    bench.engine.delete_library(&id).await.unwrap();
    let seen = bench.libraries().await;
    assert_eq!(seen, "dbfs:/FileStore/jars/a.jar UninstallOnRestart, dbfs:/FileStore/jars/c.jar UninstallOnRestart");
    for unknown in [id.as_str(), "x", "99999999"] {
        let said = bench.engine.library(unknown).await.unwrap_err().to_string();
        assert_eq!(said, format!("LibraryNotFound: {unknown}"));
    }
}
