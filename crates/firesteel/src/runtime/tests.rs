//! The steps against false programs: what the user is told when something is missing, and what is left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use firesteel_driver::runtime::java::JavaSearch;
use firesteel_driver::runtime::{Origin, RUNTIME_FILE, Runtime};
use tempfile::TempDir;

use super::*;

/// A data folder and a folder of programs that is all of `PATH`.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        Self { folder }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Puts a shell script on `PATH`.
    fn program(&self, name: &str, script: &str) -> PathBuf {
        write_program(&self.path("bin"), name, script)
    }

    /// Puts a Python on `PATH` that says its version, and for the rest does what `script` says.
    fn python(&self, version: &str, script: &str) -> PathBuf {
        let program = self.path("bin/python3");
        self.program("python3", &format!("{}\n{script}", says(&program, version)))
    }

    fn around(&self) -> Surroundings {
        let path = self.path("bin").into_os_string();
        Surroundings { path: Some(path), pyspark_python: None, java: JavaSearch::default() }
    }

    async fn make(&self, spark_version: Option<&str>) -> Result<Runtime, SetupError> {
        let wanted = Wanted::Made { name: None, spark_version: spark_version.map(str::to_owned) };
        ensure(&self.path("data"), wanted, &self.around(), &Progress::Silent).await
    }

    async fn run(&self, command_line: Command, cluster: Option<&str>) -> Result<(), SetupError> {
        let user_of = |_: &RuntimeName| cluster.map(str::to_owned);
        command(&self.path("data"), command_line, &self.around(), &Progress::Silent, &user_of).await
    }

    /// A runtime that is there.
    fn whole(&self, name: &str, spark_version: &str) -> Runtime {
        let folder = self.path("data/runtimes").join(name);
        let spark_home = folder.join("spark");
        fs::create_dir_all(spark_home.join("jars")).unwrap();
        fs::write(spark_home.join(format!("jars/spark-core_2.13-{spark_version}.jar")), "").unwrap();
        let runtime = Runtime {
            name: name.to_owned(),
            spark_home,
            spark_version: spark_version.to_owned(),
            scala_version: "2.13".to_owned(),
            java_home: write_program(&folder.join("java/bin"), "java", "").ancestors().nth(2).unwrap().into(),
            java_version: "17.0.15".to_owned(),
            python: write_program(&folder, "python", ""),
            python_version: "3.11.7".to_owned(),
            python_path: Vec::new(),
            origin: Origin::Made,
        };
        runtime.write(&folder).unwrap();
        runtime
    }
}

fn write_program(folder: &Path, name: &str, script: &str) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let program = folder.join(name);
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// The part of a false Python that answers the question after its version, and passes on all else.
fn says(program: &Path, version: &str) -> String {
    let answer =
        format!(r#"{{"program": "{}", "version": "{version}", "modules": {{"pip": true}}}}"#, program.display());
    format!("case \"$*\" in *sys.version_info*) echo 'firesteel-python {answer}'; exit;; esac")
}

/// A false `python -m venv` that makes a false interpreter, whose pip does what `pip` says.
fn venv(version: &str, pip: &str) -> String {
    let inner = format!(
        "{}\ncase \"$*\" in *'pip --version') exit 0;; *'pip install'*) {pip};; esac",
        says(Path::new("/own"), version)
    );
    format!(
        "case \"$2\" in venv) /bin/mkdir -p \"$3/bin\"; /bin/cat > \"$3/bin/python\" <<'END'\n#!/bin/sh\n{inner}\nEND\n\
         /bin/chmod +x \"$3/bin/python\";; *) exit 1;; esac"
    )
}

#[tokio::test]
async fn no_python_is_said_with_what_to_install() {
    let error = Scene::new().make(None).await.unwrap_err();
    assert_eq!(error.to_string(), "no Python was found on PATH; install Python 3.10 or newer");
}

#[tokio::test]
async fn a_python_that_is_too_old_is_named() {
    let scene = Scene::new();
    let python = scene.python("3.8.10", "exit 1");
    let error = scene.make(None).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("`{}` is Python 3.8.10", python.display())), "{error}");
    assert!(error.contains("needs Python 3.10 to"), "{error}");
}

#[tokio::test]
async fn a_python_without_venv_is_said_with_what_to_install_and_leaves_no_environment() {
    let scene = Scene::new();
    scene.python("3.11.2", "echo 'The virtual environment was not created: ensurepip is not available.'; exit 1");
    let error = scene.make(None).await.unwrap_err();
    assert!(matches!(error, SetupError::NoVenv { .. }));
    let text = error.to_string();
    assert!(text.contains("apt install python3.11-venv") && text.contains("ensurepip is not"), "{text}");
    let folder = scene.path("data/runtimes/spark-4.3.0");
    assert!(!folder.join("venv").exists() && !folder.join(RUNTIME_FILE).exists());
}

