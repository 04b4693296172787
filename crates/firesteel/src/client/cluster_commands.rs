//! `firesteel clusters`: lists, makes, starts, resizes, restarts, ends and deletes clusters, and shows their history and logs.

use std::io::Write as _;
use std::time::Duration;

use firesteel_api::ClusterId;
use firesteel_api::v2::clusters::{ClusterDetails, ClusterState};
use firesteel_api::v2::events::ClusterEventView;
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::api::Api;
use super::config::{self, ConnectArgs, Environment};
use super::failure::{Exit, Failure};
use super::interrupts::Interrupts;
use super::output::Output;
use crate::runtime::Progress;

/// The pause between two looks at a cluster that is on its way.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Events that are shown.
const EVENTS_SHOWN: u32 = 100;

/// Works on clusters
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ClustersArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// Lists the clusters, ended ones included
    List(ConnectArgs),
    /// Makes a cluster and waits until it runs
    Create {
        /// Its name
        name: String,
        #[command(flatten)]
        settings: SettingsArgs,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Starts an ended cluster and waits until it runs
    Start(OneArgs),
    /// Changes the number of workers and waits until they are there
    Resize {
        /// How many workers
        #[arg(long, value_name = "N")]
        workers: u32,
        #[command(flatten)]
        one: OneArgs,
    },
    /// Gives a cluster a fresh driver and waits until it runs; its contexts are gone
    Restart(OneArgs),
    /// Ends a cluster and waits for its end; it stays listed
    Delete {
        /// Forget it too: nothing of it is left
        #[arg(long)]
        permanent: bool,
        #[command(flatten)]
        one: OneArgs,
    },
    /// Shows what has happened to a cluster, the latest last
    Events {
        /// The cluster: its id, or its name where only one has it
        cluster: String,
        #[command(flatten)]
        connect: ConnectArgs,
    },
    /// Shows the end of a cluster's log
    Logs {
        /// The cluster: its id, or its name where only one has it
        cluster: String,
        /// Which log
        #[arg(long, value_name = "NAME", default_value = "spark", value_parser = ["spark", "driver", "python"])]
        log: String,
        /// Go on and show what is added, until Ctrl-C
        #[arg(short, long)]
        follow: bool,
        #[command(flatten)]
        connect: ConnectArgs,
    },
}

/// One cluster, and whether to wait for what comes of the call.
#[derive(Clone, Debug, clap::Args)]
struct OneArgs {
    /// The cluster: its id, or its name where only one has it
    cluster: String,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Clone, Copy, Debug, clap::Args)]
struct WaitArgs {
    /// Return at once
    #[arg(long)]
    no_wait: bool,
}

