//! `firesteel up` and `firesteel serve`: everything on this machine, from an empty folder to `ready` and to the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use firesteel_driver::runtime::{launch, python_sources, r};
use firesteel_model::{Cause, ClusterSettings};
use firesteel_server::engine::{Engine, OnStop};
use firesteel_server::files::Kept;
use firesteel_server::http::{self, AppState, Auth, Settings};
use firesteel_store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config};
use crate::local::Local;
use crate::node_types::Machine;
use crate::runtime::{self, Progress, Registry, Surroundings, Wanted, prepare};
use crate::setup::credentials::{self, Credentials, Origin};
use crate::setup::{Address, Scheme, tls};
use crate::users::StoredUsers;

/// How long a driver waits for a server that went away, unless the configuration says otherwise.
const ORPHAN_SECONDS: u64 = 600;

/// Options of `up` and `serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Folder of everything the server keeps [env: FIRESTEEL_DATA] [default: ~/.local/share/firesteel]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8443]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Plain HTTP; on loopback only
    #[arg(long)]
    pub(crate) no_tls: bool,
}

/// Serves until it is told to stop.
pub(crate) async fn run(args: ServeArgs, data: PathBuf, on_stop: OnStop) -> anyhow::Result<()> {
    // Heard from the first moment: set-up can take minutes.
    let stop = CancellationToken::new();
    watch_signals(stop.clone())?;
    firesteel_driver::private_folder(&data)
        .with_context(|| format!("the data folder `{}` cannot be made; name another with --data", data.display()))?;
    let data = data.canonicalize().with_context(|| format!("failed to find `{}`", data.display()))?;
    let config = Config::read(&data)?;
    let progress = Progress::detect();

    let store = Store::open(&data)?;
    let kept = Kept::open(&data, store.clone())?;
    kept.remove_stray_libraries().await?;
    let (listener, address) = listen(&args, &config).await?;
    let tls = match args.no_tls {
        true => None,
        false => Some(match &config.tls {
            Some(own) => tls::own(&own.cert, &own.key, &address)?,
            None => tls::ensure(&data.join("tls"), &address)?,
        }),
    };
    prepare_users(&store, &data, &address).await?;
    let auth = Arc::new(Auth::new(Arc::new(StoredUsers::new(store.clone()))));
    let local = tokio::select! {
        local = prepare_runtime(&data, &config, &auth, progress) => local?,
        () = stop.cancelled() => bail!("stopped before it was ready; start it again and it goes on from here"),
    };

    let engine = Engine::start(store.clone(), config.limits.clone(), Arc::new(local)).await?;
    keep_schedules(&engine, &config).await?;
    let settings = Settings {
        hold: config.limits.hold_max(),
        command_bytes_max: config.limits.command_bytes_max,
        library_bytes_max: config.limits.library_bytes_max,
        event_streams_max: config.limits.event_streams_max,
        page_rows_max: config.limits.rows_max,
        page_bytes_max: config.limits.table_bytes_max,
        strict: config.strict,
        ..Settings::default()
    };
    let app = AppState::new(engine.clone(), kept, auth, settings);
    let tls_config = tls.as_ref().map(tls::server_config).transpose()?;
    let close = CancellationToken::new();
    let server = tokio::spawn(http::serve(listener, tls_config, app, close.clone()));

    let outcome = tokio::select! {
        outcome = bring_up(&engine, &data, config.backends()?.least_workers(), progress) => match outcome {
            Ok(cluster) => {
                announce(&data, &address, tls.as_ref().and_then(|files| files.ca.as_deref()), &cluster);
                stop.cancelled().await;
                Ok(())
            }
            Err(error) => Err(error),
        },
        () = stop.cancelled() => Ok(()),
    };
    // A cluster that did not come up is not left half there.
    let on_stop = if outcome.is_err() { OnStop::EndClusters } else { on_stop };
    let step = progress.step(match on_stop {
        OnStop::EndClusters => "Ending the clusters",
        OnStop::LeaveClusters => "Leaving the clusters to the next server",
    });
    close.cancel();
    engine.stop(on_stop).await;
    let _ = server.await;
    step.done();
    outcome
}

/// Stops on the first signal, exits at once on the second.
fn watch_signals(stop: CancellationToken) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            match first {
                true => stop.cancel(),
                // Drivers notice that nobody is there, or are found by the next start.
                false => std::process::exit(130),
            }
        }
    });
    Ok(())
}

async fn listen(args: &ServeArgs, config: &Config) -> anyhow::Result<(TcpListener, Address)> {
    let wanted = args.listen.as_deref().or(config.listen.as_deref()).unwrap_or(config::LISTEN);
    let (host, port) = config::host_and_port(wanted)?;
    let addresses: Vec<_> = tokio::net::lookup_host((host.as_str(), port))
        .await
        .with_context(|| format!("`{host}` is not an address of this machine"))?
        .collect();
    if args.no_tls && !addresses.iter().all(|address| address.ip().is_loopback()) {
        bail!("--no-tls is refused for `{wanted}`: without TLS only loopback addresses such as 127.0.0.1 are served");
    }
    let listener = TcpListener::bind(addresses.as_slice()).await.with_context(|| match port {
        0..1024 => {
            format!("cannot listen on {wanted}; ports below 1024 may need more rights: choose another with --listen")
        }
        _ => format!(
            "cannot listen on {wanted}; if another program has the port, choose another with --listen HOST:PORT"
        ),
    })?;
    // Port 0 asks the system for one.
    let port = listener.local_addr()?.port();
    let scheme = if args.no_tls { Scheme::Http } else { Scheme::Https };
    Ok((listener, Address::new(scheme, &host, port)))
}

