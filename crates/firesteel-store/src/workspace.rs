//! The workspace: a tree of folders, notebooks, files and libraries, each with a number of its own.
//!
//! `/`, `/Shared`, `/Users` and every user's own folder in it are there without having been made: they get a row when
//! they are first looked at.

use firesteel_api::Language;
use firesteel_model::TreePath;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::columns::{integer, number, unreadable};
use crate::error::Failure;
use crate::store::now_ms;
use crate::{Store, StoreError};

/// Bytes of a notebook or a file.
pub const NODE_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Nodes of one listing, or of one folder that is deleted.
const NODES_MAX: usize = 10_000;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A folder.
    Directory,
    /// A notebook, as source text.
    Notebook,
    /// Any other file.
    File,
    /// A library; its id is the node's number.
    Library,
}

impl NodeKind {
    /// Returns the name by which it is stored, and known to clients.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "DIRECTORY",
            Self::Notebook => "NOTEBOOK",
            Self::File => "FILE",
            Self::Library => "LIBRARY",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Directory, Self::Notebook, Self::File, Self::Library].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub id: u64,
    /// Where it is.
    pub path: TreePath,
    /// What it is.
    pub kind: NodeKind,
    /// The language of a notebook.
    pub language: Option<Language>,
    /// Bytes of a notebook or a file.
    pub size: u64,
    /// When it was made, in Unix milliseconds.
    pub created_ms: u64,
    /// When it was last changed, in Unix milliseconds.
    pub modified_ms: u64,
}

