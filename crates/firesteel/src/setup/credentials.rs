//! The first user's password and token, and the two files through which clients on this machine get them.
//!
//! ```text
//! DIR/netrc          for curl: one line per name of this server, with the user and the password
//! DIR/databrickscfg  for the SDKs and our own client commands: the URL and the token
//! ```
//!
//! The store has hashes only, so these files are where the values live. [`Credentials::load`] reads them back or makes
//! new ones; the caller tells the store; [`Credentials::save`] writes the files. In that order: a crash between the two
//! leaves files that are missing or damaged still, and the next start makes new credentials again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::ini::Ini;
use super::private_file::{self, FileError};
use super::{Address, Secret};

/// The user that the first start makes.
pub(crate) const USER: &str = "admin";
/// How a token begins, so that one is recognised where it has leaked.
pub(crate) const TOKEN_PREFIX: &str = "fst_";

/// The credentials of [`USER`], read back or new.
#[derive(Debug)]
pub(crate) struct Credentials {
    /// The password.
    pub(crate) password: Credential,
    /// The token.
    pub(crate) token: Credential,
    netrc: File,
    profile: File,
}

/// One secret and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credential {
    /// The secret itself; the store gets its hash.
    pub(crate) secret: Secret,
    /// Where it is from.
    pub(crate) origin: Origin,
}

/// Where a credential is from, which is what the caller owes the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Read back. The store has its hash already, unless the database is a new one.
    Kept,
    /// Made now. Those of the same name that the store may have are to be revoked: nobody can read them any more.
    New,
}

/// A file as it should be; `None` where it is so already.
#[derive(Debug)]
struct File {
    path: PathBuf,
    text: Option<Secret>,
}

impl Credentials {
    /// Reads the files of a data folder, for a server at this address. Nothing is written yet.
    pub(crate) fn load(folder: &Path, address: &Address) -> Result<Self, FileError> {
        let (netrc_path, profile_path) = (folder.join("netrc"), folder.join("databrickscfg"));
        let machines = machines(address);

        let found = private_file::read(&netrc_path)?;
        let entries = found.as_deref().map(read_netrc);
        let known = entries.as_deref().and_then(|entries| entries.first());
        let password = Credential::of(known.map(|entry| entry.password.clone()), &netrc_path, found.is_some(), "");
        let current = entries.is_some_and(|entries| {
            let same = |entry: &Entry| entry.password == password.secret;
            entries.iter().map(|entry| &entry.machine).eq(&machines) && entries.iter().all(same)
        });
        let text = (!current).then(|| netrc(&machines, &password.secret));
        let netrc = File { path: netrc_path, text };

        let found = private_file::read(&profile_path)?;
        let ini = found.as_deref().and_then(|text| Ini::parse(text).ok());
        let get = |key| ini.as_ref().and_then(|ini| ini.get("DEFAULT", key));
        let known = get("token").filter(|token| is_plain(token)).map(Secret::new);
        let token = Credential::of(known, &profile_path, found.is_some(), TOKEN_PREFIX);
        let url = address.url();
        let current = token.origin == Origin::Kept && get("host") == Some(url.as_str());
        let text = (!current).then(|| profile(&url, &token.secret));
        let profile = File { path: profile_path, text };

        Ok(Self { password, token, netrc, profile })
    }

    /// Writes the files that are new or whose address has changed, once the store knows the credentials.
    pub(crate) fn save(&self) -> Result<(), FileError> {
        for file in [&self.netrc, &self.profile] {
            if let Some(text) = &file.text {
                private_file::write(&file.path, text.expose().as_bytes())?;
            }
        }
        Ok(())
    }
}

impl Credential {
    fn of(known: Option<Secret>, path: &Path, exists: bool, prefix: &str) -> Self {
        match known {
            Some(secret) => Self { secret, origin: Origin::Kept },
            None => {
                if exists {
                    warn!(file = %path.display(), "`{}` is damaged; its content is made anew", path.display());
                }
                Self { secret: Secret::generate(prefix), origin: Origin::New }
            }
        }
    }
}

/// Renders what to paste into a shell to reach the server, without any secret in it.
pub(crate) fn instructions(folder: &Path, address: &Address, ca: Option<&Path>) -> String {
    let quote = |path: &Path| shell_word(&path.to_string_lossy());
    let (netrc, profile) = (folder.join("netrc"), folder.join("databrickscfg"));
    let (mut trust, mut bundle) = (String::new(), String::new());
    if let Some(ca) = ca {
        trust = format!("--cacert {} ", quote(ca));
        bundle = format!(" REQUESTS_CA_BUNDLE={0} SSL_CERT_FILE={0}", quote(ca));
    }
    format!(
        "curl {trust}--netrc-file {} {}/api/1.2/clusters/list\nexport DATABRICKS_CONFIG_FILE={}{bundle}\n",
        quote(&netrc),
        address.url(),
        quote(&profile),
    )
}

fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The names that curl looks up: those of this server, without the port.
fn machines(address: &Address) -> Vec<String> {
    address.reachable()
}

struct Entry {
    machine: String,
    password: Secret,
}

/// Reads the entries of [`USER`]; what else the file holds is passed over.
fn read_netrc(text: &str) -> Vec<Entry> {
    let entry = |line: &str| {
        let words = line.split_whitespace().collect::<Vec<_>>();
        match words[..] {
            ["machine", machine, "login", USER, "password", password] if is_plain(password) => {
                Some(Entry { machine: machine.to_owned(), password: Secret::new(password) })
            }
            _ => None,
        }
    };
    text.lines().filter_map(entry).collect()
}

