//! A library on its way to the server.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use firesteel_api::LibraryId;
use firesteel_api::libraries::LibraryRef;
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method};

use crate::client::api::{Api, ApiError};
use crate::client::failure::Failure;
use crate::client::transfer::{self, bar, reading};

/// What is uploaded, and as what.
pub(super) struct Upload<'a> {
    /// A file, or the name of a package where the kind has no file.
    pub(super) what: &'a str,
    pub(super) kind: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) folder: &'a str,
    pub(super) all_clusters: bool,
}

impl Upload<'_> {
    /// Sends it and returns the library's id.
    pub(super) async fn send(&self, api: &Api) -> Result<LibraryId, Failure> {
        let mut form = Form::new().text("folder", self.folder.to_owned());
        let flags = [("libType", self.kind), ("name", self.name)];
        for (name, value) in flags.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            form = form.text(name, value.to_owned());
        }
        form = form.text("attachToAllClusters", self.all_clusters.to_string());
        let is_package = matches!(self.kind, Some("python-pypi" | "maven"));
        let sent = Arc::new(AtomicU64::new(0));
        let (form, shown) = match is_package {
            true => (form.text("uri", self.what.to_owned()), None),
            false => {
                let (part, shown) = file_part(Path::new(self.what), sent.clone()).await?;
                (form.part("uri", part), Some(shown))
            }
        };
        let request = api.request(Method::POST, "/api/1.2/libraries/upload").timeout(transfer::AT_ALL).multipart(form);
        let answer = transfer::watched(api.send(request), &sent).await?;
        let bytes = answer.bytes().await.map_err(|source| ApiError::unreachable(api.url(), source))?;
        let LibraryRef { id } = serde_json::from_slice(&bytes)
            .map_err(|source| ApiError::Stranger { url: api.url().to_owned(), source })?;
        if let Some(shown) = shown {
            shown.finish();
        }
        Ok(id)
    }
}

async fn file_part(path: &Path, sent: Arc<AtomicU64>) -> Result<(Part, indicatif::ProgressBar), Failure> {
    let failed = || Failure::io(format!("read `{}`", path.display()));
    let own = path.file_name().and_then(|own| own.to_str()).unwrap_or_default().to_owned();
    let file = tokio::fs::File::open(path).await.map_err(failed())?;
    let facts = file.metadata().await.map_err(failed())?;
    if !facts.is_file() {
        return Err(Failure::Usage(format!("`{}` is not a file", path.display())));
    }
    let shown = bar(&own, Some(facts.len()));
    let body: Body = reading(file, shown.clone(), sent);
    Ok((Part::stream_with_length(body, facts.len()).file_name(own), shown))
}
