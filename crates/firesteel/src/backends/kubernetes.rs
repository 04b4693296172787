//! An existing Kubernetes cluster, started through `spark-submit` in client mode: Spark's driver is on this machine (or in the pod that
//! this program runs in), its executors are pods.

use std::path::{Path, PathBuf};

use firesteel_driver::spec::DriverSpec;
use serde::Deserialize;

use crate::backends::network::Network;
use crate::backends::{ExecutorSize, Place, absolute, defaults, leaving, scaling, submitted};

/// Where an executor's pod finds the secret that it shares with the driver.
const SECRET_FOLDER: &str = "/etc/firesteel-spark-secret";

/// `kind = "kubernetes"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kubernetes {
    /// The address of the API, `https://HOST:PORT`.
    api: String,
    /// The image of executors: the same Spark, and the same Python, as the runtime here.
    image: String,
    /// The namespace of the pods.
    #[serde(default = "default_namespace")]
    namespace: String,
    /// The service account of the pods; the namespace's default one when absent.
    executor_service_account: Option<String>,
    /// The file with the certificate authority of the API.
    ca_cert_file: Option<PathBuf>,
    /// The file with the token that this machine shows to the API. In a pod, its own account's is found without.
    token_file: Option<PathBuf>,
    /// The name of the pod that this program runs in: executors' pods are its own then, and go with it.
    driver_pod: Option<String>,
    /// The file of a pod to model executors' pods on.
    executor_pod_template: Option<PathBuf>,
    /// The file of the secret that driver and executors prove to each other that they know, with `secret_name`.
    secret_file: Option<PathBuf>,
    /// The Secret of the namespace that holds the same text under the key `secret`. Without the two Spark makes a secret up, which
    /// stands in the environment of each pod.
    secret_name: Option<String>,
    /// How executors reach this machine.
    driver: Network,
    /// What one executor has.
    #[serde(default)]
    executor: ExecutorSize,
}

fn default_namespace() -> String {
    "default".to_owned()
}

impl Kubernetes {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let scheme = self.api.split("://").next().unwrap_or_default();
        if !self.api.contains("://") || !matches!(scheme, "https" | "http") {
            return Err(("api", format!("`{}` is not https://HOST:PORT", self.api)));
        }
        if self.image.is_empty() {
            return Err(("image", "is needed: the image of executors".to_owned()));
        }
        let files = [
            ("ca_cert_file", &self.ca_cert_file),
            ("token_file", &self.token_file),
            ("executor_pod_template", &self.executor_pod_template),
            ("secret_file", &self.secret_file),
        ];
        for (key, path) in files {
            path.as_deref().map_or(Ok(()), |path| absolute(key, path))?;
        }
        if self.secret_file.is_some() != self.secret_name.is_some() {
            return Err(("secret_name", "goes with `secret_file`: both or neither".to_owned()));
        }
        self.driver.has_host()?;
        self.executor.check()
    }

    pub(super) fn place(&self, place: Place<'_>, spec: &mut DriverSpec) -> Result<(), String> {
        submitted(&format!("k8s://{}", self.api), place, spec)?;
        self.driver.apply("127.0.0.1", spec);
        self.executor.apply(spec);
        let text = |path: &Option<PathBuf>| path.as_deref().map(|path: &Path| path.display().to_string());
        let ours = [
            ("spark.kubernetes.container.image", Some(self.image.clone())),
            ("spark.kubernetes.namespace", Some(self.namespace.clone())),
            ("spark.kubernetes.authenticate.executor.serviceAccountName", self.executor_service_account.clone()),
            ("spark.kubernetes.authenticate.caCertFile", text(&self.ca_cert_file)),
            ("spark.kubernetes.authenticate.oauthTokenFile", text(&self.token_file)),
            ("spark.kubernetes.driver.pod.name", self.driver_pod.clone()),
            ("spark.kubernetes.executor.podTemplateFile", text(&self.executor_pod_template)),
            ("spark.kubernetes.executor.podNamePrefix", Some(pod_prefix(spec.cluster.as_str()))),
            ("spark.executor.instances", Some(place.settings.workers_min().to_string())),
            ("spark.authenticate", Some("true".to_owned())),
            ("spark.authenticate.secret.driver.file", text(&self.secret_file)),
        ];
        spec.conf.extend(ours.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        if let Some(name) = &self.secret_name {
            spec.conf.insert(format!("spark.kubernetes.executor.secrets.{name}"), SECRET_FOLDER.to_owned());
            spec.conf.insert("spark.authenticate.secret.executor.file".to_owned(), format!("{SECRET_FOLDER}/secret"));
        }
        defaults(spec, leaving());
        if place.settings.autoscale.is_some() {
            defaults(spec, scaling(place.settings.workers_min(), place.settings.workers_max()));
        }
        Ok(())
    }
}

/// What the names of a cluster's pods begin with.
fn pod_prefix(cluster: &str) -> String {
    format!("firesteel-{}", cluster.to_ascii_lowercase())
}
