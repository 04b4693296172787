//! Starting the driver's JVM through Spark's own `spark-submit`, as existing engines want it.
//!
//! In client mode `spark-submit` becomes the JVM: same process, same standard input. Spark's configuration goes by a file
//! that only the user may read, what is secret in it by the line on standard input; the arguments hold neither.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::{Runtime, launch};
use crate::spec::CommandSpec;

/// The name of the file in the cluster's folder.
pub const PROPERTIES: &str = "spark.properties";

/// What of a key's name says that its value is secret: Spark's own rule for what it shows of them.
const SECRET: [&str; 5] = ["secret", "password", "token", "accesskey", "access.key"];

/// Returns the command that starts the driver's JVM on the engine at `master`, with `properties` as Spark's configuration.
pub fn submit_command(runtime: &Runtime, jar: &Path, master: &str, properties: &Path) -> CommandSpec {
    let text = |path: &Path| path.display().to_string();
    let args = [
        "--master".to_owned(),
        master.to_owned(),
        "--deploy-mode".to_owned(),
        "client".to_owned(),
        "--properties-file".to_owned(),
        text(properties),
        "--class".to_owned(),
        launch::AGENT.to_owned(),
        text(jar),
    ];
    CommandSpec {
        program: runtime.spark_home.join("bin/spark-submit"),
        args: args.into(),
        env: launch::environment(runtime),
    }
}

/// The flags of the driver's JVM, as one line of Spark's configuration. Spark adds those that open modules by itself.
pub fn driver_flags(archive: Option<&Path>) -> String {
    let flags = launch::flags().into_iter().filter(|flag| flag.starts_with("-X") || flag.starts_with("-D"));
    let archive = archive.map(|path| format!("-XX:SharedArchiveFile={}", path.display()));
    flags.chain(archive).collect::<Vec<_>>().join(" ")
}

/// Takes apart what may be written to a file and what is secret.
pub(crate) fn part(conf: BTreeMap<String, String>) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    conf.into_iter().partition(|(key, _)| {
        let key = key.to_ascii_lowercase();
        !SECRET.iter().any(|word| key.contains(word))
    })
}

/// Writes the configuration where only the user can read it, as Java reads properties.
pub(crate) fn write(path: &Path, conf: &BTreeMap<String, String>) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&aside)?;
    for (key, value) in conf {
        writeln!(file, "{}={}", escaped(key), escaped(value))?;
    }
    std::fs::rename(&aside, path)
}

/// What Java's properties take for themselves is escaped; the file is read as UTF-8.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' | ' ' | ':' | '=' | '#' | '!' => out.extend(['\\', character]),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_not_written_to_the_file() {
        let all =
            ["spark.master", "spark.authenticate.secret", "spark.hadoop.fs.s3a.access.key", "spark.ssl.keyPassword"];
        let conf = all.map(|key| (key.to_owned(), "x".to_owned())).into();
        let (told, kept) = part(conf);
        assert_eq!(told.into_keys().collect::<Vec<_>>(), ["spark.master"]);
        assert_eq!(kept.len(), 3);
    }

    #[test]
    fn a_value_is_one_line_whatever_it_holds() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PROPERTIES);
        let conf = [("spark.a b", "c:\\d=#\n!e é")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        write(&path, &conf).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "spark.a\\ b=c\\:\\\\d\\=\\#\\n\\!e\\ é\n");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
