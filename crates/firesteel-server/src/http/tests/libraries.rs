//! Libraries of 1.2 without a cluster: what is taken, what is refused, and that nothing is left of the latter.

use firesteel_store::files::Files;
use futures_util::stream;

use super::*;

const LIMIT: u64 = 200_000;

/// The router, with a bound on files that a test can reach.
fn libraries() -> Router {
    let settings = Settings { library_bytes_max: LIMIT, ..Settings::default() };
    router(AppState::new(engine(), kept(), Arc::new(Auth::new(Arc::new(Known::ann()))), settings))
}

/// A multipart body: parts as `name=value`, or `name=@file name:content`.
fn form(parts: &[&str]) -> String {
    let mut body = String::new();
    for part in parts {
        let (name, value) = part.split_once('=').unwrap();
        let head = match value.strip_prefix('@').and_then(|file| file.split_once(':')) {
            Some((file, content)) => format!("{name}\"; filename=\"{file}\"\r\n\r\n{content}"),
            None => format!("{name}\"\r\n\r\n{value}"),
        };
        body += &format!("--b\r\nContent-Disposition: form-data; name=\"{head}\r\n");
    }
    body + "--b--\r\n"
}

async fn call(line: &str, body: impl Into<Body>) -> Seen {
    let headers = [format!("Authorization: {BEARER}"), "Content-Type: multipart/form-data; boundary=b".to_owned()];
    send(&libraries(), line, &headers.each_ref().map(String::as_str), body).await
}

async fn upload(parts: &[&str]) -> Seen {
    call("POST /api/1.2/libraries/upload", form(parts)).await
}

async fn id(parts: &[&str]) -> String {
    let seen = upload(parts).await;
    assert_eq!(seen.status, 200, "{}", seen.body);
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    body["id"].as_str().unwrap().to_owned()
}

async fn status(id: &str) -> Value {
    let seen = call(&format!("GET /api/1.2/libraries/status?libraryId={id}"), "").await;
    serde_json::from_str(&seen.body).unwrap()
}

/// The text of a refusal.
async fn refused(parts: &[&str], code: u16) -> String {
    let seen = upload(parts).await;
    assert_eq!(seen.status.as_u16(), code, "{}", seen.body);
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["error"].as_str().unwrap().to_owned()
}

fn files() -> Files {
    kept().dbfs
}

async fn names() -> Vec<String> {
    let folder = firesteel_model::TreePath::of_dbfs(crate::files::LIBRARY_FOLDER).unwrap();
    let listed = files().list(folder).await.unwrap_or_default();
    listed.into_iter().map(|file| file.path.to_string()).collect()
}

/// How many files are on their way.
fn aside() -> usize {
    std::fs::read_dir(SHARED_FOLDER.0.path().join("dbfs/.firesteel/uploads")).unwrap().count()
}

// One test, as what is left behind is counted.
#[tokio::test]
async fn libraries_are_uploaded_listed_and_deleted_and_what_is_refused_leaves_nothing() {
    uploads_are_what_their_parameters_say().await;
    refusals_name_what_is_wrong().await;
    a_body_that_ends_early_is_refused().await;
    of_two_uploads_of_one_name_one_is_there().await;
    assert_eq!((names().await, aside()), (Vec::<String>::new(), 0));
    assert_eq!(kept().store.stray_library_files().await.unwrap(), []);
    let left = call("GET /api/1.2/libraries/list", "").await;
    assert_eq!(left.body, "[]");
}

async fn uploads_are_what_their_parameters_say() {
    for (parts, kind, name, folder) in [
        // The samples of the document, the plugin for sbt, stork.
        (&["language=scala", "clusterId=", "uri=@lib.jar:PK"][..], "java-jar", "lib.jar", "/"),
        (
            &["libType=scala", "name=a.jar", "folder=/s", "uri=@a.jar:PK", "attachToAllClusters=true"],
            "java-jar",
            "a.jar",
            "/s",
        ),
        (
            &["libType=python-egg", "name=l-1.0.0", "folder=/p/", "uri=@l-1.0.0-py3.6.egg:PK"],
            "python-egg",
            "l-1.0.0",
            "/p",
        ),
        (&["language=python", "uri=@w-1-py3-none-any.whl:PK"], "python-wheel", "w-1-py3-none-any.whl", "/"),
        (&["uri=@requirements.txt:six"], "python-requirements", "requirements.txt", "/"),
        (&["libType=python-pypi", "name=json", "uri=simplejson==3.8.0"], "python-pypi", "json", "/"),
        (&["libType=maven", "name=m", "uri=a:b:1"], "maven", "m", "/"),
    ] {
        let id = id(parts).await;
        let seen = status(&id).await;
        let expected = json!({
            "attachAllClusters": parts.contains(&"attachToAllClusters=true"), "files": seen["files"], "folder": folder,
            "id": id, "libType": kind, "name": name, "statuses": [],
        });
        assert_eq!(seen, expected, "{parts:?}");
        let listed = call("GET /api/1.2/libraries/list", "").await;
        assert_eq!(listed.body, json!([{"folder": folder, "id": id, "name": name}]).to_string());
        let gone = call("POST /api/1.2/libraries/delete", form(&[&format!("libraryId={id}")])).await;
        assert_eq!((gone.status.as_u16(), gone.body), (200, json!({"id": id}).to_string()));
        let unknown = status(&id).await;
        assert_eq!(unknown, json!({"error": format!("LibraryNotFound: {id}")}));
    }
}

