//! `firesteel schedules`: what is done to clusters at fixed times.

use clap::{Subcommand, ValueEnum};
use firesteel_api::schedules::{RunEntry, ScheduleEntry};
use serde_json::{Value, json};

use super::api::Api;
use super::config::{self, ConnectArgs, Environment};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::table::{self, text_column};

/// Starts, resizes and ends clusters at fixed times
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SchedulesArgs {
    #[command(subcommand)]
    command: Command,
    /// Which server
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Shows the schedules, when each is due next, and how its last time went
    List,
    /// Adds a schedule
    Add {
        /// What it is called
        name: String,
        /// What to do
        action: Action,
        /// When, such as `0 7 * * mon-fri`: minute, hour, day, month, weekday; six fields begin with seconds
        #[arg(long, value_name = "EXPRESSION")]
        cron: String,
        /// By the clock of this time zone; the server's own unless given
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        /// The cluster, by its id or its name
        #[arg(long, value_name = "ID or NAME", default_value = "default")]
        cluster: String,
        /// The number of workers that a start or a resize sets
        #[arg(long, value_name = "N")]
        num_workers: Option<u32>,
        /// Up to how many minutes late it is still done where the server was down; 10 unless given
        #[arg(long, value_name = "MINUTES")]
        catch_up_minutes: Option<u32>,
    },
    /// Removes a schedule
    Remove {
        /// What it is called
        name: String,
    },
    /// Shows what became of the times of a schedule, or of all, the last first
    Runs {
        /// What it is called
        name: Option<String>,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Action {
    /// Start the cluster, or leave it running
    Start,
    /// Change its number of workers
    Resize,
    /// End it
    End,
}

/// Runs the command, printing to the streams of this process.
pub(crate) async fn run(args: SchedulesArgs, env: &Environment) -> Exit {
    let mut output = Output::of_process();
    let done = async {
        let api = Api::new(&config::resolve(&args.connect, env)?)?;
        let text = carry_out(&api, args.command).await?;
        output.text(&text).map_err(Failure::io("write to the standard output"))
    };
    match done.await {
        Ok(()) => Exit::Done,
        Err(failure) => {
            output.error(&failure);
            failure.exit()
        }
    }
}

/// Makes the call and returns what there is to print.
async fn carry_out(api: &Api, command: Command) -> Result<String, Failure> {
    match command {
        Command::List => Ok(schedules(&api.schedules().await?)),
        Command::Add { name, action, cron, time_zone, cluster, num_workers, catch_up_minutes } => {
            let action = match action {
                Action::Start => "start",
                Action::Resize => "resize",
                Action::End => "end",
            };
            let body = json!({
                "name": name, "action": action, "cron": cron, "timeZone": time_zone, "cluster": cluster,
                "numWorkers": num_workers, "catchUpMinutes": catch_up_minutes,
            });
            api.add_schedule(&body).await?;
            let added = api.schedules().await?.into_iter().find(|schedule| schedule.name == name);
            let next = added.and_then(|schedule| schedule.next);
            Ok(format!("added {name}; it is due next at {}\n", next.as_deref().unwrap_or("an unknown time")))
        }
        Command::Remove { name } => {
            api.remove_schedule(&name).await?;
            Ok(format!("removed {name}\n"))
        }
        Command::Runs { name, limit } => Ok(runs(&api.schedule_runs(name.as_deref(), limit).await?)),
    }
}

fn schedules(schedules: &[ScheduleEntry]) -> String {
    let columns = ["name", "cluster", "cron", "time zone", "action", "workers", "next", "last"];
    let rows = schedules.iter().map(|schedule| {
        let workers = schedule.num_workers.map(|workers| workers.to_string()).unwrap_or_default();
        let last = schedule.last.as_ref().map(|run| format!("{} {}", run.outcome, run.due)).unwrap_or_default();
        let next = schedule.next.clone().unwrap_or_default();
        let texts = [&schedule.name, &schedule.cluster, &schedule.cron, &schedule.time_zone, &schedule.action];
        texts.map(String::as_str).into_iter().chain([&*workers, &*next, &*last]).map(Value::from).collect()
    });
    table::aligned(&columns.map(text_column), &rows.collect::<Vec<Vec<Value>>>())
}

fn runs(runs: &[RunEntry]) -> String {
    let columns = ["schedule", "due", "outcome", "at", "detail"];
    let rows = runs.iter().map(|run| {
        [&run.schedule, &run.due, &run.outcome, &run.at, &run.detail].map(|text| Value::from(text.as_str())).to_vec()
    });
    table::aligned(&columns.map(text_column), &rows.collect::<Vec<_>>())
}
