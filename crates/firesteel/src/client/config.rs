//! Where the server is and how to prove who asks, found as the SDKs find it.
//!
//! ```text
//! --host --token …   DATABRICKS_HOST …   a profile of ~/.databrickscfg   the data folder of a server on this machine
//! ```
//!
//! The first of these sources that names a host wins. Credentials are taken from it or from those before it; from
//! later ones only where they are for the same host, so that no token is sent to a host that it is not for.
//! `--profile` and `--data` name a file outright, and the environment's host and credentials then do not count.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use firesteel_api::ClusterId;

use crate::setup::Secret;
use crate::setup::ini::{BadLine, Ini};

/// The options that say which server to talk to.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ConnectArgs {
    /// URL of the server [env: DATABRICKS_HOST]
    #[arg(long, value_name = "URL")]
    pub(crate) host: Option<String>,
    /// Token to authenticate with; other users of the machine can see it, so prefer a profile [env: DATABRICKS_TOKEN]
    #[arg(long, value_name = "TOKEN", value_parser = secret)]
    pub(crate) token: Option<Secret>,
    /// Profile of the configuration file [env: DATABRICKS_CONFIG_PROFILE]
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Cluster to use; by default the one that runs [env: DATABRICKS_CLUSTER_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) cluster_id: Option<ClusterId>,
    /// Certificates, in a PEM file, of the only authorities to trust [env: REQUESTS_CA_BUNDLE, SSL_CERT_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Data folder of a server on this machine, to take its address and credentials from [env: FIRESTEEL_DATA]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// What the client commands read of the process's environment; an empty value counts as none.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Takes the environment of this process.
    pub(crate) fn of_process() -> Self {
        let text =
            std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
        Self::of(text)
    }

    /// Takes variables.
    pub(crate) fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        self.get(key).map(PathBuf::from)
    }

    fn home(&self, below: &str) -> Option<PathBuf> {
        Some(self.path("HOME")?.join(below))
    }

    /// Returns the data folder of a server on this machine, unless an option names another.
    pub(crate) fn data_folder(&self) -> Option<PathBuf> {
        let xdg = || self.path("XDG_DATA_HOME").filter(|path| path.is_absolute());
        self.path("FIRESTEEL_DATA")
            .or_else(|| Some(xdg()?.join("firesteel")))
            .or_else(|| self.home(".local/share/firesteel"))
    }

    /// Returns the folder of what a terminal session leaves behind.
    pub(crate) fn state_folder(&self) -> Option<PathBuf> {
        let xdg = || self.path("XDG_STATE_HOME").filter(|path| path.is_absolute());
        let xdg = || Some(xdg()?.join("firesteel"));
        xdg().or_else(|| self.home(".local/state/firesteel"))
    }
}

/// A server and how to talk to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    /// Its URL, with a scheme and without a slash at the end.
    pub(crate) url: String,
    /// Who asks.
    pub(crate) auth: Auth,
    /// Whom to trust.
    pub(crate) trust: Trust,
    /// The cluster, where one was named.
    pub(crate) cluster: Option<ClusterId>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    /// The bearer of a token.
    Token(Secret),
    /// A user with a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// Which authorities may vouch for the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Those of the system, and those of a file if there is one: the authority of a server on this machine.
    System(Option<PathBuf>),
    /// Those of a file that the user named, as curl and Python take it.
    Only(PathBuf),
}

/// Why no server was found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// No source names a host.
    #[error(
        "no server is configured; start one here with `firesteel up`, or give `--host`, `DATABRICKS_HOST` or a profile \
         in ~/.databrickscfg"
    )]
    NoHost,
    /// No credentials go with the host.
    #[error("no token or user and password is configured for `{0}`; set `DATABRICKS_TOKEN` or use a profile")]
    NoCredentials(String),
    /// The host is no URL of ours.
    #[error("`{0}` is not the URL of a server, such as `https://127.0.0.1:8443`")]
    BadHost(String),
    /// A file cannot be read.
    #[error("failed to read `{path}`")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is damaged.
    #[error("`{path}` is not a configuration file")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: BadLine,
    },
    /// A file lacks the profile that was asked for.
    #[error("`{path}` has no profile `{profile}`; it has {known}")]
    NoProfile {
        /// The file.
        path: PathBuf,
        /// The profile.
        profile: String,
        /// The profiles that there are.
        known: String,
    },
    /// A cluster id of the environment or of a profile is none.
    #[error(transparent)]
    BadCluster(#[from] firesteel_api::ids::BadId),
}

