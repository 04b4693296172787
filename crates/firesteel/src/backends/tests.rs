//! What a configuration of backends comes to, and what is refused of it.

use std::collections::BTreeMap;

use super::*;

#[derive(Debug, Deserialize)]
struct Told {
    #[serde(default)]
    backends: BTreeMap<String, Backend>,
    default_backend: Option<String>,
}

fn read(text: &str) -> Result<Backends, String> {
    let told: Told = toml::from_str(text).map_err(|error| error.to_string())?;
    Backends::new(told.backends, told.default_backend).map_err(|error| error.to_string())
}

#[test]
fn without_a_word_there_is_the_local_backend() {
    let backends = read("").unwrap();
    assert!(matches!(backends.find(None), Ok(Backend::Local(_))));
    assert_eq!(backends.find(Some("")), backends.find(Some("local")));
    let said = backends.find(Some("grid")).unwrap_err();
    assert!(said.contains("`grid`") && said.ends_with("local"), "{said}");
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    let cases = [
        ("[backends.local]\nkind = 'local'\nworker_core = 1", "worker_core"),
        ("[backends.local]\nkind = 'local'\nworker_cores = 0", "backends.local.worker_cores: must be from 1"),
        (
            "[backends.local]\nkind = 'local'\nworker_memory_mb = 100",
            "backends.local.worker_memory_mb: must be from 512",
        ),
        ("[backends.x]\nkind = 'mesos'", "mesos"),
        ("[backends.x]\nworker_cores = 1", "kind"),
        ("default_backend = 'x'", "default_backend is `x`, which is none of: local"),
    ];
    for (text, said) in cases {
        let error = read(text).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
    }
}

/// A driver as it is before its backend is known, of a cluster with `workers` workers.
fn placed(text: &str, backend: &str, workers: u32) -> Result<DriverSpec, String> {
    use firesteel_driver::protocol::interpreters::ResultLimits;
    use firesteel_driver::runtime::Origin;
    use firesteel_driver::spec::{CommandSpec, SpareCounts};
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("jars")).unwrap();
    let runtime = Runtime {
        name: "x".into(),
        spark_home: folder.path().into(),
        spark_version: "4.3.0".into(),
        scala_version: "2.13".into(),
        java_home: "/java".into(),
        java_version: "17".into(),
        python: "/venv/bin/python".into(),
        python_version: "3.11.7".into(),
        python_path: Vec::new(),
        origin: Origin::Named,
    };
    let command = CommandSpec { program: "/java/bin/java".into(), args: vec!["-Xmx3g".into()], env: BTreeMap::new() };
    let mut spec = DriverSpec {
        cluster: "1122-132406-Test1".parse().unwrap(),
        folder: "/data/clusters/c".into(),
        sockets: "/s".into(),
        jvm: command.clone(),
        python: command,
        r: None,
        executors: None,
        properties: None,
        conf: BTreeMap::new(),
        runtime_version: "17.3".into(),
        limits: ResultLimits {
            rows_max: 1,
            table_bytes_max: 1,
            text_chars_max: 1,
            result_bytes_max: 1,
            result_seconds_max: 1,
        },
        results_bytes_max: 1,
        spares: SpareCounts::default(),
        libraries: Vec::new(),
        library_seconds_max: 60,
        orphan_seconds: 1,
        output_bytes_max: 1,
        command_seconds_max: 0,
        cancel_seconds_max: 1,
        context_memory_mb: 0,
    };
    let settings = ClusterSettings { num_workers: workers, ..ClusterSettings::default() };
    let prepared = Prepared { runtime: &runtime, jar: Path::new("/cache/firesteel.jar"), archive: None };
    let place = Place { settings: &settings, machine: Machine::detect(), prepared };
    read(text)?.find(Some(backend))?.place(place, &mut spec)?;
    Ok(spec)
}

