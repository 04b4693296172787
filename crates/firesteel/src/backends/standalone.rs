//! An existing Spark standalone cluster, started through `spark-submit` in client mode.

use std::path::PathBuf;

use firesteel_driver::spec::DriverSpec;
use serde::Deserialize;

use crate::backends::network::{Network, is_loopback};
use crate::backends::{ExecutorSize, Place, defaults, leaving, scaling, submitted};

/// A day: whoever waits longer has no cluster.
const LOST_MASTER_SECONDS_MAX: u64 = 86_400;

/// A Master that recovers, or whose stand-by takes over, takes less.
fn lost_master_seconds() -> u64 {
    60
}

/// `kind = "standalone"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standalone {
    /// `spark://HOST:PORT`, or several `HOST:PORT` behind commas where the Master has stand-bys.
    master: String,
    /// The file that holds the secret which the cluster's Master and Workers have as `spark.authenticate.secret`.
    secret_file: Option<PathBuf>,
    /// Says that the cluster wants no secret: whoever reaches its ports can run code on it.
    #[serde(default)]
    unauthenticated: bool,
    /// How long a Master that went away is waited for until the cluster is lost, in seconds.
    #[serde(default = "lost_master_seconds")]
    lost_master_seconds: u64,
    /// How executors reach this machine.
    #[serde(default)]
    driver: Network,
    /// What one executor has.
    #[serde(default)]
    executor: ExecutorSize,
}

impl Standalone {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let Some(addresses) = self.master.strip_prefix("spark://") else {
            return Err(("master", format!("`{}` is not spark://HOST:PORT", self.master)));
        };
        let hosts = addresses.split(',').map(|address| match address.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(host),
            _ => Err(("master", format!("`{address}` is not HOST:PORT"))),
        });
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        if !hosts.into_iter().all(is_loopback) {
            self.driver.has_host()?;
        }
        if self.secret_file.is_none() != self.unauthenticated {
            let said =
                "is needed: the file with the secret of the cluster, or `unauthenticated = true` where it has none";
            return Err(("secret_file", said.to_owned()));
        }
        if self.lost_master_seconds > LOST_MASTER_SECONDS_MAX {
            return Err(("lost_master_seconds", format!("must be at most {LOST_MASTER_SECONDS_MAX}")));
        }
        self.executor.check()
    }

    pub(super) fn place(&self, place: Place<'_>, spec: &mut DriverSpec) -> Result<(), String> {
        submitted(&self.master, place, spec)?;
        if let Some(executors) = &mut spec.executors {
            executors.lost_master_seconds = Some(self.lost_master_seconds);
        }
        self.driver.apply("127.0.0.1", spec);
        self.executor.apply(spec);
        match &self.secret_file {
            Some(path) => {
                let secret = std::fs::read_to_string(path).map_err(|error| {
                    format!("the secret of this backend cannot be read from `{}`: {error}", path.display())
                })?;
                spec.conf.insert("spark.authenticate".to_owned(), "true".to_owned());
                spec.conf.insert("spark.authenticate.secret".to_owned(), secret.trim().to_owned());
            }
            None => drop(spec.conf.insert("spark.authenticate".to_owned(), "false".to_owned())),
        }
        defaults(spec, leaving());
        // A standalone Master gives all it has to whoever sets no bound. Bounds that are equal are a size, which a resize changes.
        defaults(spec, scaling(place.settings.workers_min(), place.settings.workers_max()));
        Ok(())
    }
}
