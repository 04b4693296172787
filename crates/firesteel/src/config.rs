//! The configuration of a server: `firesteel.toml` in its data folder, with the command line over it.
//!
//! Read once, checked whole, unknown keys refused, then handed down in parts. Nobody below `main` reads the file or
//! the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use firesteel_driver::spec::SpareCounts;
use firesteel_model::Limits;
use serde::Deserialize;

use crate::backends::{Backend, Backends, BadBackend};
use crate::schedules::ScheduleConfig;

/// The name of the file in the data folder.
pub(crate) const FILE: &str = "firesteel.toml";

/// Where a server listens unless told otherwise.
pub(crate) const LISTEN: &str = "127.0.0.1:8443";

/// What an operator can set.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// `HOST:PORT`.
    pub(crate) listen: Option<String>,
    /// A Spark of the user's own, in place of the embedded one.
    pub(crate) spark_home: Option<PathBuf>,
    /// The `Rscript` that R contexts run in, in place of the first on the path.
    pub(crate) rscript: Option<PathBuf>,
    /// Answers every client as old strict ones want it.
    pub(crate) strict: bool,
    /// The user's own certificate.
    pub(crate) tls: Option<TlsConfig>,
    /// Bounds.
    pub(crate) limits: Limits,
    /// Spare interpreters.
    pub(crate) spares: SpareCounts,
    /// Where executors run, by name.
    pub(crate) backends: BTreeMap<String, Backend>,
    /// The backend of clusters that name none.
    pub(crate) default_backend: Option<String>,
    /// Spark's configuration, over ours.
    pub(crate) spark_conf: BTreeMap<String, String>,
    /// How long a driver waits for a server that went away.
    pub(crate) orphan_seconds: Option<u64>,
    /// What is done to clusters at fixed times.
    pub(crate) schedules: Vec<ScheduleConfig>,
}

/// A certificate of the user's own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsConfig {
    /// The chain, as PEM.
    pub(crate) cert: PathBuf,
    /// The key, as PEM.
    pub(crate) key: PathBuf,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file is there and cannot be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no configuration.
    #[error("`{}` is not a configuration: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// A bound is outside its range.
    #[error("`{}`: {source}", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// Why.
        source: firesteel_model::limits::BadLimit,
    },
    /// A backend is not one.
    #[error("`{}`: {source}", path.display())]
    Backend {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BadBackend,
    },
    /// The listen address is not one.
    #[error("`{0}` is not HOST:PORT, such as 127.0.0.1:8443")]
    Listen(String),
}

impl Config {
    /// Reads the file of a data folder; without one, everything is as by default.
    pub(crate) fn read(data: &Path) -> Result<Self, ConfigError> {
        let path = data.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        let parsed: Result<Self, _> = toml::from_str(&text);
        let config = parsed.map_err(|source| ConfigError::Parse { path: path.clone(), source: Box::new(source) })?;
        config.limits.check().map_err(|source| ConfigError::Limit { path: path.clone(), source })?;
        config.backends().map_err(|source| ConfigError::Backend { path, source })?;
        Ok(config)
    }

    /// The backends, checked.
    pub(crate) fn backends(&self) -> Result<Backends, BadBackend> {
        Backends::new(self.backends.clone(), self.default_backend.clone())
    }
}

/// Splits `HOST:PORT`; an IPv6 host stands in brackets.
pub(crate) fn host_and_port(text: &str) -> Result<(String, u16), ConfigError> {
    let bad = || ConfigError::Listen(text.to_owned());
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if host.is_empty() || (bare.is_none() && host.contains(':')) {
        return Err(bad());
    }
    Ok((bare.unwrap_or(host).to_owned(), port.parse().map_err(|_| bad())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_or_a_bound_out_of_range_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for (text, said) in [("lisen = '1'", "lisen"), ("[limits]\nhold_max_ms = 60000", "hold_max_ms")] {
            std::fs::write(folder.path().join(FILE), text).unwrap();
            let error = Config::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_listen_address_has_a_host_and_a_port() {
        assert_eq!(host_and_port("[::1]:80").unwrap(), ("::1".to_owned(), 80));
        assert_eq!(host_and_port("localhost:8443").unwrap(), ("localhost".to_owned(), 8443));
        for bad in ["", "8443", "localhost", "::1:80", "h:port", ":1", "h:70000"] {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
    }
}
