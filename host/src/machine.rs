//! What this machine allows: how many calls at once, how much memory, how many
//! open files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::names::ByteCount;

/// The most calls that are worth room: a process serves no more at once.
pub const MAX_CALLS: u32 = 10_000;

/// The fewest calls that there is room for, however small the machine is.
const MIN_CALLS: u32 = 16;

/// Memory mappings of a call in flight: those of its sandbox (measured: memory, its
/// image, the stack, and their guards, six) and a seventh for what its sandbox leaves
/// when it was used before and others run instead.
const MAPPINGS_PER_CALL: u64 = 7;

/// Mappings left to everything else in the process: code of plugins, threads, the heap.
const MAPPINGS_RESERVED: u64 = 8_192;

/// Linux's default of `vm.max_map_count`, where it cannot be read.
const DEFAULT_MAX_MAPPINGS: u64 = 65_530;

/// The memory to reckon with where nobody tells.
const DEFAULT_MEMORY: ByteCount = ByteCount(4 << 30);

/// The open files to ask for where the hard limit cannot be had: what macOS allows.
#[cfg(unix)]
const MANY_FILES: u64 = 10_240;

/// What limits a process on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The kernel's limit of memory mappings in a process.
    pub max_mappings: u64,
    /// The memory that the process may use: the machine's, or what its control group
    /// leaves of it.
    pub memory: ByteCount,
}

impl Machine {
    /// Asks the system.
    pub fn look() -> Self {
        let max_mappings = number("/proc/sys/vm/max_map_count").unwrap_or(DEFAULT_MAX_MAPPINGS);
        let memory = machine_memory().into_iter().chain(groups().filter_map(group_memory));
        let memory = memory.min().map_or(DEFAULT_MEMORY, ByteCount);
        Self { max_mappings, memory }
    }

    /// How many calls can be in flight at once: each needs its memory mappings.
    pub fn most_calls(&self) -> u32 {
        let affordable = self.max_mappings.saturating_sub(MAPPINGS_RESERVED) / MAPPINGS_PER_CALL;
        u32::try_from(affordable).unwrap_or(MAX_CALLS).clamp(MIN_CALLS, MAX_CALLS)
    }
}

/// The control group of this process and those above it (`cgroups`(7), version 2); each
/// bounds those below it.
fn groups() -> impl Iterator<Item = PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/").to_owned();
    let groups: Vec<_> = Path::new(&own).ancestors().map(Path::to_path_buf).collect();
    groups.into_iter()
}

/// The memory that a control group may use, unless that is `max`.
fn group_memory(group: PathBuf) -> Option<u64> {
    let below = group.strip_prefix("/").unwrap_or(&group);
    number(Path::new("/sys/fs/cgroup").join(below).join("memory.max"))
}

/// The number that a file of the kernel's holds, if it holds one.
fn number(path: impl AsRef<Path>) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// `MemTotal`, which the kernel gives in KiB.
fn machine_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Raises the soft limit of open files to the hard one: each plugin keeps an image
/// open, and each client a connection. Returns what holds then.
pub fn raise_open_files() -> Option<u64> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        // macOS takes no "unlimited" here, but its own bound.
        let enough = Rlimit { current: Some(MANY_FILES), maximum: limit.maximum };
        let raised = setrlimit(Resource::Nofile, raised).is_ok()
            || (limit.current < Some(MANY_FILES) && setrlimit(Resource::Nofile, enough).is_ok());
        if raised { getrlimit(Resource::Nofile).current } else { limit.current }
    }
    #[cfg(not(unix))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_decide_how_many_calls_fit() {
        let most = |max_mappings| Machine { max_mappings, memory: DEFAULT_MEMORY }.most_calls();
        assert_eq!(most(65_530), 8_191);
        assert_eq!(most(1_048_576), MAX_CALLS);
        assert_eq!(most(1_000), MIN_CALLS);
        assert_eq!(most(u64::MAX), MAX_CALLS);
    }

    #[test]
    fn the_machine_has_memory() {
        assert!(Machine::look().memory >= ByteCount(64 << 20), "{:?}", Machine::look());
    }
}
