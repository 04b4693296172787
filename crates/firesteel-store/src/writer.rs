//! The one thread that writes.
//!
//! It takes the write that has waited longest, begins a transaction, runs that write and those that have come since,
//! each in a savepoint of its own, commits, and only then answers them all. While it waits for the disk the next group
//! gathers, so the busier the store, the fewer waits per write. A write that fails undoes its savepoint and no other.

use std::sync::Arc;
use std::{io, thread};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::StoreError;
use crate::error::Failure;

/// Writes that wait. Beyond them a caller waits to be let in: an event of a driver must not be refused, and what the
/// callers can have under way at once has bounds of its own.
const WAITING_MAX: usize = 1_024;
/// Writes of one transaction.
const GROUP_MAX: usize = 64;

/// The handle to the thread. Dropping it waits until what was asked is written and the database is closed.
pub(crate) struct Writer {
    /// `None` only while it is being dropped.
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// One write, waiting for its turn.
trait Job: Send {
    /// Does it, and returns how to answer once the outcome of the commit is known.
    fn run(self: Box<Self>, transaction: &mut Transaction<'_>) -> Answer;
    /// Answers that it could not be tried.
    fn refuse(self: Box<Self>, error: Arc<rusqlite::Error>);
}

type Committed = Result<(), Arc<rusqlite::Error>>;
type Answer = Box<dyn FnOnce(Committed)>;

struct Write<T, F> {
    what: &'static str,
    work: F,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl Writer {
    pub(crate) fn start(db: Connection) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let thread = thread::Builder::new().name("store-writer".into()).spawn(move || run(db, waiting))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(crate) async fn write<T, F>(&self, what: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(StoreError::Stopped)?;
        jobs.send(Box::new(Write { what, work, reply })).await.map_err(|_| StoreError::Stopped)?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's thread had panicked");
        }
    }
}

impl<T, F> Job for Write<T, F>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, Failure> + Send,
{
    fn run(self: Box<Self>, transaction: &mut Transaction<'_>) -> Answer {
        let Self { what, work, reply } = *self;
        let done = in_savepoint(transaction, work);
        Box::new(move |committed| {
            let answer = match (done, committed) {
                (Ok(value), Ok(())) => Ok(value),
                (Ok(_), Err(source)) => Err(StoreError::Commit { what, source }),
                (Err(failure), _) => Err(failure.named(what)),
            };
            // Whoever asked may have gone; the write stands.
            reply.send(answer).ok();
        })
    }

    fn refuse(self: Box<Self>, source: Arc<rusqlite::Error>) {
        self.reply.send(Err(StoreError::Commit { what: self.what, source })).ok();
    }
}

fn in_savepoint<T>(
    transaction: &mut Transaction<'_>,
    work: impl FnOnce(&Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let savepoint = transaction.savepoint()?;
    let value = work(&savepoint)?; // on failure, dropping the savepoint undoes it
    savepoint.commit()?;
    Ok(value)
}

fn run(mut db: Connection, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut transaction = match db.transaction_with_behavior(TransactionBehavior::Immediate) {
            Ok(transaction) => transaction,
            Err(error) => {
                first.refuse(Arc::new(error));
                continue;
            }
        };
        let mut answers = vec![first.run(&mut transaction)];
        // A full disk makes SQLite end the transaction under us: nothing may join it then, and the commit below says so.
        while answers.len() < GROUP_MAX
            && !transaction.is_autocommit()
            && let Ok(job) = waiting.try_recv()
        {
            answers.push(job.run(&mut transaction));
        }
        let committed = transaction.commit().map_err(Arc::new);
        for answer in answers {
            answer(committed.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as blocking;

    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;

    /// A database with one table, in a folder.
    fn database() -> (TempDir, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let db = Connection::open(dir.path().join("db")).unwrap();
        db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 0; CREATE TABLE words (word TEXT) STRICT;")
            .unwrap();
        (dir, db)
    }

    fn words(dir: &TempDir) -> Vec<String> {
        let db = Connection::open(dir.path().join("db")).unwrap();
        let mut query = db.prepare("SELECT word FROM words ORDER BY rowid").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    async fn add(writer: &Writer, word: String) -> Result<usize, StoreError> {
        writer.write("add a word", move |db| Ok(db.execute("INSERT INTO words VALUES (?1)", [word])?)).await
    }

    #[tokio::test]
    async fn writes_that_wait_together_share_a_commit_and_a_failure_spoils_no_other() {
        let (dir, db) = database();
        let writer = Writer::start(db).unwrap();
        let (release_first, first_held) = blocking::channel::<()>();
        let (entered, last_entered) = oneshot::channel();
        let (release_last, last_held) = blocking::channel::<()>();
        let first = writer.write("wait", move |_| {
            first_held.recv().ok();
            Ok(())
        });
        let failing = writer.write("fail", |db| {
            db.execute("INSERT INTO words VALUES ('spoilt')", [])?;
            Ok(db.execute("INSERT INTO nowhere VALUES (1)", [])?)
        });
        let last = writer.write("wait", move |_| {
            entered.send(()).ok();
            last_held.recv().ok();
            Ok(())
        });
        let watch = async {
            release_first.send(()).unwrap(); // polled last: by now all of them wait
            last_entered.await.unwrap();
            assert!(words(&dir).is_empty(), "the last one runs and the others are not committed");
            release_last.send(()).unwrap();
        };
        let (first, good, failing, last, ()) = tokio::join!(first, add(&writer, "good".into()), failing, last, watch);
        assert!(first.is_ok() && good.is_ok() && last.is_ok());
        assert!(matches!(failing, Err(StoreError::Sql { what: "fail", .. })));
        assert_eq!(words(&dir), ["good"]);
    }

    #[tokio::test]
    async fn a_database_that_is_held_by_another_program_refuses_and_recovers() {
        let (dir, db) = database();
        let writer = Writer::start(db).unwrap();
        let other = Connection::open(dir.path().join("db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let refused = add(&writer, "early".into()).await;
        assert!(matches!(refused, Err(StoreError::Commit { .. })), "{refused:?}");
        other.execute_batch("ROLLBACK").unwrap();
        add(&writer, "late".into()).await.unwrap();
        assert_eq!(words(&dir), ["late"]);
    }

    #[tokio::test]
    async fn what_a_full_disk_refused_is_not_stored_and_what_was_answered_is() {
        let (dir, db) = database();
        db.execute_batch("PRAGMA max_page_count = 20").unwrap();
        let writer = Writer::start(db).unwrap();
        let (small, huge, after) = tokio::join!(
            add(&writer, "small".into()),
            add(&writer, "x".repeat(1_000_000)),
            add(&writer, "after".into()),
        );
        assert!(huge.is_err());
        let answered = [("small", small.is_ok()), ("after", after.is_ok())];
        let stored = words(&dir);
        for (word, ok) in answered {
            assert_eq!(stored.iter().any(|stored| stored == word), ok, "{word}");
        }
        add(&writer, "later".into()).await.unwrap();
        assert_eq!(words(&dir).last().map(String::as_str), Some("later"));
    }
}