/// A notebook or a file to be stored.
#[derive(Clone, Debug)]
pub struct NewNode {
    /// Where.
    pub path: TreePath,
    /// What.
    pub kind: NodeKind,
    /// The language of a notebook.
    pub language: Option<Language>,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl Store {
    /// Returns a node.
    pub async fn node(&self, user: &str, path: &TreePath) -> Result<Node, StoreError> {
        let found = self.read("look up a node of the workspace", |db| find(db, path)).await?;
        match found {
            Some(node) => Ok(node),
            None if is_given(user, path) => {
                let path = path.clone();
                self.write("store a folder of the workspace", move |db| folder(db, &path)).await
            }
            None => Err(missing(path)),
        }
    }

    /// Returns what a folder holds by name, or the one node that the path is.
    pub async fn nodes(&self, user: &str, path: &TreePath) -> Result<Vec<Node>, StoreError> {
        let own = self.node(user, path).await?;
        if own.kind != NodeKind::Directory {
            return Ok(vec![own]);
        }
        // So that they are listed.
        for given in given(user).into_iter().filter(|given| given.parent() == *path && !given.is_root()) {
            self.node(user, &given).await?;
        }
        let path = path.clone();
        self.read_bulk("list the workspace", move |db| {
            db.prepare_cached("SELECT * FROM workspace WHERE parent = ?1 AND path <> '/' ORDER BY path LIMIT ?2")?
                .query_map(params![path.as_str(), integer(NODES_MAX as u64)], node)?
                .collect()
        })
        .await
    }

    /// Makes a folder and those it is in; one that is there is well.
    pub async fn make_folder(&self, path: TreePath) -> Result<(), StoreError> {
        self.write("store a folder of the workspace", move |db| folder(db, &path).map(drop)).await
    }

    /// Stores a notebook or a file in a folder that is there; in place of one of its kind only if `overwrite`.
    pub async fn put_node(&self, user: &str, new: NewNode, overwrite: bool) -> Result<u64, StoreError> {
        if new.bytes.len() > NODE_BYTES_MAX {
            return Err(StoreError::TooLarge { what: "content", bytes: new.bytes.len(), max: NODE_BYTES_MAX });
        }
        let parent = self.node(user, &new.path.parent()).await?;
        if parent.kind != NodeKind::Directory {
            return Err(missing(&new.path.parent()));
        }
        self.write("store a node of the workspace", move |db| {
            let there = find(db, &new.path)?;
            let exists = || StoreError::Exists { what: "node", name: new.path.to_string() };
            if there.as_ref().is_some_and(|there| !overwrite || there.kind != new.kind) {
                return Err(exists().into());
            }
            let (now, size) = (integer(now_ms()), integer(new.bytes.len() as u64));
            let language = new.language.map(Language::as_str);
            let id = match there {
                Some(there) => {
                    db.prepare_cached("UPDATE workspace SET language = ?2, size = ?3, modified_ms = ?4 WHERE id = ?1")?
                        .execute(params![integer(there.id), language, size, now])?;
                    integer(there.id)
                }
                None => insert(db, &new.path, new.kind, language, size)?,
            };
            db.prepare_cached("INSERT OR REPLACE INTO workspace_contents (node, bytes) VALUES (?1, ?2)")?
                .execute(params![id, new.bytes])?;
            Ok(id.unsigned_abs())
        })
        .await
    }

    /// Returns what a notebook or a file holds.
    pub async fn node_bytes(&self, id: u64) -> Result<Vec<u8>, StoreError> {
        let found = self.read_bulk("read a node of the workspace", move |db| {
            db.prepare_cached("SELECT bytes FROM workspace_contents WHERE node = ?1")?
                .query_row([integer(id)], |row| row.get(0))
                .optional()
        });
        found.await?.ok_or_else(|| StoreError::Missing { what: "content of node", name: id.to_string() })
    }

    /// Deletes a node; a folder with all it holds if `recursive`. Libraries are deleted by their own call.
    pub async fn delete_node(&self, user: &str, path: &TreePath, recursive: bool) -> Result<(), StoreError> {
        let own = self.node(user, path).await?;
        if is_given(user, path) {
            return Err(StoreError::Kept(path.to_string()));
        }
        let path = path.clone();
        self.write("delete a node of the workspace", move |db| {
            let below = format!("{path}/");
            let held: Vec<String> = db
                .prepare_cached("SELECT kind FROM workspace WHERE substr(path, 1, length(?1)) = ?1 LIMIT ?2")?
                .query_map(params![below, integer(NODES_MAX as u64 + 1)], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            if !recursive && !held.is_empty() {
                return Err(StoreError::NotEmpty(path.to_string()).into());
            }
            if held.len() > NODES_MAX {
                return Err(StoreError::Full { what: "nodes in one delete", max: NODES_MAX }.into());
            }
            let library = NodeKind::Library.as_str();
            if own.kind == NodeKind::Library || held.iter().any(|kind| kind == library) {
                return Err(StoreError::HoldsLibrary(path.to_string()).into());
            }
            db.prepare_cached("DELETE FROM workspace WHERE path = ?1 OR substr(path, 1, length(?2)) = ?2")?
                .execute(params![path.as_str(), below])?;
            Ok(())
        })
        .await
    }
}

/// The folders that are there without having been made.
fn given(user: &str) -> Vec<TreePath> {
    let own = TreePath::of_workspace(&format!("/Users/{user}")).ok().filter(|own| own.names().count() == 2);
    let all = ["/", "/Shared", "/Users"].into_iter().filter_map(|path| TreePath::of_workspace(path).ok());
    all.chain(own).collect()
}

fn is_given(user: &str, path: &TreePath) -> bool {
    given(user).contains(path)
}

fn missing(path: &TreePath) -> StoreError {
    StoreError::Missing { what: "node", name: path.to_string() }
}

/// Finds a folder, or makes it and those it is in.
pub(crate) fn folder(db: &Connection, path: &TreePath) -> Result<Node, Failure> {
    match find(db, path)? {
        Some(there) if there.kind == NodeKind::Directory => return Ok(there),
        Some(_) => return Err(StoreError::Exists { what: "node", name: path.to_string() }.into()),
        None => {}
    }
    if !path.is_root() {
        folder(db, &path.parent())?;
    }
    insert(db, path, NodeKind::Directory, None, 0)?;
    find(db, path)?.ok_or_else(|| missing(path).into())
}

/// Tells whether there is a node of this path, or will be as soon as somebody looks.
pub(crate) fn is_taken(db: &Connection, path: &TreePath) -> rusqlite::Result<bool> {
    Ok(is_given("", path) || find(db, path)?.is_some())
}

/// Adds a node and returns its number. Its folder must be there.
pub(crate) fn insert(
    db: &Connection,
    path: &TreePath,
    kind: NodeKind,
    language: Option<&str>,
    size: i64,
) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "INSERT INTO workspace (path, parent, kind, language, size, created_ms, modified_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
    )?
    .execute(params![path.as_str(), path.parent().as_str(), kind.as_str(), language, size, integer(now_ms())])?;
    Ok(db.last_insert_rowid())
}

