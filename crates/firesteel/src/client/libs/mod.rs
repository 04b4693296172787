//! `firesteel libs`: libraries from a terminal.
//!
//! - `calls`: the calls about libraries.
//! - `upload`: a file on its way, with a bar.
//!
//! Exit statuses: 0 it was done; 1 a cluster could not install it; 2 it was refused; 130 it was stopped.

mod calls;
mod upload;

use std::time::Duration;

use firesteel_api::libraries::{Attachment, AttachmentStatus, Library, LibraryView};
use firesteel_api::v2::clusters::ClusterState;
use firesteel_api::v2::libraries::{InstallStatus, LibraryStatus};
use firesteel_api::{ClusterId, LibraryId};
use serde_json::Value;
use tokio::time::sleep;

use super::api::Api;
use super::cluster_commands::{self, word};
use super::config::{self, ConnectArgs, Environment};
use super::failure::{Exit, Failure};
use super::interrupts::Interrupts;
use super::output::Output;
use super::table::{self, text_column};
use crate::runtime::Progress;
use calls::Clusters;
use upload::Upload;

/// The pause between two looks at a library that is being installed.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Uploads, lists, attaches, detaches and deletes libraries
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LibsArgs {
    #[command(subcommand)]
    command: Command,
    /// Which server
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// Uploads a jar, an egg, a wheel or a file of requirements, and prints its id
    Upload {
        /// The file; with `--type python-pypi` a requirement, with `--type maven` coordinates
        what: String,
        /// What it is, where the file's name does not tell
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// What it is called; the file's own name unless given
        #[arg(long)]
        name: Option<String>,
        /// The folder of the workspace that it is put in
        #[arg(long, default_value = "/")]
        folder: String,
        #[command(flatten)]
        target: Target,
    },
    /// Lists the libraries, or those of one cluster with what became of them
    List {
        /// Those of this cluster: its id, or its name where only one has it
        #[arg(long, value_name = "ID or NAME")]
        cluster: Option<String>,
    },
    /// Installs a library on a cluster, and waits until it is there
    Attach {
        /// The library: its id, or its name where only one has it
        library: String,
        #[command(flatten)]
        target: Target,
    },
    /// Takes a library from a cluster, at its restart
    Detach {
        /// The library: its id, or its name where only one has it
        library: String,
        #[command(flatten)]
        target: Target,
    },
    /// Deletes a library; clusters lose it at their restart
    Delete {
        /// The library: its id, or its name where only one has it
        library: String,
    },
}

/// Which clusters.
#[derive(Clone, Debug, clap::Args)]
struct Target {
    /// The cluster: its id, or its name where only one has it
    #[arg(long, value_name = "ID or NAME", conflicts_with = "all_clusters")]
    cluster: Option<String>,
    /// Every cluster, those made later too
    #[arg(long)]
    all_clusters: bool,
    /// Do not wait until it is installed
    #[arg(long)]
    no_wait: bool,
}

impl Target {
    async fn find(&self, api: &Api) -> Result<Option<Clusters>, Failure> {
        Ok(match &self.cluster {
            Some(text) => Some(Clusters::One(cluster_commands::find(api, text).await?)),
            None => self.all_clusters.then_some(Clusters::All),
        })
    }

    async fn need(&self, api: &Api) -> Result<Clusters, Failure> {
        let none = || Failure::Usage("name a cluster with `--cluster`, or `--all-clusters`".to_owned());
        self.find(api).await?.ok_or_else(none)
    }
}

/// Runs the command, printing to the streams of this process.
pub(crate) async fn run(args: LibsArgs, env: &Environment) -> Exit {
    let mut output = Output::of_process();
    let done = async {
        let api = Api::new(&config::resolve(&args.connect, env)?)?;
        let mut stop = Interrupts::listen()?;
        let text = tokio::select! {
            text = carry_out(&api, &args.command) => text?,
            signal = stop.next() => return Err(Failure::Stopped(signal)),
        };
        output.text(&text).map_err(Failure::io("write to the standard output"))
    };
    match done.await {
        Ok(()) => Exit::Done,
        Err(Failure::Stopped(signal)) => Exit::Stopped(signal),
        Err(failure) => {
            output.error(&failure);
            failure.exit()
        }
    }
}

