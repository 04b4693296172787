//! Which Java there is, and a Java that lacks what Spark asks for made to do.

use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, io};

use super::RuntimeError;
use super::child::{Ended, Run};
use super::spark::Spark;

/// A JVM that does not say its version in this time is passed over.
const PROBE_TIME: Duration = Duration::from_secs(20);
/// What Spark 4 asks of every JVM that it starts, and what a trimmed Java lacks.
const VECTOR: &str = "--add-modules=jdk.incubator.vector";

/// An installed Java.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Java {
    /// The folder of `bin/java`.
    pub home: PathBuf,
    /// As it says itself.
    pub version: String,
    /// 17, 21, …
    pub major: u32,
    /// Whether it starts with every flag that Spark gives. If not, it needs [`mirror`].
    pub complete: bool,
}

/// Where to look for a Java.
#[derive(Clone, Debug, Default)]
pub struct JavaSearch {
    /// `JAVA_HOME`.
    pub home: Option<PathBuf>,
    /// `PATH`.
    pub path: Option<OsString>,
    /// Folders that hold one Java in each folder below them.
    pub folders: Vec<PathBuf>,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    /// The first one that serves.
    pub java: Option<Java>,
    /// What else was there, and why it does not serve.
    pub passed_over: Vec<String>,
}

/// The versions of Java that a Spark runs on, the best first.
pub fn majors(spark_line: (u32, u32)) -> &'static [u32] {
    match spark_line {
        (3, _) => &[17],
        _ => &[17, 21],
    }
}

impl JavaSearch {
    /// The usual places, with `JAVA_HOME` and `PATH` as given.
    pub fn usual(home: Option<PathBuf>, path: Option<OsString>) -> Self {
        let folders = ["/usr/lib/jvm", "/usr/lib64/jvm", "/usr/java", "/opt/java"];
        Self { home, path, folders: folders.map(PathBuf::from).into() }
    }

    /// Tries what there is, in order: `JAVA_HOME`, `PATH`, the folders.
    pub async fn find(&self, majors: &[u32]) -> Found {
        let mut found = Found::default();
        let mut tried = Vec::new();
        for program in self.programs() {
            let Ok(real) = program.canonicalize() else {
                continue;
            };
            if tried.contains(&real) {
                continue;
            }
            tried.push(real);
            match probe(&program).await {
                Ok(java) if majors.contains(&java.major) => {
                    found.java = Some(java);
                    break;
                }
                Ok(java) => found.passed_over.push(format!("`{}` is Java {}", java.home.display(), java.version)),
                Err(why) => found.passed_over.push(format!("`{}`: {why}", program.display())),
            }
        }
        found
    }

    fn programs(&self) -> Vec<PathBuf> {
        let mut programs: Vec<PathBuf> = self.home.iter().map(|home| home.join("bin/java")).collect();
        programs.extend(self.path.iter().flat_map(env::split_paths).map(|folder| folder.join("java")));
        for folder in &self.folders {
            let mut homes: Vec<PathBuf> =
                fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            homes.sort();
            programs.extend(homes.into_iter().map(|home| home.join("bin/java")));
        }
        programs.retain(|program| program.is_file());
        programs
    }
}

/// Asks a `java` program what it is.
pub async fn probe(program: &Path) -> Result<Java, String> {
    let ask = async |flags: &[&str]| -> Result<Ended, String> {
        let run = Run::new(program).args(flags).args(["-XshowSettings:properties", "-version"]).deadline(PROBE_TIME);
        run.to_end(&mut |_| {}).await.map_err(|error| error.to_string())
    };
    let (mut ended, mut complete) = (ask(&[VECTOR]).await?, true);
    if !ended.success() {
        (ended, complete) = (ask(&[]).await?, false);
    }
    if !ended.success() {
        return Err(ended.tail(1));
    }
    let property = |name: &str| {
        ended.lines.iter().find_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix("= "))
    };
    let (Some(home), Some(version)) = (property("java.home"), property("java.version")) else {
        return Err("it does not say its version".to_owned());
    };
    let major = major(version).ok_or_else(|| format!("its version is `{version}`"))?;
    // A mirror's wrapper names the home of what it wraps, and a shim is in no home at all.
    let own = program.parent().and_then(Path::parent).filter(|own| own.join("lib/modules").is_file());
    let home = own.map_or_else(|| home.into(), Path::to_path_buf);
    Ok(Java { home, version: version.to_owned(), major, complete })
}

/// 17 of `17.0.15`, 8 of `1.8.0_412`, 21 of `21-ea`.
fn major(version: &str) -> Option<u32> {
    let mut parts = version.split(['.', '-', '+', '_']);
    match parts.next()?.parse().ok()? {
        1 => parts.next()?.parse().ok(),
        major => Some(major),
    }
}

