//! The stock `databricks-sdk` from PyPI, in two versions, on the cases of the reference's section 20.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::case::Case;
use crate::folders;
use crate::server::Server;

/// The versions: one that asks for the discovery document, and one from before there was any.
const VERSIONS: [&str; 2] = ["0.156.0", "0.67.0"];

/// The functions of `clients/sdk.py`, each a case.
const CASES: [&str; 9] = [
    "a_command_runs_and_its_context_is_destroyed",
    "what_raises_is_an_error_result",
    "a_missing_context_is_named_without_a_code",
    "a_cancel_ends_in_cancelled",
    "an_unknown_cluster_does_not_exist",
    "remote_dbutils_list_the_mounts",
    "sql_gives_a_table",
    "state_is_shared_in_a_context_and_not_beyond",
    "a_user_with_a_password_gets_through",
];

pub(crate) fn cases() -> Vec<Case> {
    let one = |version: &'static str, case: &'static str| {
        let name = format!("{}::{}::{case}", module_path!(), version.replace('.', "_"));
        Case::shared(&name, move |server| run(server, version, case))
    };
    VERSIONS.into_iter().flat_map(|version| CASES.map(|case| one(version, case))).collect()
}

/// Runs one function of the script. It ends with an assertion, or says what it saw.
fn run(server: &Server, version: &str, case: &str) {
    let python = environment(version);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/clients/sdk.py");
    let facts = json!({"cluster": server.cluster, "user": "admin", "password": server.password(), "host": server.url});
    let mut command = Command::new(python);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DATABRICKS_") || name.to_string_lossy().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    let output = command
        .args([script, case, &facts.to_string()])
        .env("DATABRICKS_CONFIG_FILE", server.data.join("databrickscfg"))
        .env("REQUESTS_CA_BUNDLE", server.ca())
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{}\n{said}", output.status);
    // Nothing to warn of either, such as a discovery document that was not found.
    assert_eq!(said, "");
}

/// The Python of a virtual environment with this version of the SDK, made once.
fn environment(version: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|broken| broken.into_inner());
    let folder = folders::root().join(format!("sdk-{version}"));
    let (python, whole) = (folder.join("bin/python"), folder.join("whole"));
    if !whole.exists() {
        eprintln!("installing databricks-sdk {version} ...");
        let _ = fs::remove_dir_all(&folder);
        let asked = format!("databricks-sdk=={version}");
        for (program, arguments) in [
            (PathBuf::from("python3"), vec!["-m", "venv", folder.to_str().unwrap()]),
            (python.clone(), vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check", &asked]),
        ] {
            let output = Command::new(&program).args(&arguments).output().unwrap();
            assert!(
                output.status.success(),
                "{} {arguments:?}: {}\n{}",
                program.display(),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        fs::write(&whole, Value::Null.to_string()).unwrap();
    }
    python
}
