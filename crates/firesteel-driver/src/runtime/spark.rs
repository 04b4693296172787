//! What Spark a folder holds.

use std::fs;
use std::path::{Path, PathBuf};

use super::RuntimeError;

/// An installed Spark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spark {
    /// The folder of `jars` and `bin`.
    pub home: PathBuf,
    /// As in the name of its core jar, so a vendor's suffix is kept.
    pub version: String,
    /// `2.12` or `2.13`.
    pub scala: String,
}

impl Spark {
    /// Looks at the jars of `home`. A Spark that is not served is refused.
    pub fn at(home: &Path) -> Result<Self, RuntimeError> {
        let not = |reason: String| RuntimeError::NotSpark { folder: home.to_path_buf(), reason };
        let jars = home.join("jars");
        let entries = fs::read_dir(&jars).map_err(|error| not(format!("its folder `jars`: {error}")))?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut cores: Vec<(String, String)> = names.filter_map(|name| core(&name)).collect();
        cores.sort();
        let (scala, version) = match cores.as_slice() {
            [] => {
                return Err(not("there is no `spark-core` in its folder `jars`".to_owned()));
            }
            [one] => one.clone(),
            [_, _, ..] => {
                return Err(not("there is more than one `spark-core` in its folder `jars`".to_owned()));
            }
        };
        match (line(&version), scala.as_str()) {
            (Some((3, 5)), "2.12" | "2.13") | (Some((4, _)), "2.13") => {
                Ok(Self { home: home.to_path_buf(), version, scala })
            }
            _ => Err(RuntimeError::UnsupportedSpark { folder: home.to_path_buf(), version }),
        }
    }

    /// The major and minor number.
    pub fn line(&self) -> (u32, u32) {
        line(&self.version).expect("a Spark without a version is refused")
    }

    /// Every jar, by name: the class path of a class-data archive must list the same jars in the same order.
    pub fn jars(home: &Path) -> Result<Vec<PathBuf>, RuntimeError> {
        let folder = home.join("jars");
        let entries = fs::read_dir(&folder).map_err(|source| RuntimeError::io("list", &folder, source))?;
        let mut jars: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        jars.retain(|path| path.extension().is_some_and(|extension| extension == "jar"));
        jars.sort();
        Ok(jars)
    }

    /// What `PYTHONPATH` needs for a Python that is not this Spark's own to import `pyspark`.
    pub fn python_path(home: &Path) -> Vec<PathBuf> {
        let python = home.join("python");
        let archives = fs::read_dir(python.join("lib")).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut archives: Vec<PathBuf> =
            archives.filter(|path| path.extension().is_some_and(|extension| extension == "zip")).collect();
        archives.sort();
        if python.join("pyspark/__init__.py").is_file() {
            archives.retain(|path| path.file_name().is_none_or(|name| name != "pyspark.zip"));
            archives.insert(0, python);
        }
        archives
    }
}

/// Takes `spark-core_2.13-4.3.0.jar` apart: the Scala version and Spark's own.
fn core(name: &str) -> Option<(String, String)> {
    let (scala, version) = name.strip_prefix("spark-core_")?.strip_suffix(".jar")?.split_once('-')?;
    // `spark-core_2.13-4.3.0-tests.jar` is another thing; a vendor's suffix has a digit.
    let other = ["tests", "sources", "javadoc"].iter().any(|suffix| version.ends_with(suffix));
    (!other).then(|| (scala.to_owned(), version.to_owned()))
}

/// The major and minor number of a version.
pub fn line(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    let mut part = || parts.next()?.split('-').next()?.parse().ok();
    Some((part()?, part()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spark(jars: &[&str]) -> (tempfile::TempDir, Result<Spark, RuntimeError>) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("jars")).unwrap();
        for jar in jars {
            fs::write(folder.path().join("jars").join(jar), "").unwrap();
        }
        let spark = Spark::at(folder.path());
        (folder, spark)
    }

    #[test]
    fn a_served_spark_is_known_by_its_core_jar() {
        let cases = [
            ("spark-core_2.12-3.5.1.jar", "2.12", "3.5.1", (3, 5)),
            ("spark-core_2.13-3.5.0-amzn-1.jar", "2.13", "3.5.0-amzn-1", (3, 5)),
            ("spark-core_2.13-4.3.0.jar", "2.13", "4.3.0", (4, 3)),
        ];
        for (jar, scala, version, line) in cases {
            let spark = spark(&["py4j.jar", jar, "spark-core_2.13-4.3.0-tests.jar"]).1.unwrap();
            assert_eq!((spark.scala.as_str(), spark.version.as_str(), spark.line()), (scala, version, line));
        }
    }

    #[test]
    fn others_are_refused_by_name() {
        for jar in ["spark-core_2.12-3.4.1.jar", "spark-core_2.13-5.0.0.jar", "spark-core_2.12-4.0.0.jar"] {
            let refused = spark(&[jar]).1.unwrap_err().to_string();
            assert!(refused.contains("3.5 or 4.x"), "{refused}");
        }
        let empty = spark(&[]).1.unwrap_err().to_string();
        assert!(empty.contains("no `spark-core`"), "{empty}");
        let two = spark(&["spark-core_2.13-4.3.0.jar", "spark-core_2.13-4.1.1.jar"]).1.unwrap_err().to_string();
        assert!(two.contains("more than one"), "{two}");
        let nothing = Spark::at(Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(nothing.contains("not a Spark"), "{nothing}");
    }

    #[test]
    fn a_distribution_gives_its_python_folder_and_py4j() {
        let (folder, _) = spark(&[]);
        let python = folder.path().join("python");
        fs::create_dir_all(python.join("pyspark")).unwrap();
        fs::create_dir_all(python.join("lib")).unwrap();
        for name in ["pyspark/__init__.py", "lib/pyspark.zip", "lib/py4j-0.10.9.9-src.zip"] {
            fs::write(python.join(name), "").unwrap();
        }
        let expected = [python.clone(), python.join("lib/py4j-0.10.9.9-src.zip")];
        assert_eq!(Spark::python_path(folder.path()), expected);
    }
}