/// Makes the calls and returns what there is to print.
async fn carry_out(api: &Api, command: &Command) -> Result<String, Failure> {
    match command {
        Command::Upload { what, kind, name, folder, target } => {
            let clusters = target.find(api).await?;
            let (kind, name) = (kind.as_deref(), name.as_deref());
            let all_clusters = clusters == Some(Clusters::All);
            let id = Upload { what, kind, name, folder, all_clusters }.send(api).await?;
            if let Some(one @ Clusters::One(_)) = &clusters {
                calls::change(api, "attach", id, one).await?;
            }
            if let Some(clusters) = clusters.filter(|_| !target.no_wait) {
                wait(api, id, &clusters).await?;
            }
            Ok(format!("{id}\n"))
        }
        Command::List { cluster: None } => list(api).await,
        Command::List { cluster: Some(text) } => {
            let id = cluster_commands::find(api, text).await?;
            Ok(statuses(&calls::of_cluster(api, &id).await?.library_statuses))
        }
        Command::Attach { library, target } => {
            let (id, clusters) = (calls::find(api, library).await?, target.need(api).await?);
            calls::change(api, "attach", id, &clusters).await?;
            if !target.no_wait {
                wait(api, id, &clusters).await?;
            }
            Ok(String::new())
        }
        Command::Detach { library, target } => {
            let (id, clusters) = (calls::find(api, library).await?, target.need(api).await?);
            calls::change(api, "detach", id, &clusters).await?;
            Ok(String::new())
        }
        Command::Delete { library } => {
            calls::delete(api, calls::find(api, library).await?).await?;
            Ok(String::new())
        }
    }
}

/// Waits until the clusters that run have a library; one that does not run gets it when it starts.
async fn wait(api: &Api, id: LibraryId, clusters: &Clusters) -> Result<(), Failure> {
    let view = calls::status(api, id).await?;
    let meant = |cluster: &ClusterId| match clusters {
        Clusters::One(one) => one == cluster,
        Clusters::All => true,
    };
    for Attachment { cluster_id, status } in view.statuses.iter().filter(|on| meant(&on.cluster_id)) {
        if *status == AttachmentStatus::Attached {
            wait_on(api, &view, cluster_id).await?;
        }
    }
    Ok(())
}

async fn wait_on(api: &Api, view: &LibraryView, cluster: &ClusterId) -> Result<(), Failure> {
    let step = Progress::detect().step(format!("Installing {} on cluster {cluster}", view.name));
    let is_meant = |library: &Library| match library.file() {
        Some(uri) => view.files.iter().any(|file| uri.ends_with(&format!("/{file}"))),
        None => library.kind() == view.lib_type && view.files == [library.to_string()],
    };
    loop {
        let libraries = calls::of_cluster(api, cluster).await?.library_statuses;
        let found = libraries.into_iter().find(|status| is_meant(&status.library));
        let state = api.cluster(cluster).await?.state;
        let runs = !matches!(state, ClusterState::Terminated | ClusterState::Terminating | ClusterState::Error);
        match found.map(|status| (status.status, status.messages)) {
            Some((InstallStatus::Pending | InstallStatus::Installing, _)) if runs => sleep(LOOK_EVERY).await,
            Some((InstallStatus::Failed, messages)) => {
                let (cluster, why) = (cluster.clone(), messages.join("\n"));
                return Err(Failure::Cluster { cluster, state: format!("without `{}`", view.name), why });
            }
            _ => break,
        }
    }
    step.done();
    Ok(())
}

async fn list(api: &Api) -> Result<String, Failure> {
    let mut rows = Vec::new();
    for library in calls::list(api).await? {
        let view = calls::status(api, library.id).await?;
        let attached = view.statuses.iter().filter(|on| on.status == AttachmentStatus::Attached);
        let mut clusters: Vec<&str> = attached.map(|on| on.cluster_id.as_str()).collect();
        if view.attach_all_clusters {
            clusters.insert(0, "all");
        }
        let texts = [view.id.to_string(), view.name, view.folder, word(&view.lib_type), clusters.join(" ")];
        rows.push(texts.map(Value::from).to_vec());
    }
    Ok(table::aligned(&["id", "name", "folder", "type", "clusters"].map(text_column), &rows))
}

fn statuses(libraries: &[LibraryStatus]) -> String {
    let rows = libraries.iter().map(|one| {
        let texts = [word(&one.status), word(&one.library.kind()), one.library.to_string(), one.messages.join("; ")];
        texts.map(Value::from).to_vec()
    });
    let columns = ["status", "type", "library", "messages"].map(text_column);
    table::aligned(&columns, &rows.collect::<Vec<_>>())
}