/// One place that may say something about the server.
#[derive(Default)]
struct Source {
    host: Option<String>,
    token: Option<Secret>,
    user: Option<String>,
    password: Option<Secret>,
    cluster: Option<String>,
    /// The authority of a server on this machine, where its folder is the source.
    ca: Option<PathBuf>,
}

impl Source {
    fn of(get: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            host: get("host"),
            token: get("token").map(Secret::new),
            user: get("username"),
            password: get("password").map(Secret::new),
            cluster: get("cluster_id"),
            ca: None,
        }
    }

    fn auth(&self) -> Option<Auth> {
        if let Some(token) = &self.token {
            return Some(Auth::Token(token.clone()));
        }
        let (user, password) = (self.user.clone()?, self.password.clone()?);
        Some(Auth::Basic { user, password })
    }
}

/// Finds the server.
pub(crate) fn resolve(args: &ConnectArgs, env: &Environment) -> Result<Connection, ConfigError> {
    let mut sources = vec![Source {
        host: args.host.clone(),
        token: args.token.clone(),
        cluster: args.cluster_id.as_ref().map(ClusterId::to_string),
        ..Source::default()
    }];
    if args.profile.is_none() && args.data.is_none() {
        sources.push(Source::of(|key| Some(env.get(&format!("DATABRICKS_{}", key.to_ascii_uppercase()))?.to_owned())));
    }
    let profile = args.profile.as_deref().or_else(|| env.get("DATABRICKS_CONFIG_PROFILE"));
    let named =
        args.data.as_ref().map(|folder| folder.join("databrickscfg")).or_else(|| env.path("DATABRICKS_CONFIG_FILE"));
    let (file, required) = match named {
        Some(file) => (Some(file), true),
        None => (env.home(".databrickscfg"), profile.is_some()),
    };
    if let Some(file) = file {
        sources.extend(read(&file, profile, required)?);
    }
    let mut local = None;
    if let Some(folder) = env.data_folder().filter(|_| args.data.is_none()) {
        // Last, and only where nothing else was said: a host of its own with credentials of its own.
        if sources.iter().all(|source| source.host.is_none()) {
            local = read(&folder.join("databrickscfg"), None, false)?;
        }
    }
    if let Some(local) = local {
        sources.truncate(1);
        sources.push(local);
    }

    let at = sources.iter().position(|source| source.host.is_some()).ok_or(ConfigError::NoHost)?;
    let url = normal(sources[at].host.as_deref().unwrap_or_default())?;
    let ours = |(index, source): &(usize, &Source)| {
        *index <= at || source.host.as_deref().and_then(|host| normal(host).ok()).as_ref() == Some(&url)
    };
    let fit = || sources.iter().enumerate().filter(ours).map(|(_, source)| source);
    let auth = fit().find_map(Source::auth).ok_or_else(|| ConfigError::NoCredentials(url.clone()))?;
    let cluster = fit().find_map(|source| source.cluster.clone());
    let only = args.ca.clone().or_else(|| env.path("REQUESTS_CA_BUNDLE")).or_else(|| env.path("SSL_CERT_FILE"));
    let beside = fit().find_map(|source| source.ca.clone());
    let trust = match (only, beside) {
        (Some(file), _) if args.ca.is_some() => Trust::Only(file),
        // A variable set for everything else on this machine does not know the server that was made on it.
        (_, Some(beside)) => Trust::System(Some(beside)),
        (Some(file), None) => Trust::Only(file),
        (None, None) => Trust::System(None),
    };
    Ok(Connection { url, auth, trust, cluster: cluster.map(|id| id.parse()).transpose()? })
}

fn read(file: &Path, profile: Option<&str>, required: bool) -> Result<Option<Source>, ConfigError> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => return Ok(None),
        Err(source) => return Err(ConfigError::Unreadable { path: file.to_owned(), source }),
    };
    let ini = Ini::parse(&text).map_err(|source| ConfigError::Damaged { path: file.to_owned(), source })?;
    if let Some(profile) = profile
        && !ini.has(profile)
    {
        let known = ini.sections().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "none".to_owned() } else { known };
        return Err(ConfigError::NoProfile { path: file.to_owned(), profile: profile.to_owned(), known });
    }
    let section = profile.unwrap_or("DEFAULT");
    let mut source = Source::of(|key| Some(ini.get(section, key)?.to_owned()));
    let ca = file.with_file_name("tls").join("ca.pem");
    source.ca = ca.is_file().then_some(ca);
    Ok(Some(source))
}

