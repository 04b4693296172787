//! Libraries that were uploaded, and which file each has. What clusters have of them is in `installs`.
//!
//! A file is on disk before its library is here, and after it is no more. In between its path is among the stray files:
//! whatever ends the server then, the next one removes what nothing refers to.

use firesteel_api::LibraryId;
use firesteel_api::libraries::Library;
use firesteel_model::TreePath;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::clusters::json;
use crate::columns::unreadable;
use crate::error::bounded;
use crate::workspace::{self, NodeKind};
use crate::{Store, StoreError, installs};

/// Libraries of one server.
const LIBRARIES_MAX: usize = 10_000;
/// Bytes of one library's spelling: a path, or a requirement with an index.
const SPELLING_BYTES_MAX: usize = 16 * 1024;

/// A library to be stored.
#[derive(Clone, Debug)]
pub struct NewLibrary {
    /// Where it is in the workspace; the last name is its own.
    pub path: TreePath,
    /// What it is.
    pub library: Library,
    /// The file on `dbfs:/` that goes with it.
    pub file: Option<TreePath>,
    /// Whether every cluster gets it, those made later too.
    pub for_all: bool,
}

/// One library that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryRecord {
    /// Its id, which is its node's.
    pub id: LibraryId,
    /// Where it is in the workspace; the last name is its own.
    pub path: TreePath,
    /// What it is.
    pub library: Library,
    /// The file on `dbfs:/` that goes with it.
    pub file: Option<TreePath>,
    /// Whether clusters made later get it too.
    pub for_all: bool,
}

impl Store {
    /// Takes note of a file that is about to be there and that nothing refers to yet.
    pub async fn expect_library_file(&self, path: &TreePath) -> Result<(), StoreError> {
        let path = path.clone();
        self.write("store a library's file", move |db| Ok(stray(db, &path)?)).await
    }

    /// Returns the files that nothing refers to.
    pub async fn stray_library_files(&self) -> Result<Vec<TreePath>, StoreError> {
        self.read_bulk("list the files without a library", |db| {
            db.prepare_cached("SELECT path FROM stray_library_files")?
                .query_map([], |row| dbfs_path(&row.get::<_, String>(0)?))?
                .collect()
        })
        .await
    }

    /// Forgets a file that is not there any more.
    pub async fn forget_library_file(&self, path: &TreePath) -> Result<(), StoreError> {
        let path = path.clone();
        self.write("forget a library's file", move |db| Ok(no_stray(db, &path)?)).await
    }

    /// Adds a library, whose file is there. [`StoreError::Exists`] when its folder holds that name.
    pub async fn insert_library(&self, new: NewLibrary) -> Result<LibraryId, StoreError> {
        let spelling = spelling(&new.library)?;
        self.write("store a library", move |db| {
            if workspace::is_taken(db, &new.path)? {
                return Err(StoreError::Exists { what: "node", name: new.path.to_string() }.into());
            }
            let count: i64 = db.query_row("SELECT count(*) FROM libraries", [], |row| row.get(0))?;
            if count.unsigned_abs() >= LIBRARIES_MAX as u64 {
                return Err(StoreError::Full { what: "libraries", max: LIBRARIES_MAX }.into());
            }
            workspace::folder(db, &new.path.parent())?;
            let node = workspace::insert(db, &new.path, NodeKind::Library, None, 0)?;
            let file = new.file.as_ref().map(TreePath::as_str);
            db.prepare_cached("INSERT INTO libraries (node, library_json, file, for_all) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![node, spelling, file, new.for_all])?;
            if let Some(file) = &new.file {
                no_stray(db, file)?;
            }
            if new.for_all {
                installs::ask_everywhere(db, &spelling)?;
            }
            Ok(id(node)?)
        })
        .await
    }

    /// Returns every library, by its path.
    pub async fn libraries(&self) -> Result<Vec<LibraryRecord>, StoreError> {
        self.read_bulk("list the libraries", |db| {
            let select = "SELECT libraries.*, workspace.path FROM libraries JOIN workspace ON node = id ORDER BY path";
            db.prepare_cached(select)?.query_map([], record)?.collect()
        })
        .await
    }

    /// Returns a library.
    pub async fn library(&self, id: LibraryId) -> Result<LibraryRecord, StoreError> {
        let found = self.read("look up a library", |db| find(db, id)).await?;
        found.ok_or_else(|| missing(id))
    }

    /// Gives every cluster a library, those made later too, or takes it from all.
    pub async fn set_library_for_all(&self, id: LibraryId, for_all: bool) -> Result<LibraryRecord, StoreError> {
        self.write("attach a library to all clusters", move |db| {
            let record = find(db, id)?.ok_or_else(|| missing(id))?;
            db.prepare_cached("UPDATE libraries SET for_all = ?2 WHERE node = ?1")?
                .execute(params![id.number().cast_signed(), for_all])?;
            let spelling = spelling(&record.library)?;
            if for_all {
                installs::ask_everywhere(db, &spelling)?
            } else {
                installs::drop_everywhere(db, &spelling)?
            }
            Ok(LibraryRecord { for_all, ..record })
        })
        .await
    }

    /// Deletes a library; clusters lose it at their restart. Its file is a stray one then.
    pub async fn delete_library(&self, id: LibraryId) -> Result<LibraryRecord, StoreError> {
        self.write("delete a library", move |db| {
            let record = find(db, id)?.ok_or_else(|| missing(id))?;
            installs::drop_everywhere(db, &spelling(&record.library)?)?;
            if let Some(file) = &record.file {
                stray(db, file)?;
            }
            db.prepare_cached("DELETE FROM workspace WHERE id = ?1")?.execute([id.number().cast_signed()])?;
            Ok(record)
        })
        .await
    }
}

/// Spells a library as it is stored.
pub(crate) fn spelling(library: &Library) -> Result<String, StoreError> {
    let spelling = library.key();
    bounded("name of a library", &spelling, SPELLING_BYTES_MAX)?;
    Ok(spelling)
}

fn missing(id: LibraryId) -> StoreError {
    StoreError::Missing { what: "library", name: id.to_string() }
}

fn stray(db: &Connection, path: &TreePath) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR IGNORE INTO stray_library_files (path) VALUES (?1)")?.execute([path.as_str()])?;
    Ok(())
}

fn no_stray(db: &Connection, path: &TreePath) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM stray_library_files WHERE path = ?1")?.execute([path.as_str()])?;
    Ok(())
}

fn find(db: &Connection, id: LibraryId) -> rusqlite::Result<Option<LibraryRecord>> {
    let select = "SELECT libraries.*, workspace.path FROM libraries JOIN workspace ON node = id WHERE node = ?1";
    db.prepare_cached(select)?.query_row([id.number().cast_signed()], record).optional()
}

fn record(row: &Row<'_>) -> rusqlite::Result<LibraryRecord> {
    let path: String = row.get("path")?;
    let file: Option<String> = row.get("file")?;
    Ok(LibraryRecord {
        id: id(row.get("node")?)?,
        path: TreePath::of_workspace(&path).map_err(unreadable)?,
        library: json(&row.get::<_, String>("library_json")?)?,
        file: file.map(|file| dbfs_path(&file)).transpose()?,
        for_all: row.get("for_all")?,
    })
}

fn id(node: i64) -> rusqlite::Result<LibraryId> {
    node.to_string().parse().map_err(unreadable)
}

fn dbfs_path(text: &str) -> rusqlite::Result<TreePath> {
    TreePath::of_dbfs(text).map_err(unreadable)
}
