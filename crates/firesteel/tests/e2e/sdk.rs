//! The stock `databricks-sdk` from PyPI, in two versions, on the cases of the reference's section 20.

use crate::case::Case;
use crate::clients::{Python, python};

/// The versions: one that asks for the discovery document, and one from before there was any.
const VERSIONS: [&str; 2] = ["0.156.0", "0.67.0"];

/// The functions of `clients/sdk.py`, each a case.
const CASES: [&str; 13] = [
    "a_command_runs_and_its_context_is_destroyed",
    "what_raises_is_an_error_result",
    "a_missing_context_is_named_without_a_code",
    "a_cancel_ends_in_cancelled",
    "an_unknown_cluster_does_not_exist",
    "remote_dbutils_list_the_mounts",
    "sql_gives_a_table",
    "state_is_shared_in_a_context_and_not_beyond",
    "a_user_with_a_password_gets_through",
    "files_go_up_and_down",
    "a_notebook_and_a_file_are_uploaded",
    "secrets_are_kept",
    "libraries_are_installed",
];

pub(crate) fn cases() -> Vec<Case> {
    let one = |version: &'static str, case: &'static str| {
        let name = format!("{}::{}::{case}", module_path!(), version.replace('.', "_"));
        Case::shared(&name, move |server| python(server, environment(version), "sdk.py", case))
    };
    VERSIONS.into_iter().flat_map(|version| CASES.map(|case| one(version, case))).collect()
}

/// The Python of one version. The libraries that sit on top of the newer one are installed with it: one run of pip for all.
fn environment(version: &str) -> Python {
    match version {
        "0.67.0" => Python { name: "sdk-0.67.0", packages: &["databricks-sdk==0.67.0"] },
        _ => crate::clients::LABS,
    }
}
