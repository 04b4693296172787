//! The runtimes that clusters can be made with, and which of them a `spark_version` means.
//!
//! The folder is read at each look: a runtime that is added while the server runs is there for the next cluster.

use std::path::{Path, PathBuf};

use firesteel_api::v2::catalog::{SparkVersion, SparkVersions};
use firesteel_driver::runtime::{Runtime, spark};

use super::folders;

/// The first service release whose Spark is 3.5, and the first whose Spark is 4 (`docs/operations.md` has the table).
const SERVICE_SPARKS: [(u32, u32); 2] = [(14, 3), (17, 4)];

/// The service releases that a key can mean. Below are Sparks that are not served.
const SERVICE_RELEASES: std::ops::RangeInclusive<u32> = 14..=99;

/// The runtimes of a data folder, one of them the default.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    data: PathBuf,
    default: String,
}

impl Registry {
    /// Those of a data folder; `default` is the name of the one that clusters get which ask for none.
    pub(crate) fn new(data: &Path, default: &str) -> Self {
        Self { data: data.to_path_buf(), default: default.to_owned() }
    }

    /// Returns the runtime that a `spark_version` means. The error says which there are.
    pub(crate) fn find(&self, wanted: Option<&str>) -> Result<Runtime, String> {
        let runtimes = self.runtimes()?;
        let wanted = wanted.map(str::trim).filter(|wanted| !wanted.is_empty());
        let found = match wanted {
            None => runtimes.iter().find(|runtime| runtime.name == self.default),
            Some(wanted) => choose(&runtimes, wanted),
        };
        found.cloned().ok_or_else(|| {
            let keys: Vec<String> = versions(&runtimes).into_iter().map(|version| version.key).collect();
            let what = match wanted {
                None => format!("the default runtime `{}` is gone", self.default),
                Some(wanted) => {
                    let shown: String = wanted.chars().take(80).collect();
                    format!("spark_version `{shown}` is not installed")
                }
            };
            format!("{what}; there are {}. `firesteel runtime add` installs another", keys.join(", "))
        })
    }

    /// Returns every runtime that can be used, the default first.
    pub(crate) fn versions(&self) -> SparkVersions {
        let versions = versions(&self.runtimes().unwrap_or_else(|error| {
            tracing::error!("{error}");
            Vec::new()
        }));
        let default_version_key = versions.first().map(|version| version.key.clone()).unwrap_or_default();
        SparkVersions { default_version_key, versions }
    }

    /// The default first, then the newest Spark, then by name.
    fn runtimes(&self) -> Result<Vec<Runtime>, String> {
        let listed = folders::list(&self.data).map_err(|error| error.to_string())?;
        let whole = listed.into_iter().filter_map(|listed| listed.runtime);
        let mut runtimes: Vec<Runtime> = whole.filter(|runtime| runtime.missing().is_none()).collect();
        runtimes.sort_by_key(|runtime| std::cmp::Reverse(numbers(&runtime.spark_version)));
        runtimes.sort_by_key(|runtime| runtime.name != self.default);
        Ok(runtimes)
    }
}

/// The key is Spark's version and Scala's, as clients look for them in it; the runtime's own name where another has that key.
fn versions(runtimes: &[Runtime]) -> Vec<SparkVersion> {
    let mut versions: Vec<SparkVersion> = Vec::new();
    for runtime in runtimes {
        let key = format!("{}-scala{}", runtime.spark_version, runtime.scala_version);
        let taken = versions.iter().any(|version| version.key == key);
        let long = if spark::line(&runtime.spark_version) == Some((3, 5)) { " LTS" } else { "" };
        versions.push(SparkVersion {
            key: if taken { runtime.name.clone() } else { key },
            name: format!(
                "Apache Spark {}{long} (Scala {}, Python {}, Java {}; runtime {})",
                runtime.spark_version,
                runtime.scala_version,
                runtime.python_version,
                runtime.java_version,
                runtime.name
            ),
        });
    }
    versions
}

/// A name first; then a version of Spark, in full or cut; then a release of the service. Of several the first that fits: the default,
/// then the newest.
fn choose<'a>(runtimes: &'a [Runtime], wanted: &str) -> Option<&'a Runtime> {
    if let Some(named) = runtimes.iter().find(|runtime| runtime.name == wanted) {
        return Some(named);
    }
    let key = Key::read(wanted)?;
    let scala = |runtime: &&Runtime| key.scala.is_none_or(|scala| scala == runtime.scala_version);
    let exact = |runtime: &&Runtime| scala(runtime) && key.version == runtime.spark_version;
    let cut = |runtime: &&Runtime| {
        let (wanted, own) = (key.numbers(), numbers(&runtime.spark_version));
        scala(runtime) && wanted.is_some_and(|wanted| own.starts_with(&wanted))
    };
    let generation = |runtime: &&Runtime| {
        let own = numbers(&runtime.spark_version).first().copied();
        scala(runtime) && key.generation().is_some_and(|generation| own == Some(generation))
    };
    let find = |fits: &dyn Fn(&&Runtime) -> bool| runtimes.iter().find(|runtime| fits(runtime));
    // A key that names no exact version means the newest of its kind, be the default another.
    let newest = |fits: &dyn Fn(&&Runtime) -> bool| {
        runtimes.iter().filter(|runtime| fits(runtime)).rev().max_by_key(|runtime| numbers(&runtime.spark_version))
    };
    find(&exact).or_else(|| newest(&cut)).or_else(|| newest(&generation))
}

