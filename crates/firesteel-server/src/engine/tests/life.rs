//! What users ask of a cluster's life, with the driver that each ask ends, keeps or launches.

use firesteel_api::v2::events::{ClusterSize, EventType};
use firesteel_store::HistoryQuery;

use super::*;

fn ann() -> Cause {
    Cause::User("ann".into())
}

fn sized(num_workers: u32) -> ClusterSize {
    ClusterSize { autoscale: None, num_workers: Some(num_workers) }
}

impl Bench {
    /// The driver has been told to end, and is gone.
    async fn ends(&mut self) {
        self.driver.heard(ToDriver::Stop {}).await;
        self.driver.hang_up();
        self.kill_child(Signal::SIGTERM);
    }

    /// The driver that follows one that ended: it is launched when so many have been.
    async fn next_driver(&mut self, launches: usize) {
        let launched = async {
            while self.launches() < launches {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon("the driver to be launched", launched).await;
        assert_eq!(self.launches(), launches);
        self.driver = FakeDriver::listen(self.dir.path());
        self.driver.accept().await;
        self.driver.ready().await;
        self.until(ClusterStatus::Running).await;
        self.driver.acknowledged().await;
    }

    /// The types of the cluster's history, the first first.
    async fn history(&self) -> Vec<EventType> {
        let all = HistoryQuery { limit: 100, ascending: true, ..HistoryQuery::default() };
        self.engine.cluster_history(CLUSTER, all).await.unwrap().0.into_iter().map(|event| event.r#type).collect()
    }
}

#[tokio::test]
async fn a_restart_ends_the_driver_and_its_contexts_and_launches_another() {
    let mut bench = Bench::running_with(Limits::default(), true).await;
    let context = bench.context().await;
    bench.engine.restart_cluster(CLUSTER, ann()).await.unwrap();
    assert_eq!(bench.engine.cluster(CLUSTER).unwrap().status, ClusterStatus::Pending);
    assert_eq!(bench.context_status(context).await, None);
    // Asked for twice, done once.
    bench.engine.restart_cluster(CLUSTER, ann()).await.unwrap();
    bench.ends().await;
    bench.next_driver(2).await;
    bench.context().await;

    // Of one that is lost it is a start.
    bench.driver.say(DriverEvent::Failed { code: TerminationCode::SparkError, reason: "no Master".into() }).await;
    bench.until(ClusterStatus::Error).await;
    bench.engine.restart_cluster(CLUSTER, ann()).await.unwrap();
    bench.next_driver(3).await;
}

#[tokio::test]
async fn an_end_is_answered_at_once_and_the_cluster_stays_listed() {
    let mut bench = Bench::running_with(Limits::default(), true).await;
    let context = bench.context().await;
    soon("an answer, while the driver has not ended", bench.engine.end_cluster(CLUSTER, ann())).await.unwrap();
    assert_eq!(bench.engine.cluster(CLUSTER).unwrap().status, ClusterStatus::Terminating);
    let refused = bench.engine.restart_cluster(CLUSTER, ann()).await.unwrap_err().to_string();
    assert_eq!(refused, format!("Cluster {CLUSTER} is in unexpected state Terminating."));
    bench.ends().await;
    bench.until(ClusterStatus::Terminated).await;
    assert_eq!(bench.context_status(context).await, None);
    // Asking again changes nothing, and is no error.
    bench.engine.end_cluster(CLUSTER, ann()).await.unwrap();
    let refused = bench.engine.resize_cluster(CLUSTER, sized(1), ann()).await.unwrap_err().to_string();
    assert_eq!(refused, format!("Cluster {CLUSTER} is in unexpected state Terminated."));
    bench.engine.start_cluster(CLUSTER, ann()).await.unwrap();
    bench.next_driver(2).await;
    let refused = bench.engine.start_cluster(CLUSTER, ann()).await.unwrap_err().to_string();
    assert_eq!(refused, format!("Cluster {CLUSTER} is in unexpected state Running."));
}

#[tokio::test]
async fn a_resize_changes_the_cluster_under_its_contexts_and_says_what_came_of_it() {
    let mut bench = Bench::running().await;
    let context = bench.context().await;
    let mut resize = async |asked: u32, executors: u32, reason: Option<&str>| {
        bench.engine.resize_cluster(CLUSTER, sized(asked), ann()).await.unwrap();
        assert_eq!(bench.engine.cluster(CLUSTER).unwrap().status, ClusterStatus::Reconfiguring);
        bench.driver.heard(ToDriver::Resize { executors: asked, executors_max: asked }).await;
        bench.driver.say(DriverEvent::Resized { executors, reason: reason.map(str::to_owned) }).await;
        bench.until(ClusterStatus::Running).await;
        bench.driver.acknowledged().await;
        assert_eq!(bench.engine.cluster(CLUSTER).unwrap().num_workers, executors);
    };
    resize(3, 3, None).await;
    resize(1, 1, None).await;
    resize(4, 2, Some("there are 2 executors, not 4")).await;
    assert_eq!(bench.context_status(context).await, Some(ContextStatus::Running));
    let expected = [
        EventType::Resizing,
        EventType::UpsizeCompleted,
        EventType::Resizing,
        EventType::Resizing,
        EventType::NodesLost,
    ];
    assert_eq!(bench.history().await[3..], expected, "fewer are no more");
}

#[tokio::test]
async fn an_edit_restarts_a_cluster_that_runs_on_what_it_changes() {
    let mut bench = Bench::running_with(Limits::default(), true).await;
    let settings = ClusterSettings { cluster_name: "other".into(), ..record(ClusterState::Running).settings };
    bench.engine.edit_cluster(CLUSTER, settings.clone(), ann()).await.unwrap();
    let view = bench.engine.cluster(CLUSTER).unwrap();
    assert_eq!((view.status, view.name.as_str()), (ClusterStatus::Running, "other"));
    let conf = BTreeMap::from([("spark.sql.shuffle.partitions".to_owned(), "3".to_owned())]);
    let settings = ClusterSettings { spark_conf: conf, ..settings };
    bench.engine.edit_cluster(CLUSTER, settings.clone(), ann()).await.unwrap();
    assert_eq!(bench.engine.cluster(CLUSTER).unwrap().status, ClusterStatus::Pending);
    bench.ends().await;
    bench.next_driver(2).await;
    assert_eq!(bench.engine.cluster_record(CLUSTER).unwrap().settings, settings);
    let refused = ClusterSettings { spark_version: Some("1.6".into()), ..settings };
    let refused = bench.engine.edit_cluster(CLUSTER, refused, ann()).await.unwrap_err();
    assert_eq!(refused.to_string(), "no such runtime");
}

#[tokio::test]
async fn a_cluster_that_is_deleted_for_good_is_gone_when_that_is_answered() {
    let mut bench = Bench::running_with(Limits::default(), true).await;
    bench.engine.pin_cluster(CLUSTER, true, ann()).await.unwrap();
    let refused = bench.engine.delete_cluster(CLUSTER, ann()).await.unwrap_err();
    assert!(matches!(refused, EngineError::Pinned(_)), "{refused}");
    bench.engine.pin_cluster(CLUSTER, false, ann()).await.unwrap();
    let engine = bench.engine.clone();
    let deleted = tokio::spawn(async move { engine.delete_cluster(CLUSTER, ann()).await });
    bench.ends().await;
    soon("the cluster to be deleted", deleted).await.unwrap().unwrap();
    assert!(matches!(bench.engine.cluster(CLUSTER), Err(EngineError::UnknownCluster(_))));
    assert!(bench.store.cluster(&id()).await.unwrap().is_none());
    assert!(bench.dir.path().join("removed").exists());
}

#[tokio::test]
async fn what_is_no_longer_allowed_is_not_launched() {
    let mut bench = Bench::empty(Limits::default(), false).await;
    // It was stored when there was such a runtime.
    let settings = ClusterSettings { spark_version: Some("3.5.9".into()), ..record(ClusterState::Terminated).settings };
    let old = ClusterRecord { settings: settings.clone(), ..record(ClusterState::Terminated) };
    bench.store.insert_cluster(old.clone(), Cause::Server).await.unwrap();
    bench.engine.adopt(old).await.unwrap();
    bench.engine.start_cluster(CLUSTER, ann()).await.unwrap();
    bench.until(ClusterStatus::Error).await;
    assert_eq!(bench.engine.cluster_record(CLUSTER).unwrap().state.reason(), Some("no such runtime"));
    assert_eq!(bench.launches(), 0);
    let settings = ClusterSettings { spark_version: None, ..settings };
    bench.engine.edit_cluster(CLUSTER, settings, ann()).await.unwrap();
    bench.engine.start_cluster(CLUSTER, ann()).await.unwrap();
    bench.next_driver(1).await;
}

/// Lets this time pass for everything that waits. The store's threads know no such time: they are waited for by what they do.
async fn passes(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

impl Bench {
    /// Waits until the cluster counts as idle, or no longer.
    async fn counts_as_idle(&self, idle: bool) {
        let counted = async {
            while self.engine.find(CLUSTER).unwrap().board().idle_since().is_some() != idle {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon("the cluster to be idle, or no longer", counted).await;
    }
}

#[tokio::test]
async fn streams_and_statements_over_jdbc_are_no_idle_time() {
    let mut bench = Bench::running_with(Limits::default(), true).await;
    let context = bench.context().await;
    let settings = ClusterSettings { autotermination_minutes: 10, ..record(ClusterState::Running).settings };
    bench.engine.edit_cluster(CLUSTER, settings, ann()).await.unwrap();
    bench.counts_as_idle(true).await;
    let runs = |bench: &Bench| bench.engine.cluster(CLUSTER).unwrap().status == ClusterStatus::Running;

    bench.driver.say(DriverEvent::Streams { context, active: 1 }).await;
    bench.counts_as_idle(false).await;
    passes(Duration::from_mins(11)).await;
    assert!(runs(&bench));
    bench.driver.says_statements(2).await;
    bench.driver.say(DriverEvent::Streams { context, active: 0 }).await;
    bench.driver.acknowledged().await;
    bench.driver.says_statements(1).await;
    passes(Duration::from_mins(11)).await;
    assert!(runs(&bench), "a statement runs yet");

    bench.driver.says_statements(0).await;
    bench.counts_as_idle(true).await;
    passes(Duration::from_mins(11)).await;
    bench.ends().await;
    bench.until(ClusterStatus::Terminated).await;
    let ending = bench.engine.cluster_record(CLUSTER).unwrap().ending.clone().unwrap();
    assert_eq!(ending.code, TerminationCode::Inactivity);
}
