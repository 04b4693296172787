//! An existing YARN cluster, started through `spark-submit` in client mode: Spark's driver is on this machine, its executors in
//! YARN's containers.

use std::path::PathBuf;

use firesteel_driver::spec::DriverSpec;
use serde::Deserialize;

use crate::backends::network::Network;
use crate::backends::{ExecutorSize, Place, absolute, defaults, leaving, scaling, submitted};

/// `kind = "yarn"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Yarn {
    /// The folder of `core-site.xml` and `yarn-site.xml`.
    hadoop_conf_dir: PathBuf,
    /// The queue; YARN's default one when absent.
    queue: Option<String>,
    /// An archive of Spark's jars where YARN reads it, such as `hdfs:///spark/spark-4.3.0.zip`. Without it every start sends them.
    archive: Option<String>,
    /// The Java of the nodes, where their environment does not name the right one.
    java_home: Option<PathBuf>,
    /// The Kerberos principal, with `keytab`.
    principal: Option<String>,
    /// The file with the principal's keys.
    keytab: Option<PathBuf>,
    /// How executors reach this machine.
    driver: Network,
    /// What one executor has.
    #[serde(default)]
    executor: ExecutorSize,
}

impl Yarn {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        absolute("hadoop_conf_dir", &self.hadoop_conf_dir)?;
        self.driver.has_host()?;
        if self.principal.is_some() != self.keytab.is_some() {
            return Err(("keytab", "goes with `principal`: both or neither".to_owned()));
        }
        self.executor.check()
    }

    pub(super) fn place(&self, place: Place<'_>, spec: &mut DriverSpec) -> Result<(), String> {
        submitted("yarn", place, spec)?;
        self.driver.apply("127.0.0.1", spec);
        self.executor.apply(spec);
        let text = |path: &PathBuf| path.display().to_string();
        for name in ["HADOOP_CONF_DIR", "YARN_CONF_DIR"] {
            spec.jvm.env.insert(name.to_owned(), text(&self.hadoop_conf_dir));
        }
        let java = self.java_home.as_ref().map(text);
        let ours = [
            ("spark.yarn.queue", self.queue.clone()),
            ("spark.yarn.archive", self.archive.clone()),
            ("spark.executorEnv.JAVA_HOME", java.clone()),
            ("spark.yarn.appMasterEnv.JAVA_HOME", java),
            ("spark.kerberos.principal", self.principal.clone()),
            ("spark.kerberos.keytab", self.keytab.as_ref().map(text)),
            // Between this machine and the nodes; YARN hands the secret on.
            ("spark.authenticate", Some("true".to_owned())),
            ("spark.executor.instances", Some(place.settings.workers_min().to_string())),
        ];
        spec.conf.extend(ours.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        defaults(spec, leaving());
        if place.settings.autoscale.is_some() {
            defaults(spec, scaling(place.settings.workers_min(), place.settings.workers_max()));
        }
        Ok(())
    }
}