/// Brings a host into the form `scheme://host[:port]`, with the path that a proxy may want.
fn normal(host: &str) -> Result<String, ConfigError> {
    let bad = || ConfigError::BadHost(host.to_owned());
    let text = host.trim();
    let text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = reqwest::Url::parse(&text).map_err(|_| bad())?;
    let fit = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    fit.then(|| url.as_str().trim_end_matches('/').to_owned()).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A home with files in it; `~` in a variable stands for its path.
    struct Home(tempfile::TempDir);

    impl Home {
        fn new(files: &[(&str, &str)]) -> Self {
            let home = tempfile::tempdir().unwrap();
            for (name, text) in files {
                let path = home.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(home)
        }

        /// Resolves and renders: `url auth cluster trust`, or the error.
        fn resolve(&self, flags: &str, variables: &str) -> String {
            use clap::Parser as _;
            #[derive(clap::Parser)]
            struct Line {
                #[command(flatten)]
                connect: ConnectArgs,
            }
            let home = self.0.path().to_str().unwrap();
            let flags = flags.replace('~', home);
            let line = Line::parse_from(std::iter::once("x").chain(flags.split_whitespace()));
            let pairs = variables.replace('~', home);
            let pairs = pairs.split_whitespace().map(|pair| pair.split_once('=').unwrap());
            let pairs = pairs.map(|(key, value)| {
                let short = ["HOST", "TOKEN", "USERNAME", "PASSWORD", "CLUSTER_ID", "CONFIG_FILE", "CONFIG_PROFILE"];
                let key = if short.contains(&key) { format!("DATABRICKS_{key}") } else { key.to_owned() };
                (key, value.to_owned())
            });
            let home_pair = ("HOME".to_owned(), home.to_owned());
            let found = resolve(&line.connect, &Environment::of(pairs.chain([home_pair])));
            let text = match found {
                Err(error) => format!("error: {error}"),
                Ok(Connection { url, auth, trust, cluster }) => {
                    let auth = match auth {
                        Auth::Token(token) => token.expose().to_owned(),
                        Auth::Basic { user, password } => format!("{user}:{}", password.expose()),
                    };
                    let cluster = cluster.map_or("-".to_owned(), |id| id.to_string());
                    let trust = match trust {
                        Trust::System(None) => "system".to_owned(),
                        Trust::System(Some(file)) => format!("system+{}", file.display()),
                        Trust::Only(file) => file.display().to_string(),
                    };
                    format!("{url} {auth} {cluster} {trust}")
                }
            };
            text.replace(home, "~")
        }
    }

    const PROFILES: &str = "[DEFAULT]\nhost = https://d\ntoken = dt\n[ci]\nhost = https://ci/\nusername = u\npassword = p\ncluster_id = c1\n[empty]\n";

    #[test]
    fn the_server_is_found_as_the_sdks_find_it() {
        let home = Home::new(&[(".databrickscfg", PROFILES), ("other", "[DEFAULT]\nhost = o:81\ntoken = ot\n")]);
        let local = "[DEFAULT]\nhost = https://127.0.0.1:8443\ntoken = lt\n";
        let both = Home::new(&[
            (".databrickscfg", PROFILES),
            (".local/share/firesteel/databrickscfg", local),
            ("data/databrickscfg", "[DEFAULT]\nhost = https://127.0.0.1:9\ntoken = xt\n"),
            ("data/tls/ca.pem", ""),
        ]);
        let only =
            Home::new(&[(".local/share/firesteel/databrickscfg", local), (".local/share/firesteel/tls/ca.pem", "")]);
        let none = Home::new(&[]);
        let ca = "~/.local/share/firesteel/tls/ca.pem";
        let cases = [
            (&home, "", "", "https://d dt - system".to_owned()),
            (&home, "--profile ci", "", "https://ci u:p c1 system".into()),
            (&home, "", "CONFIG_PROFILE=ci", "https://ci u:p c1 system".into()),
            (&home, "", "CONFIG_FILE=~/other", "https://o:81 ot - system".into()),
            (&home, "", "HOST=https://e TOKEN=et CLUSTER_ID=c2", "https://e et c2 system".into()),
            (&home, "", "HOST=https://e USERNAME=u PASSWORD=p", "https://e u:p - system".into()),
            (&home, "", "HOST=https://e TOKEN=et USERNAME=u PASSWORD=p", "https://e et - system".into()),
            (&home, "--host https://f --token ft", "HOST=https://e TOKEN=et", "https://f ft - system".into()),
            (&home, "--token ft --cluster-id c3", "", "https://d ft c3 system".into()),
            (&home, "", "TOKEN=et", "https://d et - system".into()),
            (&home, "--profile ci", "HOST=https://e TOKEN=et", "https://ci u:p c1 system".into()),
            (&home, "--host https://d", "", "https://d dt - system".into()),
            (&home, "--ca /a", "REQUESTS_CA_BUNDLE=/b SSL_CERT_FILE=/c", "https://d dt - /a".into()),
            (&home, "", "REQUESTS_CA_BUNDLE=/b SSL_CERT_FILE=/c", "https://d dt - /b".into()),
            (&home, "", "SSL_CERT_FILE=/c", "https://d dt - /c".into()),
            // A token goes to its own host and no other.
            (&home, "--host https://f", "", "error: no token or user and password is configured for `https://f`; set `DATABRICKS_TOKEN` or use a profile".into()),
            (&home, "", "HOST=https://e", "error: no token or user and password is configured for `https://e`; set `DATABRICKS_TOKEN` or use a profile".into()),
            // A server on this machine.
            (&only, "", "", format!("https://127.0.0.1:8443 lt - system+{ca}")),
            (&only, "", "TOKEN=et CLUSTER_ID=c2 REQUESTS_CA_BUNDLE=/b", format!("https://127.0.0.1:8443 lt - system+{ca}")),
            (&only, "--ca /a --cluster-id c", "", "https://127.0.0.1:8443 lt c /a".into()),
            (&both, "", "", "https://d dt - system".into()),
            (&both, "--data ~/data", "HOST=https://e TOKEN=et", "https://127.0.0.1:9 xt - system+~/data/tls/ca.pem".into()),
            (&both, "", "CONFIG_FILE=~/data/databrickscfg", "https://127.0.0.1:9 xt - system+~/data/tls/ca.pem".into()),
            (&none, "", "FIRESTEEL_DATA=~/nowhere", "error: no server is configured; start one here with `firesteel up`, or give `--host`, `DATABRICKS_HOST` or a profile in ~/.databrickscfg".into()),
            // What is asked for and is not there.
            (&home, "--profile x", "", "error: `~/.databrickscfg` has no profile `x`; it has `DEFAULT`, `ci`, `empty`".into()),
            (&none, "--data ~/nowhere", "", "error: failed to read `~/nowhere/databrickscfg`".into()),
            (&home, "--host ftp://x --token t", "", "error: `ftp://x` is not the URL of a server, such as `https://127.0.0.1:8443`".into()),
            (&home, "--host https://u:p@x --token t", "", "error: `https://u:p@x` is not the URL of a server, such as `https://127.0.0.1:8443`".into()),
        ];
        for (home, flags, variables, expected) in cases {
            assert_eq!(home.resolve(flags, variables), expected, "{flags} {variables}");
        }
    }

    #[test]
    fn folders_follow_the_conventions_of_the_desktop() {
        let folders = |pairs: &[(&str, &str)]| {
            let env = Environment::of(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
            [env.data_folder(), env.state_folder()].map(|path| path.map_or("-".into(), |p| p.display().to_string()))
        };
        let home = ("HOME", "/h");
        assert_eq!(folders(&[home]), ["/h/.local/share/firesteel", "/h/.local/state/firesteel"]);
        assert_eq!(
            folders(&[home, ("XDG_DATA_HOME", "/d"), ("XDG_STATE_HOME", "/s")]),
            ["/d/firesteel", "/s/firesteel"]
        );
        assert_eq!(folders(&[home, ("FIRESTEEL_DATA", "/f")]), ["/f", "/h/.local/state/firesteel"]);
        assert_eq!(folders(&[]), ["-", "-"]);
    }

    #[test]
    fn a_token_is_not_in_what_is_printed_for_debugging() {
        let args = ConnectArgs { token: Some(Secret::new("fst_x")), ..ConnectArgs::default() };
        assert!(!format!("{args:?}").contains("fst_x"));
    }
}
