//! The processes of this machine, by `/proc`.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

/// One process.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// Its arguments, separated by blanks.
    pub(crate) command: String,
    /// Its environment, one variable a line.
    pub(crate) environment: String,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let command: String = self.command.chars().take(160).collect();
        write!(f, "{} {command}", self.pid)
    }
}

impl Process {
    /// The process that started it; `None` where it is gone.
    pub(crate) fn parent(&self) -> Option<i32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
    }

    /// Tells whether a driver is the ancestor of it.
    fn is_marked(&self, cluster: &str) -> bool {
        let mark = format!("FIRESTEEL_DRIVER={cluster}");
        self.environment.lines().any(|variable| variable.starts_with(&mark))
    }
}

/// Everything that a server with this data folder and cluster has started, drivers and what they started.
pub(crate) fn of(data: &Path, cluster: &str) -> Vec<Process> {
    let data = data.to_str().unwrap();
    let driver = |process: &Process| process.command.contains(" driver ") && process.command.contains(data);
    all().into_iter().filter(|process| process.is_marked(cluster) || driver(process)).collect()
}

/// What the driver of a cluster has started, directly or not.
pub(crate) fn marked(cluster: &str) -> Vec<Process> {
    all().into_iter().filter(|process| process.is_marked(cluster)).collect()
}

/// Processes that were given a path in this folder as an argument.
pub(crate) fn with_argument(folder: &Path) -> Vec<Process> {
    let folder = folder.to_str().unwrap();
    all().into_iter().filter(|process| process.command.contains(folder)).collect()
}

/// The driver of a cluster.
pub(crate) fn driver(data: &Path, cluster: &str) -> Process {
    let own = |process: &Process| process.command.contains(" driver ") && process.command.contains(cluster);
    let found = of(data, cluster).into_iter().find(own);
    found.expect("the cluster has a driver")
}

/// The JVM of a cluster.
pub(crate) fn jvm(data: &Path, cluster: &str) -> Process {
    let is_java = |process: &Process| process.command.split(' ').next().is_some_and(|word| word.ends_with("/java"));
    of(data, cluster).into_iter().find(is_java).expect("the cluster has a JVM")
}

/// The process with this number.
pub(crate) fn with_pid(pid: i32) -> Option<Process> {
    all().into_iter().find(|process| process.pid == pid)
}

/// Tells whether a process is there and not a zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    with_pid(pid).is_some()
}

/// Returns a figure of `/proc/PID/status` in KiB.
pub(crate) fn kib(pid: i32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The addresses that processes listen on, with those that do.
pub(crate) fn listening(processes: &[Process]) -> Vec<(IpAddr, Process)> {
    let mut found = Vec::new();
    for process in processes {
        let sockets: Vec<String> = fs::read_dir(format!("/proc/{}/fd", process.pid))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                fs::read_link(entry.path())
                    .ok()?
                    .to_str()?
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')
                    .map(str::to_owned)
            })
            .collect();
        for table in ["tcp", "tcp6"] {
            let table = fs::read_to_string(format!("/proc/{}/net/{table}", process.pid)).unwrap_or_default();
            for line in table.lines().skip(1) {
                // Local address, state (0A is listening), inode.
                let words: Vec<&str> = line.split_whitespace().collect();
                if words[3] == "0A" && sockets.iter().any(|inode| inode == words[9]) {
                    found.push((address(words[1].split(':').next().unwrap()), process.clone()));
                }
            }
        }
    }
    found
}

/// Reads an address as `/proc/net/tcp` writes it: words of 32 bits, in the order of this machine's bytes.
fn address(hex: &str) -> IpAddr {
    let words = hex.as_bytes().chunks(8).map(|word| u32::from_str_radix(str::from_utf8(word).unwrap(), 16).unwrap());
    let bytes: Vec<u8> = words.flat_map(u32::to_ne_bytes).collect();
    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::from(four),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap()).to_canonical(),
    }
}

/// Every process that runs; a zombie has no command line, and is not among them.
fn all() -> Vec<Process> {
    let read = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let text = |name: &str, between: &str| {
            let bytes = fs::read(entry.path().join(name)).ok()?;
            Some(String::from_utf8_lossy(&bytes).replace('\0', between))
        };
        let command = text("cmdline", " ")?;
        let environment = text("environ", "\n").unwrap_or_default();
        (!command.is_empty()).then_some(Process { pid, command, environment })
    };
    fs::read_dir("/proc").unwrap().flatten().filter_map(read).collect()
}
