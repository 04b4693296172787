//! Files on their way: from here to `dbfs:/`, from there to here, and within it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream;
use indicatif::ProgressBar;
use reqwest::Body;

use super::place::{Place, join, name};
use super::remote::{Download, Remote};
use crate::client::failure::Failure;
use crate::client::transfer::{bar, reading};

/// A copy to be made.
pub(super) struct Copy<'a> {
    pub(super) remote: &'a Remote,
    pub(super) overwrite: bool,
}

impl Copy<'_> {
    pub(super) async fn run(&self, from: Place, to: Place, recursive: bool) -> Result<(), Failure> {
        match (from, to) {
            (Place::Here(_), Place::Here(_)) => {
                Err(Failure::Usage("neither path is on dbfs:/; write the one that is as `dbfs:/…`".into()))
            }
            (Place::Here(from), Place::There(to)) => self.up(&from, &to, recursive).await,
            (Place::There(from), Place::Here(to)) => self.down(&from, &to, recursive).await,
            (Place::There(from), Place::There(to)) => self.across(&from, &to, recursive).await,
        }
    }

    async fn up(&self, from: &Path, to: &str, recursive: bool) -> Result<(), Failure> {
        let facts = std::fs::metadata(from).map_err(Failure::io(format!("read `{}`", from.display())))?;
        let own = from.canonicalize().ok().and_then(|path| path.file_name()?.to_str().map(str::to_owned));
        let to = self.target(to, own.as_deref().unwrap_or_default()).await?;
        if !facts.is_dir() {
            return self.file_up(from, &to).await;
        }
        need_recursive(from.display(), recursive)?;
        let mut folders = vec![(from.to_owned(), to)];
        while let Some((folder, to)) = folders.pop() {
            self.remote.mkdirs(&to).await?;
            for entry in entries(&folder)? {
                let Some(own) = entry.file_name().and_then(|own| own.to_str()) else {
                    return Err(Failure::Usage(format!("the name of `{}` is not UTF-8", entry.display())));
                };
                let to = join(&to, own);
                if entry.is_dir() { folders.push((entry, to)) } else { self.file_up(&entry, &to).await? }
            }
        }
        Ok(())
    }

    async fn down(&self, from: &str, to: &Path, recursive: bool) -> Result<(), Failure> {
        let facts = self.remote.status(from).await?;
        let to = if to.is_dir() { to.join(name(from)) } else { to.to_owned() };
        if !facts.is_dir {
            return self.file_down(from, &to).await;
        }
        need_recursive(from, recursive)?;
        let mut folders = vec![(facts.path, to)];
        while let Some((folder, to)) = folders.pop() {
            std::fs::create_dir_all(&to).map_err(Failure::io(format!("make `{}`", to.display())))?;
            for entry in self.remote.list(&folder).await? {
                let to = to.join(safe_name(&entry.path)?);
                if entry.is_dir { folders.push((entry.path, to)) } else { self.file_down(&entry.path, &to).await? }
            }
        }
        Ok(())
    }

    async fn across(&self, from: &str, to: &str, recursive: bool) -> Result<(), Failure> {
        let facts = self.remote.status(from).await?;
        let to = self.target(to, name(from)).await?;
        if !facts.is_dir {
            return self.file_across(from, &to).await;
        }
        need_recursive(from, recursive)?;
        if format!("{to}/").starts_with(&format!("{}/", facts.path.trim_end_matches('/'))) {
            return Err(Failure::Usage(format!("`{from}` cannot be copied into itself")));
        }
        let mut folders = vec![(facts.path, to)];
        while let Some((folder, to)) = folders.pop() {
            self.remote.mkdirs(&to).await?;
            for entry in self.remote.list(&folder).await? {
                let to = join(&to, name(&entry.path));
                if entry.is_dir { folders.push((entry.path, to)) } else { self.file_across(&entry.path, &to).await? }
            }
        }
        Ok(())
    }

    /// Where something named `own` goes: into a folder that is there, or to the path itself.
    async fn target(&self, to: &str, own: &str) -> Result<String, Failure> {
        let is_folder = to.ends_with('/') || to == "/" || self.remote.find(to).await?.is_some_and(|there| there.is_dir);
        Ok(if is_folder { join(to, own) } else { to.to_owned() })
    }

    async fn file_up(&self, from: &Path, to: &str) -> Result<(), Failure> {
        let failed = || Failure::io(format!("read `{}`", from.display()));
        let file = tokio::fs::File::open(from).await.map_err(failed())?;
        let length = file.metadata().await.map_err(failed())?.len();
        let bar = bar(name(to), Some(length));
        let sent = Arc::new(AtomicU64::new(0));
        self.remote.upload(to, self.overwrite, reading(file, bar.clone(), sent.clone()), sent).await?;
        bar.finish();
        Ok(())
    }

    async fn file_down(&self, from: &str, to: &Path) -> Result<(), Failure> {
        if !self.overwrite && to.symlink_metadata().is_ok() {
            return Err(Failure::Usage(format!("`{}` is there already; replace it with `--overwrite`", to.display())));
        }
        let failed = || Failure::io(format!("write `{}`", to.display()));
        let mut download = self.remote.download(from).await?;
        let bar = bar(name(from), download.length());
        // Beside it, and put in place whole.
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed())?;
        while let Some(bytes) = download.next().await? {
            file.write_all(&bytes).map_err(failed())?;
            bar.inc(bytes.len() as u64);
        }
        let placed = if self.overwrite { file.persist(to) } else { file.persist_noclobber(to) };
        placed.map_err(|error| failed()(error.error))?;
        bar.finish();
        Ok(())
    }

    async fn file_across(&self, from: &str, to: &str) -> Result<(), Failure> {
        let download = self.remote.download(from).await?;
        let bar = bar(name(from), download.length());
        let sent = Arc::new(AtomicU64::new(0));
        self.remote.upload(to, self.overwrite, passing(download, bar.clone(), sent.clone()), sent).await?;
        bar.finish();
        Ok(())
    }
}

/// A body that is another answer's.
fn passing(download: Download, bar: ProgressBar, sent: Arc<AtomicU64>) -> Body {
    Body::wrap_stream(stream::try_unfold(download, move |mut download| {
        let (bar, sent) = (bar.clone(), sent.clone());
        async move {
            let bytes = download.next().await.map_err(std::io::Error::other)?;
            let read = bytes.as_ref().map_or(0, Bytes::len) as u64;
            bar.inc(read);
            sent.fetch_add(read, Ordering::Relaxed);
            Ok::<_, std::io::Error>(bytes.map(|bytes| (bytes, download)))
        }
    }))
}

fn need_recursive(folder: impl std::fmt::Display, recursive: bool) -> Result<(), Failure> {
    if recursive { Ok(()) } else { Err(Failure::Usage(format!("`{folder}` is a folder; copy it with `-r`"))) }
}

/// What a folder of this machine holds, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = || Failure::io(format!("list `{}`", folder.display()));
    let read = std::fs::read_dir(folder).map_err(failed())?;
    let mut entries =
        read.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed())?;
    entries.sort();
    Ok(entries)
}

/// The name that a server gave, where it can be one of a file of this machine.
fn safe_name(path: &str) -> Result<&str, Failure> {
    let own = name(path);
    match own {
        "" | "." | ".." => Err(Failure::Usage(format!("the server lists `{path}`, which is no file's name"))),
        own if own.contains('\0') => Err(Failure::Usage("the server lists a name with a NUL".into())),
        own => Ok(own),
    }
}
