//! Bodies that carry a file: a multipart part of any length goes to disk as it comes, and everything beside it is read
//! as the parameters of any call. A body of another kind has its file, in base64, among the parameters.

use axum::body::HttpBody as _;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use bytes::Bytes;
use firesteel_store::files::{FILE_BYTES_MAX, Files, Upload};
use futures_util::StreamExt as _;

use crate::http::AppState;
use crate::http::body::{self, Params};
use crate::http::error::{Failure, Style};

/// Bytes that are gathered before they are written: a write is a hop to another thread.
const WRITE_BYTES: usize = 256 * 1024;

/// What a body with a file may have beside it.
const PARAMETERS_BYTES: u64 = 1 << 20;

/// What a call with a file holds.
pub(crate) struct WithFile {
    /// Everything but the file.
    pub(crate) params: Params,
    /// The file, written aside; `None` if the call has none.
    pub(crate) file: Option<Upload>,
}

/// Reads a call whose parameter `name` is a file. One that is in base64 may have up to `inline_max` bytes; `too_long`
/// words the refusal.
pub(crate) async fn read(
    app: &AppState,
    files: &Files,
    request: Request,
    name: &str,
    inline_max: usize,
    too_long: fn(usize) -> Failure,
) -> Result<WithFile, axum::response::Response> {
    let style = Style::of(request.uri().path());
    if let Some(boundary) = boundary(&request) {
        return multipart(app, files, request, &boundary, name).await.map_err(|failure| failure.respond(style));
    }
    let mut params = Params::from_request(request, app).await?;
    let write = async {
        let Some(bytes) = inline(&mut params, name, inline_max, too_long)? else { return Ok(None) };
        let mut upload = files.begin().await?;
        upload.write(bytes).await?;
        Ok::<_, Failure>(Some(upload))
    };
    let file = write.await.map_err(|failure| failure.respond(style))?;
    Ok(WithFile { params, file })
}

/// Reads a call with one file, of up to `max` bytes, and returns it with its name. What has no file name is a parameter.
pub(crate) async fn read_file_part(
    app: &AppState,
    files: &Files,
    request: Request,
    max: u64,
) -> Result<(Params, Option<(String, Upload)>), axum::response::Response> {
    let style = Style::of(request.uri().path());
    let Some(boundary) = boundary(&request) else {
        return Ok((Params::from_request(request, app).await?, None));
    };
    let gather = async {
        body::refuse_compressed(request.headers())?;
        // A client that asked whether to send it learns that it need not.
        if request.body().size_hint().lower() > max.saturating_add(PARAMETERS_BYTES) {
            return Err(file_too_large(max));
        }
        let query = request.uri().query().map(str::to_owned);
        let mut parts = multer::Multipart::new(request.into_body().into_data_stream(), boundary);
        let (mut fields, mut found) = (body::Gathered::new(app), None);
        while let Some(part) = parts.next_field().await.map_err(body::broken_multipart)? {
            match part.file_name().map(str::to_owned) {
                Some(name) => found = Some((name, write(files, part, max).await?)),
                None => fields.part(part).await?,
            }
        }
        Ok((fields.finish(query.as_deref())?, found))
    };
    gather.await.map_err(|failure: Failure| failure.respond(style))
}

fn file_too_large(max: u64) -> Failure {
    Failure::too_large(format!("the file is larger than {max} bytes"))
}

/// Takes out a parameter that is a file in base64.
fn inline(
    params: &mut Params,
    name: &str,
    max: usize,
    too_long: fn(usize) -> Failure,
) -> Result<Option<Bytes>, Failure> {
    if params.text(name)?.is_none() {
        return Ok(None);
    }
    let bytes = decoded(name, &params.take(name)?)?;
    if bytes.len() > max { Err(too_long(max)) } else { Ok(Some(bytes)) }
}

