//! What of a user's `spark_conf` and `spark_env_vars` reaches Spark.
//!
//! Spark's configuration can load code into the JVM before any user of the cluster speaks, move the cluster to another
//! master, open its ports, and read files by the driver's rights. So keys are let through by a list of prefixes; some below
//! those are refused all the same; and a value that names a local file is refused under any key. The environment is the
//! user's own but for the names by which loaders, interpreters and Spark itself are told what to run.

use std::collections::BTreeMap;

/// Entries of one map.
const ENTRIES_MAX: usize = 500;

/// Bytes of one value.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// Keys and prefixes (those that end in a dot) of Spark's that are let through.
const CONF_ALLOWED: &[&str] = &[
    "spark.broadcast.",
    "spark.cleaner.",
    "spark.databricks.",
    "spark.default.parallelism",
    "spark.driver.cores",
    "spark.driver.maxResultSize",
    "spark.driver.memory",
    "spark.driver.memoryOverhead",
    "spark.driver.memoryOverheadFactor",
    "spark.dynamicAllocation.",
    "spark.excludeOnFailure.",
    "spark.executor.cores",
    "spark.executor.heartbeatInterval",
    "spark.executor.instances",
    "spark.executor.memory",
    "spark.executor.memoryOverhead",
    "spark.executor.memoryOverheadFactor",
    "spark.executor.pyspark.memory",
    "spark.files.maxPartitionBytes",
    "spark.firesteel.jdbc.enabled",
    "spark.hadoop.",
    "spark.io.compression.",
    "spark.kryo.",
    "spark.kryoserializer.",
    "spark.locality.",
    "spark.memory.",
    "spark.network.timeout",
    "spark.python.profile",
    "spark.python.worker.memory",
    "spark.python.worker.reuse",
    "spark.rdd.compress",
    "spark.reducer.",
    "spark.rpc.askTimeout",
    "spark.rpc.lookupTimeout",
    "spark.rpc.message.maxSize",
    "spark.scheduler.mode",
    "spark.serializer",
    "spark.shuffle.compress",
    "spark.shuffle.file.buffer",
    "spark.shuffle.io.",
    "spark.shuffle.sort.",
    "spark.shuffle.spill.compress",
    "spark.speculation",
    "spark.speculation.",
    "spark.sql.",
    "spark.stage.",
    "spark.storage.",
    "spark.task.",
];

/// Keys and prefixes that are refused though a prefix above would let them through, and why.
const CONF_REFUSED: &[(&str, &str)] = &[
    ("spark.hadoop.fs.defaultFS", "the file system of the cluster is the operator's"),
    ("spark.hadoop.hadoop.security.", "how the cluster signs in to Hadoop is the operator's"),
    ("spark.hadoop.javax.jdo.", "the metastore is the operator's"),
    ("spark.hadoop.hive.", "the metastore is the operator's"),
    ("spark.hadoop.yarn.", "where the cluster runs is the operator's"),
    ("spark.sql.hive.metastore.", "the metastore, and the jars to reach it, are the operator's"),
    ("spark.sql.queryExecutionListeners", "it loads code into the driver"),
    ("spark.sql.streaming.streamingQueryListeners", "it loads code into the driver"),
    ("spark.sql.ui.", "Spark's own page is the operator's"),
    ("spark.sql.warehouse.dir", "the folder of tables is the operator's"),
];

/// Refused keys that are asked for often, or in attacks: what to say of each beyond that it is not let through.
const CONF_EXPLAINED: &[(&str, &str)] = &[
    ("spark.authenticate", "Spark's own secret is the server's"),
    ("spark.driver.extra", "class paths, libraries and Java options can load code into the driver"),
    ("spark.driver.", "where the driver runs is the server's"),
    ("spark.eventLog.", "logs are the operator's"),
    ("spark.executor.extra", "class paths, libraries and Java options can load code into executors"),
    ("spark.extraListeners", "it loads code into the driver"),
    ("spark.files", "files come as libraries"),
    ("spark.jars", "jars come as libraries"),
    ("spark.local.dir", "where Spark writes is the operator's"),
    ("spark.log", "logs are the operator's"),
    ("spark.master", "where a cluster runs follows from its size and backend"),
    ("spark.plugins", "it loads code into the driver"),
    ("spark.pyspark.", "which Python runs is the runtime's"),
    ("spark.repl.", "it is the server's own wiring"),
    ("spark.submit.", "how a cluster is started is the server's"),
    ("spark.ui.", "Spark's own page is the operator's"),
];

