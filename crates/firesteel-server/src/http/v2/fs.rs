//! `/api/2.0/fs/files/…`: whole files of `dbfs:/` as they are, streamed in both directions.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use firesteel_model::TreePath;
use firesteel_store::files::OpenFile;
use futures_util::stream;

use super::Refused;
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::Failure;
use crate::http::{AppState, change, parts};

/// Where these paths begin.
const FILES: &str = "/api/2.0/fs/files";
/// Bytes that are read ahead of the client.
const READ_BYTES: usize = 256 * 1024;

/// `GET` and `HEAD /api/2.0/fs/files/<path>`
pub(crate) async fn download(State(app): State<AppState>, _user: User, request: Request) -> Result<Response, Refused> {
    let file = app.kept.dbfs.open_file(path(request.uri())?).await?;
    let (size, modified_ms) = (file.status().size, file.status().modified_ms);
    let range = match request.headers().get(header::RANGE) {
        Some(range) => wanted(range, size)?,
        None => None,
    };
    let (from, to) = range.unwrap_or((0, size));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, (to - from).into());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::LAST_MODIFIED, http_date(modified_ms));
    if range.is_some() {
        let span = format!("bytes {from}-{}/{size}", to.saturating_sub(1));
        headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(span).expect("digits and signs"));
    }
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let body = if request.method() == Method::HEAD { Body::empty() } else { pieces(file, from, to) };
    Ok((status, headers, body).into_response())
}

/// `PUT /api/2.0/fs/files/<path>?overwrite=`: the body is the file.
pub(crate) async fn upload(State(app): State<AppState>, _user: User, request: Request) -> Result<Response, Refused> {
    let path = path(request.uri())?;
    let overwrite = Params::of_query(&app, request.uri().query())?.flag("overwrite")?;
    app.kept.dbfs.check_place(path.clone(), overwrite).await?;
    let upload = parts::write_body(&app.kept.dbfs, request).await?;
    change(&app, upload.finish(path, overwrite)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `DELETE /api/2.0/fs/files/<path>`
pub(crate) async fn delete(
    State(app): State<AppState>,
    _user: User,
    OriginalUri(uri): OriginalUri,
) -> Result<Response, Refused> {
    let path = path(&uri)?;
    if app.kept.dbfs.status(path.clone()).await?.is_folder {
        return Err(firesteel_store::files::FilesError::IsFolder(path).into());
    }
    app.kept.dbfs.delete(path, false).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Reads the path of a file off the path of a call. An escaped slash is no slash of the path, and no name has one.
fn path(uri: &Uri) -> Result<TreePath, Failure> {
    let escaped = uri.path().strip_prefix(FILES).unwrap_or_default();
    let mut plain = String::with_capacity(escaped.len());
    for name in escaped.split('/').filter(|name| !name.is_empty()) {
        let name = String::from_utf8(unescaped(name)).map_err(|_| Failure::malformed("the path is not UTF-8 text"))?;
        if name.contains('/') {
            return Err(Failure::malformed("a name in the path holds an escaped slash; write the path without"));
        }
        plain.push('/');
        plain.push_str(&name);
    }
    Ok(TreePath::of_dbfs(if plain.is_empty() { "/" } else { &plain })?)
}

/// Undoes the escapes of a path, in which a plus is a plus.
fn unescaped(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push(u8::try_from(high << 4 | low).unwrap_or_default());
                at += 3;
            }
            (byte, ..) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    plain
}

/// Reads `bytes=a-b`, `bytes=a-` or `bytes=-n`; any other form gets the whole file, as the standard has it.
fn wanted(range: &HeaderValue, size: u64) -> Result<Option<(u64, u64)>, Failure> {
    let parsed = range.to_str().ok().and_then(|text| text.strip_prefix("bytes=")?.split_once('-'));
    let (from, to) = match parsed {
        Some((from, to)) => (from.parse::<u64>().ok(), to.parse::<u64>().ok()),
        None => return Ok(None),
    };
    let (from, to) = match (from, to, parsed) {
        (Some(from), Some(to), _) => (from, to.saturating_add(1).min(size)),
        (Some(from), None, Some((_, ""))) => (from, size),
        (None, Some(last), Some(("", _))) => (size.saturating_sub(last), size),
        _ => return Ok(None),
    };
    if from >= to || from >= size {
        let message = format!("the file has {size} bytes; the range is not within it");
        return Err(Failure::plain(StatusCode::RANGE_NOT_SATISFIABLE, "INVALID_PARAMETER_VALUE", message));
    }
    Ok(Some((from, to)))
}

/// The bytes of a file, read as they are sent.
fn pieces(file: OpenFile, from: u64, to: u64) -> Body {
    let file = Arc::new(file);
    Body::from_stream(stream::try_unfold(from, move |at| {
        let file = file.clone();
        async move {
            if at >= to {
                return Ok(None);
            }
            let length = usize::try_from(to - at).unwrap_or(usize::MAX).min(READ_BYTES);
            let read = tokio::task::spawn_blocking(move || file.read(at, length)).await;
            let bytes: Bytes = read.map_err(io::Error::other)?.map_err(io::Error::other)?;
            match bytes.len() as u64 {
                // Cut short under us: the client must not take what it has for the whole.
                0 => Err(io::Error::other("the file became shorter while it was read")),
                read => Ok(Some((bytes, at + read))),
            }
        }
    }))
}

/// A time as HTTP writes it.
fn http_date(ms: u64) -> HeaderValue {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    HeaderValue::try_from(httpdate::fmt_http_date(time)).expect("a date is ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_path(uri: &str, expected: &str) {
        let path = path(&format!("{FILES}{uri}").parse().unwrap());
        assert_eq!(path.map_or_else(|failure| format!("error: {failure}"), |path| path.to_string()), expected);
    }

    #[test]
    fn a_path_of_a_call_is_one_of_a_file_or_refused() {
        check_path("/a/b%20c+d/%C3%BC", "/a/b c+d/ü");
        check_path("/a%252Fb", "/a%2Fb");
        check_path("/a%2Fb", "error: a name in the path holds an escaped slash; write the path without");
        check_path("/a/%2e%2e/b", "error: `/a/../b` holds `.` or `..` as a name; write the path without");
        check_path("/a%00", "error: the path holds a NUL character");
        check_path("/%FF", "error: the path is not UTF-8 text");
        check_path("/.firesteel/x", "error: `/.firesteel` is the server's own");
    }

    #[test]
    fn a_range_is_within_the_file() {
        let wanted = |text: &'static str| wanted(&HeaderValue::from_static(text), 10).map_err(|_| ());
        assert_eq!(wanted("bytes=0-3"), Ok(Some((0, 4))));
        assert_eq!(wanted("bytes=4-"), Ok(Some((4, 10))));
        assert_eq!(wanted("bytes=4-99"), Ok(Some((4, 10))));
        assert_eq!(wanted("bytes=-3"), Ok(Some((7, 10))));
        assert_eq!(wanted("bytes=10-"), Err(()));
        assert_eq!(wanted("bytes=5-4"), Err(()));
        assert_eq!(wanted("bytes=0-1,3-4"), Ok(None));
        assert_eq!(wanted("lines=1-2"), Ok(None));
    }
}
