//! The kinds of nodes that this machine can be: all of it, or a share of it.

use std::path::Path;

use firesteel_api::v2::catalog::NodeType;

/// How much of a node's memory is the driver's heap, in per cent: the rest is for Python, R and what Java has beside it.
const HEAP_PERCENT: u64 = 60;

/// A machine: what its nodes can have in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    cores: u64,
    memory_mb: u64,
}

/// A share of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// How many cores.
    pub(crate) cores: u64,
    /// How much memory.
    pub(crate) memory_mb: u64,
}

impl Share {
    /// The heap of a driver on such a node, as `-Xmx` takes it.
    pub(crate) fn heap(self) -> String {
        format!("{}m", self.heap_mb())
    }

    /// The heap of a driver or an executor on such a node, in MiB.
    pub(crate) fn heap_mb(self) -> u64 {
        self.memory_mb * HEAP_PERCENT / 100
    }

    fn name(self) -> String {
        format!("local.{}", self.cores)
    }
}

impl Machine {
    /// Looks at this machine, or at what the control group of this process may use of it.
    pub(crate) fn detect() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let total = memory_total(&read("/proc/meminfo")).unwrap_or(1024);
        let group = read("/sys/fs/cgroup/memory.max").trim().parse::<u64>().ok().map(|bytes| bytes / (1024 * 1024));
        Self { cores, memory_mb: group.map_or(total, |group| group.min(total)) }
    }

    /// The shares, the smallest first: 1, 2, 4 … cores and all of them, each with as much of the memory.
    pub(crate) fn shares(self) -> Vec<Share> {
        let powers = std::iter::successors(Some(1), |cores| Some(cores * 2)).take_while(|cores| *cores < self.cores);
        let share = |cores| Share { cores, memory_mb: self.memory_mb * cores / self.cores };
        powers.chain([self.cores]).map(share).collect()
    }

    /// The share that a name stands for. All of the machine when there is none.
    pub(crate) fn share(self, name: Option<&str>) -> Result<Share, String> {
        let mut shares = self.shares();
        let Some(name) = name else { return Ok(shares.pop().expect("there is always the whole machine")) };
        let names: Vec<String> = shares.iter().map(|share| share.name()).collect();
        shares.into_iter().find(|share| share.name() == name).ok_or_else(|| {
            let name: String = name.chars().take(80).collect();
            format!("node type `{name}` is not supported; there are: {}", names.join(", "))
        })
    }

    /// One of so many equal parts, of a core at least.
    pub(crate) fn part(self, parts: u64) -> Share {
        Share { cores: (self.cores / parts).max(1), memory_mb: self.memory_mb / parts }
    }

    /// The shares as 2.x shows them.
    pub(crate) fn node_types(self) -> Vec<NodeType> {
        self.shares().into_iter().map(node_type).collect()
    }
}

fn node_type(share: Share) -> NodeType {
    let Share { cores, memory_mb } = share;
    let noun = if cores == 1 { "core" } else { "cores" };
    NodeType {
        category: "This machine".to_owned(),
        description: format!("{cores} {noun} and {} GB of this machine", memory_mb.div_ceil(1024)),
        instance_type_id: share.name(),
        is_deprecated: false,
        memory_mb,
        node_type_id: share.name(),
        #[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 cores")]
        num_cores: cores as f64,
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(path)).unwrap_or_default()
}

fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIX: Machine = Machine { cores: 6, memory_mb: 6000 };

    #[test]
    fn a_machine_has_shares_up_to_all_of_it() {
        let names: Vec<String> = SIX.node_types().into_iter().map(|kind| kind.node_type_id).collect();
        assert_eq!(names, ["local.1", "local.2", "local.4", "local.6"]);
        assert_eq!(SIX.share(None), Ok(Share { cores: 6, memory_mb: 6000 }));
        assert_eq!(SIX.share(Some("local.2")).unwrap().heap(), "1200m");
        let one = Machine { cores: 1, memory_mb: 512 };
        assert_eq!(one.shares(), [Share { cores: 1, memory_mb: 512 }]);
    }

    #[test]
    fn a_node_type_that_is_not_here_is_refused_with_those_that_are() {
        let refused = SIX.share(Some("i3.xlarge")).unwrap_err();
        assert!(refused.contains("`i3.xlarge`") && refused.contains("local.1, local.2, local.4, local.6"), "{refused}");
    }

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        assert_eq!(memory_total("MemTotal:       24576000 kB\nMemFree: 1 kB\n"), Some(24000));
        let machine = Machine::detect();
        assert!(machine.cores >= 1 && machine.memory_mb >= 64, "{machine:?}");
    }
}
