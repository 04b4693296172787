//! `/api/2.0/workspace/…`: folders, notebooks and files (reference, section 16). Libraries are among the nodes, and are
//! made and deleted by their own calls.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use firesteel_api::Language;
use firesteel_api::v2::dbfs::Done;
use firesteel_api::v2::workspace::{Exported, ObjectInfo, ObjectList};
use firesteel_model::{TreePath, notebook};
use firesteel_store::{NODE_BYTES_MAX, NewNode, Node, NodeKind};

use super::{Answer, Refused};
use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::Failure;
use crate::http::parts;

/// `GET /api/2.0/workspace/get-status`
pub(crate) async fn get_status(State(app): State<AppState>, user: User, ask: Params) -> Answer<ObjectInfo> {
    Ok(Json(info(app.kept.store.node(&user.name, &path(&ask)?).await?)))
}

/// `GET /api/2.0/workspace/list`
pub(crate) async fn list(State(app): State<AppState>, user: User, ask: Params) -> Answer<ObjectList> {
    let nodes = app.kept.store.nodes(&user.name, &path(&ask)?).await?;
    Ok(Json(ObjectList { objects: nodes.into_iter().map(info).collect() }))
}

/// `POST /api/2.0/workspace/mkdirs`
pub(crate) async fn mkdirs(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Done> {
    app.kept.store.make_folder(path(&ask)?).await?;
    Ok(Json(Done {}))
}

/// `POST /api/2.0/workspace/delete`
pub(crate) async fn delete(State(app): State<AppState>, user: User, ask: Params) -> Answer<Done> {
    app.kept.store.delete_node(&user.name, &path(&ask)?, ask.flag("recursive")?).await?;
    Ok(Json(Done {}))
}

/// `POST /api/2.0/workspace/import`: the content in base64, or as a multipart part.
pub(crate) async fn import(State(app): State<AppState>, user: User, request: Request) -> Response {
    let read = parts::read_bytes(&app, request, "content", NODE_BYTES_MAX, too_long).await;
    let (ask, content) = match read {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let import = async {
        let content = content.ok_or_else(|| Failure::missing("content"))?;
        let new = node(path(&ask)?, &ask, &content)?;
        app.kept.store.put_node(&user.name, new, ask.flag("overwrite")?).await?;
        Ok::<_, Refused>(Json(Done {}))
    };
    import.await.into_response()
}

/// `GET /api/2.0/workspace/export`: as JSON, or as it is with `direct_download`.
pub(crate) async fn export(State(app): State<AppState>, user: User, ask: Params) -> Result<Response, Refused> {
    match ask.text("format")?.unwrap_or("SOURCE") {
        "" | "SOURCE" | "AUTO" | "RAW" => {}
        other => return Err(Failure::bad_value("format", other, "SOURCE or AUTO").into()),
    }
    let node = app.kept.store.node(&user.name, &path(&ask)?).await?;
    if !matches!(node.kind, NodeKind::Notebook | NodeKind::File) {
        let message = format!("`{}` is a {}; notebooks and files can be exported", node.path, node.kind.as_str());
        return Err(Failure::call(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message).into());
    }
    let bytes = app.kept.store.node_bytes(node.id).await?;
    let (bytes, file_type) = match node.language.filter(|_| node.kind == NodeKind::Notebook) {
        Some(language) => (notebook::with_mark(language, &bytes), notebook::suffix(language)),
        None => (bytes, node.path.name().rsplit_once('.').map_or("", |(_, end)| end)),
    };
    if ask.flag("direct_download")? {
        return Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response());
    }
    let exported = Exported { content: BASE64_STANDARD.encode(bytes), file_type: file_type.to_owned() };
    Ok(Json(exported).into_response())
}

fn path(ask: &Params) -> Result<TreePath, Failure> {
    let text = ask.need("path")?;
    Ok(TreePath::of_workspace(text.strip_prefix("/Workspace").filter(|rest| rest.starts_with('/')).unwrap_or(text))?)
}

/// What is imported as what: a notebook of the language that is named or that the file tells of, or a file.
fn node(path: TreePath, ask: &Params, content: &[u8]) -> Result<NewNode, Failure> {
    let named = match ask.text("language")?.filter(|language| !language.is_empty()) {
        Some(language) => Some(language.parse::<Language>()?),
        None => None,
    };
    let of_notebook = |path, language, source: &[u8]| NewNode {
        path,
        kind: NodeKind::Notebook,
        language: Some(language),
        bytes: source.to_vec(),
    };
    match ask.text("format")?.unwrap_or("SOURCE") {
        "" | "SOURCE" => {
            let language = named.ok_or_else(|| Failure::missing("language"))?;
            let source = notebook::without_mark(language, content).unwrap_or(content);
            Ok(of_notebook(path, language, source))
        }
        "AUTO" => {
            let told = notebook::language_of(path.name());
            let marked = told.and_then(|language| Some((language, notebook::without_mark(language, content)?)));
            Ok(match marked {
                Some((language, source)) => {
                    let name = path.name().rsplit_once('.').map_or(path.name(), |(name, _)| name);
                    of_notebook(path.parent().join(name), language, source)
                }
                None => NewNode { path, kind: NodeKind::File, language: None, bytes: content.to_vec() },
            })
        }
        "RAW" => Ok(NewNode { path, kind: NodeKind::File, language: None, bytes: content.to_vec() }),
        other => Err(Failure::bad_value("format", other, "SOURCE, AUTO or RAW")),
    }
}

fn too_long(max: usize) -> Failure {
    let message = format!("the content is larger than {max} bytes; put a file of this size on dbfs:/");
    Failure::call(StatusCode::BAD_REQUEST, "MAX_NOTEBOOK_SIZE_EXCEEDED", message)
}

fn info(node: Node) -> ObjectInfo {
    let has_size = matches!(node.kind, NodeKind::Notebook | NodeKind::File);
    ObjectInfo {
        object_type: node.kind.as_str().to_owned(),
        path: node.path.to_string(),
        object_id: node.id,
        language: node.language.map(|language| language.as_str().to_uppercase()),
        created_at: node.created_ms,
        modified_at: node.modified_ms,
        size: has_size.then_some(node.size),
    }
}
