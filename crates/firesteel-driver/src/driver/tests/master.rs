//! The Master of an existing standalone cluster, and what JDBC has in use.

use super::*;
use crate::spec::ExecutorsSpec;

/// A driver on an existing engine whose JVM meets this fate.
async fn started(fate: &str, lost_master_seconds: u64) -> (Bench, Server) {
    let bench = Bench::with(|spec| {
        let lost_master_seconds = Some(lost_master_seconds);
        spec.executors = Some(ExecutorsSpec { count: 0, max: None, lost_master_seconds, workers: None });
        spec.conf = [("fake", fate), ("spark.master", "spark://here:7077")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
    })
    .await;
    let mut server = bench.connect().await;
    assert!(matches!(server.event().await.0, DriverEvent::Resized { executors: 0, reason: None }));
    assert!(matches!(server.event().await.0, DriverEvent::Ready { .. }));
    match server.event().await.0 {
        DriverEvent::Resized { reason: Some(reason), .. } => {
            assert!(reason.contains("spark://here:7077 is gone"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    (bench, server)
}

#[tokio::test]
async fn a_master_that_stays_away_is_the_end_of_the_cluster() {
    let (bench, mut server) = started("master-lost", 0).await;
    match server.event().await.0 {
        DriverEvent::Failed { code: TerminationCode::SparkError, reason } => {
            assert!(reason.contains("spark://here:7077 went away"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    server.ack().await;
    bench.ended().await;
}

#[tokio::test]
async fn a_master_that_comes_back_is_not() {
    let (bench, server) = started("master-back", 600).await;
    bench.stop(server).await;
}

#[tokio::test]
async fn every_server_hears_how_many_statements_run() {
    let bench = Bench::with(|spec| spec.conf = [("fake".to_owned(), "statements".to_owned())].into()).await;
    for _ in 0..2 {
        let mut server = bench.connect().await;
        let told = async {
            loop {
                if let Some((FromDriver::Statements { active: 2 }, _)) = server.read().await {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, told).await.expect("the driver tells of them");
    }
    let mut server = bench.connect().await;
    server.ask(ToDriver::Stop {}, None).await;
    bench.ended().await;
}
