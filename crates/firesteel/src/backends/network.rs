//! How executors on other machines reach the driver: what every existing engine has in common.

use firesteel_driver::spec::DriverSpec;
use serde::Deserialize;

/// Where the driver listens for its executors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Network {
    /// The name or address of this machine that executors connect to.
    pub(crate) host: Option<String>,
    /// The address to listen on, where it is not that of `host`.
    pub(crate) bind: Option<String>,
    /// The port of Spark's driver; a free one when absent.
    pub(crate) port: Option<u16>,
    /// The port of the driver's blocks; a free one when absent.
    pub(crate) block_manager_port: Option<u16>,
}

impl Network {
    /// Where executors are on other machines, this one must be named.
    pub(super) fn has_host(&self) -> Result<(), (&'static str, String)> {
        let missing =
            || ("driver.host", "is needed: the name or address of this machine that executors reach".to_owned());
        self.host.as_ref().filter(|host| !host.is_empty()).map(drop).ok_or_else(missing)
    }

    /// Puts it into Spark's configuration. `fallback` is where this machine is reached when nothing else is said.
    pub(crate) fn apply(&self, fallback: &str, spec: &mut DriverSpec) {
        let host = self.host.as_deref().unwrap_or(fallback);
        let bind = self.bind.as_deref().unwrap_or(host);
        let mut set = |key: &str, value: String| spec.conf.insert(key.to_owned(), value);
        set("spark.driver.host", host.to_owned());
        set("spark.driver.bindAddress", bind.to_owned());
        if let Some(port) = self.port {
            set("spark.driver.port", port.to_string());
        }
        if let Some(port) = self.block_manager_port {
            set("spark.driver.blockManager.port", port.to_string());
        }
        spec.jvm.env.insert("SPARK_LOCAL_IP".to_owned(), bind.to_owned());
    }
}

/// Tells whether a host is this machine alone.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
