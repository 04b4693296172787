//! Libraries: uploaded, attached and used by Spark's tasks, as curl, the sbt plugin, `stork`, `databricks-cli` and our own commands do it.

mod built;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::api::{Reply, error, fits_text, text};
use crate::case::Case;
use crate::clients::{self, Python};
use crate::curl::curl;
use crate::poll::until;
use crate::server::Server;
use crate::{cli, dbfs};
use built::{BUILT, EGGS, WHEEL};

/// The only packaged client of the libraries of 1.2.
const STORK: Python = Python { name: "stork", packages: &["stork==3.2.1"] };

/// What each kind of library is used by, in tasks: one command in Python, two in Scala.
const PYTHON: &str = "import wheely, indexed, slugify, iniconfig\n\
    def names(_):\n    import new_library, wheely, indexed, slugify, iniconfig\n    \
    return [new_library.NAME, wheely.NAME, indexed.NAME, slugify.slugify('Ä b'), iniconfig.__name__]\n\
    sc.parallelize(range(4), 4).map(names).collect()[3]";
const PYTHON_SEEN: &str = "['egg 1.0.0', 'wheely', 'indexed', 'a-b', 'iniconfig']";
const SCALA: &str = "sc.textFile(\"dbfs:/somefile.log\").filter(line => demo.Logs.isError(line)).count";
const MAVEN: &str = "sc.parallelize(Seq(\"you\"), 1).map(name => (new outer.Greeter).greet(name)).collect.mkString";

pub(crate) fn cases() -> Vec<Case> {
    shared![
        every_kind_is_used_by_tasks_and_comes_back_with_the_cluster,
        stork_uploads_and_replaces,
        the_sbt_plugin_deploys,
        the_client_command_uploads_attaches_lists_and_deletes,
    ]
}

fn post(server: &Server, verb: &str, body: &Value) -> Reply {
    server.http.post(&format!("/api/2.0/libraries/{verb}"), body)
}

