//! Files in a real folder, with what hostile user code could have put into it.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// A folder with a secret beside it, and the files below it.
fn files() -> (TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secret"), "secret").unwrap();
    let files = Files::open(&dir.path().join("root")).unwrap();
    (dir, files)
}

fn path(text: &str) -> TreePath {
    TreePath::of_dbfs(text).unwrap()
}

async fn put(files: &Files, at: &str, text: &'static str, overwrite: bool) -> Result<u64, FilesError> {
    let mut upload = files.begin().await?;
    upload.write(Bytes::from_static(text.as_bytes())).await?;
    upload.finish(path(at), overwrite).await
}

async fn text(files: &Files, at: &str) -> String {
    String::from_utf8(files.read(path(at), 0, 1 << 20).await.unwrap().to_vec()).unwrap()
}

async fn names(files: &Files, at: &str) -> Vec<String> {
    let found = files.list(path(at)).await.unwrap();
    found.iter().map(|status| format!("{}{}", status.path, if status.is_folder { "/" } else { "" })).collect()
}

/// The variant of a refusal.
fn word<T: fmt::Debug>(outcome: Result<T, FilesError>) -> String {
    let text = format!("{:?}", outcome.unwrap_err());
    text.split(['(', ' ', '{']).next().unwrap().to_owned()
}

fn aside(dir: &TempDir) -> usize {
    fs::read_dir(dir.path().join("root/.firesteel/uploads")).unwrap().count()
}

#[tokio::test]
async fn a_file_is_seen_when_it_is_whole_and_not_before() {
    let (dir, files) = files();
    let mut upload = files.begin().await.unwrap();
    upload.write(Bytes::from_static(b"one ")).await.unwrap();
    assert_eq!(names(&files, "/").await, [""; 0]);
    upload.write(Bytes::from_static(b"two")).await.unwrap();
    assert_eq!(upload.finish(path("/a/b/c.txt"), false).await.unwrap(), 7);
    assert_eq!(names(&files, "/a/b").await, ["/a/b/c.txt"]);
    assert_eq!(text(&files, "/a/b/c.txt").await, "one two");
    let status = files.status(path("/a/b/c.txt")).await.unwrap();
    assert!(!status.is_folder && status.size == 7 && status.modified_ms > 1_600_000_000_000, "{status:?}");
    assert_eq!(files.read(path("/a/b/c.txt"), 4, 2).await.unwrap(), "tw");
    assert_eq!(files.read(path("/a/b/c.txt"), 7, 2).await.unwrap(), "");
    assert_eq!(files.read(path("/a/b/c.txt"), 700, 2).await.unwrap(), "");
    assert_eq!(aside(&dir), 0);
}

#[tokio::test]
async fn what_was_given_up_leaves_nothing_also_after_a_crash() {
    let (dir, files) = files();
    let mut upload = files.begin().await.unwrap();
    upload.write(Bytes::from_static(b"half")).await.unwrap();
    assert_eq!(aside(&dir), 1);
    drop(upload);
    assert_eq!((aside(&dir), names(&files, "/").await.len()), (0, 0));

    fs::create_dir(dir.path().join("root/.firesteel/uploads/left")).unwrap();
    fs::write(dir.path().join("root/.firesteel/uploads/left/part"), "half").unwrap();
    Files::open(&dir.path().join("root")).unwrap();
    assert_eq!(aside(&dir), 0);
}

#[tokio::test]
async fn of_two_uploads_of_one_name_the_first_to_end_wins_unless_it_may_be_replaced() {
    let (dir, files) = files();
    let mut one = files.begin().await.unwrap();
    let mut other = files.begin().await.unwrap();
    let mut replacing = files.begin().await.unwrap();
    one.write(Bytes::from_static(b"one")).await.unwrap();
    other.write(Bytes::from_static(b"other")).await.unwrap();
    replacing.write(Bytes::from_static(b"replacing")).await.unwrap();
    one.finish(path("/x"), false).await.unwrap();
    assert_eq!(word(other.finish(path("/x"), false).await), "Exists");
    assert_eq!(text(&files, "/x").await, "one");
    replacing.finish(path("/x"), true).await.unwrap();
    assert_eq!(text(&files, "/x").await, "replacing");
    assert_eq!(word(files.check_place(path("/x"), false).await), "Exists");
    assert_eq!(aside(&dir), 0);
}