/// Reads a call whose parameter `name` is a small file, of up to `max` bytes; `too_long` words the refusal.
pub(crate) async fn read_bytes(
    app: &AppState,
    request: Request,
    name: &str,
    max: usize,
    too_long: fn(usize) -> Failure,
) -> Result<(Params, Option<Bytes>), axum::response::Response> {
    let style = Style::of(request.uri().path());
    let Some(boundary) = boundary(&request) else {
        let mut params = Params::from_request(request, app).await?;
        let bytes = inline(&mut params, name, max, too_long).map_err(|failure| failure.respond(style))?;
        return Ok((params, bytes));
    };
    let gather = async {
        body::refuse_compressed(request.headers())?;
        let query = request.uri().query().map(str::to_owned);
        let mut parts = multer::Multipart::new(request.into_body().into_data_stream(), boundary);
        let mut fields = body::Gathered::new(app);
        let mut found = None;
        while let Some(mut part) = parts.next_field().await.map_err(body::broken_multipart)? {
            if part.name() != Some(name) {
                fields.part(part).await?;
                continue;
            }
            let mut bytes = Vec::new();
            while let Some(chunk) = part.chunk().await.map_err(body::broken_multipart)? {
                if bytes.len() + chunk.len() > max {
                    return Err(too_long(max));
                }
                bytes.extend_from_slice(&chunk);
            }
            found = Some(Bytes::from(bytes));
        }
        Ok((fields.finish(query.as_deref())?, found))
    };
    gather.await.map_err(|failure: Failure| failure.respond(style))
}

/// Reads the base64 of a parameter, with or without its padding.
pub(crate) fn decoded(name: &str, text: &str) -> Result<Bytes, Failure> {
    let engine =
        if text.ends_with('=') || text.len().is_multiple_of(4) { BASE64_STANDARD } else { BASE64_STANDARD_NO_PAD };
    engine.decode(text).map(Bytes::from).map_err(|_| Failure::malformed(format!("`{name}` is not base64")))
}

/// The boundary of a multipart body; `None` for any other, and for what is labelled so and is not.
fn boundary(request: &Request) -> Option<String> {
    let label = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    multer::parse_boundary(label).ok()
}

async fn multipart(
    app: &AppState,
    files: &Files,
    request: Request,
    boundary: &str,
    name: &str,
) -> Result<WithFile, Failure> {
    body::refuse_compressed(request.headers())?;
    let query = request.uri().query().map(str::to_owned);
    let stream = request.into_body().into_data_stream();
    let mut parts = multer::Multipart::new(stream, boundary);
    let mut fields = body::Gathered::new(app);
    let mut file = None;
    while let Some(part) = parts.next_field().await.map_err(body::broken_multipart)? {
        // Some clients call the part otherwise; that it is a file is told by its file name.
        if part.name() == Some(name) || part.file_name().is_some() {
            file = Some(write(files, part, FILE_BYTES_MAX).await?);
        } else {
            fields.part(part).await?;
        }
    }
    Ok(WithFile { params: fields.finish(query.as_deref())?, file })
}

async fn write(files: &Files, mut part: multer::Field<'_>, max: u64) -> Result<Upload, Failure> {
    let mut gathering = Gathering::begin(files, max).await?;
    while let Some(chunk) = part.chunk().await.map_err(body::broken_multipart)? {
        gathering.take(&chunk).await?;
    }
    gathering.finish().await
}

/// Writes a whole body as a file.
pub(crate) async fn write_body(files: &Files, request: Request) -> Result<Upload, Failure> {
    body::refuse_compressed(request.headers())?;
    let mut gathering = Gathering::begin(files, FILE_BYTES_MAX).await?;
    let mut stream = request.into_body().into_data_stream();
    while let Some(chunk) = stream.next().await {
        gathering.take(&chunk.map_err(|error| body::broken_off(&error))?).await?;
    }
    gathering.finish().await
}

/// A file whose bytes are gathered on their way to disk.
struct Gathering {
    upload: Upload,
    bytes: Vec<u8>,
    max: u64,
}

impl Gathering {
    async fn begin(files: &Files, max: u64) -> Result<Self, Failure> {
        Ok(Self { upload: files.begin().await?, bytes: Vec::with_capacity(WRITE_BYTES), max })
    }

    async fn take(&mut self, mut chunk: &[u8]) -> Result<(), Failure> {
        if self.upload.size() + (self.bytes.len() + chunk.len()) as u64 > self.max {
            return Err(file_too_large(self.max));
        }
        while self.bytes.len() + chunk.len() >= WRITE_BYTES {
            let (fits, rest) = chunk.split_at(WRITE_BYTES - self.bytes.len());
            self.bytes.extend_from_slice(fits);
            let full = std::mem::replace(&mut self.bytes, Vec::with_capacity(WRITE_BYTES));
            self.upload.write(full.into()).await?;
            chunk = rest;
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    async fn finish(mut self) -> Result<Upload, Failure> {
        self.upload.write(self.bytes.into()).await?;
        Ok(self.upload)
    }
}
