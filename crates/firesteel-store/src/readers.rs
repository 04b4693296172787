//! A few connections for reads. Whoever needs one waits for it in order.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

/// A borrowed connection; it goes back when this is dropped.
pub(crate) struct Reader {
    /// `None` only while it is being dropped.
    connection: Option<Connection>,
    home: Arc<Readers>,
    /// Dropped after the connection is back: fields are dropped after `drop` has run.
    _permit: OwnedSemaphorePermit,
}

impl Readers {
    pub(crate) fn new(connections: Vec<Connection>) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(connections.len()));
        Arc::new(Self { idle: Mutex::new(connections), permits })
    }

    pub(crate) async fn take(home: &Arc<Self>) -> Reader {
        let permit = home.permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        let connection = home.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Reader { connection, home: home.clone(), _permit: permit }
    }
}

impl Deref for Reader {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a permit stands for one idle connection")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.home.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.connection.take());
    }
}