#[tokio::test]
async fn folders_are_made_moved_and_removed_as_a_whole() {
    let (dir, files) = files();
    put(&files, "/a/b/one", "1", false).await.unwrap();
    files.mkdirs(path("/a/b/empty")).await.unwrap();
    files.mkdirs(path("/a/b/empty")).await.unwrap();
    assert_eq!(word(files.mkdirs(path("/a/b/one")).await), "NotFolder");
    assert_eq!(word(files.mkdirs(path("/a/b/one/two")).await), "NotFolder");
    assert_eq!(word(put(&files, "/a/b/one/two", "2", true).await), "NotFolder");
    assert_eq!(word(put(&files, "/a/b", "2", true).await), "IsFolder");
    assert_eq!(word(files.delete(path("/a"), false).await), "NotEmpty");
    files.rename(path("/a/b"), path("/new/place")).await.unwrap();
    assert_eq!(names(&files, "/new/place").await, ["/new/place/empty/", "/new/place/one"]);
    assert_eq!(names(&files, "/new/place/one").await, ["/new/place/one"]);
    assert_eq!(word(files.rename(path("/a/b"), path("/c")).await), "Missing");
    assert_eq!(word(files.rename(path("/new"), path("/a")).await), "Exists");
    assert_eq!(word(files.rename(path("/new"), path("/new/in/itself")).await), "IntoItself");
    assert!(files.delete(path("/new"), true).await.unwrap());
    assert!(!files.delete(path("/new"), true).await.unwrap());
    assert!(files.delete(path("/a"), false).await.unwrap());
    assert_eq!(names(&files, "/").await, [""; 0]);
    assert_eq!(word(files.delete(path("/"), true).await), "IsRoot");
    assert_eq!(word(files.status(path("/a")).await), "Missing");
    assert_eq!(word(files.read(path("/"), 0, 1).await), "IsFolder");
    assert_eq!(aside(&dir), 0);
}

#[tokio::test]
async fn no_link_leads_out() {
    let (dir, files) = files();
    let root = dir.path().join("root");
    put(&files, "/in/file", "inside", false).await.unwrap();
    symlink("..", root.join("up")).unwrap();
    symlink(dir.path(), root.join("absolute")).unwrap();
    symlink("../secret", root.join("secret")).unwrap();
    symlink("in", root.join("inner")).unwrap();
    for at in ["/up/secret", "/absolute/secret", "/secret"] {
        assert_eq!(word(files.read(path(at), 0, 10).await), "Outside", "{at}");
        assert_eq!(word(files.status(path(at)).await), "Outside", "{at}");
    }
    for at in ["/up/new", "/absolute/new"] {
        assert_eq!(word(put(&files, at, "x", true).await), "Outside", "{at}");
        assert_eq!(word(files.mkdirs(path(at)).await), "Outside", "{at}");
        assert_eq!(word(files.rename(path("/in"), path(at)).await), "Outside", "{at}");
    }
    assert_eq!(word(files.rename(path("/up/secret"), path("/mine")).await), "Outside");
    // Neither is one shown, but one that stays inside is what it leads to.
    assert_eq!(names(&files, "/").await, ["/in/", "/inner/"]);
    assert_eq!(text(&files, "/inner/file").await, "inside");
    // What is removed, or put in its place, is the link.
    put(&files, "/secret", "mine", true).await.unwrap_err();
    assert!(files.delete(path("/up"), true).await.unwrap());
    assert!(files.delete(path("/absolute"), true).await.unwrap());
    assert_eq!(fs::read_to_string(dir.path().join("secret")).unwrap(), "secret");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn what_is_no_file_is_refused_and_not_waited_for() {
    let (dir, files) = files();
    nix::unistd::mkfifo(&dir.path().join("root/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(word(files.read(path("/pipe"), 0, 10).await), "Special");
}
