//! How a cluster is shown.

use std::collections::BTreeMap;

use firesteel_api::v2::catalog::NodeType;
use firesteel_api::v2::clusters::{ClusterDetails, ClusterState as Shown, Node};
use firesteel_api::v2::termination::{TerminationCode, TerminationReason};
use firesteel_model::ClusterState;
use firesteel_store::ClusterRecord;

use crate::engine::Engine;

/// Shows all that is known of a cluster.
pub(super) fn details(record: &ClusterRecord, engine: &Engine) -> ClusterDetails {
    let (settings, live) = (&record.settings, record.state.takes_work());
    let catalog = Catalog::of(engine);
    let worker_type = settings.node_type_id.clone().unwrap_or_else(|| catalog.default_type());
    let driver_type = settings.driver_node_type_id.clone().unwrap_or_else(|| worker_type.clone());
    let (cores, memory) = catalog.sum(&driver_type, &worker_type, record.workers);
    ClusterDetails {
        autoscale: settings.autoscale,
        autotermination_minutes: settings.autotermination_minutes,
        backend: settings.backend.clone().unwrap_or_else(|| engine.default_backend()),
        cluster_cores: live.then_some(cores),
        cluster_id: record.id.clone(),
        cluster_memory_mb: live.then_some(memory),
        cluster_name: settings.cluster_name.clone(),
        cluster_source: "API".to_owned(),
        creator_user_name: record.owner.clone(),
        custom_tags: settings.custom_tags.clone(),
        data_security_mode: settings.data_security_mode.clone(),
        default_tags: default_tags(record),
        driver: live.then(|| node(record, "driver")),
        driver_node_type_id: driver_type,
        executors: executors(record, live),
        jdbc_port: record.jdbc_port,
        last_restarted_time: record.restarted_ms,
        // With each driver, what its contexts held is gone.
        last_state_loss_time: record.started_ms,
        node_type_id: worker_type,
        num_workers: settings.autoscale.is_none().then_some(settings.num_workers).or(live.then_some(record.workers)),
        single_user_name: settings.single_user_name.clone(),
        spark_conf: settings.spark_conf.clone(),
        spark_context_id: context_number(&record.generation),
        spark_env_vars: settings.spark_env_vars.clone(),
        spark_version: settings.spark_version.clone().unwrap_or_else(|| engine.spark_versions().default_version_key),
        start_time: record.created_ms,
        state: state(&record.state),
        state_message: message(record),
        terminated_time: record.terminated_ms,
        termination_reason: record.ending.clone(),
    }
}

fn state(state: &ClusterState) -> Shown {
    match state {
        ClusterState::Pending => Shown::Pending,
        ClusterState::Running => Shown::Running,
        ClusterState::Reconfiguring => Shown::Resizing,
        ClusterState::Restarting => Shown::Restarting,
        ClusterState::Terminating => Shown::Terminating,
        ClusterState::Terminated => Shown::Terminated,
        ClusterState::Error { .. } => Shown::Error,
    }
}

/// Says in words what a cluster is doing, and why it ended.
fn message(record: &ClusterRecord) -> String {
    match &record.state {
        ClusterState::Pending => "Starting Spark".to_owned(),
        ClusterState::Running => String::new(),
        ClusterState::Reconfiguring => format!("Resizing to {} workers", record.settings.workers_min()),
        ClusterState::Restarting => "Ending the old driver".to_owned(),
        ClusterState::Error { reason } => reason.clone(),
        ClusterState::Terminating | ClusterState::Terminated => record.ending.as_ref().map(ended).unwrap_or_default(),
    }
}

fn ended(reason: &TerminationReason) -> String {
    let parameter = |name: &str| reason.parameters.get(name).map(String::as_str).unwrap_or_default();
    match reason.code {
        TerminationCode::UserRequest => format!("Ended by user {}", parameter("username")),
        TerminationCode::Inactivity => {
            format!("Ended after {} minutes in which nothing ran", parameter("inactivity_duration_min"))
        }
        TerminationCode::WorkspaceUpdate => "Ended with the server".to_owned(),
        _ => parameter(TerminationReason::MESSAGE).to_owned(),
    }
}

fn default_tags(record: &ClusterRecord) -> BTreeMap<String, String> {
    let tags = [
        ("Vendor", "Firesteel"),
        ("Creator", &record.owner),
        ("ClusterName", &record.settings.cluster_name),
        ("ClusterId", record.id.as_str()),
    ];
    tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn executors(record: &ClusterRecord, live: bool) -> Vec<Node> {
    let count = if live { record.workers } else { 0 };
    (0..count).map(|number| node(record, &format!("worker-{number}"))).collect()
}

fn node(record: &ClusterRecord, name: &str) -> Node {
    Node {
        host_private_ip: record.driver_ip.clone(),
        node_id: name.to_owned(),
        private_ip: record.driver_ip.clone(),
        public_dns: String::new(),
        start_timestamp: record.started_ms.unwrap_or_default(),
    }
}

/// A number that is a driver's own: 53 bits of the word that is, which every JSON reader holds exactly.
fn context_number(generation: &str) -> Option<u64> {
    u64::from_str_radix(generation.get(..13)?, 16).ok()
}

/// The kinds of nodes there are.
struct Catalog(Vec<NodeType>);

impl Catalog {
    fn of(engine: &Engine) -> Self {
        Self(engine.node_types())
    }

    /// What a cluster gets that names none: the largest.
    fn default_type(&self) -> String {
        self.0.last().map(|kind| kind.node_type_id.clone()).unwrap_or_default()
    }

    fn sum(&self, driver: &str, worker: &str, workers: u32) -> (f64, u64) {
        let of = |name: &str| self.0.iter().find(|kind| kind.node_type_id == name);
        let (cores, memory) = of(driver).map_or((0.0, 0), |kind| (kind.num_cores, kind.memory_mb));
        let (each, each_mb) = of(worker).map_or((0.0, 0), |kind| (kind.num_cores, kind.memory_mb));
        (cores + each * f64::from(workers), memory + each_mb * u64::from(workers))
    }
}