/// Begins of values that name a file of the machine, wherever they stand in the value.
const LOCAL_FILES: &[&str] = &["file:", "localjceks:", "jceks:", "local:"];

/// Names and prefixes (those that end in `_`) of variables by which programs are told what to load or run.
const ENV_REFUSED: &[&str] = &[
    "BASH_ENV",
    "BASH_FUNC_",
    "CDPATH",
    "CLASSPATH",
    "DATABRICKS_",
    "DYLD_",
    "ENV",
    "FIRESTEEL_",
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLIBC_TUNABLES",
    "HADOOP_",
    "HOME",
    "IFS",
    "JAVA_",
    "JDK_JAVA_OPTIONS",
    "LD_",
    "LOCPATH",
    "MALLOC_",
    "NLSPATH",
    "PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PIP_",
    "PROMPT_COMMAND",
    "PS4",
    "PYSPARK_",
    "PYTHON",
    "RESOLV_HOST_CONF",
    "RUBYLIB",
    "RUBYOPT",
    "R_",
    "SHELL",
    "SPARK_",
    "TMPDIR",
    "_JAVA_OPTIONS",
];

/// What clients of the service set by habit and what is so, or means nothing, here: it is kept, and does not reach Spark.
const HARMLESS_ENV: (&str, &str) = ("PYSPARK_PYTHON", "/databricks/python3/bin/python3");

/// A setting that is not let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: `{key}` is not allowed{why}")]
pub struct NotAllowed {
    field: &'static str,
    key: String,
    why: String,
}

impl NotAllowed {
    fn new(field: &'static str, key: &str, why: &str) -> Self {
        let colon = if why.is_empty() { "" } else { ": " };
        Self { field, key: key.chars().take(120).collect(), why: format!("{colon}{why}") }
    }
}

/// Refuses the first entry of a `spark_conf` that is not let through.
pub fn check_conf(conf: &BTreeMap<String, String>) -> Result<(), NotAllowed> {
    const FIELD: &str = "spark_conf";
    bounded(FIELD, conf)?;
    for (key, value) in conf.iter().filter(|(key, value)| !is_single_node(key, value)) {
        let refused = CONF_REFUSED.iter().find(|(name, _)| covers(name, key));
        if let Some((_, why)) = refused {
            return Err(NotAllowed::new(FIELD, key, why));
        }
        if !CONF_ALLOWED.iter().any(|name| if name.ends_with('.') { key.starts_with(name) } else { key == name }) {
            let why = CONF_EXPLAINED.iter().find(|(name, _)| key.starts_with(name)).map_or("", |(_, why)| why);
            return Err(NotAllowed::new(FIELD, key, why));
        }
        if names_local_file(value) {
            return Err(NotAllowed::new(FIELD, key, "its value names a file of the machine that Spark runs on"));
        }
    }
    Ok(())
}

/// Refuses the first entry of `spark_env_vars` that is not let through.
pub fn check_env(env: &BTreeMap<String, String>) -> Result<(), NotAllowed> {
    const FIELD: &str = "spark_env_vars";
    bounded(FIELD, env)?;
    for (name, value) in env.iter().filter(|(name, value)| (name.as_str(), value.as_str()) != HARMLESS_ENV) {
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        let plain = name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit());
        if !plain {
            return Err(NotAllowed::new(FIELD, name, "a name has letters, digits and `_`, and begins with no digit"));
        }
        let upper = name.to_ascii_uppercase();
        let told = |refused: &str| {
            let whole_family = refused.ends_with('_') || refused == "PYTHON";
            upper == refused || (whole_family && upper.starts_with(refused))
        };
        if ENV_REFUSED.iter().any(|refused| told(refused)) {
            return Err(NotAllowed::new(FIELD, name, "it tells programs what to load or run, or is the server's own"));
        }
        if value.contains('\0') {
            return Err(NotAllowed::new(FIELD, name, "its value has a NUL in it"));
        }
    }
    Ok(())
}

