//! Opening the store, and the two doors through which every other file here reads and writes.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fmt, io};

use rusqlite::{Connection, OpenFlags};

use crate::error::Failure;
use crate::readers::Readers;
use crate::writer::Writer;
use crate::{StoreError, migrations};

/// Connections for look-ups of one row, which run on the threads that ask.
const READERS: usize = 4;
/// Connections for long reads, so that a few of those never hold up a status call.
const BULK_READERS: usize = 2;
/// Statements that each connection keeps prepared.
const STATEMENTS: usize = 64;

/// A handle to the store. Cheap to clone; the database is closed when the last one is dropped.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

/// The order of the fields is the order in which they are dropped: the lock goes last.
struct Inner {
    readers: Arc<Readers>,
    bulk_readers: Arc<Readers>,
    writer: Writer,
    _lock: File,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store of a folder, and makes both where they are missing. Blocks for some milliseconds.
    ///
    /// The folder belongs to one process at a time; a second one is refused, by an advisory lock that ends with the
    /// process whatever way it ends. Everything in it is for the user's eyes only.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(dir).map_err(|source| StoreError::Open { path: dir.to_owned(), source })?;
        let lock = private_file(&dir.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(dir.to_owned())),
            Err(TryLockError::Error(source)) => {
                return Err(StoreError::Open { path: dir.join("lock"), source });
            }
        }

        let path = dir.join("firesteel.db");
        // SQLite gives its `-wal` and `-shm` files the mode of this one.
        private_file(&path)?;
        let writer = open_writer(&path)?;
        let open_readers = |count| (0..count).map(|_| open_reader(&path)).collect::<Result<Vec<_>, _>>();
        Ok(Self(Arc::new(Inner {
            readers: Readers::new(open_readers(READERS)?),
            bulk_readers: Readers::new(open_readers(BULK_READERS)?),
            writer: Writer::start(writer).map_err(|source| StoreError::Open { path, source })?,
            _lock: lock,
        })))
    }

    /// Runs `work` in a transaction on the writer's thread and returns once it is on disk. When `work` fails, nothing of
    /// it is stored.
    pub(crate) async fn write<T, F>(&self, what: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        self.0.writer.write(what, work).await
    }

    /// Runs `work`, which must be a look-up of one row, right here. It takes tens of microseconds, less than it costs to
    /// hand it to another thread.
    pub(crate) async fn read<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let reader = Readers::take(&self.0.readers).await;
        work(&reader).map_err(|source| StoreError::Sql { what, source })
    }

    /// Runs `work`, which may be long, on one of tokio's blocking threads.
    pub(crate) async fn read_bulk<T, F>(&self, what: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let reader = Readers::take(&self.0.bulk_readers).await;
        let task = tokio::task::spawn_blocking(move || work(&reader));
        task.await.map_err(|_| StoreError::Stopped)?.map_err(|source| StoreError::Sql { what, source })
    }
}

/// Returns the time that goes into the records.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Opens a file that only its owner may read, whatever its mode was before.
fn private_file(path: &Path) -> Result<File, StoreError> {
    let open = || -> io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(file)
    };
    open().map_err(|source| StoreError::Open { path: path.to_owned(), source })
}

/// Opens the connection that writes.
///
/// `synchronous = FULL` makes a commit wait for the disk. `NORMAL` would survive `kill -9` as well but may lose the last
/// commits with the machine, and a driver can be on another one: it has then forgotten an event that was acknowledged,
/// and passes over a new command that got the number of one that was forgotten here. Grouping pays for most of it.
fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::Sql { what: "open tables", source };
    let mut db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(failed)?;
    db.execute_batch(
        "PRAGMA busy_timeout = 5000;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA journal_size_limit = 67108864;",
    )
    .map_err(failed)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    migrations::apply(&mut db, path)?;
    Ok(db)
}

/// Opens a connection that cannot write.
fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::Sql { what: "open tables", source };
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(failed)?;
    db.execute_batch("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;").map_err(failed)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(db)
}