/// Puts the administrator into the store, then their credentials into the files of the data folder.
async fn prepare_users(store: &Store, data: &Path, address: &Address) -> anyhow::Result<()> {
    let found = Credentials::load(data, address)?;
    let password = found.password.secret.expose();
    let known = store.user(credentials::USER).await?;
    if found.password.origin == Origin::New || known.is_none() {
        let hash = tokio::task::spawn_blocking({
            let password = password.to_owned();
            move || http::hash_password(&password)
        });
        store.put_user(credentials::USER, &hash.await?).await?;
    }
    let token = http::hash_token(found.token.secret.expose());
    if store.token_user(token).await?.is_none() {
        for old in store.tokens(credentials::USER).await? {
            if old.comment == TOKEN_COMMENT {
                store.delete_token(old.sha256).await?;
            }
        }
        store.put_token(credentials::USER, token, TOKEN_COMMENT).await?;
    }
    Ok(found.save()?)
}

/// What marks the token of `databrickscfg` among the administrator's.
const TOKEN_COMMENT: &str = "databrickscfg";

/// Finds or makes the runtime and everything that is compiled for it.
async fn prepare_runtime(data: &Path, config: &Config, auth: &Arc<Auth>, progress: Progress) -> anyhow::Result<Local> {
    let around = Surroundings::of_process();
    let spark_home = config.spark_home.clone().or_else(|| std::env::var_os("SPARK_HOME").map(PathBuf::from));
    let wanted = match spark_home.filter(|folder| !folder.as_os_str().is_empty()) {
        Some(spark_home) => Wanted::Named { name: None, spark_home },
        None => Wanted::Made { name: None, spark_version: None },
    };
    let runtime = runtime::ensure(data, wanted, &around, &progress).await?;
    let cache = runtime::cache(data);
    let step = progress.step("Preparing what runs inside Spark");
    let say = |line: &str| step.say(line);
    // Of the others what is missing is made when a cluster first wants it.
    prepare(&runtime, data, &say).await?;
    let python_sources = python_sources::ensure_python(&cache)?;
    let rscript = config.rscript.clone().or_else(|| r::find(around.path.as_deref()));
    let r = rscript.map(|rscript| anyhow::Ok(launch::r_command(&rscript, &r::ensure_r(&cache)?))).transpose()?;
    step.done();
    Ok(Local {
        data: data.to_owned(),
        machine: Machine::detect(),
        runtimes: Registry::new(data, &runtime.name),
        python_sources,
        r,
        backends: config.backends()?,
        auth: auth.clone(),
        limits: config.limits.clone(),
        spares: config.spares,
        spark_conf: config.spark_conf.clone(),
        orphan_seconds: config.orphan_seconds.unwrap_or(ORPHAN_SECONDS),
    })
}

/// The name of the cluster that `up` and `serve` see to.
const DEFAULT: &str = "default";

/// Does from now on what the schedules say.
async fn keep_schedules(engine: &Engine, config: &Config) -> anyhow::Result<()> {
    let now = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    };
    let configured: Vec<_> =
        config.schedules.iter().map(|schedule| schedule.record(now())).collect::<Result<_, _>>()?;
    Ok(engine.keep_schedules(configured, Arc::new(now)).await?)
}

/// Sees to it that the cluster `default` runs, and returns its id.
async fn bring_up(engine: &Engine, data: &Path, num_workers: u32, progress: Progress) -> anyhow::Result<String> {
    let step = progress.step("Starting Spark");
    let id = match engine.clusters().into_iter().find(|cluster| cluster.name == DEFAULT) {
        Some(cluster) => {
            let id = cluster.id.to_string();
            // A driver that is there goes on; one that is not is launched anew.
            if engine.wait_running(&id).await.is_err() {
                engine.start_cluster(&id, Cause::Server).await?;
            }
            id
        }
        None => {
            let settings =
                ClusterSettings { cluster_name: DEFAULT.to_owned(), num_workers, ..ClusterSettings::default() };
            engine.create_cluster(settings, credentials::USER, Cause::Server).await?.to_string()
        }
    };
    engine.wait_running(&id).await.with_context(|| {
        let log = data.join("clusters").join(&id).join("spark.log");
        format!("Spark did not come up; see `{}`, and `[spark_conf]` in `{}`", log.display(), config::FILE)
    })?;
    step.done();
    Ok(id)
}

#[expect(clippy::print_stdout, reason = "what to paste, and the line that scripts wait for")]
fn announce(data: &Path, address: &Address, ca: Option<&Path>, cluster: &str) {
    use std::io::Write;
    println!("{}", credentials::instructions(data, address, ca).trim_end());
    println!("ready {} cluster={cluster}", address.url());
    let _ = std::io::stdout().flush();
}