/// Makes `folder` a mirror of a Java that lacks the vector module: links to all of it, but a `bin/java` that drops the
/// flag. Spark, which asks for that module on every JVM it starts, then runs with `JAVA_HOME` on the mirror. Making it
/// again replaces it.
pub fn mirror(home: &Path, folder: &Path) -> Result<(), RuntimeError> {
    let make = || -> io::Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        let bin = folder.join("bin");
        fs::create_dir_all(&bin)?;
        for (from, to) in [(home.to_path_buf(), folder), (home.join("bin"), bin.as_path())] {
            for entry in fs::read_dir(from)? {
                let entry = entry?;
                let link = to.join(entry.file_name());
                if link != bin && entry.file_name() != "java" {
                    symlink(entry.path(), link)?;
                }
            }
        }
        let real = home.join("bin/java").display().to_string().replace('\'', r"'\''");
        let wrapper = bin.join("java");
        fs::write(
            &wrapper,
            format!(
                "#!/bin/sh\n\
             # Drops a module that this Java lacks and that Spark asks for on every JVM it starts.\n\
             for arg do shift; [ \"$arg\" = {VECTOR} ] || set -- \"$@\" \"$arg\"; done\n\
             exec '{real}' \"$@\"\n"
            ),
        )?;
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))
    };
    make().map_err(|source| RuntimeError::io("make a mirror of Java in", folder, source))
}

/// Says what to do where no Java serves.
pub fn advice(spark: &Spark, passed_over: &[String]) -> String {
    let wanted: Vec<String> = majors(spark.line()).iter().map(u32::to_string).collect();
    let mut text = format!("no Java {} was found; install one or set JAVA_HOME", wanted.join(" or "));
    if !passed_over.is_empty() {
        text += &format!(" (passed over: {})", passed_over.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a Java of a shell script that says `version`, and refuses the vector module unless it is `whole`.
    fn fake(folder: &Path, version: &str, whole: bool) -> PathBuf {
        let bin = folder.join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(folder.join("lib")).unwrap();
        fs::write(folder.join("lib/modules"), "").unwrap();
        let refuse = if whole { "" } else { "case \"$*\" in *incubator*) echo no such module; exit 1;; esac\n" };
        let text = format!(
            "#!/bin/sh\n{refuse}echo \"    java.home = {}\" >&2\necho '    java.version = {version}' >&2\necho \"[$*]\"\n",
            folder.display()
        );
        fs::write(bin.join("java"), text).unwrap();
        fs::set_permissions(bin.join("java"), fs::Permissions::from_mode(0o755)).unwrap();
        folder.to_path_buf()
    }

    #[tokio::test]
    async fn the_first_that_serves_is_taken_and_the_others_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let old = fake(&folder.path().join("old"), "1.8.0_412", false);
        fake(&folder.path().join("jvm/a"), "25.0.3", true);
        let good = fake(&folder.path().join("jvm/b"), "21.0.1", true);
        let search =
            JavaSearch { home: Some(old), path: None, folders: vec![folder.path().join("jvm"), "/nonexistent".into()] };
        let found = search.find(&[17, 21]).await;
        let java = found.java.unwrap();
        assert_eq!((java.home, java.major, java.complete), (good, 21, true));
        assert_eq!(found.passed_over.len(), 2, "{:?}", found.passed_over);
        assert!(found.passed_over[0].contains("Java 1.8.0_412"), "{:?}", found.passed_over);
        assert!(JavaSearch::default().find(&[17]).await.java.is_none());
    }

    #[tokio::test]
    async fn a_java_without_the_module_is_served_by_its_mirror() {
        let folder = tempfile::tempdir().unwrap();
        let home = fake(&folder.path().join("it's java"), "21.0.8", false);
        assert!(!probe(&home.join("bin/java")).await.unwrap().complete);

        let mirrored = folder.path().join("mirror");
        mirror(&home, &mirrored).unwrap();
        mirror(&home, &mirrored).unwrap();
        let java = probe(&mirrored.join("bin/java")).await.unwrap();
        assert!(java.complete);
        assert_eq!(java.home, mirrored);
        assert!(mirrored.join("lib").is_dir());

        let run = Run::new(mirrored.join("bin/java")).args(["-a b", VECTOR, "", "c"]);
        assert_eq!(run.to_end(&mut |_| {}).await.unwrap().tail(1), "[-a b  c]");
    }

    #[test]
    fn versions_are_read_as_java_writes_them() {
        let cases = [("17.0.15", 17), ("1.8.0_412", 8), ("21-ea", 21), ("25", 25)];
        for (text, expected) in cases {
            assert_eq!(major(text), Some(expected), "{text}");
        }
    }
}
