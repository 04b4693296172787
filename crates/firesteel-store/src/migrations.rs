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