/// Tells whether text may be one of our secrets: a file that was cut short must not leave a password that is easy to
/// guess.
fn is_plain(secret: &str) -> bool {
    secret.len() >= 32 && secret.chars().all(|c| c.is_ascii_graphic())
}

fn netrc(machines: &[String], password: &Secret) -> Secret {
    let mut text = String::new();
    for machine in machines {
        let password = password.expose();
        writeln!(text, "machine {machine} login {USER} password {password}").expect("a string takes any text");
    }
    Secret::new(text)
}

fn profile(url: &str, token: &Secret) -> Secret {
    let note = "# Written by firesteel, again whenever its address changes.";
    Secret::new(format!("{note}\n[DEFAULT]\nhost = {url}\ntoken = {}\n", token.expose()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::Scheme;
    use super::*;

    fn address(host: &str, port: u16) -> Address {
        Address::on_machine(Scheme::Https, host, port, Some("box".into()))
    }

    /// Starts as the server would: load, tell the store, save.
    fn start(folder: &Path, host: &str, port: u16) -> Credentials {
        let credentials = Credentials::load(folder, &address(host, port)).unwrap();
        credentials.save().unwrap();
        credentials
    }

    #[test]
    fn the_first_start_makes_both_and_later_ones_read_them_back() {
        let folder = tempfile::tempdir().unwrap();
        let first = start(folder.path(), "127.0.0.1", 8443);
        assert_eq!((first.password.origin, first.token.origin), (Origin::New, Origin::New));
        assert!(first.token.secret.expose().starts_with(TOKEN_PREFIX));

        let netrc = fs::read_to_string(folder.path().join("netrc")).unwrap();
        let password = first.password.secret.expose();
        let lines = ["127.0.0.1", "localhost"].map(|h| format!("machine {h} login admin password {password}\n"));
        assert_eq!(netrc, lines.concat());
        let profile = fs::read_to_string(folder.path().join("databrickscfg")).unwrap();
        let expected = format!("[DEFAULT]\nhost = https://127.0.0.1:8443\ntoken = {}\n", first.token.secret.expose());
        assert!(profile.ends_with(&expected), "{profile}");
        for name in ["netrc", "databrickscfg"] {
            let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }

        let second = start(folder.path(), "127.0.0.1", 8443);
        assert_eq!(second.password, Credential { origin: Origin::Kept, ..first.password });
        assert_eq!(second.token, Credential { origin: Origin::Kept, ..first.token });
        assert!(second.netrc.text.is_none() && second.profile.text.is_none(), "nothing to write");
    }

    #[test]
    fn a_new_address_changes_the_files_and_not_the_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let first = start(folder.path(), "127.0.0.1", 8443);
        let second = start(folder.path(), "0.0.0.0", 9000);
        assert_eq!(second.password.secret, first.password.secret);
        assert_eq!(second.token.secret, first.token.secret);
        let netrc = fs::read_to_string(folder.path().join("netrc")).unwrap();
        let machines = netrc.lines().map(|line| line.split(' ').nth(1).unwrap()).collect::<Vec<_>>();
        assert_eq!(machines, ["localhost", "127.0.0.1", "::1", "box"]);
        let profile = fs::read_to_string(folder.path().join("databrickscfg")).unwrap();
        assert!(profile.contains("host = https://localhost:9000\n"));
    }

    #[test]
    fn a_lost_or_damaged_file_means_a_new_secret_of_that_kind_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = start(folder.path(), "127.0.0.1", 8443);
        fs::remove_file(folder.path().join("netrc")).unwrap();
        let second = start(folder.path(), "127.0.0.1", 8443);
        assert_eq!((second.password.origin, second.token.origin), (Origin::New, Origin::Kept));
        assert_ne!(second.password.secret, first.password.secret);

        for damage in ["", "[DEFAULT\n", "[DEFAULT]\nhost = https://127.0.0.1:8443\ntoken = fst_\n", "\u{0}\u{0}"] {
            fs::write(folder.path().join("databrickscfg"), damage).unwrap();
            let next = start(folder.path(), "127.0.0.1", 8443);
            assert_eq!((next.password.origin, next.token.origin), (Origin::Kept, Origin::New), "{damage:?}");
        }
    }

    #[test]
    fn a_crash_before_the_files_are_written_makes_new_ones_again() {
        let folder = tempfile::tempdir().unwrap();
        let lost = Credentials::load(folder.path(), &address("127.0.0.1", 8443)).unwrap();
        let next = Credentials::load(folder.path(), &address("127.0.0.1", 8443)).unwrap();
        assert_eq!(next.token.origin, Origin::New);
        assert_ne!(next.token.secret, lost.token.secret);
    }

    #[test]
    fn nothing_that_is_printed_holds_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = start(folder.path(), "127.0.0.1", 8443);
        let text = instructions(Path::new("/data dir"), &address("127.0.0.1", 8443), Some(Path::new("/d/tls/ca.pem")));
        assert_eq!(
            text,
            "curl --cacert /d/tls/ca.pem --netrc-file '/data dir/netrc' https://127.0.0.1:8443/api/1.2/clusters/list\n\
             export DATABRICKS_CONFIG_FILE='/data dir/databrickscfg' REQUESTS_CA_BUNDLE=/d/tls/ca.pem SSL_CERT_FILE=/d/tls/ca.pem\n"
        );
        let debug = format!("{credentials:?}");
        for secret in [&credentials.password.secret, &credentials.token.secret] {
            assert!(!debug.contains(secret.expose()) && !text.contains(secret.expose()));
        }
    }
}
