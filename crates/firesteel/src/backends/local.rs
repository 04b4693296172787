//! This machine. Without workers Spark runs inside the driver; with them, on a standalone Master and Workers that the driver
//! starts and ends.

use firesteel_driver::runtime::{node, python_sources};
use firesteel_driver::spec::{DriverSpec, ExecutorsSpec, WorkersSpec};
use serde::Deserialize;

use crate::backends::{Place, Prepared, defaults, leaving, scaling};

/// A Worker of no named kind has this part of the machine, unless the configuration says otherwise.
const SHARE: u64 = 4;

/// The least memory of an executor, in MiB: Spark refuses to start one with less than 450.
const MEMORY_MB_MIN: u32 = 512;

/// The most that can be asked for, in MiB.
const MEMORY_MB_MAX: u32 = 1 << 22;

/// The most workers on one machine: each is two JVMs.
const WORKERS_MAX: u32 = 64;

/// `kind = "local"`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Local {
    /// How many tasks a Worker runs at once.
    worker_cores: Option<u32>,
    /// The memory of a Worker's executor, in MiB.
    worker_memory_mb: Option<u32>,
}

impl Local {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.worker_cores.is_some_and(|cores| !(1..=1024).contains(&cores)) {
            return Err(("worker_cores", "must be from 1 to 1024".to_owned()));
        }
        let memory = MEMORY_MB_MIN..=MEMORY_MB_MAX;
        if self.worker_memory_mb.is_some_and(|memory_mb| !memory.contains(&memory_mb)) {
            return Err(("worker_memory_mb", format!("must be from {MEMORY_MB_MIN} to {MEMORY_MB_MAX}")));
        }
        Ok(())
    }

    /// What one Worker offers: the node type that was named, or what is configured, or a quarter of the machine.
    fn worker(&self, place: Place<'_>) -> Result<(u32, u32), String> {
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let share = match place.settings.node_type_id.as_deref() {
            Some(name) => place.machine.share(Some(name))?,
            None => place.machine.part(SHARE),
        };
        let named = place.settings.node_type_id.is_some();
        let configured = |own: Option<u32>| own.filter(|_| !named);
        let cores = configured(self.worker_cores).unwrap_or_else(|| small(share.cores));
        let memory_mb = configured(self.worker_memory_mb).unwrap_or_else(|| small(share.heap_mb()));
        Ok((cores, memory_mb.max(MEMORY_MB_MIN)))
    }

    pub(super) fn place(&self, place: Place<'_>, spec: &mut DriverSpec) -> Result<(), String> {
        let (least, most) = (place.settings.workers_min(), place.settings.workers_max());
        if most == 0 {
            let node = place.settings.driver_node().map(|node| place.machine.share(Some(node))).transpose()?;
            let master = node.map_or("local[*]".to_owned(), |node| format!("local[{}]", node.cores));
            defaults(spec, [("spark.master", master)]);
            return Ok(());
        }
        let (cores, memory_mb) = self.worker(place)?;
        let Prepared { runtime, jar, archive } = place.prepared;
        let mut command = node::node_command(runtime, jar, archive).map_err(|error| error.to_string())?;
        let class_path = node::executor_class_path(runtime, jar).map_err(|error| error.to_string())?;
        defaults(spec, [("spark.executor.extraClassPath", class_path)]);
        defaults(spec, [("spark.executor.extraJavaOptions", node::executor_flags(archive))]);
        // Executors' Python finds what the driver's does; and it starts without the secret in its environment.
        command.env.extend(spec.python.env.get("PYTHONPATH").map(|path| ("PYTHONPATH".to_owned(), path.clone())));
        spec.conf.insert("spark.python.daemon.module".to_owned(), python_sources::DAEMON.to_owned());
        // One executor takes a Worker whole.
        spec.conf.insert("spark.executor.memory".to_owned(), format!("{memory_mb}m"));
        spec.conf.remove("spark.executor.cores");
        defaults(spec, leaving());
        let max = place.settings.autoscale.map(|_| most);
        if max.is_some() {
            defaults(spec, scaling(least, most));
        }
        // What a cluster's owner sets for user code is set for what runs on executors, too.
        for (name, value) in &place.settings.spark_env_vars {
            command.env.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let workers = Some(WorkersSpec { command, cores, memory_mb });
        spec.executors = Some(ExecutorsSpec { count: least, max, lost_master_seconds: None, workers });
        Ok(())
    }
}

/// Tells whether a cluster of this size can be had.
pub(super) fn can_have(least: u32, most: u32) -> Result<(), String> {
    if most > WORKERS_MAX {
        return Err(format!("a cluster of this backend has at most {WORKERS_MAX} workers"));
    }
    if least == 0 && most > 0 {
        return Err("autoscale: min_workers must be at least 1".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_none_or_within_bounds() {
        for (least, most, fits) in [(0, 0, true), (1, 1, true), (1, 64, true), (65, 65, false), (0, 2, false)] {
            assert_eq!(can_have(least, most).is_ok(), fits, "{least}..{most}");
        }
    }
}
