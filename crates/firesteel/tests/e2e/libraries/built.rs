//! The libraries that the cases use: jars compiled by Spark's own Scala compiler, an egg and wheels packed by hand, and a Maven repository
//! and a Python index in folders.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::{folders, interpreters};

/// What executor tasks of Scala call.
const SOURCES: &str = r#"
package demo { object Logs extends Serializable { def isError(line: String): Boolean = line.contains("ERROR") } }
package renewed { object Version extends Serializable { def number: Int = 2 } }
package inner { class Word extends Serializable { def word: String = "hello" } }
package outer { class Greeter extends Serializable { def greet(name: String): String = (new inner.Word).word + " " + name } }
"#;

/// Where everything is.
pub(super) struct Built {
    pub(super) folder: PathBuf,
}

impl Built {
    pub(super) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The address of the Maven repository, `repository`, or of the index of Python packages, `index`.
    pub(super) fn address(&self, name: &str) -> String {
        format!("file://{}", self.path(name))
    }
}

/// The jar of version 1, and one more that has its class; the jar of version 2.
pub(super) const JARS: [(&str, &[&str]); 3] =
    [("logs.jar", &["demo"]), ("same.jar", &["demo"]), ("logs-2.jar", &["demo", "renewed"])];
pub(super) const WHEEL: &str = "wheely-1.0-py3-none-any.whl";
pub(super) const EGGS: [&str; 2] = ["new_library-1.0.0-py3.6.egg", "new_library-1.0.1-py3.6.egg"];

/// Builds everything, once.
pub(super) static BUILT: LazyLock<Built> = LazyLock::new(|| {
    let folder = folders::fresh("libraries");
    compile(&folder);
    for (name, packages) in JARS {
        pack(&folder.join("classes"), &folder.join(name), packages);
    }
    maven(&folder);
    for (egg, version) in EGGS.into_iter().zip(["1.0.0", "1.0.1"]) {
        let files = [
            ("new_library/__init__.py".to_owned(), format!("NAME = 'egg {version}'\n")),
            ("EGG-INFO/PKG-INFO".to_owned(), format!("Metadata-Version: 1.0\nName: new-library\nVersion: {version}\n")),
        ];
        pack_files(&folder, egg, &files);
    }
    wheel(&folder, "wheely");
    let index = folder.join("index/indexed");
    fs::create_dir_all(&index).unwrap();
    wheel(&index, "indexed");
    fs::write(index.join("index.html"), "<a href='indexed-1.0-py3-none-any.whl'>indexed</a>").unwrap();
    fs::write(folder.join("requirements.txt"), "iniconfig==2.0.0\n").unwrap();
    Built { folder }
});

fn compile(folder: &Path) {
    let runtime = interpreters::runtime();
    let (source, classes) = (folder.join("Sources.scala"), folder.join("classes"));
    fs::write(&source, SOURCES).unwrap();
    fs::create_dir(&classes).unwrap();
    let java = format!("{}/bin/java", runtime["java_home"].as_str().unwrap());
    let jars = format!("{}/jars/*", runtime["spark_home"].as_str().unwrap());
    let compiler = ["-XX:TieredStopAtLevel=1", "-cp", &jars, "scala.tools.nsc.Main", "-usejavacp", "-d"];
    run(Command::new(java).args(compiler).arg(&classes).arg(&source));
}

/// A wheel with one module.
fn wheel(folder: &Path, name: &str) {
    let info = |file: &str| format!("{name}-1.0.dist-info/{file}");
    let module = format!("{name}/__init__.py");
    let record = [module.clone(), info("METADATA"), info("WHEEL"), info("RECORD")].map(|path| format!("{path},,\n"));
    let files = [
        (module, format!("NAME = '{name}'\n")),
        (info("METADATA"), format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")),
        (info("WHEEL"), "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_owned()),
        (info("RECORD"), record.concat()),
    ];
    pack_files(folder, &format!("{name}-1.0-py3-none-any.whl"), &files);
}

/// `org.demo:outer:1.0`, which needs `org.demo:inner:1.0`.
fn maven(folder: &Path) {
    for (name, needs) in [("inner", None), ("outer", Some("inner"))] {
        let at = folder.join("repository/org/demo").join(name).join("1.0");
        fs::create_dir_all(&at).unwrap();
        pack(&folder.join("classes"), &at.join(format!("{name}-1.0.jar")), &[name]);
        let dependency = needs.map(|needs| {
            let place = format!("<groupId>org.demo</groupId><artifactId>{needs}</artifactId><version>1.0</version>");
            format!("<dependencies><dependency>{place}</dependency></dependencies>")
        });
        let own = format!("<groupId>org.demo</groupId><artifactId>{name}</artifactId><version>1.0</version>");
        let pom =
            format!("<project><modelVersion>4.0.0</modelVersion>{own}{}</project>", dependency.unwrap_or_default());
        fs::write(at.join(format!("{name}-1.0.pom")), pom).unwrap();
    }
}

/// Packs text files.
fn pack_files(folder: &Path, name: &str, files: &[(String, String)]) {
    let loose = folder.join(format!("{name}.files"));
    let mut roots = Vec::new();
    for (path, text) in files {
        let file = loose.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        let root = path.split('/').next().unwrap();
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    pack(&loose, &folder.join(name), &roots);
}

/// Packs folders into a zip file, which every library is.
fn pack(folder: &Path, to: &Path, roots: &[&str]) {
    run(Command::new("python3").args(["-m", "zipfile", "-c"]).arg(to).args(roots).current_dir(folder));
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}
