//! Real clients beside the stock SDK, on the cases of the reference's section 20: the libraries of Databricks Labs, `dbt-databricks` used
//! as a library, and the SDK of JavaScript.
//!
//! Each is installed from its registry on the first run, into a folder of `target/e2e` of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde_json::json;

use crate::case::Case;
use crate::folders;
use crate::server::Server;

/// A virtual environment and what is installed into it.
#[derive(Clone, Copy)]
pub(crate) struct Python {
    pub(crate) name: &'static str,
    pub(crate) packages: &'static [&'static str],
}

/// The newer SDK and the libraries of Databricks Labs on it.
pub(crate) const LABS: Python = Python {
    name: "sdk-0.156.0",
    packages: &["databricks-sdk==0.156.0", "databricks-labs-blueprint==0.12.0", "databricks-labs-lsql==0.17.0"],
};

/// dbt, of the last versions that install without a compiler.
const DBT: Python = Python { name: "dbt", packages: &["dbt-databricks==1.11.0", "dbt-core<1.11"] };

/// The SDK of JavaScript.
const JAVASCRIPT: &str = "@databricks/sdk-experimental@0.17.0";

const LABS_CASES: [&str; 5] = [
    "blueprint_runs_code_and_returns_what_it_returns",
    "blueprint_raises_what_the_code_raised",
    "blueprint_restarts_python",
    "lsql_fetches_rows",
    "lsql_raises_what_sql_refuses",
];

const DBT_CASES: [&str; 3] = ["a_model_runs", "a_model_that_fails_is_shown_with_its_trace", "a_model_is_cancelled"];

const JAVASCRIPT_CASES: [&str; 3] = ["a_command_runs", "a_cancel_is_waited_for", "an_unknown_context_is_named"];

pub(crate) fn cases() -> Vec<Case> {
    let name = |group: &str, case: &str| format!("{}::{group}::{case}", module_path!());
    let labs =
        LABS_CASES.map(|case| Case::shared(&name("labs", case), move |server| python(server, LABS, "labs.py", case)));
    let dbt = DBT_CASES.map(|case| Case::shared(&name("dbt", case), move |server| python(server, DBT, "dbt.py", case)));
    let mut cases: Vec<Case> = labs.into_iter().chain(dbt).collect();
    match node() {
        Some(_) => cases.extend(
            JAVASCRIPT_CASES
                .map(|case| Case::shared(&name("javascript", case), move |server| javascript(server, case))),
        ),
        None => eprintln!("no Node.js 20 or newer with npm is installed: the SDK of JavaScript is not run"),
    }
    cases
}

/// Runs one function of a script. It ends with an assertion, or says what it saw.
#[track_caller]
pub(crate) fn python(server: &Server, python: Python, script: &str, case: &str) {
    speaks(server, Command::new(environment(python).join("python")), script, case);
}

/// The folder of the programs of a virtual environment.
#[track_caller]
pub(crate) fn environment(python: Python) -> PathBuf {
    let folder = install(python.name, python.packages, |folder| {
        let pip = folder.join("bin/python");
        let mut arguments = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        arguments.extend(python.packages);
        run(Command::new("python3").args(["-m", "venv"]).arg(folder));
        run(Command::new(pip).args(arguments));
    });
    folder.join("bin")
}

/// Runs one function of the script for Node.js.
fn javascript(server: &Server, case: &str) {
    let folder = install("javascript", &[JAVASCRIPT], |folder| {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("package.json"), json!({"private": true}).to_string()).unwrap();
        let quiet = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", JAVASCRIPT];
        run(Command::new("npm").args(quiet).current_dir(folder));
    });
    let mut command = Command::new("node");
    command.current_dir(folder).env("NODE_EXTRA_CA_CERTS", server.ca());
    speaks(server, command, "sdk.mjs", case);
}

/// Tells whether there is a Node.js that the SDK runs on, and an npm to install it.
fn node() -> Option<u32> {
    let said =
        |program: &str| Command::new(program).arg("--version").output().ok().filter(|said| said.status.success());
    said("npm")?;
    let version = String::from_utf8(said("node")?.stdout).ok()?;
    let major = version.trim_start_matches('v').split('.').next()?.parse().ok()?;
    (major >= 20).then_some(major)
}

/// Runs a script against the server, as its users have it; nothing may be said, not even a warning.
#[track_caller]
fn speaks(server: &Server, mut command: Command, script: &str, case: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/clients").join(script);
    let facts = json!({
        "cluster": server.cluster,
        "user": "admin",
        "password": server.password(),
        "host": server.url,
        "token": server.token,
    });
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DATABRICKS_") || name.to_string_lossy().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    let output = command
        .arg(script)
        .args([case, &facts.to_string()])
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

/// A folder below `target/e2e` with these packages, made when it is not there or holds others.
fn install(name: &str, packages: &[&str], make: impl FnOnce(&Path)) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|broken| broken.into_inner());
    let folder = folders::root().join(name);
    let (whole, wanted) = (folder.join("whole"), packages.join("\n"));
    if fs::read_to_string(&whole).ok().as_deref() != Some(&wanted) {
        eprintln!("installing {} ...", packages.join(" "));
        let _ = fs::remove_dir_all(&folder);
        make(&folder);
        fs::write(&whole, wanted).unwrap();
    }
    folder
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}
