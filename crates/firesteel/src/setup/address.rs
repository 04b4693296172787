//! Where the server listens, and the names under which clients find it there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How the server speaks at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// In the clear; on loopback only.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    scheme: Scheme,
    host: String,
    port: u16,
    machine: Option<String>,
}

impl Address {
    /// Takes the listen host, a name or an IP address with or without brackets, and the port.
    pub(crate) fn new(scheme: Scheme, host: &str, port: u16) -> Self {
        Self::on_machine(scheme, host, port, machine_name())
    }

    /// Does so on a machine of the given name.
    pub(crate) fn on_machine(scheme: Scheme, host: &str, port: u16, machine: Option<String>) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Self { scheme, host: host.to_ascii_lowercase(), port, machine }
    }

    /// Returns the URL that clients on this machine use.
    pub(crate) fn url(&self) -> String {
        let host = match self.client_host() {
            host if host.contains(':') => format!("[{host}]"),
            host => host.to_owned(),
        };
        if self.port == self.scheme.port() {
            format!("{}://{host}", self.scheme)
        } else {
            format!("{}://{host}:{}", self.scheme, self.port)
        }
    }

    /// Returns the host that clients on this machine use: nobody can connect to `0.0.0.0`.
    pub(crate) fn client_host(&self) -> &str {
        if self.is_any() { "localhost" } else { &self.host }
    }

    /// Returns every name under which the server may be reached and that its certificate holds: the host of
    /// [`Self::url`] first, then those of loopback and of this machine.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = vec![self.client_host().to_owned()];
        let local = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        for name in local.into_iter().chain(self.machine.clone()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Returns the names of [`Self::names`] at which the server really answers.
    pub(crate) fn reachable(&self) -> Vec<String> {
        let ip = self.host.parse::<IpAddr>();
        let answers = |name: &String| {
            name == self.client_host()
                || self.is_any()
                || match (name.as_str(), &ip) {
                    ("localhost", Ok(ip)) => ip.is_loopback(),
                    ("127.0.0.1" | "::1", Err(_)) => self.host == "localhost",
                    _ => false,
                }
        };
        self.names().into_iter().filter(answers).collect()
    }

    fn is_any(&self) -> bool {
        let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        self.host.is_empty() || self.host.parse::<IpAddr>().is_ok_and(|ip| any.contains(&ip))
    }
}

/// Returns the name of this machine, where the system tells it in a file and it is fit for a certificate.
fn machine_name() -> Option<String> {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let text = files.iter().find_map(|file| std::fs::read_to_string(file).ok())?;
    let name = text.trim().to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    (name.len() <= 253 && name.split('.').all(label)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_sent_where_the_server_answers() {
        use Scheme::{Http, Https};
        let cases: [(Scheme, &str, u16, &str, &[&str]); 7] = [
            (Https, "127.0.0.1", 8443, "https://127.0.0.1:8443", &["127.0.0.1", "localhost"]),
            (Https, "0.0.0.0", 443, "https://localhost", &["localhost", "127.0.0.1", "::1", "box"]),
            (Https, "[::]", 8443, "https://localhost:8443", &["localhost", "127.0.0.1", "::1", "box"]),
            (Https, "::1", 8443, "https://[::1]:8443", &["::1", "localhost"]),
            (Https, "localhost", 8443, "https://localhost:8443", &["localhost", "127.0.0.1", "::1"]),
            (Https, "Spark.Example.com", 8443, "https://spark.example.com:8443", &["spark.example.com"]),
            (Http, "10.0.0.7", 80, "http://10.0.0.7", &["10.0.0.7"]),
        ];
        for (scheme, host, port, url, reachable) in cases {
            let address = Address::on_machine(scheme, host, port, Some("box".into()));
            assert_eq!(address.url(), url);
            assert_eq!(address.reachable(), reachable, "{host}");
            for name in [address.client_host(), "localhost", "127.0.0.1", "::1", "box"] {
                assert!(address.names().iter().any(|n| n == name), "{host} {name}");
            }
        }
    }
}