fn find(db: &Connection, path: &TreePath) -> rusqlite::Result<Option<Node>> {
    db.prepare_cached("SELECT * FROM workspace WHERE path = ?1")?.query_row([path.as_str()], node).optional()
}

fn node(row: &Row<'_>) -> rusqlite::Result<Node> {
    let (path, kind): (String, String) = (row.get("path")?, row.get("kind")?);
    let language: Option<String> = row.get("language")?;
    Ok(Node {
        id: number(row, "id")?,
        path: TreePath::of_workspace(&path).map_err(unreadable)?,
        kind: NodeKind::parse(&kind).ok_or_else(|| rusqlite::Error::InvalidColumnName(kind))?,
        language: language.map(|language| language.parse()).transpose().map_err(unreadable)?,
        size: number(row, "size")?,
        created_ms: number(row, "created_ms")?,
        modified_ms: number(row, "modified_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::of_workspace(text).unwrap()
    }

    fn file(at: &str, bytes: &[u8]) -> NewNode {
        NewNode { path: path(at), kind: NodeKind::File, language: None, bytes: bytes.to_vec() }
    }

    async fn names(store: &Store, at: &str) -> Vec<String> {
        store.nodes("ann", &path(at)).await.unwrap().iter().map(|node| node.path.to_string()).collect()
    }

    #[tokio::test]
    async fn a_user_finds_the_usual_folders_and_nobody_else_s_name_makes_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(names(&store, "/").await, ["/Shared", "/Users"]);
        assert_eq!(names(&store, "/Users").await, ["/Users/ann"]);
        assert!(store.node("ann", &path("/Users/bob")).await.is_err());
        // A name that is no name of a folder has none.
        assert_eq!(given("a/b").len(), 3);
        assert_eq!(given("..").len(), 3);
    }

    #[tokio::test]
    async fn a_node_keeps_its_number_and_none_is_given_twice() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let first = store.put_node("ann", file("/Shared/a", b"1"), false).await.unwrap();
        assert_eq!(store.put_node("ann", file("/Shared/a", b"2"), true).await.unwrap(), first);
        assert_eq!(store.node_bytes(first).await.unwrap(), b"2");
        assert!(matches!(store.put_node("ann", file("/Shared/a", b""), false).await, Err(StoreError::Exists { .. })));
        assert!(matches!(store.put_node("ann", file("/no/a", b""), false).await, Err(StoreError::Missing { .. })));
        store.delete_node("ann", &path("/Shared/a"), false).await.unwrap();
        assert!(store.node_bytes(first).await.is_err());
        assert!(store.put_node("ann", file("/Shared/a", b"3"), false).await.unwrap() > first);
    }

    #[tokio::test]
    async fn a_folder_goes_with_what_it_holds_and_with_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.make_folder(path("/Shared/a/b")).await.unwrap();
        store.put_node("ann", file("/Shared/a/b/f", b""), false).await.unwrap();
        store.make_folder(path("/Shared/ab")).await.unwrap();
        let refused = store.delete_node("ann", &path("/Shared/a"), false).await;
        assert!(matches!(refused, Err(StoreError::NotEmpty(_))), "{refused:?}");
        store.delete_node("ann", &path("/Shared/a"), true).await.unwrap();
        assert_eq!(names(&store, "/Shared").await, ["/Shared/ab"]);
        assert!(matches!(store.delete_node("ann", &path("/Shared"), true).await, Err(StoreError::Kept(_))));
    }
}
