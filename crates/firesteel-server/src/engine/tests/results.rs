//! Tables beyond their first rows, read from a driver that the test plays.

use firesteel_driver::protocol::results::{FromResult, ResultEnd, ResultEnded};

use super::*;
use crate::engine::Part;

const TABLE: &str = r#"{"resultType":"table","data":[[1]],"schema":[{"name":"a","type":"\"integer\"","metadata":"{}"}],"truncated":true,"isJsonSchema":true}"#;

impl Bench {
    /// A command that came to something.
    async fn came_to(&mut self, results: &str) -> (String, String) {
        let context = self.context().await;
        let command = self.execute(context, "x").await;
        self.driver.executed(command).await;
        self.driver.say(DriverEvent::Started { context, command }).await;
        self.driver.say_with(DriverEvent::Finished { context, command }, Some(results.to_owned())).await;
        self.over(context, command).await;
        (context.to_string(), command.to_string())
    }
}

/// The next reader's connection, and what it asks for.
async fn reader(listener: &UnixListener) -> (UnixStream, u64) {
    let (mut stream, _) = soon("a reader", listener.accept()).await.unwrap();
    match frame::read::<ToDriver, _>(&mut stream).await.unwrap().unwrap().head {
        ToDriver::Read { version: VERSION, cluster, offset, .. } if cluster == id() => (stream, offset),
        other => panic!("{other:?}"),
    }
}

async fn say(stream: &mut UnixStream, head: FromResult, payload: Option<&[u8]>) {
    frame::write(stream, &head, payload).await.unwrap();
}

#[tokio::test]
async fn rows_come_as_the_driver_sends_them_and_a_broken_stream_is_an_error() {
    let mut bench = Bench::running().await;
    let (context, command) = bench.came_to(TABLE).await;
    let table = bench.engine.table(CLUSTER, &context, &command, LONG).await.unwrap();
    let (opened, (mut stream, offset)) = tokio::join!(table.read(7), async {
        let (mut stream, offset) = reader(&bench.driver.listener).await;
        say(&mut stream, FromResult::Opened { ended: None }, None).await;
        (stream, offset)
    });
    let mut reading = opened.unwrap();
    assert_eq!((offset, reading.ended()), (7, None));
    say(&mut stream, FromResult::Bytes {}, Some(b"schema")).await;
    say(&mut stream, FromResult::At { row: 5 }, None).await;
    say(&mut stream, FromResult::SoFar { rows: 9 }, None).await;
    assert!(matches!(reading.next().await.unwrap(), Part::Bytes(bytes) if bytes == "schema"));
    assert!(matches!(reading.next().await.unwrap(), Part::At(5)));
    assert!(matches!(reading.next().await.unwrap(), Part::SoFar));
    drop(stream); // the driver died
    assert_eq!(reading.next().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn how_a_table_ended_is_known_when_it_is_opened() {
    let mut bench = Bench::running().await;
    let (context, command) = bench.came_to(TABLE).await;
    let table = bench.engine.table(CLUSTER, &context, &command, LONG).await.unwrap();
    let ended = ResultEnded { rows: 3, end: ResultEnd::Bound, reason: "large".into() };
    let (opened, _stream) = tokio::join!(table.read(0), async {
        let (mut stream, _) = reader(&bench.driver.listener).await;
        say(&mut stream, FromResult::Opened { ended: Some(ended.clone()) }, None).await;
        stream
    });
    assert_eq!(opened.unwrap().ended(), Some(&ended));
}

#[tokio::test]
async fn without_a_driver_the_first_rows_are_left() {
    let mut bench = Bench::running().await;
    let (context, command) = bench.came_to(TABLE).await;
    bench.driver.say(DriverEvent::Failed { code: TerminationCode::SparkError, reason: "gone".into() }).await;
    bench.driver.acknowledged().await;
    bench.driver.hang_up();
    std::fs::remove_file(bench.dir.path().join("driver.sock")).unwrap();
    let table = bench.engine.table(CLUSTER, &context, &command, LONG).await.unwrap();
    assert_eq!(table.head.as_json(), TABLE);
    assert!(table.read(0).await.is_err());
}

#[tokio::test]
async fn what_is_no_table_is_refused() {
    let mut bench = Bench::running().await;
    let (context, command) = bench.came_to(Results::text("2").as_json()).await;
    let refused = bench.engine.table(CLUSTER, &context, &command, LONG).await.err().unwrap();
    assert!(
        matches!(&refused, EngineError::NoTable { .. }) && refused.to_string().contains("commands/output"),
        "{refused}"
    );
    let context = bench.context().await;
    let running = bench.execute(context, "x").await;
    let (context, running) = (context.to_string(), running.to_string());
    let refused = bench.engine.table(CLUSTER, &context, &running, Duration::ZERO).await.err().unwrap();
    assert!(matches!(refused, EngineError::NotOver { .. }), "{refused}");
}
