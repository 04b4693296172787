//! The files of libraries: put in place when one is uploaded, removed when it is deleted. Each is announced to the store
//! first, so that what a killed server leaves is found by the next one.

use firesteel_api::libraries::{Library, LibraryKind};
use firesteel_model::TreePath;
use firesteel_store::StoreError;
use firesteel_store::files::{FilesError, Upload};

use super::Kept;

/// The folder of `dbfs:/` where they are.
pub const LIBRARY_FOLDER: &str = "/FileStore/jars";

/// Bytes of a name that is made of a library's own.
const STEM_BYTES_MAX: usize = 100;

/// Why a library's file cannot be put in place or removed.
#[derive(Debug, thiserror::Error)]
pub enum LibraryFileError {
    /// The name is not one that such a file has.
    #[error("{0}")]
    Name(String),
    /// The files refuse it.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Kept {
    /// Puts an uploaded file in place; returns where, and what it is as a library. Nothing refers to it yet.
    pub async fn place_library(
        &self,
        upload: Upload,
        kind: LibraryKind,
        own_name: &str,
    ) -> Result<(TreePath, Library), LibraryFileError> {
        let (path, library) = placed(kind, own_name, rand::random())?;
        self.store.expect_library_file(&path).await?;
        match upload.finish(path.clone(), false).await {
            Ok(_) => Ok((path, library)),
            Err(refusal) => {
                self.remove_library_file(&path).await?;
                Err(refusal.into())
            }
        }
    }

    /// Removes a library's file, which nothing refers to any more.
    pub async fn remove_library_file(&self, path: &TreePath) -> Result<(), LibraryFileError> {
        self.dbfs.delete(path.clone(), false).await?;
        let folder = path.parent();
        if folder.as_str() != LIBRARY_FOLDER {
            self.dbfs.delete(folder, false).await?;
        }
        Ok(self.store.forget_library_file(path).await?)
    }

    /// Removes every file of a library that nothing refers to: what an earlier server was about to place or to remove.
    pub async fn remove_stray_libraries(&self) -> Result<(), LibraryFileError> {
        for path in self.store.stray_library_files().await? {
            tracing::warn!("`{path}` belongs to no library; it is removed");
            self.remove_library_file(&path).await?;
        }
        Ok(())
    }
}

/// Where a file of this name goes, and what it is there. The name of a wheel tells what is in it, and so it is kept as it
/// is, in a folder of its own; the others get a name of the service's form, such as `47fb08a7-lib_1_0-e5f8c.egg`.
fn placed(kind: LibraryKind, own_name: &str, salt: u64) -> Result<(TreePath, Library), LibraryFileError> {
    let bad = |why: &str| LibraryFileError::Name(format!("`{}` {why}", own_name.escape_debug()));
    let suffix = match kind {
        LibraryKind::JavaJar => "jar",
        LibraryKind::PythonEgg => "egg",
        LibraryKind::PythonWheel => "whl",
        LibraryKind::PythonRequirements => "txt",
        _ => return Err(bad("comes without a file")),
    };
    let (front, back) = ((salt >> 32) & 0xffff_ffff, salt & 0xf_ffff);
    let own_kind = LibraryKind::from_file_name(own_name);
    if own_kind.is_some_and(|own| own != kind) {
        return Err(bad(&format!("is no name of a library of this kind, which ends in `.{suffix}`")));
    }
    let name = if kind == LibraryKind::PythonWheel {
        if !is_wheel(own_name) {
            return Err(bad("is no name of a wheel, such as `name-1.0-py3-none-any.whl`"));
        }
        format!("{front:08x}-{back:05x}/{own_name}")
    } else {
        let stem = own_kind.and_then(|_| own_name.rsplit_once('.')).map_or(own_name, |(stem, _)| stem);
        format!("{front:08x}-{}-{back:05x}.{suffix}", clean(stem))
    };
    let path =
        TreePath::of_dbfs(&format!("{LIBRARY_FOLDER}/{name}")).map_err(|why| bad(&format!("is refused: {why}")))?;
    let uri = format!("dbfs:{path}");
    let library = match kind {
        LibraryKind::JavaJar => Library::Jar(uri),
        LibraryKind::PythonEgg => Library::Egg(uri),
        LibraryKind::PythonWheel => Library::Whl(uri),
        _ => Library::Requirements(uri),
    };
    Ok((path, library))
}

/// A name in letters that every file system and every URI has.
fn clean(stem: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    stem.chars().take(STEM_BYTES_MAX).map(plain).collect()
}

/// Tells whether pip takes it for the name of a wheel.
fn is_wheel(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+!".contains(&byte));
    plain
        && name.len() <= 200
        && name.strip_suffix(".whl").is_some_and(|stem| (5..=6).contains(&stem.split('-').count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: LibraryKind, name: &str, expected: &str) {
        let seen = match placed(kind, name, 0x47fb_08a7_000e_5f8c) {
            Ok((path, _)) => path.to_string(),
            Err(refusal) => refusal.to_string(),
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_file_gets_a_name_of_the_service_s_form() {
        use LibraryKind::{JavaJar, PythonEgg, PythonRequirements, PythonWheel};
        let egg = "/FileStore/jars/47fb08a7-test-library-1_0_2-py3_6-e5f8c.egg";
        check(PythonEgg, "test-library-1.0.2-py3.6.egg", egg);
        check(JavaJar, "../../é.JAR", "/FileStore/jars/47fb08a7-_______-e5f8c.jar");
        check(JavaJar, "noname", "/FileStore/jars/47fb08a7-noname-e5f8c.jar");
        check(PythonRequirements, "requirements.txt", "/FileStore/jars/47fb08a7-requirements-e5f8c.txt");
        let wheel = "/FileStore/jars/47fb08a7-e5f8c/a-1.0-py3-none-any.whl";
        check(PythonWheel, "a-1.0-py3-none-any.whl", wheel);
        let refused = "`a.whl` is no name of a wheel, such as `name-1.0-py3-none-any.whl`";
        check(PythonWheel, "a.whl", refused);
        check(JavaJar, "a.egg", "`a.egg` is no name of a library of this kind, which ends in `.jar`");
    }

    #[tokio::test]
    async fn a_file_whose_library_was_never_stored_goes_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let open = |store| Kept::open(folder.path(), store).unwrap();
        let kept = open(firesteel_store::Store::open(folder.path()).unwrap());
        let mut upload = kept.dbfs.begin().await.unwrap();
        upload.write("PK".into()).await.unwrap();
        let (path, library) =
            kept.place_library(upload, LibraryKind::PythonWheel, "a-1-py3-none-any.whl").await.unwrap();
        assert_eq!(library, Library::Whl(format!("dbfs:{path}")));
        assert!(kept.dbfs.status(path.clone()).await.is_ok());
        // What a user has put there by other means is not a library's.
        let other = TreePath::of_dbfs("/FileStore/jars/own.jar").unwrap();
        kept.dbfs.begin().await.unwrap().finish(other.clone(), false).await.unwrap();
        let store = kept.store.clone();
        drop(kept);
        let kept = open(store);
        kept.remove_stray_libraries().await.unwrap();
        assert!(kept.dbfs.status(path.parent()).await.is_err());
        assert!(kept.dbfs.status(other).await.is_ok());
        assert_eq!(kept.store.stray_library_files().await.unwrap(), []);
    }
}
