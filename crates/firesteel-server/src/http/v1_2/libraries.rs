//! `/api/1.2/libraries/…` (reference, section 8).

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use firesteel_api::clusters::ClusterRef;
use firesteel_api::libraries::{ALL_CLUSTERS, Library, LibraryKind, LibraryRef, LibraryView, ListedLibrary};
use firesteel_api::{ClusterId, Language, LibraryId};
use firesteel_model::TreePath;
use firesteel_model::library::check;
use firesteel_store::NewLibrary;
use firesteel_store::files::Upload;
use serde::Serialize;

use super::{Answer, change};
use crate::http::AppState;
use crate::http::auth::User;
use crate::http::body::Params;
use crate::http::error::{ApiError, Failure};
use crate::http::parts;

/// The parameter that is the file.
const FILE: &str = "uri";

/// The answer of `attach` and `detach`: the cluster as it was named, which may be the word for all of them.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Named {
    One(ClusterRef),
    All { id: &'static str },
}

/// `GET /api/1.2/libraries/list`: a bare array.
pub(crate) async fn list(State(app): State<AppState>, _user: User) -> Answer<Vec<ListedLibrary>> {
    Ok(Json(app.engine.libraries().await?))
}

/// `GET /api/1.2/libraries/status`
pub(crate) async fn status(State(app): State<AppState>, _user: User, ask: Params) -> Answer<LibraryView> {
    Ok(Json(app.engine.library(ask.need("libraryId")?).await?))
}

/// `POST /api/1.2/libraries/upload`: a file as a multipart part, or the name of a package as text.
pub(crate) async fn upload(State(app): State<AppState>, _user: User, request: Request) -> Response {
    let max = app.settings.library_bytes_max;
    let (params, file) = match parts::read_file_part(&app, &app.kept.dbfs, request, max).await {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    match keep(&app, &params, file).await {
        Ok(id) => Json(LibraryRef { id }).into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// `POST /api/1.2/libraries/delete`. Clusters lose it at their restart.
pub(crate) async fn delete(State(app): State<AppState>, _user: User, ask: Params) -> Answer<LibraryRef> {
    let library = ask.need("libraryId")?.to_owned();
    let (engine, kept) = (app.engine.clone(), app.kept.clone());
    let delete = async move {
        let record = engine.delete_library(&library).await?;
        if let Some(file) = &record.file {
            kept.remove_library_file(file).await?;
        }
        Ok::<_, ApiError>(record.id)
    };
    Ok(Json(LibraryRef { id: change(&app, delete).await? }))
}

/// `POST /api/1.2/libraries/attach`
pub(crate) async fn attach(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Named> {
    let (library, cluster) = (ask.need("libraryId")?.to_owned(), ask.need("clusterId")?.to_owned());
    let (engine, answer) = (app.engine.clone(), cluster.clone());
    change(&app, async move { engine.attach(&library, &cluster).await }).await?;
    named(&answer)
}

/// `POST /api/1.2/libraries/detach`. It takes effect at the cluster's restart.
pub(crate) async fn detach(State(app): State<AppState>, _user: User, ask: Params) -> Answer<Named> {
    let (library, cluster) = (ask.need("libraryId")?.to_owned(), ask.need("clusterId")?.to_owned());
    let (engine, answer) = (app.engine.clone(), cluster.clone());
    change(&app, async move { engine.detach(&library, &cluster).await }).await?;
    named(&answer)
}

fn named(cluster: &str) -> Answer<Named> {
    if cluster == ALL_CLUSTERS {
        return Ok(Json(Named::All { id: ALL_CLUSTERS }));
    }
    let id: ClusterId = cluster.parse().map_err(|_| Failure::missing("clusterId"))?;
    Ok(Json(Named::One(ClusterRef { id })))
}

/// Stores what was uploaded, and attaches it where that is asked for.
async fn keep(app: &AppState, params: &Params, file: Option<(String, Upload)>) -> Result<LibraryId, ApiError> {
    let file_name = file.as_ref().map(|(name, _)| name.as_str());
    let kind = kind(params, file_name)?;
    let name = params.optional("name")?.or(file_name);
    let path = place(params, name)?;
    let cluster = params.optional("clusterId")?.map(str::to_owned);
    let for_all = params.flag("attachToAllClusters")?;
    let named = match &file {
        Some(_) => None,
        None => Some(package(kind, params.need(FILE)?)?),
    };
    let (engine, kept) = (app.engine.clone(), app.kept.clone());
    let add = async move {
        let (file, library) = match (file, named) {
            (Some((name, upload)), _) => {
                let (file, library) = kept.place_library(upload, kind, &name).await?;
                (Some(file), library)
            }
            (None, Some(library)) => (None, library),
            (None, None) => return Err(Failure::missing(FILE).into()),
        };
        let new = NewLibrary { path, library, file: file.clone(), for_all };
        match (engine.add_library(new, cluster.as_deref()).await, file) {
            (Ok(id), _) => Ok(id),
            (Err(refused), Some(file)) => {
                kept.remove_library_file(&file).await?;
                Err(refused.into())
            }
            (Err(refused), None) => Err(refused.into()),
        }
    };
    change(app, add).await
}

/// What it is: as `libType` says, which the document's own samples leave out, else as `language` and the file's name do.
fn kind(params: &Params, file: Option<&str>) -> Result<LibraryKind, Failure> {
    if let Some(said) = params.optional("libType")? {
        let known = "`java-jar`, `python-egg`, `python-pypi`, `python-wheel`, `python-requirements` or `maven`";
        return LibraryKind::from_lib_type(said).ok_or_else(|| Failure::bad_value("libType", said, known));
    }
    let language = params.optional("language")?.map(str::parse::<Language>).transpose()?;
    match (language, file) {
        (Some(Language::Scala), _) => Ok(LibraryKind::JavaJar),
        (Some(Language::R), _) => Ok(LibraryKind::Cran),
        (Some(Language::Python), None) => Ok(LibraryKind::PythonPypi),
        (_, file) => LibraryKind::from_file_name(file.unwrap_or_default()).ok_or_else(|| {
            let name: String = file.unwrap_or_default().chars().take(80).collect();
            let kinds = "a library is a `.jar`, an `.egg`, a `.whl` or a `.txt` of requirements";
            Failure::invalid(format!("`{}`: {kinds}; say which with libType", name.escape_debug()))
        }),
    }
}

/// Where it is in the workspace.
fn place(params: &Params, name: Option<&str>) -> Result<TreePath, Failure> {
    let name = match name.or(params.optional(FILE)?) {
        Some(name) => name.trim(),
        None => return Err(Failure::missing("name")),
    };
    if name.is_empty() || name.contains('/') || name.chars().any(char::is_control) {
        return Err(Failure::bad_value("name", name, "a name without slashes and control characters"));
    }
    let folder = params.optional("folder")?.unwrap_or("/");
    Ok(TreePath::of_workspace(&format!("{}/{name}", folder.trim_end_matches('/')))?)
}

/// A library without a file.
fn package(kind: LibraryKind, text: &str) -> Result<Library, Failure> {
    let text = text.trim().to_owned();
    let library = match kind {
        LibraryKind::PythonPypi => Library::Pypi { package: text, repo: None },
        LibraryKind::Maven => Library::Maven { coordinates: text, repo: None, exclusions: Vec::new() },
        LibraryKind::Cran => Library::Cran { package: text, repo: None },
        _ => {
            return Err(Failure::invalid("`uri` has no file; send the library as a multipart part of this name"));
        }
    };
    check(&library).map_err(|refused| Failure::invalid(refused.to_string()))?;
    Ok(library)
}
