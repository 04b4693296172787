//! Which cluster to use when none was named.

use std::fmt::Write as _;

use firesteel_api::ClusterId;
use firesteel_api::clusters::{ClusterStatus, ClusterView};

/// The name of the cluster that is meant among many.
const DEFAULT: &str = "default";

/// Why no cluster could be picked.
#[derive(Debug, thiserror::Error)]
pub(super) enum PickError {
    /// There is none at all.
    #[error("the server has no cluster; create one first")]
    None,
    /// None takes commands.
    #[error("no cluster is running; start one of these or wait, or name one with `--cluster-id`:\n{0}")]
    NotRunning(String),
    /// Several do.
    #[error("several clusters are running; name one with `--cluster-id`:\n{0}")]
    Many(String),
}

/// Picks the cluster that runs, or the one named `default` of several; where none runs, one that is being started.
pub(super) fn pick(clusters: &[ClusterView]) -> Result<ClusterId, PickError> {
    use ClusterStatus::{Pending, Reconfiguring, Running};
    if clusters.is_empty() {
        return Err(PickError::None);
    }
    for statuses in [&[Running, Reconfiguring][..], &[Pending]] {
        let fit = clusters.iter().filter(|cluster| statuses.contains(&cluster.status)).collect::<Vec<_>>();
        let named = || fit.iter().filter(|cluster| cluster.name == DEFAULT).collect::<Vec<_>>();
        match fit[..] {
            [] => {}
            [one] => return Ok(one.id.clone()),
            _ => match named()[..] {
                [one] => return Ok(one.id.clone()),
                _ => return Err(PickError::Many(list(&fit))),
            },
        }
    }
    Err(PickError::NotRunning(list(&clusters.iter().collect::<Vec<_>>())))
}

fn list(clusters: &[&ClusterView]) -> String {
    let wide = clusters.iter().map(|cluster| cluster.id.as_str().len()).max().unwrap_or_default();
    let mut text = String::new();
    for cluster in clusters {
        let name = cluster.name.escape_debug();
        writeln!(text, "  {:wide$}  {:?}  {name}", cluster.id.as_str(), cluster.status)
            .expect("a string takes any text");
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Picks among clusters written as `id:name:Status`.
    fn check(clusters: &str, expected: &str) {
        let clusters = clusters.split_whitespace().map(|text| {
            let [id, name, status] = text.split(':').collect::<Vec<_>>()[..] else { panic!("{text}") };
            let status = serde_json::from_value(status.into()).unwrap();
            let id = id.parse().unwrap();
            ClusterView { driver_ip: String::new(), id, jdbc_port: 1, name: name.into(), num_workers: 0, status }
        });
        let picked = pick(&clusters.collect::<Vec<_>>());
        let picked = picked.map_or_else(|error| error.to_string(), |id| id.to_string());
        assert_eq!(picked, expected);
    }

    #[test]
    fn the_one_that_runs_is_meant() {
        check("a:x:Running b:y:Terminated c:default:Pending", "a");
        check("a:x:Running b:default:Reconfiguring", "b");
        check("a:x:Pending b:y:Error", "a");
        check("a:x:Terminated b:default:Pending c:y:Pending", "b");
    }

    #[test]
    fn when_it_is_not_clear_they_are_listed() {
        check("", "the server has no cluster; create one first");
        check(
            "a:x:Running b1:y:Running c:z:Pending",
            "several clusters are running; name one with `--cluster-id`:\n  a   Running  x\n  b1  Running  y",
        );
        check(
            "a:x:Terminated",
            "no cluster is running; start one of these or wait, or name one with `--cluster-id`:\n  a  Terminated  x",
        );
    }
}