/// What a cluster has, by the library's spelling: its status and messages.
fn installed(server: &Server, cluster: &str) -> BTreeMap<String, (String, String)> {
    let seen = server.http.get("/api/2.0/libraries/cluster-status", &[("cluster_id", cluster)]).ok();
    let one = |status: &Value| {
        let messages: Vec<&str> = status["messages"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        (status["library"].to_string(), (status["status"].as_str().unwrap().to_owned(), messages.join("\n")))
    };
    seen["library_statuses"].as_array().unwrap().iter().map(one).collect()
}

/// Waits until nothing is being installed any more.
#[track_caller]
fn settled(server: &Server, cluster: &str) -> BTreeMap<String, (String, String)> {
    let over = |(status, _): &(String, String)| status != "PENDING" && status != "INSTALLING";
    until("every library is installed or has failed", || installed(server, cluster), |seen| seen.values().all(over))
}

fn status(server: &Server, library: &str) -> Value {
    server.http.get("/api/1.2/libraries/status", &[("libraryId", library)]).ok()
}

/// The URI of a library's file.
fn uri(server: &Server, library: &str) -> String {
    format!("dbfs:/FileStore/jars/{}", status(server, library)["files"][0].as_str().unwrap())
}

/// Uploads a file as the document's own samples do, which say neither a type nor a folder.
#[track_caller]
fn upload(server: &Server, language: &str, file: &str, more: &[&str]) -> String {
    let (language, file) = (format!("language={language}"), format!("uri=@{}", BUILT.path(file)));
    curl(server, &[&["-F", &language, "-F", &file], more, &["URL/api/1.2/libraries/upload"]].concat()).id()
}

/// The libraries that come without an upload, and those on dbfs:/ that an upload brought.
fn others(server: &Server) -> Vec<Value> {
    let at = |name: &str| format!("dbfs:/e2e/libraries/{name}");
    for name in [WHEEL, "requirements.txt"] {
        let (from, to) = (BUILT.path(name), at(name));
        assert_eq!(cli::run(server, &["fs", "cp", "--overwrite", &from, &to], "").0, 0);
    }
    vec![
        json!({"whl": at(WHEEL)}),
        json!({"requirements": at("requirements.txt")}),
        json!({"pypi": {"package": "python-slugify==8.0.4"}}),
        json!({"pypi": {"package": "indexed", "repo": BUILT.address("index")}}),
        json!({"maven": {"coordinates": "org.demo:outer:1.0", "repo": BUILT.address("repository")}}),
    ]
}

fn every_kind_is_used_by_tasks_and_comes_back_with_the_cluster(server: &Server) {
    dbfs::put(server, "/somefile.log", "all is well\nERROR: it is not\n");
    let (egg, jar) = worked_example(server);
    old_contexts_see_what_is_attached(server, &egg);
    let cluster = later_cluster(server, &egg, &jar);
    what_cannot_be_installed_is_told_in_the_installer_s_words(server, &cluster);
    let own = json!({"jar": uri(server, &jar)});
    replaced_from_jenkins(server, &cluster, &egg, &jar);
    keep(server, &own);
    server.http.post("/api/1.2/clusters/delete", &json!({"clusterId": cluster})).id();
    forgotten(server, &egg);
}

/// Has the shared cluster keep a library after all: other clients wait until nothing of it is to go.
fn keep(server: &Server, library: &Value) {
    assert_eq!(installed(server, &server.cluster)[&library.to_string()].0, "UNINSTALL_ON_RESTART");
    let ask = json!({"cluster_id": server.cluster, "libraries": [library]});
    assert_eq!(post(server, "install", &ask).ok(), json!({}));
    assert_eq!(settled(server, &server.cluster)[&library.to_string()].0, "INSTALLED");
}

/// The worked example of the document: upload a jar, attach it, make a context, run a command with it on a file, read the status.
fn worked_example(server: &Server) -> (String, String) {
    let jar = upload(server, "scala", "logs.jar", &["-F", "name=logs", "-F", "folder=/Shared/libs"]);
    let egg = upload(server, "python", EGGS[0], &["-F", "name=new_library-1.0.0", "-F", "folder=/Shared/e2e"]);
    let ids = [format!("libraryId={jar}"), format!("clusterId={}", server.cluster)];
    let attach = ["-X", "POST", "URL/api/1.2/libraries/attach", "-d", &ids[0], "-d", &ids[1]];
    assert_eq!(curl(server, &attach).id(), server.cluster);
    settled(server, &server.cluster);
    let scala = server.context("scala");
    scala.check(SCALA, &text("res0: Long = 1"));
    let seen = status(server, &jar);
    let expected = json!({
        "attachAllClusters": false, "files": seen["files"], "folder": "/Shared/libs", "id": jar, "libType": "java-jar",
        "name": "logs", "statuses": [{"clusterId": server.cluster, "status": "Attached"}],
    });
    assert_eq!(seen, expected, "these seven keys and no other");
    let file = seen["files"][0].as_str().unwrap();
    assert!(file.ends_with(".jar") && file.contains("-logs-"), "{seen}");
    (egg, jar)
}

/// Contexts that were there before, in each language that a library serves.
fn old_contexts_see_what_is_attached(server: &Server, egg: &str) {
    let (python, scala) = (server.context("python"), server.context("scala"));
    python.check("import wheely", &error("…ModuleNotFoundError…", "…"));
    let mut wanted = others(server);
    wanted.push(json!({"egg": uri(server, egg)}));
    assert_eq!(post(server, "install", &json!({"cluster_id": server.cluster, "libraries": wanted})).ok(), json!({}));
    let seen = settled(server, &server.cluster);
    for library in &wanted {
        assert_eq!(seen[&library.to_string()].0, "INSTALLED", "{seen:#?}");
    }
    for context in [&python, &server.context("python")] {
        context.text(PYTHON, PYTHON_SEEN);
    }
    for context in [&scala, &server.context("scala")] {
        context.check(MAVEN, &text("res0: String = hello you"));
    }
    python.text("sc._jvm.outer.Greeter().greet('JVM')", "'hello JVM'");
}

/// A cluster with two workers, made when libraries were attached to all clusters. Returns its id.
fn later_cluster(server: &Server, egg: &str, jar: &str) -> String {
    let everywhere = json!({"libraryId": jar, "clusterId": "__ALL_CLUSTERS"});
    assert_eq!(server.http.post("/api/1.2/libraries/attach", &everywhere).id(), "__ALL_CLUSTERS");
    let ask = json!({"name": "libraries", "numWorkerContainers": 2});
    let id = server.http.post("/api/1.2/clusters/create", &ask).id();
    let mut wanted = others(server);
    wanted.push(json!({"egg": uri(server, egg)}));
    assert_eq!(post(server, "install", &json!({"cluster_id": id, "libraries": wanted})).ok(), json!({}));
    runs(server, &id);
    let own = json!({"jar": uri(server, jar)}).to_string();
    assert_eq!(installed(server, &id)[&own].0, "INSTALLED", "it is there when the cluster is Running");
    settled(server, &id);
    assert_eq!(exec(server, &id, "python", PYTHON), PYTHON_SEEN);
    assert_eq!(exec(server, &id, "scala", SCALA), "res0: Long = 1");
    assert_eq!(exec(server, &id, "scala", MAVEN), "res0: String = hello you");
    id
}

/// The page for Jenkins, as it stands. It restarts the cluster: what is attached comes back before it runs, and what was uninstalled is gone.
fn replaced_from_jenkins(server: &Server, cluster: &str, egg: &str, jar: &str) {
    let gone = json!({"egg": uri(server, egg)});
    assert_eq!(post(server, "uninstall", &json!({"cluster_id": cluster, "libraries": [gone]})).ok(), json!({}));
    assert_eq!(installed(server, cluster)[&gone.to_string()].0, "UNINSTALL_ON_RESTART");
    let attached = status(server, egg)["statuses"].as_array().unwrap().clone();
    assert!(attached.contains(&json!({"clusterId": cluster, "status": "Detached"})), "{attached:?}");
    assert_eq!(exec(server, cluster, "python", "import new_library; new_library.NAME"), "'egg 1.0.0'");

    let old = uri(server, jar);
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/jenkins.md")).unwrap();
    let script = page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let output = Command::new("sh")
        .args(["-euc", script])
        .env("FIRESTEEL_URL", &server.url)
        .env("FIRESTEEL_CA", server.ca())
        .env("FIRESTEEL_NETRC", server.data.join("netrc"))
        .env("NO_PROXY", "*")
        .env("CLUSTER", cluster)
        .env("NAME", "logs")
        .env("FOLDER", "/Shared/libs")
        .env("JAR", BUILT.path("logs-2.jar"))
        .output()
        .unwrap();
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat();
    assert!(output.status.success(), "{said}");

    let seen = installed(server, cluster);
    assert!(seen.values().all(|(status, _)| status == "INSTALLED"), "{seen:#?}");
    assert!(!seen.contains_key(&gone.to_string()) && !seen.contains_key(&json!({"jar": old}).to_string()), "{seen:#?}");
    assert_eq!(seen.len(), 6, "the wheel, the requirements, the packages, the coordinates and the new jar: {seen:#?}");
    assert_eq!(
        exec(server, cluster, "scala", "sc.parallelize(1 to 2).map(_ => renewed.Version.number).sum"),
        "res0: Double = 4.0"
    );
    assert_eq!(
        exec(server, cluster, "python", "import importlib.util as u; u.find_spec('new_library') is None"),
        "True"
    );
    assert_eq!(exec(server, cluster, "python", "import wheely; wheely.NAME"), "'wheely'");
    assert!(!server.data.join("dbfs").join(old.trim_start_matches("dbfs:/")).exists(), "the old file is gone");
}

/// A library that is deleted is not listed any more, and its file is gone. A cluster that runs keeps what it has.
fn forgotten(server: &Server, egg: &str) {
    let file = uri(server, egg);
    let data = format!("libraryId={egg}");
    assert_eq!(curl(server, &["-X", "POST", "URL/api/1.2/libraries/delete", "-d", &data]).id(), *egg);
    let list = server.http.get("/api/1.2/libraries/list", &[]).ok();
    assert!(!list.as_array().unwrap().iter().any(|one| one["id"] == *egg), "{list}");
    let unknown = server.http.get("/api/1.2/libraries/status", &[("libraryId", egg)]).refused(500);
    assert_eq!(unknown, format!("LibraryNotFound: {egg}"));
    keep(server, &json!({"egg": file}));
    assert!(!server.data.join("dbfs").join(file.trim_start_matches("dbfs:/")).exists());
    server.context("python").text("import new_library; new_library.NAME", "'egg 1.0.0'");
}

#[track_caller]
fn runs(server: &Server, cluster: &str) {
    let look = || server.http.get("/api/1.2/clusters/status", &[("clusterId", cluster)]).ok();
    until("the cluster is Running", look, |view| view["status"] != "Pending");
    assert_eq!(look()["status"], "Running");
}

/// Runs code in a context of its own; what it printed.
#[track_caller]
fn exec(server: &Server, cluster: &str, language: &str, code: &str) -> String {
    let arguments = ["exec", "--cluster-id", cluster, "--language", language, code];
    let (status, printed, said) = cli::run(server, &arguments, "");
    assert_eq!(status, 0, "{code}\n{said}{printed}");
    printed.trim_end().to_owned()
}

fn what_cannot_be_installed_is_told_in_the_installer_s_words(server: &Server, cluster: &str) {
    let same = upload(server, "scala", "same.jar", &["-F", "name=same", "-F", "folder=/Shared/e2e"]);
    let first = upload(server, "scala", "logs.jar", &["-F", "name=first", "-F", "folder=/Shared/e2e"]);
    let not_there = json!({"pypi": {"package": "firesteel-no-such-package==9"}});
    let missing = json!({"jar": "dbfs:/e2e/libraries/missing.jar"});
    let no_jar = json!({"jar": "dbfs:/e2e/libraries/text.jar"});
    let none = json!({"maven": {"coordinates": "none:none:1", "repo": BUILT.address("repository")}});
    dbfs::put(server, "/e2e/libraries/text.jar", "not a jar");
    let jars = [uri(server, &first), uri(server, &same)].map(|uri| json!({"jar": uri}));
    let wanted = [vec![not_there.clone(), missing.clone(), no_jar.clone(), none.clone()], jars.to_vec()].concat();
    assert_eq!(post(server, "install", &json!({"cluster_id": cluster, "libraries": wanted})).ok(), json!({}));
    let seen = settled(server, cluster);
    for (library, said) in [
        (&not_there, "…No matching distribution found for firesteel-no-such-package==9…"),
        (&missing, "there is no such file: …missing.jar…"),
        (&no_jar, "…zip…"),
        (&none, "none:none:1 cannot be resolved: …none#none;1…"),
    ] {
        let (status, messages) = &seen[&library.to_string()];
        assert!(status == "FAILED" && fits_text(said, messages), "{library}: {status}: {messages}");
    }
    let (status, messages) = &seen[&jars[1].to_string()];
    let both = messages.contains("both hold demo.Logs") && messages.contains(jars[1]["jar"].as_str().unwrap());
    assert!(status == "INSTALLED" && both, "{status}: {messages}");

    let said = |library: Value| {
        let reply = post(server, "install", &json!({"cluster_id": cluster, "libraries": [library]}));
        let body = reply.json();
        assert_eq!((reply.status, &body["error_code"]), (400, &json!("INVALID_PARAMETER_VALUE")), "{body}");
        body["message"].as_str().unwrap().to_owned()
    };
    assert!(said(json!({"cran": {"package": "dplyr"}})).contains("install.packages()"));
    assert!(said(json!({"zip": "dbfs:/a.zip"})).contains("zip"));
    let all = server.http.get("/api/2.0/libraries/all-cluster-statuses", &[]).ok();
    let clusters: Vec<&Value> = all["statuses"].as_array().unwrap().iter().map(|one| &one["cluster_id"]).collect();
    assert!(clusters.contains(&&json!(cluster)), "{clusters:?}");
    let upload = ["libs", "upload", "firesteel-no-such-package", "--type", "python-pypi", "--name", "nothing"];
    let (status, _, said) = cli::run(server, &[&upload[..], &["--cluster", cluster]].concat(), "");
    assert!(status == 1 && said.contains("No matching distribution"), "{status} {said}");
    assert_eq!(cli::run(server, &["libs", "delete", "nothing"], "").0, 0);
    for id in [same, first] {
        server.http.post("/api/1.2/libraries/delete", &json!({"libraryId": id})).id();
    }
    let failed = json!({"cluster_id": cluster, "libraries": [not_there, missing, no_jar, none]});
    assert_eq!(post(server, "uninstall", &failed).ok(), json!({}));
}

fn stork_uploads_and_replaces(server: &Server) {
    let home = tempfile::tempdir().unwrap();
    let folder = "/Shared/stork";
    let config = format!("[DEFAULT]\nhost = {}\ntoken = {}\nprod_folder = {folder}\n", server.url, server.token);
    fs::write(home.path().join(".storkcfg"), config).unwrap();
    let stork = |verb: &str, egg: &str| {
        let output = Command::new(clients::environment(STORK).join("stork"))
            .args([verb, "-p", &BUILT.path(egg)])
            .env("HOME", home.path())
            .env("REQUESTS_CA_BUNDLE", server.ca())
            .env("NO_PROXY", "*")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{verb} {egg}: {said}");
        said
    };
    let said = stork("upload", EGGS[0]);
    assert!(said.contains("new library new_library-1.0.0 loaded"), "{said}");
    let said = stork("upload", EGGS[0]);
    assert!(said.contains("(1.0.0) already exists"), "{said}");
    let said = stork("upload-and-update", EGGS[1]);
    assert!(said.contains("removed old versions: new_library-1.0.0"), "{said}");
    let nodes = server.http.get("/api/2.0/workspace/list", &[("path", folder)]).ok();
    let nodes = nodes["objects"].as_array().unwrap().clone();
    let [node] = &nodes[..] else { panic!("{nodes:?}") };
    assert_eq!(
        (&node["object_type"], &node["path"]),
        (&json!("LIBRARY"), &json!(format!("{folder}/new_library-1.0.1")))
    );
    let id = node["object_id"].to_string();
    assert_eq!(status(server, &id)["libType"], "python-egg");
    server.http.post("/api/1.2/libraries/delete", &json!({"libraryId": id})).id();
}

/// What the plugin's strict classes know: a key more, and it gives up (reference, section 8.3).
#[track_caller]
fn has_keys(value: &Value, keys: &[&str]) {
    let seen: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(seen, keys, "{value}");
}

/// The plugin's calls in its order, up to the restart: the old version goes, the new one comes.
fn the_sbt_plugin_deploys(server: &Server) {
    let (name, folder) = ("app-0.1-SNAPSHOT.jar", "/Shared/sbt");
    for round in 0..2 {
        let clusters = server.http.get("/api/1.2/clusters/list", &[]).ok();
        has_keys(&clusters[0], &["driverIp", "id", "jdbcPort", "name", "numWorkers", "status"]);
        let list = server.http.get("/api/1.2/libraries/list", &[]).ok();
        let old = list.as_array().unwrap().iter().filter(|one| one["name"] == name && one["folder"] == folder);
        let mut deleted = 0;
        for one in old {
            has_keys(one, &["folder", "id", "name"]);
            let id = one["id"].as_str().unwrap();
            let view = status(server, id);
            has_keys(&view, &["attachAllClusters", "files", "folder", "id", "libType", "name", "statuses"]);
            has_keys(&view["statuses"][0], &["clusterId", "status"]);
            let own = json!({"jar": uri(server, id)});
            let form = server.http.request(|client, url| {
                let delete = client.post(format!("{url}/api/1.2/libraries/delete"));
                delete.form(&[("libraryId", id)])
            });
            assert_eq!(form.id(), id);
            keep(server, &own);
            deleted += 1;
        }
        assert_eq!(deleted, round);
        let body = reqwest::multipart::Form::new().text("name", name).text("libType", "scala").text("folder", folder);
        let jar = reqwest::multipart::Part::bytes(fs::read(BUILT.path("same.jar")).unwrap()).file_name(name);
        let upload = server.http.request(|client, url| {
            let upload = client.post(format!("{url}/api/1.2/libraries/upload"));
            upload.multipart(body.part("uri", jar))
        });
        let ask = json!({"libraryId": upload.id(), "clusterId": server.cluster});
        assert_eq!(server.http.post("/api/1.2/libraries/attach", &ask).id(), server.cluster);
        settled(server, &server.cluster);
    }
}

fn the_client_command_uploads_attaches_lists_and_deletes(server: &Server) {
    let libs = |arguments: &[&str]| {
        let (status, printed, said) = cli::run(server, &[&["libs"], arguments].concat(), "");
        assert_eq!(status, 0, "{arguments:?}: {said}");
        printed
    };
    let cluster = server.cluster.as_str();
    let (name, file) = ("requirements.txt", BUILT.path("requirements.txt"));
    let id = libs(&["upload", &file, "--folder", "/Shared/cli", "--cluster", cluster]);
    let id = id.trim();
    let library = json!({"requirements": uri(server, id)}).to_string();
    assert_eq!(installed(server, cluster)[&library].0, "INSTALLED", "it was waited for");
    let listed = libs(&["list"]);
    assert!(fits_text(&format!("…{id}…{name}…/Shared/cli…python-requirements…{cluster}…"), &listed), "{listed}");
    let listed = libs(&["list", "--cluster", "default"]);
    assert!(fits_text("…INSTALLED…python-requirements…-requirements-…", &listed), "{listed}");
    libs(&["detach", name, "--cluster", cluster]);
    assert_eq!(installed(server, cluster)[&library].0, "UNINSTALL_ON_RESTART");
    libs(&["attach", name, "--cluster", cluster]);
    assert_eq!(installed(server, cluster)[&library].0, "INSTALLED");
    let own = json!({"requirements": uri(server, id)});
    libs(&["delete", &format!("/Shared/cli/{name}")]);
    keep(server, &own);
    assert!(!libs(&["list"]).contains("/Shared/cli"));
    for (arguments, expected) in [
        (["upload", &file, "--type", "zip"], "`libType` is `zip`"),
        (["attach", "nothing", "--cluster", cluster], "there is no library `nothing`"),
        (["attach", "nothing", "--folder", "x"], "unexpected argument"),
    ] {
        let (status, _, said) = cli::run(server, &[&["libs"], &arguments[..]].concat(), "");
        assert!(status == 2 && said.contains(expected), "{arguments:?}: {status} {said}");
    }
}