const KUBERNETES: &str = "[backends.k]
kind = 'kubernetes'
api = 'https://10.0.0.1:6443'
image = 'spark:4.3.0'
namespace = 'jobs'
executor_service_account = 'spark'
token_file = '/t'
secret_file = '/s'
secret_name = 'shared'
driver.host = 'here.jobs.svc'
driver.port = 7078
executor.cores = 2
executor.python = '/usr/bin/python3'";

#[test]
fn kubernetes_gets_its_image_account_secret_and_ports() {
    let spec = placed(KUBERNETES, "k", 2).unwrap();
    let expected = [
        ("spark.master", "k8s://https://10.0.0.1:6443"),
        ("spark.kubernetes.container.image", "spark:4.3.0"),
        ("spark.kubernetes.namespace", "jobs"),
        ("spark.kubernetes.authenticate.executor.serviceAccountName", "spark"),
        ("spark.kubernetes.authenticate.oauthTokenFile", "/t"),
        ("spark.kubernetes.executor.secrets.shared", "/etc/firesteel-spark-secret"),
        ("spark.authenticate.secret.executor.file", "/etc/firesteel-spark-secret/secret"),
        ("spark.authenticate.secret.driver.file", "/s"),
        ("spark.kubernetes.executor.podNamePrefix", "firesteel-1122-132406-test1"),
        ("spark.driver.host", "here.jobs.svc"),
        ("spark.driver.port", "7078"),
        ("spark.driver.memory", "3g"),
        ("spark.executor.instances", "2"),
        ("spark.executor.cores", "2"),
    ];
    for (key, value) in expected {
        assert_eq!(spec.conf.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert!(!spec.conf.contains_key("spark.executor.extraClassPath"), "a path of this machine");
    assert_eq!(spec.jvm.env["PYSPARK_PYTHON"], "/usr/bin/python3");
    let command = [&spec.jvm.program.display().to_string()[..], &spec.jvm.args.join(" ")].concat();
    let expected = "/bin/spark-submit--master k8s://https://10.0.0.1:6443 --deploy-mode client --properties-file \
                    /data/clusters/c/spark.properties --class firesteel.Agent /cache/firesteel.jar";
    assert!(command.ends_with(expected), "{command}");
}

#[test]
fn yarn_gets_its_folder_queue_and_java() {
    let text = "[backends.y]\nkind = 'yarn'\nhadoop_conf_dir = '/etc/hadoop'\nqueue = 'q'\njava_home = '/j'\ndriver.host = 'here'";
    let spec = placed(text, "y", 1).unwrap();
    assert_eq!(
        (spec.conf["spark.yarn.queue"].as_str(), spec.conf["spark.executorEnv.JAVA_HOME"].as_str()),
        ("q", "/j")
    );
    assert_eq!((spec.jvm.env["HADOOP_CONF_DIR"].as_str(), spec.jvm.args[1].as_str()), ("/etc/hadoop", "yarn"));
    assert_eq!(spec.executors.map(|own| (own.count, own.max)), Some((1, None)));
}

#[test]
fn an_engine_beyond_this_machine_wants_a_host_and_a_secret() {
    let standalone = "[backends.x]\nkind = 'standalone'\nmaster = ";
    let cases = [
        (format!("{standalone}'10.0.0.5:7077'"), "is not spark://HOST:PORT"),
        (format!("{standalone}'spark://10.0.0.5:7077'\nunauthenticated = true"), "backends.x.driver.host: is needed"),
        (format!("{standalone}'spark://127.0.0.1:7077'"), "backends.x.secret_file: is needed"),
        (KUBERNETES.replace("secret_name", "# "), "backends.k.secret_name: goes with `secret_file`"),
        (KUBERNETES.replace("'/t'", "'t'"), "backends.k.token_file: `t` is not an absolute path"),
    ];
    for (text, said) in cases {
        let error = read(&text).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
    }
    assert!(placed(KUBERNETES, "k", 0).unwrap_err().contains("at least one worker"));
}