/// Returns what of a checked `spark_conf` is given to Spark.
pub fn given_conf(conf: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let given = conf.iter().filter(|(key, value)| !is_single_node(key, value));
    given.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Returns what of checked `spark_env_vars` is set.
pub fn given_env(env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let given = env.iter().filter(|(name, value)| (name.as_str(), value.as_str()) != HARMLESS_ENV);
    given.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Tells whether an entry is the service's way to ask for a cluster without workers, which a size of 0 says already.
fn is_single_node(key: &str, value: &str) -> bool {
    let cores = || value.strip_prefix("local[*").and_then(|rest| rest.strip_suffix(']'));
    key == "spark.master" && cores().is_some_and(|rest| rest.chars().all(|c| matches!(c, ',' | ' ' | '0'..='9')))
}

/// Tells whether a name, or a prefix that ends in a dot, covers a key; a whole name covers what is below it too.
fn covers(name: &str, key: &str) -> bool {
    key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || name.ends_with('.') || rest.starts_with('.'))
}

fn names_local_file(value: &str) -> bool {
    let value = value.trim();
    let lower = value.to_ascii_lowercase();
    let words = || lower.split([',', ';', ' ', '=', '"', '\'']);
    LOCAL_FILES.iter().any(|begin| lower.contains(begin))
        || words().any(|word| word.starts_with('/') || word.starts_with("~/") || word.contains("../"))
}

fn bounded(field: &'static str, map: &BTreeMap<String, String>) -> Result<(), NotAllowed> {
    if map.len() > ENTRIES_MAX {
        return Err(NotAllowed::new(field, "…", &format!("it has more than {ENTRIES_MAX} entries")));
    }
    match map.iter().find(|(_, value)| value.len() > VALUE_BYTES_MAX) {
        Some((key, _)) => Err(NotAllowed::new(field, key, &format!("it is longer than {VALUE_BYTES_MAX} bytes"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_tunes_spark_is_let_through() {
        let tuned = map(&[
            ("spark.sql.shuffle.partitions", "8"),
            ("spark.sql.session.timeZone", "Europe/Berlin"),
            ("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension"),
            ("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog"),
            ("spark.driver.memory", "4g"),
            ("spark.executor.memory", "2g"),
            ("spark.databricks.cluster.profile", "singleNode"),
            ("spark.hadoop.fs.s3a.access.key", "AKIA/x+y"),
            ("spark.hadoop.fs.s3a.endpoint", "https://minio.example.com:9000/a"),
            ("spark.speculation", "true"),
            ("spark.master", "local[*, 4]"),
        ]);
        assert_eq!(check_conf(&tuned), Ok(()));
        // The size says it already.
        assert!(!given_conf(&tuned).contains_key("spark.master"));
        assert_eq!(given_conf(&tuned).len(), tuned.len() - 1);
    }

    #[test]
    fn what_loads_code_or_moves_the_cluster_is_refused_and_says_why() {
        for (key, value, said) in [
            ("spark.driver.extraClassPath", "/tmp/evil.jar", "load code"),
            ("spark.executor.extraClassPath", "evil.jar", "load code"),
            ("spark.driver.extraLibraryPath", "x", "load code"),
            ("spark.driver.extraJavaOptions", "-javaagent:/tmp/a.jar", "load code"),
            ("spark.driver.defaultJavaOptions", "-javaagent:a.jar", "the server's"),
            ("spark.executor.extraJavaOptions", "-XX:OnError=sh", "load code"),
            ("spark.jars", "x.jar", "libraries"),
            ("spark.jars.packages", "a:b:1", "libraries"),
            ("spark.jars.ivySettings", "x.xml", "libraries"),
            ("spark.files", "x", "libraries"),
            ("spark.archives", "x.zip", ""),
            ("spark.plugins", "evil.Plugin", "load"),
            ("spark.extraListeners", "evil.Listener", "loads code"),
            ("spark.sql.queryExecutionListeners", "evil.Listener", "loads code"),
            ("spark.sql.streaming.streamingQueryListeners", "evil.Listener", "loads code"),
            ("spark.sql.hive.metastore.jars", "maven", "metastore"),
            ("spark.sql.hive.metastore.jars.path", "x.jar", "metastore"),
            ("spark.submit.deployMode", "cluster", "started"),
            ("spark.submit.pyFiles", "x.py", "started"),
            ("spark.master", "spark://elsewhere:7077", "size and backend"),
            ("spark.master", "local[*]]", "size and backend"),
            ("spark.driver.host", "0.0.0.0", "the server's"),
            ("spark.driver.bindAddress", "0.0.0.0", "the server's"),
            ("spark.local.dir", "/etc", "operator"),
            ("spark.authenticate", "false", "secret"),
            ("spark.authenticate.secret", "x", "secret"),
            ("spark.ui.enabled", "true", "operator"),
            ("spark.eventLog.dir", "x", "operator"),
            ("spark.log.structuredLogging.enabled", "x", "operator"),
            ("spark.pyspark.python", "/tmp/python", "runtime"),
            ("spark.python.daemon.module", "evil", ""),
            ("spark.repl.class.outputDir", "x", "wiring"),
            ("spark.app.name", "x", ""),
            ("spark.redaction.regex", "x", ""),
            ("spark.hadoop.fs.defaultFS", "s3a://x", "operator"),
            ("spark.hadoop.hadoop.security.credential.provider.path", "x", "operator"),
            ("spark.hadoop.javax.jdo.option.ConnectionURL", "jdbc:x", "metastore"),
            ("spark.sql.warehouse.dir", "x", "operator"),
            ("spark.sql.catalog.x.warehouse", "file:///etc", "names a file"),
            ("spark.sql.catalog.x.warehouse", "/etc/passwd", "names a file"),
            ("spark.hadoop.fs.s3a.security.credential.provider.path", "jceks://file/etc/x", "names a file"),
            ("spark.databricks.x", "a,/etc/passwd", "names a file"),
            ("spark.databricks.x", "x/../../etc/passwd", "names a file"),
            ("java.security.manager", "x", ""),
            ("", "x", ""),
        ] {
            let refused = check_conf(&map(&[(key, value)])).expect_err(key).to_string();
            assert!(refused.contains(&format!("`{key}` is not allowed")) && refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn the_environment_is_the_user_s_own_but_for_what_loads_code() {
        let own = map(&[("MY_SETTING", "/any/value"), ("http_proxy", "http://p"), ("TZ", "UTC"), ("PATHS", "x")]);
        assert_eq!(check_env(&own), Ok(()));
        assert_eq!(given_env(&own), own);
        let habit = map(&[("PYSPARK_PYTHON", "/databricks/python3/bin/python3")]);
        assert_eq!(check_env(&habit), Ok(()));
        assert!(given_env(&habit).is_empty());
        for name in [
            "LD_PRELOAD",
            "ld_preload",
            "LD_LIBRARY_PATH",
            "JAVA_TOOL_OPTIONS",
            "_JAVA_OPTIONS",
            "JDK_JAVA_OPTIONS",
            "JAVA_HOME",
            "CLASSPATH",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PYTHONHOME",
            "PYTHONINSPECT",
            "PYSPARK_PYTHON",
            "PYSPARK_SUBMIT_ARGS",
            "SPARK_SUBMIT_OPTS",
            "SPARK_HOME",
            "SPARK_DAEMON_JAVA_OPTS",
            "HADOOP_CONF_DIR",
            "R_PROFILE",
            "R_LIBS_USER",
            "PATH",
            "HOME",
            "BASH_ENV",
            "ENV",
            "IFS",
            "FIRESTEEL_DRIVER",
            "DATABRICKS_TOKEN",
            "PIP_INDEX_URL",
            "GLIBC_TUNABLES",
            "1X",
            "A=B",
            "",
            "A B",
        ] {
            assert!(check_env(&map(&[(name, "x")])).is_err(), "{name}");
        }
        assert!(check_env(&map(&[("X", "a\0b")])).is_err());
    }

    #[test]
    fn maps_and_values_are_bounded() {
        let many: BTreeMap<_, _> = (0..=ENTRIES_MAX).map(|i| (format!("spark.sql.x{i}"), "1".to_owned())).collect();
        assert!(check_conf(&many).unwrap_err().to_string().contains("more than 500"));
        let long = map(&[("spark.sql.x", &"x".repeat(VALUE_BYTES_MAX + 1))]);
        assert!(check_conf(&long).unwrap_err().to_string().contains("longer than"));
    }
}
