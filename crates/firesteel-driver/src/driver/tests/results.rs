//! Table results on disk, and whoever reads them: the files are written by the tests.

use std::fs::{File, OpenOptions};
use std::io::Write;

use super::*;
use crate::protocol::results::{FromResult, ResultEnd, ResultEnded};

/// The files of one result, as an interpreter writes them.
struct Written {
    data: File,
    index: File,
    bytes: u64,
    rows: u64,
}

impl Written {
    async fn make(bench: &Bench, context: ContextId, command: CommandId) -> Self {
        let folder = bench.spec.folder.join("results").join(context.to_string());
        wait("the context's folder", || folder.is_dir().then_some(())).await;
        let open = |name: String| OpenOptions::new().append(true).create(true).open(folder.join(name)).unwrap();
        let (data, index) = (open(command.to_string()), open(format!("{command}.index")));
        let mut written = Self { data, index, bytes: 0, rows: 0 };
        written.add(b"schema", 0);
        written
    }

    fn add(&mut self, message: &[u8], rows: u64) {
        self.data.write_all(message).unwrap();
        self.bytes += message.len() as u64;
        self.rows += rows;
        self.entry(self.bytes, self.rows);
    }

    fn end(&mut self) {
        self.entry(u64::MAX, 0);
    }

    fn entry(&mut self, first: u64, second: u64) {
        self.index.write_all(&[first.to_be_bytes(), second.to_be_bytes()].concat()).unwrap();
    }
}

struct Reader(UnixStream);

impl Reader {
    async fn open(bench: &Bench, context: ContextId, command: CommandId, offset: u64) -> Self {
        let mut stream = UnixStream::connect(bench.spec.link_socket()).await.unwrap();
        let ask = ToDriver::Read { version: VERSION, cluster: cluster(), context, command, offset };
        frame::write(&mut stream, &ask, None).await.unwrap();
        Self(stream)
    }

    async fn next(&mut self) -> (FromResult, String) {
        let read = frame::read::<FromResult, _>(&mut self.0);
        let message = tokio::time::timeout(PATIENCE, read).await.expect("the driver says something").unwrap().unwrap();
        (message.head, String::from_utf8(message.payload.unwrap_or_default().into()).unwrap())
    }

    async fn says(&mut self, expected: FromResult) {
        assert_eq!(self.next().await.0, expected);
    }

    async fn sends(&mut self, expected: &str) {
        assert_eq!(self.next().await, (FromResult::Bytes {}, expected.to_owned()));
    }
}

fn whole(rows: u64) -> ResultEnded {
    ResultEnded { rows, end: ResultEnd::Whole, reason: String::new() }
}

#[tokio::test]
async fn a_result_is_read_from_a_row_on_and_while_it_grows() {
    let (bench, mut server) = Bench::ready().await;
    let (context, command) = (server.open(PYTHON).await, CommandId::generate());
    let mut file = Written::make(&bench, context, command).await;
    file.add(b"rows 0-9", 10);
    file.add(b"rows 10-19", 10);
    let mut reader = Reader::open(&bench, context, command, 12).await;
    reader.says(FromResult::Opened { ended: None }).await;
    reader.sends("schema").await;
    reader.says(FromResult::At { row: 10 }).await;
    reader.sends("rows 10-19").await;
    reader.says(FromResult::SoFar { rows: 20 }).await;
    file.add(b"rows 20-24", 5);
    reader.sends("rows 20-24").await;
    reader.says(FromResult::SoFar { rows: 25 }).await;
    file.end();
    reader.says(FromResult::Ended(whole(25))).await;
    let mut beyond = Reader::open(&bench, context, command, 25).await;
    beyond.says(FromResult::Opened { ended: Some(whole(25)) }).await;
    beyond.sends("schema").await;
    beyond.says(FromResult::Ended(whole(25))).await;
    bench.stop(server).await;
}

#[tokio::test]
async fn a_context_takes_its_results_with_it() {
    let (bench, mut server) = Bench::ready().await;
    let (context, command) = (server.open(PYTHON).await, CommandId::generate());
    let _file = Written::make(&bench, context, command).await;
    let mut reader = Reader::open(&bench, context, command, 0).await;
    reader.says(FromResult::Opened { ended: None }).await;
    reader.sends("schema").await;
    reader.says(FromResult::SoFar { rows: 0 }).await;
    server.ask(ToDriver::Close { context }, None).await;
    match reader.next().await.0 {
        FromResult::Ended(ResultEnded { end: ResultEnd::Failed, reason, .. }) => {
            assert!(reason.contains("destroyed"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    let mut late = Reader::open(&bench, context, command, 0).await;
    late.says(FromResult::Absent { reason: "its context is gone".into() }).await;
    let folder = bench.spec.folder.join("results");
    bench.stop(server).await;
    assert!(!folder.exists(), "the driver's end takes all results with it");
}

#[tokio::test]
async fn what_is_not_there_says_so_and_many_read_at_once() {
    let (bench, mut server) = Bench::ready().await;
    let (context, command) = (server.open(PYTHON).await, CommandId::generate());
    let mut none = Reader::open(&bench, context, command, 0).await;
    assert!(matches!(none.next().await.0, FromResult::Absent { reason } if reason.contains("not kept any more")));
    let mut file = Written::make(&bench, context, command).await;
    file.add(&[b'x'; 3 << 20], 1);
    file.end();
    let mut readers = Vec::new();
    for _ in 0..64 {
        let mut reader = Reader::open(&bench, context, command, 0).await;
        reader.says(FromResult::Opened { ended: Some(whole(1)) }).await;
        readers.push(reader);
    }
    let mut more = Reader::open(&bench, context, command, 0).await;
    assert!(matches!(more.next().await.0, FromResult::Absent { reason } if reason.contains("try again later")));
    // Sixty-three that take nothing hold up neither one that does nor the driver.
    let last = &mut readers[63];
    last.sends("schema").await;
    last.says(FromResult::At { row: 0 }).await;
    for _ in 0..3 {
        assert_eq!(last.next().await.1.len(), 1 << 20);
    }
    last.says(FromResult::Ended(whole(1))).await;
    assert_eq!(server.run(context, PYTHON, "echo 1").await, "1");
    bench.stop(server).await;
}