async fn refusals_name_what_is_wrong() {
    let long = format!("uri=@a.jar:{}", "x".repeat(usize::try_from(LIMIT).unwrap() + 1));
    for (parts, code, said) in [
        (&["libType=zip", "uri=@a.zip:PK"][..], 500, "`libType` is `zip`; it must be `java-jar`"),
        (&["name=a", "uri=@a.zip:PK"], 500, "`a.zip`: a library is a `.jar`"),
        (&["libType=java-jar", "uri=@a.egg:PK"], 500, "is no name of a library of this kind"),
        (&["uri=@w.whl:PK"], 500, "is no name of a wheel"),
        (&["uri=@../../a-1-py3-none-any.whl:PK"], 500, "slashes"),
        (&["name=../a", "uri=@a.jar:PK"], 500, "`name` is `../a`"),
        (&["name=..", "uri=@a.jar:PK"], 500, "`..`"),
        (&["folder=x", "uri=@a.jar:PK"], 500, "`x/a.jar` is not an absolute path"),
        (&["libType=java-jar", "name=a"], 500, "requirement failed: missing uri"),
        (&["libType=java-jar", "name=a", "uri=text"], 500, "`uri` has no file"),
        (&["libType=python-pypi", "uri=--index-url=x"], 500, "is not the name of a package"),
        (&["language=r", "name=a", "uri=dplyr"], 500, "install.packages()"),
        (&["name=a", "clusterId=nope", "uri=@a.jar:PK"], 500, "Cluster nope does not exist"),
        (&["name=Shared", "uri=@a.jar:PK"], 500, "NameConflictException: Node named 'Shared' already exists"),
        (&[&long], 413, "the file is larger than 200000 bytes"),
    ] {
        let seen = refused(parts, code).await;
        assert!(seen.contains(said), "{parts:?}: {seen}");
    }
    for (line, said) in [
        ("POST /api/1.2/libraries/attach", "requirement failed: missing libraryId"),
        ("POST /api/1.2/libraries/detach?libraryId=7", "requirement failed: missing clusterId"),
        ("POST /api/1.2/libraries/attach?libraryId=7&clusterId=c", "LibraryNotFound: 7"),
        ("POST /api/1.2/libraries/delete?libraryId=x", "LibraryNotFound: x"),
    ] {
        let seen = call(line, "--b--\r\n").await;
        assert_eq!((seen.status.as_u16(), seen.body), (500, json!({"error": said}).to_string()), "{line}");
    }
}

async fn a_body_that_ends_early_is_refused() {
    let whole = form(&["name=cut", "uri=@cut.jar:some bytes of a jar"]);
    let cut = whole[..whole.len() - 30].to_owned();
    let seen = call("POST /api/1.2/libraries/upload", cut.clone()).await;
    assert_eq!(seen.status.as_u16(), 500, "{}", seen.body);
    assert!(seen.body.contains("incomplete multipart stream"), "{}", seen.body);
    let broken = stream::iter([Ok(cut), Err(std::io::Error::other("the line is dead"))]);
    let seen = call("POST /api/1.2/libraries/upload", Body::from_stream(broken)).await;
    assert_eq!(seen.status.as_u16(), 400, "{}", seen.body);
}

async fn of_two_uploads_of_one_name_one_is_there() {
    let part = ["name=twice", "folder=/Shared", "uri=@twice.jar:PK"];
    let both = tokio::join!(upload(&part), upload(&part));
    let mut seen = [both.0, both.1];
    seen.sort_by_key(|seen| seen.status.as_u16());
    assert_eq!(seen[1].body, json!({"error": "NameConflictException: Node named 'twice' already exists"}).to_string());
    assert_eq!(names().await.len(), 1);
    let id = serde_json::from_str::<Value>(&seen[0].body).unwrap()["id"].as_str().unwrap().to_owned();
    call("POST /api/1.2/libraries/delete", form(&[&format!("libraryId={id}")])).await;
}