#[tokio::test]
async fn virtualenv_stands_in_for_a_missing_venv() {
    let scene = Scene::new();
    let script = venv("3.11.2", "echo ConnectTimeoutError; exit 1").replace("in venv)", "in virtualenv)");
    scene.python("3.11.2", &script);
    // It came as far as pip.
    assert!(matches!(scene.make(None).await.unwrap_err(), SetupError::NoNetwork { .. }));
}

#[tokio::test]
async fn without_a_network_it_says_so_and_is_listed_as_half_made() {
    let scene = Scene::new();
    scene.python("3.11.2", &venv("3.11.2", "echo \"NewConnectionError('x')\"; echo 'ERROR: No matching'; exit 1"));
    let error = scene.make(None).await.unwrap_err();
    assert!(matches!(&error, SetupError::NoNetwork { tail, .. } if tail.ends_with("ERROR: No matching")), "{error}");
    let listed = list(&scene.path("data")).unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].runtime.is_none() && listed[0].name.to_string() == "spark-4.3.0");
    assert!(!scene.path("data/runtimes/spark-4.3.0/tmp").exists());
}

#[tokio::test]
async fn python_3_10_gets_the_newest_spark_that_runs_on_it() {
    let scene = Scene::new();
    scene.python("3.10.4", &venv("3.10.4", "echo \"for $*\"; exit 1"));
    let error = scene.make(None).await.unwrap_err().to_string();
    assert!(error.contains("installing Spark 4.2.1") && error.contains("pyspark==4.2.1"), "{error}");
}

#[tokio::test]
async fn a_runtime_that_is_there_is_used_without_a_python() {
    let scene = Scene::new();
    let runtime = scene.whole("spark-4.3.0", "4.3.0");
    assert_eq!(scene.make(None).await.unwrap(), runtime);
    assert_eq!(scene.make(Some("4.3.0")).await.unwrap(), runtime);
    // What it was made of is gone: it is made again, which begins with a Python.
    fs::remove_file(runtime.java()).unwrap();
    assert!(matches!(scene.make(None).await.unwrap_err(), SetupError::NoPython { .. }));
}

#[tokio::test]
async fn versions_and_names_are_checked_before_anything_is_done() {
    let scene = Scene::new();
    for version in ["3.4.1", "4", "latest", "4.3.0; rm", "4.3.0 --pre", "5.0.0"] {
        assert!(matches!(scene.make(Some(version)).await.unwrap_err(), SetupError::SparkVersion(_)), "{version}");
    }
    for name in ["", ".", "..", "-x", "a/b", "a b", &"x".repeat(65)] {
        assert!(matches!(name.parse::<RuntimeName>().unwrap_err(), SetupError::Name(_)), "{name}");
    }
    assert!("spark-4.3_x".parse::<RuntimeName>().is_ok());
    assert!(!scene.path("data").exists());
}

#[tokio::test]
async fn a_runtime_in_use_stays_and_others_go() {
    let scene = Scene::new();
    let runtime = scene.whole("mine", "4.1.1");
    let remove = |name: &str| Command::Remove { name: name.to_owned() };
    let error = scene.run(remove("mine"), Some("0101-000000-oak1")).await.unwrap_err();
    assert!(matches!(error, SetupError::InUse { .. }) && runtime.missing().is_none());
    assert!(matches!(scene.run(remove("other"), None).await.unwrap_err(), SetupError::Unknown(_)));
    assert!(matches!(scene.run(remove("../runtimes"), None).await.unwrap_err(), SetupError::Name(_)));
    let add = Command::Add { name: "mine".into(), spark_home: None, spark_version: None };
    assert!(matches!(scene.run(add, None).await.unwrap_err(), SetupError::Exists(_)));
    scene.run(remove("mine"), None).await.unwrap();
    assert!(!scene.path("data/runtimes/mine").exists());
}

#[tokio::test]
async fn a_named_folder_that_is_no_spark_is_refused() {
    let scene = Scene::new();
    let wanted = Wanted::Named { name: None, spark_home: scene.path("bin") };
    let error = ensure(&scene.path("data"), wanted, &scene.around(), &Progress::Silent).await.unwrap_err().to_string();
    assert!(error.contains("is not a Spark"), "{error}");
    assert!(!scene.path("data/runtimes/spark-home").exists());
}

#[tokio::test]
async fn a_named_python_that_lacks_ipython_is_an_error_with_the_cure() {
    let scene = Scene::new();
    let spark_home = scene.whole("x", "4.3.0").spark_home;
    let python = scene.program(
        "mypython",
        r#"echo 'firesteel-python {"program": "/x", "version": "3.11.1", "modules": {"IPython": false, "py4j": true}}'"#,
    );
    let around = Surroundings { pyspark_python: Some(python), ..scene.around() };
    let wanted = Wanted::Named { name: None, spark_home };
    let error = ensure(&scene.path("data"), wanted, &around, &Progress::Silent).await.unwrap_err().to_string();
    assert!(error.contains("mypython -m pip install ipython"), "{error}");
}
