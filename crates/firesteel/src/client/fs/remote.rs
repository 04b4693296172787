//! The calls about files.
//!
//! Whole files travel as they are, under `/api/2.0/fs/files`; the rest is DBFS 2.0. A transfer has no deadline, but one
//! that stands still has.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use firesteel_api::v2::dbfs::{Done, FileInfo, FileList};
use reqwest::{Body, Method, RequestBuilder, Response, Url};
use serde_json::json;

use crate::client::api::{Api, ApiError};
use crate::client::failure::Failure;
use crate::client::transfer;

/// The files of a server.
pub(super) struct Remote(Api);

impl Remote {
    pub(super) fn new(api: Api) -> Self {
        Self(api)
    }

    /// Returns what a path is.
    pub(super) async fn status(&self, path: &str) -> Result<FileInfo, Failure> {
        let request = self.0.request(Method::GET, "/api/2.0/dbfs/get-status").query(&[("path", path)]);
        Ok(self.0.ask(request).await?)
    }

    /// Returns what a path is; `None` where nothing is.
    pub(super) async fn find(&self, path: &str) -> Result<Option<FileInfo>, Failure> {
        match self.status(path).await {
            Err(Failure::Api(ApiError::Refused { status, .. })) if status.as_u16() == 404 => Ok(None),
            found => found.map(Some),
        }
    }

    /// Returns what a folder holds.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<FileInfo>, Failure> {
        let request = self.0.request(Method::GET, "/api/2.0/dbfs/list").query(&[("path", path)]);
        let FileList { files } = self.0.ask(request).await?;
        Ok(files)
    }

    pub(super) async fn mkdirs(&self, path: &str) -> Result<(), Failure> {
        self.post("mkdirs", &json!({"path": path})).await
    }

    pub(super) async fn delete(&self, path: &str, recursive: bool) -> Result<(), Failure> {
        self.post("delete", &json!({"path": path, "recursive": recursive})).await
    }

    /// Begins to fetch a file.
    pub(super) async fn download(&self, path: &str) -> Result<Download, Failure> {
        let response = self.0.send(self.whole(Method::GET, path)?).await?;
        Ok(Download { response, url: self.0.url().to_owned() })
    }

    /// Sends a file; `sent` counts its bytes as they go.
    pub(super) async fn upload(
        &self,
        path: &str,
        overwrite: bool,
        body: Body,
        sent: Arc<AtomicU64>,
    ) -> Result<(), Failure> {
        let request = self.whole(Method::PUT, path)?.query(&[("overwrite", overwrite)]).body(body);
        transfer::watched(self.0.send(request), &sent).await.map(drop)
    }

    /// A request for a whole file.
    fn whole(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        let mut url = Url::parse(self.0.url()).map_err(|_| Failure::Usage(format!("`{}` is no URL", self.0.url())))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "2.0", "fs", "files"]);
            segments.extend(path.split('/').filter(|name| !name.is_empty()));
        }
        Ok(self.0.request(method, url.path()).timeout(transfer::AT_ALL))
    }

    async fn post(&self, call: &str, body: &serde_json::Value) -> Result<(), Failure> {
        let request = self.0.request(Method::POST, &format!("/api/2.0/dbfs/{call}")).json(body);
        let Done {} = self.0.ask(request).await?;
        Ok(())
    }
}

/// A file on its way here.
pub(super) struct Download {
    response: Response,
    url: String,
}

impl Download {
    /// Returns how long the file is, if the server says so.
    pub(super) fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// Returns the next bytes; `None` at the end. A connection that breaks before it is an error.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        match tokio::time::timeout(transfer::STILL, self.response.chunk()).await {
            Ok(chunk) => chunk.map_err(|source| ApiError::unreachable(&self.url, source).into()),
            Err(_) => Err(transfer::still()),
        }
    }
}
