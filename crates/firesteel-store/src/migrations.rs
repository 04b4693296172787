//! Brings a database to the version of the program. The files are appended to and never edited.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::StoreError;

/// Every migration, in order; the version of a database is how many of them it has.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_init.sql"),
    include_str!("../migrations/0002_cluster_life.sql"),
    include_str!("../migrations/0003_stops_and_idle.sql"),
    include_str!("../migrations/0004_workspace_secrets.sql"),
    include_str!("../migrations/0005_outputs.sql"),
    include_str!("../migrations/0006_schedules.sql"),
    include_str!("../migrations/0007_libraries.sql"),
];

/// Applies what is missing, all of it or nothing. Refuses a database that a newer program wrote.
pub(crate) fn apply(db: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Sql { what: "apply the migrations", source };
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let known = u32::try_from(MIGRATIONS.len()).expect("there are few migrations");
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    for migration in &MIGRATIONS[found as usize..] {
        transaction.execute_batch(migration).map_err(failed)?;
    }
    transaction.pragma_update(None, "user_version", known).map_err(failed)?;
    transaction.commit().map_err(failed)
}

#[cfg(test)]
mod tests {
    use firesteel_model::ClusterState;

    use crate::Store;

    use super::*;

    /// A database as the first program left it, with a cluster that ran.
    fn first(path: &Path) {
        let db = Connection::open(path).unwrap();
        db.execute_batch(MIGRATIONS[0]).unwrap();
        db.execute_batch(
            "INSERT INTO users VALUES ('ann', 'hash');
             INSERT INTO clusters VALUES ('c1', 'it''s \"ours\"', 'Running', NULL, 2, 10000, '127.0.0.1', 'spark-4.3.0', 'local', 7, 'g', 3, '{}');
             INSERT INTO contexts VALUES ('41', 'c1', 'python', 'Running', NULL, 8, 0, 0);
             PRAGMA user_version = 1;",
        )
        .unwrap();
    }

    #[tokio::test]
    async fn a_database_of_the_first_program_is_brought_up_to_date_with_all_that_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        first(&folder.path().join("firesteel.db"));
        let store = Store::open(folder.path()).unwrap();
        let cluster = store.cluster(&"c1".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!((cluster.settings.cluster_name.as_str(), cluster.settings.num_workers), ("it's \"ours\"", 2));
        assert_eq!((cluster.state, cluster.jdbc_port, cluster.created_ms), (ClusterState::Running, 10_000, 7));
        assert_eq!((cluster.workers, cluster.pinned, cluster.started_ms), (0, false, None));
        assert_eq!(store.contexts(&cluster.id).await.unwrap().len(), 1);
        assert!(store.user("ann").await.unwrap().is_some());
        drop(store);
        // Nothing is done twice.
        let store = Store::open(folder.path()).unwrap();
        assert!(store.cluster(&cluster.id).await.unwrap().is_some());
    }
}