/// What a new cluster is to be.
#[derive(Clone, Debug, clap::Args)]
struct SettingsArgs {
    /// How many workers; 0 runs Spark inside the driver
    #[arg(long, value_name = "N", default_value_t = 0)]
    workers: u32,
    /// Which runtime
    #[arg(long, value_name = "VERSION")]
    spark_version: Option<String>,
    /// Which kind of nodes
    #[arg(long, value_name = "ID")]
    node_type: Option<String>,
    /// Which backend
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// An entry of Spark's configuration; may be repeated
    #[arg(long = "conf", value_name = "KEY=VALUE", value_parser = pair)]
    spark_conf: Vec<(String, String)>,
    /// A variable of its environment; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = pair)]
    spark_env_vars: Vec<(String, String)>,
    /// End it after so many idle minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 0)]
    autotermination: u32,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it is not KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Runs the command, printing to the streams of this process.
pub(crate) async fn run(args: ClustersArgs, env: &Environment) -> Exit {
    let mut output = Output::of_process();
    let work = async {
        let mut stop = Interrupts::listen()?;
        tokio::select! {
            outcome = carry_out(args.command, env) => outcome,
            signal = stop.next() => Err(Failure::Stopped(signal)),
        }
    };
    match work.await {
        Ok(()) => Exit::Done,
        // Leaving a log is no failure.
        Err(failure @ Failure::Stopped(_)) => failure.exit(),
        Err(failure) => {
            output.error(&failure);
            failure.exit()
        }
    }
}

async fn carry_out(command: Command, env: &Environment) -> Result<(), Failure> {
    let connect = |args: &ConnectArgs| Ok::<_, Failure>(Api::new(&config::resolve(args, env)?)?);
    match command {
        Command::List(args) => list(&connect(&args)?.cluster_details().await?),
        Command::Create { name, settings, wait, connect: args } => {
            let api = connect(&args)?;
            let id = api.create_cluster(&settings.to_json(&name)).await?;
            print(&format!("{id}\n"))?;
            until(&api, &id, wait, ClusterState::Running).await
        }
        Command::Start(one) => change(&connect(&one.connect)?, &one, "start", ClusterState::Running).await,
        Command::Restart(one) => change(&connect(&one.connect)?, &one, "restart", ClusterState::Running).await,
        Command::Resize { workers, one } => {
            let api = connect(&one.connect)?;
            let id = find(&api, &one.cluster).await?;
            api.change_cluster("resize", &json!({"cluster_id": id, "num_workers": workers})).await?;
            until(&api, &id, one.wait, ClusterState::Running).await
        }
        Command::Delete { permanent: false, one } => {
            change(&connect(&one.connect)?, &one, "delete", ClusterState::Terminated).await
        }
        Command::Delete { permanent: true, one } => {
            let api = connect(&one.connect)?;
            let id = find(&api, &one.cluster).await?;
            let step = Progress::detect().step(format!("Deleting cluster {id}"));
            api.change_cluster("permanent-delete", &json!({"cluster_id": id})).await?;
            step.done();
            Ok(())
        }
        Command::Events { cluster, connect: args } => {
            let api = connect(&args)?;
            let id = find(&api, &cluster).await?;
            let mut events = api.cluster_events(&id, EVENTS_SHOWN).await?;
            events.reverse();
            print(&events.iter().map(event).collect::<String>())
        }
        Command::Logs { cluster, log, follow, connect: args } => {
            let api = connect(&args)?;
            let id = find(&api, &cluster).await?;
            logs(&api, &id, &log, follow).await
        }
    }
}

/// Makes a call about one cluster and waits for what comes of it.
async fn change(api: &Api, one: &OneArgs, verb: &str, wanted: ClusterState) -> Result<(), Failure> {
    let id = find(api, &one.cluster).await?;
    api.change_cluster(verb, &json!({"cluster_id": id})).await?;
    until(api, &id, one.wait, wanted).await
}

/// Waits until a cluster is as wanted, with a line that says what it is doing; fails when it will not be.
async fn until(api: &Api, id: &ClusterId, wait: WaitArgs, wanted: ClusterState) -> Result<(), Failure> {
    if wait.no_wait {
        return Ok(());
    }
    let verb = if wanted == ClusterState::Running { "Starting" } else { "Ending" };
    let step = Progress::detect().step(format!("{verb} cluster {id}"));
    loop {
        let seen = api.cluster(id).await?;
        if seen.state == wanted {
            step.done();
            return Ok(());
        }
        let is_over = matches!(seen.state, ClusterState::Error | ClusterState::Terminated);
        if is_over && wanted == ClusterState::Running {
            return Err(Failure::Cluster { cluster: id.clone(), state: word(&seen.state), why: seen.state_message });
        }
        step.say(&format!("{} {}", word(&seen.state), seen.state_message));
        sleep(LOOK_EVERY).await;
    }
}

/// Finds a cluster by its id, or by its name.
pub(super) async fn find(api: &Api, text: &str) -> Result<ClusterId, Failure> {
    let clusters = api.cluster_details().await?;
    if let Some(found) = clusters.iter().find(|cluster| cluster.cluster_id.as_str() == text) {
        return Ok(found.cluster_id.clone());
    }
    let mut named = clusters.iter().filter(|cluster| cluster.cluster_name == text);
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one.cluster_id.clone()),
        (Some(_), Some(_)) => Err(Failure::Usage(format!("several clusters are named `{text}`; give the id of one"))),
        (None, _) => Err(Failure::Usage(format!("there is no cluster `{text}`; see `firesteel clusters list`"))),
    }
}

