//! What a start refuses: one clear line, an exit status that is not 0, and nothing left running.

use std::fs;
use std::net::TcpListener;
use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::api::{fits_text, text};
use crate::case::Case;
use crate::folders;
use crate::poll::until;
use crate::processes;
use crate::server::{Server, program};

pub(crate) fn cases() -> Vec<Case> {
    own![
        a_port_that_is_taken_is_named,
        a_data_folder_in_use_is_refused,
        a_configuration_that_is_wrong_is_refused_by_name,
        plain_http_is_refused_beyond_loopback,
        an_address_that_is_none_is_refused,
        a_machine_without_python_is_told_so,
        a_spark_that_is_not_there_is_named,
        a_wrong_command_line_is_refused,
        the_runtime_is_listed,
        a_named_spark_is_served_over_plain_http,
        a_first_start_without_network_says_so,
        a_first_start_that_is_interrupted_says_how_to_go_on_and_leaves_nothing,
    ]
}

/// Checks that `firesteel ARGUMENTS` ends at once, and says why in a line that fits.
#[track_caller]
fn refuses(arguments: &[&str], environment: &[(&str, &str)], said: &str) {
    let Output { status, stdout, stderr } =
        program().args(arguments).envs(environment.iter().copied()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(!status.success() && status.code().is_some(), "{arguments:?}: {status}\n{stderr}");
    assert!(!stdout.contains("ready "), "{arguments:?}: {stdout}");
    let errors: Vec<&str> = stderr.lines().skip_while(|line| !line.starts_with("error: ")).collect();
    let fits = errors.first().is_some_and(|line| fits_text(said, line)) && !stderr.contains("panicked");
    assert!(fits, "{arguments:?}\nexpected: {said}\nseen: {stderr}");
}

/// Checks that `up` on this folder ends at once, with one line that fits.
#[track_caller]
fn up_refuses(data: &std::path::Path, more: &[&str], said: &str) {
    refuses(&[&["up", "--data", data.to_str().unwrap()], more].concat(), &[], said);
    assert_eq!(processes::with_argument(data), []);
}

fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = folders::fresh("refused");
    up_refuses(&data, &["--listen", &address], &format!("error: cannot listen on {address}; …--listen…"));
}

fn a_data_folder_in_use_is_refused() {
    let data = folders::fresh("refused");
    let lock = fs::File::create(data.join("lock")).unwrap();
    lock.lock().unwrap();
    up_refuses(
        &data,
        &["--listen", "127.0.0.1:0"],
        &format!("error: …{}` is used by another firesteel…", data.display()),
    );
}

fn a_configuration_that_is_wrong_is_refused_by_name() {
    let data = folders::fresh("refused");
    let cases = [
        ("lisen = '127.0.0.1:1'", "lisen"),
        ("[limits]\nhold_max_ms = 60000", "limits.hold_max_ms"),
        ("[limits]\nrow_max = 1", "row_max"),
        ("listen = 8443", "listen"),
        ("listen =", "firesteel.toml"),
    ];
    for (config, said) in cases {
        fs::write(data.join("firesteel.toml"), config).unwrap();
        // A parser may show the place on further lines; the first says what is wrong and where.
        let output = program().args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(&data).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{config}");
        assert!(
            stderr.starts_with("error: ") && stderr.contains(said) && stderr.contains("firesteel.toml"),
            "{stderr}"
        );
    }
}

fn plain_http_is_refused_beyond_loopback() {
    let data = folders::fresh("refused");
    up_refuses(&data, &["--no-tls", "--listen", "0.0.0.0:0"], "error: --no-tls is refused for `0.0.0.0:0`…");
}

fn an_address_that_is_none_is_refused() {
    let data = folders::fresh("refused");
    up_refuses(&data, &["--listen", "8443"], "error: `8443` is not HOST:PORT, such as 127.0.0.1:8443");
    up_refuses(&data, &["--listen", "no-such-host.invalid:1"], "error: `no-such-host.invalid` is not an address…");
}

fn a_machine_without_python_is_told_so() {
    let data = folders::fresh("refused");
    let empty = tempfile::tempdir().unwrap();
    let arguments = ["up", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    refuses(&arguments, &[("PATH", empty.path().to_str().unwrap())], "error: …Python…3.10…");
}

fn a_spark_that_is_not_there_is_named() {
    let data = folders::fresh("refused");
    let arguments = ["up", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    refuses(&arguments, &[("SPARK_HOME", "/no/such/spark")], "error: …/no/such/spark…");
}

fn a_first_start_without_network_says_so() {
    let data = folders::fresh("refused");
    let arguments = ["up", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    // An index that nobody serves, asked once.
    let nowhere = [
        ("PIP_INDEX_URL", "http://127.0.0.1:9/"),
        ("PIP_RETRIES", "0"),
        ("PIP_NO_CACHE_DIR", "1"),
        ("PIP_FIND_LINKS", ""),
    ];
    refuses(&arguments, &nowhere, "error: pip failed while installing Spark …goes on where it stopped");
    // What is half made is not taken for a runtime.
    let listed = program().args(["runtime", "list", "--data", data.to_str().unwrap()]).output().unwrap();
    assert!(!String::from_utf8_lossy(&listed.stdout).contains("ready"), "{listed:?}");
}

fn a_first_start_that_is_interrupted_says_how_to_go_on_and_leaves_nothing() {
    let data = folders::fresh("refused");
    // An index that takes calls and never answers.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let index = format!("http://{}/", mute.local_addr().unwrap());
    let mut command = program();
    command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(&data).env("PIP_INDEX_URL", index);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (_call, _) = mute.accept().unwrap();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some_and(|code| code != 0), "{output:?}");
    assert!(said.contains("error: stopped before it was ready; start it again"), "{said}");
    until("nothing that it started is left", || processes::with_argument(&data), Vec::is_empty);
}

fn a_wrong_command_line_is_refused() {
    for arguments in [&["up", "--no-such-option"][..], &["nothing"], &[]] {
        let output = program().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("Usage: firesteel"), "{arguments:?}");
    }
}

fn the_runtime_is_listed() {
    let output = program().args(["runtime", "list", "--data"]).arg(folders::data()).output().unwrap();
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && listed.contains("spark-"), "{output:?}");
}

fn a_named_spark_is_served_over_plain_http() {
    let data = folders::fresh_data();
    let made = fs::read_dir(data.join("runtimes")).unwrap().flatten();
    let told = made.filter_map(|entry| fs::read_to_string(entry.path().join("runtime.json")).ok());
    let told = told.map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap()).next().unwrap();
    fs::write(data.join("firesteel.toml"), format!("spark_home = {}", told["spark_home"])).unwrap();
    let server = Server::start("up", &data, &["--no-tls"]);
    assert!(server.url.starts_with("http://127.0.0.1:"), "{}", server.url);
    let context = server.context("python");
    context.check("spark.range(3).count()", &text("3"));
    context.check_in("scala", "spark.range(3).count", &text("res0: Long = 3"));
    context.leave();
    server.end();
}
