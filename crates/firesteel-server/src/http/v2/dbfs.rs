//! `/api/2.0/dbfs/…`: the files of `dbfs:/` (reference, section 15).

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use firesteel_api::v2::dbfs::{Block, Done, FileInfo, FileList, Handle};
use firesteel_model::TreePath;
use firesteel_store::files::FileStatus;

use super::{Answer, Refused};
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::Failure;
use crate::http::parts::{self, WithFile};
use crate::http::{AppState, change};

/// Bytes of one block, read or written.
const BLOCK_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that `read` gives when it is not told how many.
const READ_BYTES: u64 = 512 * 1024;

/// `GET /api/2.0/dbfs/get-status`
pub(crate) async fn get_status(State(app): State<AppState>, _user: User, ask: Params) -> Answer<FileInfo> {
    Ok(Json(info(app.kept.dbfs.status(path(&ask, "path")?).await?)))
}

/// `GET /api/2.0/dbfs/list`
pub(crate) async fn list(State(app): State<AppState>, _user: User, ask: Params) -> Answer<FileList> {
    let files = app.kept.dbfs.list(path(&ask, "path")?).await?;
    Ok(Json(FileList { files: files.into_iter().map(info).collect() }))
}

/// `GET /api/2.0/dbfs/read`
pub(crate) async fn read(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Block> {
    let path = path(&ask, "path")?;
    let offset = ask.count("offset")?.unwrap_or(0);
    let length = ask.count("length")?.unwrap_or(READ_BYTES);
    let length = usize::try_from(length).ok().filter(|length| *length <= BLOCK_BYTES_MAX).ok_or_else(|| {
        let message = format!("`length` is {length}; at most {BLOCK_BYTES_MAX} bytes can be read in one call");
        Failure::call(StatusCode::BAD_REQUEST, "MAX_READ_SIZE_EXCEEDED", message)
    })?;
    let bytes = app.kept.dbfs.read(path, offset, length).await?;
    Ok(Json(Block { bytes_read: bytes.len() as u64, data: BASE64_STANDARD.encode(bytes) }))
}

/// `POST /api/2.0/dbfs/put`: a small file in one call, or one of any size as a multipart part `contents`.
pub(crate) async fn put(State(app): State<AppState>, _user: User, request: Request) -> Response {
    let WithFile { params, file } =
        match parts::read(&app, &app.kept.dbfs, request, "contents", BLOCK_BYTES_MAX, block_too_long).await {
            Ok(read) => read,
            Err(refused) => return refused,
        };
    let put = async {
        let (path, overwrite) = (path(&params, "path")?, params.flag("overwrite")?);
        let file = match file {
            Some(file) => file,
            // A file without a byte.
            None => app.kept.dbfs.begin().await?,
        };
        change(&app, file.finish(path, overwrite)).await?;
        Ok::<_, Refused>(Json(Done {}))
    };
    put.await.into_response()
}

/// `POST /api/2.0/dbfs/create`
pub(crate) async fn create(State(app): State<AppState>, user: User, ask: Params) -> Answer<Handle> {
    let (path, overwrite) = (path(&ask, "path")?, ask.flag("overwrite")?);
    app.kept.dbfs.check_place(path.clone(), overwrite).await?;
    let upload = app.kept.dbfs.begin().await?;
    Ok(Json(Handle { handle: app.kept.handles.open(&user.name, path, overwrite, upload)? }))
}

/// `POST /api/2.0/dbfs/add-block`
pub(crate) async fn add_block(State(app): State<AppState>, user: User, mut ask: Params) -> Answer<Done> {
    let handle = handle(&ask)?;
    let block = parts::decoded("data", &ask.take("data")?)?;
    if block.len() > BLOCK_BYTES_MAX {
        return Err(block_too_long(BLOCK_BYTES_MAX).into());
    }
    let handles = app.kept.handles.clone();
    change(&app, async move { handles.write(&user.name, handle, block).await }).await?;
    Ok(Json(Done {}))
}

/// `POST /api/2.0/dbfs/close`
pub(crate) async fn close(State(app): State<AppState>, user: User, ask: Params) -> Answer<Done> {
    let handle = handle(&ask)?;
    let handles = app.kept.handles.clone();
    change(&app, async move { handles.close(&user.name, handle).await }).await?;
    Ok(Json(Done {}))
}

/// `POST /api/2.0/dbfs/mkdirs`
pub(crate) async fn mkdirs(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Done> {
    let refused = app.kept.dbfs.mkdirs(path(&ask, "path")?).await;
    refused.map_err(|refusal| match refusal {
        // The word for it in this call.
        firesteel_store::files::FilesError::NotFolder(path) => {
            let message = format!("{path} cannot be made: it, or what it would be in, is a file");
            Failure::call(StatusCode::BAD_REQUEST, "RESOURCE_ALREADY_EXISTS", message)
        }
        other => other.into(),
    })?;
    Ok(Json(Done {}))
}

/// `POST /api/2.0/dbfs/delete`: what is not there is deleted already.
pub(crate) async fn delete(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Done> {
    let (path, recursive) = (path(&ask, "path")?, ask.flag("recursive")?);
    let files = app.kept.dbfs.clone();
    change(&app, async move { files.delete(path, recursive).await }).await?;
    Ok(Json(Done {}))
}

/// `POST /api/2.0/dbfs/move`
pub(crate) async fn rename(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Done> {
    let (from, to) = (path(&ask, "source_path")?, path(&ask, "destination_path")?);
    app.kept.dbfs.rename(from, to).await?;
    Ok(Json(Done {}))
}

fn path(ask: &Params, name: &str) -> Result<TreePath, Failure> {
    Ok(TreePath::of_dbfs(ask.need(name)?)?)
}

fn handle(ask: &Params) -> Result<u64, Failure> {
    ask.count("handle")?.ok_or_else(|| Failure::missing("handle"))
}

fn block_too_long(max: usize) -> Failure {
    let message = format!(
        "the contents are larger than {max} bytes: write them block by block (create, add-block, close), or as a \
         multipart part"
    );
    Failure::call(StatusCode::BAD_REQUEST, "MAX_BLOCK_SIZE_EXCEEDED", message)
}

fn info(status: FileStatus) -> FileInfo {
    FileInfo {
        path: status.path.to_string(),
        is_dir: status.is_folder,
        file_size: status.size,
        modification_time: status.modified_ms,
    }
}