/// A key taken apart: `15.4.x-cpu-ml-scala2.12` is the version `15.4.x` for Scala `2.12`. What is between says nothing here.
struct Key<'a> {
    version: &'a str,
    scala: Option<&'a str>,
}

impl<'a> Key<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split('-');
        let version = parts.next()?;
        let scala = parts.filter_map(|part| part.strip_prefix("scala")).next();
        let begins = version.starts_with(|c: char| c.is_ascii_digit());
        begins.then_some(Self { version, scala })
    }

    /// The numbers before an `x`; `None` where there is something else.
    fn numbers(&self) -> Option<Vec<u32>> {
        let words: Vec<&str> = self.version.split('.').collect();
        let words = words.strip_suffix(&["x"]).unwrap_or(&words);
        words.iter().map(|word| word.parse().ok()).collect()
    }

    /// The major version of Spark in a release of the service.
    fn generation(&self) -> Option<u32> {
        let release = *self.numbers()?.first()?;
        let fits = SERVICE_SPARKS.iter().rev().find(|(first, _)| release >= *first);
        fits.filter(|_| SERVICE_RELEASES.contains(&release)).map(|(_, spark)| *spark)
    }
}

/// The numbers of a version, to compare by.
fn numbers(version: &str) -> Vec<u32> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use firesteel_driver::runtime::Origin;

    use super::*;

    fn runtime(name: &str, spark: &str) -> Runtime {
        Runtime {
            name: name.into(),
            spark_home: "/spark".into(),
            spark_version: spark.into(),
            scala_version: if spark.starts_with("3.") { "2.12" } else { "2.13" }.into(),
            java_home: "/java".into(),
            java_version: "17.0.15".into(),
            python: "/python".into(),
            python_version: "3.11.7".into(),
            python_path: Vec::new(),
            origin: Origin::Made,
        }
    }

    #[test]
    fn a_spark_version_is_a_name_a_version_of_spark_or_a_release_of_the_service() {
        let runtimes = [
            runtime("spark-4.1.4", "4.1.4"),
            runtime("spark-4.3.0", "4.3.0"),
            runtime("old", "4.1.2"),
            runtime("spark-3.5", "3.5.9"),
        ];
        let cases = [
            ("old", "old"),
            ("4.3.0", "spark-4.3.0"),
            ("4.1.2", "old"),
            ("4.1.2-scala2.13", "old"),
            ("4.1", "spark-4.1.4"),
            ("4.1.x", "spark-4.1.4"),
            ("4.x", "spark-4.3.0"),
            ("3.5.x-scala2.12", "spark-3.5"),
            ("14.3.x-scala2.12", "spark-3.5"),
            ("15.4.x-cpu-ml-scala2.12", "spark-3.5"),
            ("16.4.x-photon-scala2.12", "spark-3.5"),
            ("17.3.x-scala2.13", "spark-4.3.0"),
        ];
        for (wanted, expected) in cases {
            assert_eq!(choose(&runtimes, wanted).map(|found| found.name.as_str()), Some(expected), "{wanted}");
        }
        for unknown in ["4.3.1", "3.4.x", "15.4.x-scala2.13", "4.1.x-scala2.12", "13.3.x-scala2.12", "auto", "x", "4.4"]
        {
            assert!(choose(&runtimes, unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn each_runtime_has_a_key_that_finds_it() {
        let runtimes = [runtime("a", "4.3.0"), runtime("b", "4.3.0"), runtime("c", "3.5.9")];
        let versions = versions(&runtimes);
        let keys: Vec<&str> = versions.iter().map(|version| version.key.as_str()).collect();
        assert_eq!(keys, ["4.3.0-scala2.13", "b", "3.5.9-scala2.12"]);
        for (key, runtime) in keys.iter().zip(&runtimes) {
            assert_eq!(choose(&runtimes, key), Some(runtime), "{key}");
        }
        assert!(versions[2].name.starts_with("Apache Spark 3.5.9 LTS (Scala 2.12"), "{}", versions[2].name);
    }

    #[test]
    fn one_that_is_not_there_is_refused_with_those_that_are() {
        let data = tempfile::tempdir().unwrap();
        let registry = Registry::new(data.path(), "mine");
        let jars = data.path().join("spark/jars");
        std::fs::create_dir_all(&jars).unwrap();
        std::fs::write(jars.join("spark-core_2.13-4.3.0.jar"), "").unwrap();
        let java = data.path().join("java/bin/java");
        std::fs::create_dir_all(java.parent().unwrap()).unwrap();
        std::fs::write(&java, "").unwrap();
        let own = Runtime {
            spark_home: data.path().join("spark"),
            java_home: data.path().join("java"),
            python: java,
            ..runtime("mine", "4.3.0")
        };
        assert!(registry.find(None).unwrap_err().contains("`mine` is gone"));
        let folder = data.path().join("runtimes/mine");
        std::fs::create_dir_all(&folder).unwrap();
        own.write(&folder).unwrap();
        // It is there from now on, without another word.
        assert_eq!(registry.find(None).unwrap(), own);
        assert_eq!(registry.find(Some(" ")).unwrap(), own);
        let refused = registry.find(Some("2.4.x")).unwrap_err();
        assert_eq!(
            refused,
            "spark_version `2.4.x` is not installed; there are 4.3.0-scala2.13. `firesteel runtime add` installs another"
        );
        let listed = registry.versions();
        assert_eq!((listed.versions.len(), listed.default_version_key.as_str()), (1, "4.3.0-scala2.13"));
    }
}