fn list(clusters: &[ClusterDetails]) -> Result<(), Failure> {
    let rows = clusters.iter().map(|cluster| {
        let workers = cluster.autoscale.map_or_else(
            || cluster.num_workers.unwrap_or_default().to_string(),
            |bounds| format!("{}-{}", bounds.min_workers, bounds.max_workers),
        );
        let name = cluster.cluster_name.escape_debug().to_string();
        [cluster.cluster_id.to_string(), word(&cluster.state), workers, cluster.spark_version.clone(), name]
    });
    let head = ["ID", "STATE", "WORKERS", "SPARK", "NAME"].map(str::to_owned);
    let lines: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
    let wide = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..5).map(wide).collect();
    let text = lines.iter().map(|line| {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    });
    print(&text.collect::<String>())
}

/// One event as a line: when, what, and what else is known.
fn event(event: &ClusterEventView) -> String {
    let time = jiff::Timestamp::from_millisecond(event.timestamp.try_into().unwrap_or_default());
    let time = time.map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default();
    let details = match serde_json::to_value(&event.details) {
        Ok(Value::Object(details)) if !details.is_empty() => Value::Object(details).to_string(),
        _ => String::new(),
    };
    format!("{time}  {:<22}  {details}\n", word(&event.r#type)).trim_end().to_owned() + "\n"
}

async fn logs(api: &Api, id: &ClusterId, log: &str, follow: bool) -> Result<(), Failure> {
    let mut offset = None;
    loop {
        let (data, next) = api.cluster_log(id, log, offset, follow && offset.is_some()).await?;
        print(&data)?;
        offset = Some(next);
        if !follow && data.is_empty() {
            return Ok(());
        }
    }
}

impl SettingsArgs {
    fn to_json(&self, name: &str) -> Value {
        let map = |pairs: &[(String, String)]| -> Map<String, Value> {
            pairs.iter().map(|(key, value)| (key.clone(), json!(value))).collect()
        };
        let mut settings = json!({
            "cluster_name": name,
            "num_workers": self.workers,
            "autotermination_minutes": self.autotermination,
            "spark_conf": map(&self.spark_conf),
            "spark_env_vars": map(&self.spark_env_vars),
        });
        let optional =
            [("spark_version", &self.spark_version), ("node_type_id", &self.node_type), ("backend", &self.backend)];
        for (key, value) in optional {
            if let Some(value) = value {
                settings[key] = json!(value);
            }
        }
        settings
    }
}

/// The word of a state or a type, as it travels.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// Prints to the standard output. A reader who has gone away, as `head` does, is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::io("print")(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, Reply};
    use super::*;

    #[tokio::test]
    async fn a_cluster_is_found_by_its_id_or_its_only_name() {
        let cluster = |id: &str, name: &str| {
            json!({"cluster_id": id, "cluster_name": name, "state": "RUNNING", "autotermination_minutes": 0,
                "backend": "local", "cluster_source": "API", "creator_user_name": "a", "custom_tags": {}, "default_tags": {},
                "driver_node_type_id": "n", "executors": [], "jdbc_port": 1, "node_type_id": "n", "spark_conf": {},
                "spark_env_vars": {}, "spark_version": "4", "start_time": 1, "state_message": ""})
        };
        let pages = [
            json!({"clusters": [cluster("a1", "x"), cluster("a2", "y")], "next_page_token": "2", "prev_page_token": ""}),
            json!({"clusters": [cluster("a3", "y")], "next_page_token": "", "prev_page_token": "0"}),
        ];
        let fake =
            Fake::start(move |ask| Reply::ok(&pages[usize::from(ask.line.contains("page_token=2"))].to_string()));
        let api = fake.await.api();
        assert_eq!(find(&api, "x").await.unwrap().as_str(), "a1");
        assert_eq!(find(&api, "a3").await.unwrap().as_str(), "a3");
        assert!(find(&api, "y").await.unwrap_err().to_string().contains("several"));
        assert!(find(&api, "z").await.unwrap_err().to_string().contains("no cluster `z`"));
    }
}
