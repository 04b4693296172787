//! `dbfs:/`: the same files over REST, in Spark and in `dbutils.fs`; and no way out of them.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::api::{Reply, text};
use crate::case::Case;
use crate::clients::{Python, python};
use crate::curl::curl;
use crate::folders;
use crate::poll::until;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    shared![
        a_file_put_over_rest_is_read_by_spark_and_the_other_way_round,
        blocks_make_a_file_that_is_seen_when_it_is_closed,
        a_whole_file_travels_as_it_is,
        what_dbfs_refuses_has_its_code,
        no_path_leaves_the_root,
        dbutils_fs_is_the_same_in_python_and_scala,
        a_folder_is_mounted_and_unmounted,
        the_old_command_line_copies_files_and_installs_libraries,
    ]
}

/// Cases with a server of their own.
pub(crate) fn own_cases() -> Vec<Case> {
    own![a_full_disk_and_a_killed_server_leave_nothing_half_made]
}

fn call(server: &Server, name: &str, body: &Value) -> Reply {
    server.http.post(&format!("/api/2.0/dbfs/{name}"), body)
}

fn look(server: &Server, name: &str, query: &[(&str, &str)]) -> Reply {
    server.http.get(&format!("/api/2.0/dbfs/{name}"), query)
}

#[track_caller]
pub(crate) fn put(server: &Server, path: &str, contents: &str) {
    let body = json!({"path": path, "contents": BASE64_STANDARD.encode(contents), "overwrite": true});
    assert_eq!(call(server, "put", &body).ok(), json!({}));
}

#[track_caller]
fn read(server: &Server, path: &str) -> String {
    let block = look(server, "read", &[("path", path)]).ok();
    let bytes = BASE64_STANDARD.decode(block["data"].as_str().unwrap()).unwrap();
    assert_eq!(block["bytes_read"], bytes.len());
    String::from_utf8(bytes).unwrap()
}

/// The names in a folder.
#[track_caller]
fn names(server: &Server, path: &str) -> Vec<String> {
    let listed = look(server, "list", &[("path", path)]).ok();
    listed["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
}

fn a_file_put_over_rest_is_read_by_spark_and_the_other_way_round(server: &Server) {
    put(server, "/e2e/spark/in.txt", "one\ntwo\n");
    let python = server.context("python");
    python.text("sorted(row.value for row in spark.read.text('dbfs:/e2e/spark/in.txt').collect())", "['one', 'two']");
    python.text("sc.textFile('dbfs:/e2e/spark/').count()", "2");
    python.check_in("scala", "sc.textFile(\"dbfs:/e2e/spark/in.txt\").map(_.length).sum", &text("res0: Double = 6.0"));
    let counted = python.run_in("sql", "select count(*) as n from text.`dbfs:/e2e/spark/in.txt`");
    assert_eq!(counted.results["data"], json!([[2]]), "{counted:?}");
    python.text("spark.range(3).coalesce(1).write.mode('overwrite').csv('dbfs:/e2e/spark/out')", "");
    let part = names(server, "/e2e/spark/out").into_iter().find(|name| name.ends_with(".csv")).unwrap();
    assert_eq!(read(server, &part), "0\n1\n2\n");
    // A streaming query keeps its checkpoint there, by the newer of Hadoop's doors.
    let stream = "q = spark.readStream.text('dbfs:/e2e/spark/in.txt'.rsplit('/', 1)[0] + '/o*t/')\\\n\
                  .writeStream.format('parquet').option('checkpointLocation', 'dbfs:/e2e/spark/checkpoint')\\\n\
                  .trigger(availableNow=True).start('dbfs:/e2e/spark/streamed')\n\
                  q.awaitTermination()\nspark.read.parquet('dbfs:/e2e/spark/streamed').count()";
    python.text(stream, "3");
}

fn blocks_make_a_file_that_is_seen_when_it_is_closed(server: &Server) {
    let handle = call(server, "create", &json!({"path": "dbfs:/e2e/blocks"})).ok()["handle"].as_u64().unwrap();
    for block in ["one ", "two ", ""] {
        let body = json!({"handle": handle, "data": BASE64_STANDARD.encode(block)});
        assert_eq!(call(server, "add-block", &body).ok(), json!({}));
    }
    assert!(!names(server, "/e2e").contains(&"/e2e/blocks".to_owned()));
    assert_eq!(call(server, "close", &json!({"handle": handle})).ok(), json!({}));
    assert_eq!(read(server, "/e2e/blocks"), "one two ");
    let status = look(server, "get-status", &[("path", "dbfs:/e2e/blocks")]).ok();
    assert_eq!(
        (&status["path"], &status["is_dir"], &status["file_size"]),
        (&json!("/e2e/blocks"), &json!(false), &json!(8))
    );
    assert!(status["modification_time"].as_u64().unwrap() > 1_600_000_000_000);
    let part = look(server, "read", &[("path", "/e2e/blocks"), ("offset", "4"), ("length", "3")]).ok();
    assert_eq!(part, json!({"bytes_read": 3, "data": BASE64_STANDARD.encode("two")}));
    assert_eq!(
        look(server, "read", &[("path", "/e2e/blocks"), ("offset", "8")]).ok(),
        json!({"bytes_read": 0, "data": ""})
    );

    // Of two that write one name, the first to close wins.
    let two = [(); 2].map(|()| call(server, "create", &json!({"path": "/e2e/twice"})).ok()["handle"].clone());
    assert_eq!(call(server, "close", &json!({"handle": two[0]})).ok(), json!({}));
    assert_eq!(code(&call(server, "close", &json!({"handle": two[1]}))), (400, "RESOURCE_ALREADY_EXISTS".into()));
}

fn a_whole_file_travels_as_it_is(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let sent = folder.path().join("sent");
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(&sent, &bytes).unwrap();
    let file = format!("@{}", sent.display());
    // The vendor's own way with curl, the file before its name.
    let form = ["-F", &format!("contents={file}"), "-F", "path=/e2e/form.bin", "-F", "overwrite=true"];
    assert_eq!(curl(server, &[&form[..], &["URL/api/2.0/dbfs/put"]].concat()).ok(), json!({}));
    // And that of its old command line, which names the part otherwise.
    let form = [
        "-F",
        "path=dbfs:/e2e/form2.bin",
        "-F",
        "overwrite=False",
        "-F",
        &format!("file={file};type=multipart/form-data"),
    ];
    assert_eq!(curl(server, &[&form[..], &["URL/api/2.0/dbfs/put"]].concat()).ok(), json!({}));
    assert!(fs::read(server.data.join("dbfs/e2e/form2.bin")).unwrap() == bytes);
    let upload = ["-X", "PUT", "--data-binary", &file, "URL/api/2.0/fs/files/e2e/raw%20%C3%BC.bin?overwrite=true"];
    assert_eq!(curl(server, &upload).reply.status, 204);
    for name in ["form.bin", "raw%20%C3%BC.bin"] {
        assert!(download(server, name, "0-") == bytes, "{name}");
    }
    assert_eq!(download(server, "form.bin", "5-9"), bytes[5..10]);
    assert_eq!(curl(server, &["--head", "URL/api/2.0/fs/files/e2e/form.bin"]).reply.status, 200);
    assert!(names(server, "/e2e").contains(&"/e2e/raw ü.bin".to_owned()));
    assert_eq!(curl(server, &["-X", "DELETE", "URL/api/2.0/fs/files/e2e/form.bin"]).reply.status, 204);
    assert_eq!(curl(server, &["URL/api/2.0/fs/files/e2e/form.bin"]).reply.status, 404);
}

/// The bytes of a file, which are no text.
#[track_caller]
fn download(server: &Server, name: &str, range: &str) -> Vec<u8> {
    let output = Command::new("curl")
        .args(["--disable", "--silent", "--show-error", "--fail", "--noproxy", "*", "--range", range, "--netrc-file"])
        .arg(server.data.join("netrc"))
        .arg("--cacert")
        .arg(server.ca())
        .arg(format!("{}/api/2.0/fs/files/e2e/{name}", server.url))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn code(reply: &Reply) -> (u16, String) {
    let body = reply.json();
    assert!(!body["message"].as_str().unwrap().is_empty(), "{body}");
    (reply.status, body["error_code"].as_str().unwrap().to_owned())
}

fn what_dbfs_refuses_has_its_code(server: &Server) {
    put(server, "/e2e/refused/file", "x");
    let big = BASE64_STANDARD.encode(vec![0; (1 << 20) + 1]);
    let file = "/e2e/refused/file";
    for (name, body, status, word) in [
        ("put", json!({"path": file, "contents": ""}), 400, "RESOURCE_ALREADY_EXISTS"),
        ("put", json!({"path": "/e2e/refused", "contents": "", "overwrite": true}), 400, "INVALID_PARAMETER_VALUE"),
        ("put", json!({"path": "/e2e/big", "contents": big}), 400, "MAX_BLOCK_SIZE_EXCEEDED"),
        ("put", json!({"path": "/e2e/bad", "contents": "?"}), 400, "MALFORMED_REQUEST"),
        ("put", json!({"contents": ""}), 400, "INVALID_PARAMETER_VALUE"),
        ("create", json!({"path": file}), 400, "RESOURCE_ALREADY_EXISTS"),
        ("create", json!({"path": file, "overwrite": "perhaps"}), 400, "INVALID_PARAMETER_VALUE"),
        ("add-block", json!({"handle": 1, "data": ""}), 404, "RESOURCE_DOES_NOT_EXIST"),
        ("add-block", json!({"handle": "x", "data": ""}), 400, "INVALID_PARAMETER_VALUE"),
        ("close", json!({"handle": 1}), 404, "RESOURCE_DOES_NOT_EXIST"),
        ("mkdirs", json!({"path": file}), 400, "RESOURCE_ALREADY_EXISTS"),
        ("delete", json!({"path": "/e2e/refused"}), 400, "IO_ERROR"),
        ("delete", json!({"path": "/", "recursive": true}), 400, "INVALID_PARAMETER_VALUE"),
        ("move", json!({"source_path": "/e2e/nope", "destination_path": "/e2e/x"}), 404, "RESOURCE_DOES_NOT_EXIST"),
        ("move", json!({"source_path": "/e2e/refused", "destination_path": file}), 400, "INVALID_PARAMETER_VALUE"),
    ] {
        assert_eq!(code(&call(server, name, &body)), (status, word.to_owned()), "{name} {:.80}", body.to_string());
    }
    for (name, query, status, word) in [
        ("get-status", [("path", "/e2e/nope"), ("", "")], 404, "RESOURCE_DOES_NOT_EXIST"),
        ("list", [("path", "/e2e/nope"), ("", "")], 404, "RESOURCE_DOES_NOT_EXIST"),
        ("read", [("path", "/e2e/refused"), ("", "")], 400, "INVALID_PARAMETER_VALUE"),
        ("read", [("path", file), ("length", "1048577")], 400, "MAX_READ_SIZE_EXCEEDED"),
        ("read", [("path", file), ("offset", "-1")], 400, "INVALID_PARAMETER_VALUE"),
    ] {
        assert_eq!(code(&look(server, name, &query)), (status, word.to_owned()), "{name} {query:?}");
    }
    // What is not there is deleted already.
    assert_eq!(call(server, "delete", &json!({"path": "/e2e/nope"})).ok(), json!({}));
    assert!(!names(server, "/e2e").iter().any(|name| name == "/e2e/big" || name == "/e2e/bad"));
}

fn no_path_leaves_the_root(server: &Server) {
    put(server, "/e2e/out/file", "inside");
    let root = server.data.join("dbfs/e2e/out");
    symlink(&server.data, root.join("up")).unwrap();
    symlink("../../../netrc", root.join("netrc")).unwrap();
    for path in [
        "/e2e/out/up/netrc",
        "/e2e/out/netrc",
        "/e2e/../../netrc",
        "dbfs:/../netrc",
        "file:/etc/passwd",
        "file:///etc/passwd",
        "s3a://bucket/key",
        "/e2e/out/\0",
        "/.firesteel/mounts.json",
        "e2e/out/file",
        "dbfs://host/e2e",
    ] {
        for name in ["get-status", "list", "read"] {
            let (status, word) = code(&look(server, name, &[("path", path)]));
            assert_eq!((status, word.as_str()), (400, "INVALID_PARAMETER_VALUE"), "{name} {path:?}");
        }
        for name in ["put", "create", "mkdirs", "delete"] {
            if name == "delete" && path == "/e2e/out/netrc" {
                continue; // the link itself may go
            }
            let reply = call(server, name, &json!({"path": path, "overwrite": true, "recursive": true}));
            assert_eq!(code(&reply).0, 400, "{name} {path:?}");
        }
    }
    for path in ["e2e%2Fout", "%2e%2e/netrc", "e2e/..%2f..%2fnetrc", "e2e/out/up/netrc", "e2e/a%00"] {
        let status = curl(server, &["--path-as-is", &format!("URL/api/2.0/fs/files/{path}")]).reply.status;
        assert!(status == 400 || status == 404, "{path}: {status}");
    }
    // The same rules in Spark.
    let python = server.context("python");
    let seen = python.run(
        "import traceback\n\
         for path in ['dbfs:/e2e/out/up/netrc', 'dbfs:/e2e/out/netrc', 'dbfs:/../netrc', 'dbfs:/.firesteel/x', 'dbfs://host/x']:\n    \
             try:\n        print(path, dbutils.fs.head(path))\n    \
             except Exception as error:\n        print(path, type(error).__name__)\n\
         [f.name for f in dbutils.fs.ls('/e2e/out')], [f.name for f in dbutils.fs.ls('/') if 'fire' in f.name]",
    );
    let seen = seen.text();
    assert!(!seen.contains("password"), "{seen}");
    assert_eq!(seen.lines().filter(|line| line.ends_with("Error")).count(), 5, "{seen}");
    assert!(seen.ends_with("(['file'], [])"), "{seen}");
    assert_eq!(names(server, "/e2e/out"), ["/e2e/out/file"]);
    assert!(server.data.join("netrc").exists());
}

fn dbutils_fs_is_the_same_in_python_and_scala(server: &Server) {
    let python = server.context("python");
    let commands = [
        ("dbutils.fs.put('/e2e/py/a.txt', 'héllo')", "Wrote 6 bytes.\nTrue"),
        ("dbutils.fs.head('dbfs:/e2e/py/a.txt'), dbutils.fs.head('/e2e/py/a.txt', 3)", "('héllo', 'hé')"),
        ("dbutils.fs.mkdirs('/e2e/py/d'), dbutils.fs.cp('/e2e/py/a.txt', '/e2e/py/d/b.txt')", "(True, True)"),
        (
            "[tuple(f)[:3] for f in dbutils.fs.ls('/e2e/py')]",
            "[('dbfs:/e2e/py/a.txt', 'a.txt', 6), ('dbfs:/e2e/py/d/', 'd/', 0)]",
        ),
        (
            "dbutils.fs.cp('/e2e/py/d', '/e2e/py/e', True), dbutils.fs.mv('/e2e/py/e', '/e2e/py/f', True)",
            "(True, True)",
        ),
        ("[f.path for f in dbutils.fs.ls('/e2e/py/f')]", "['dbfs:/e2e/py/f/b.txt']"),
        ("dbutils.fs.rm('/e2e/py', True), dbutils.fs.rm('/e2e/py', True)", "(True, False)"),
    ];
    for (code, expected) in commands {
        python.text(code, expected);
    }
    let commands = [
        ("dbutils.fs.put(\"/e2e/sc/a.txt\", \"héllo\")", "Wrote 6 bytes.\nres0: Boolean = true"),
        (
            "dbutils.fs.ls(\"/e2e/sc\").map(f => (f.path, f.name, f.size))",
            "res1: Seq[(String, String, Long)] = List((dbfs:/e2e/sc/a.txt,a.txt,6))",
        ),
        ("dbutils.fs.cp(\"/e2e/sc\", \"/e2e/sc2\", recurse = true)", "res2: Boolean = true"),
        ("dbutils.fs.head(\"/e2e/sc2/a.txt\", 3)", "res3: String = hé"),
        ("dbutils.fs.rm(\"/e2e/sc\", true) && dbutils.fs.rm(\"/e2e/sc2\", true)", "res4: Boolean = true"),
        ("dbutils.fs.mounts().head", "res5: firesteel.MountInfo = MountInfo(/,DatabricksRoot,)"),
    ];
    for (code, expected) in commands {
        let seen = python.run_in("scala", code);
        // What a sequence is called depends on the Scala of this Spark.
        assert_eq!(seen.text().replace("ArraySeq(", "List(").replace("WrappedArray(", "List("), expected, "{code}");
    }
}

fn a_folder_is_mounted_and_unmounted(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("m.txt"), "mounted\n").unwrap();
    let python = server.context("python");
    let mount = format!("dbutils.fs.mount('file:{}', '/mnt/e2e')", folder.path().display());
    python.text(&mount, "True");
    assert!(python.run(&mount).results["summary"].as_str().unwrap().contains("already mounted"));
    python.text("[tuple(m)[0] for m in dbutils.fs.mounts() if m.mountPoint == '/mnt/e2e']", "['/mnt/e2e']");
    python.text("[f.path for f in dbutils.fs.ls('/mnt/e2e')]", "['dbfs:/mnt/e2e/m.txt']");
    python.text("print(spark.read.text('dbfs:/mnt/e2e/m.txt').collect()[0].value)", "mounted");
    python.text("spark.range(2).coalesce(1).write.json('dbfs:/mnt/e2e/out')", "");
    assert!(folder.path().join("out/_SUCCESS").exists());
    python.text("dbutils.fs.rm('/mnt/e2e/out', True), dbutils.fs.refreshMounts()", "(True, True)");
    python.text("dbutils.fs.unmount('/mnt/e2e')", "True");
    assert!(folder.path().join("m.txt").exists() && !names(server, "/mnt").contains(&"/mnt/e2e".to_owned()));
}

/// The old command line.
const OLD_CLI: Python = Python { name: "databricks-cli", packages: &["databricks-cli==0.18.0"] };

fn the_old_command_line_copies_files_and_installs_libraries(server: &Server) {
    // It drops the port of its host.
    let listener = match TcpListener::bind("127.0.0.1:443") {
        Ok(listener) => listener,
        Err(error) => return eprintln!("skipped: the old command line needs port 443, which cannot be had: {error}"),
    };
    let to = server.url.trim_start_matches("https://").to_owned();
    std::thread::spawn(move || {
        for from in listener.incoming().flatten() {
            let to = TcpStream::connect(&to).unwrap();
            for (mut from, mut to) in [(from.try_clone().unwrap(), to.try_clone().unwrap()), (to, from)] {
                std::thread::spawn(move || {
                    // Either side may hang up; the other is told.
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    python(server, OLD_CLI, "databricks_cli.py", "files_are_copied");
    python(server, OLD_CLI, "databricks_cli.py", "libraries_are_installed");
}

/// A disk of a few megabytes, gone when this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one; `None` where that is not allowed.
    fn at(path: &Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs"];
        let mounted = Command::new("mount").args(mount).arg(path).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Begins an upload by curl that goes on as long as its standard input.
fn begun_upload(server: &Server, call: &str, begin: &str, arguments: &[&str]) -> Child {
    let mut upload = Command::new("curl")
        .args(["--disable", "--silent", "--noproxy", "*", "--netrc-file"])
        .arg(server.data.join("netrc"))
        .arg("--cacert")
        .arg(server.ca())
        .args(arguments)
        .args(["--upload-file", "-", &format!("{}/api/{call}", server.url)])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let input = upload.stdin.as_mut().unwrap();
    input.write_all(begin.as_bytes()).unwrap();
    input.write_all(&vec![b'x'; 600_000]).unwrap();
    upload
}

fn a_full_disk_and_a_killed_server_leave_nothing_half_made() {
    let data = folders::fresh_data();
    let disk = SmallDisk::at(&data.join("dbfs"));
    let server = Server::start("serve", &data, &[]);
    let aside = || fs::read_dir(data.join("dbfs/.firesteel/uploads")).unwrap().count();
    if disk.is_some() {
        let big = tempfile::NamedTempFile::new().unwrap();
        big.as_file().set_len(6 << 20).unwrap();
        let file = format!("@{}", big.path().display());
        for arguments in [
            ["-X", "PUT", "--data-binary", &file, "URL/api/2.0/fs/files/big"],
            ["-F", &format!("contents={file}"), "-F", "path=/big", "URL/api/2.0/dbfs/put"],
        ] {
            assert_eq!(code(&curl(&server, &arguments).reply), (507, "INSUFFICIENT_STORAGE".into()), "{arguments:?}");
        }
        let library = ["-F", &format!("uri={file};filename=big.jar"), "URL/api/1.2/libraries/upload"];
        let said = curl(&server, &library).reply.refused(500);
        assert_eq!(said, "there is no room left: the disk of the server is full");
        assert_eq!((names(&server, "/").len(), aside()), (0, 0));
        put(&server, "/small", "there is room for it");
    } else {
        eprintln!("skipped: the full disk, as mounting one is not allowed");
    }

    // Two uploads that are under way, one of them a library, and one file of which a block was written.
    let head = "--b\r\nContent-Disposition: form-data; name=\"uri\"; filename=\"half.jar\"\r\n\r\n";
    let form = ["--request", "POST", "--header", "Content-Type: multipart/form-data; boundary=b"];
    let mut uploads = [("2.0/fs/files/half", "", &[][..]), ("1.2/libraries/upload", head, &form)]
        .map(|(call, begin, arguments)| begun_upload(&server, call, begin, arguments));
    let handle = call(&server, "create", &json!({"path": "/blocks"})).ok()["handle"].clone();
    call(&server, "add-block", &json!({"handle": handle, "data": "AAAA"})).ok();
    until("all three are being written", aside, |count| *count == 3);
    server.signal(Signal::SIGKILL);
    for upload in &mut uploads {
        drop(upload.stdin.take());
        upload.wait().unwrap();
    }
    let server = Server::start("up", &data, &[]);
    assert_eq!(aside(), 0);
    let left = names(&server, "/");
    assert!(left.iter().all(|name| name == "/small"), "{left:?}");
    assert_eq!(server.http.get("/api/1.2/libraries/list", &[]).ok(), json!([]));
    assert_eq!(code(&call(&server, "close", &json!({"handle": handle}))), (404, "RESOURCE_DOES_NOT_EXIST".into()));
    server.end();
}
