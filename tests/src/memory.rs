//! What a server process has in memory, and how much it had at most since a moment.

use rustix::process::Pid;

/// Watches how much a process grows.
#[derive(Debug)]
pub struct MemoryWatch {
    pid: Pid,
    before: u64,
}

impl MemoryWatch {
    /// Begins: the process's earlier peak is forgotten (`proc_pid_clear_refs(5)`).
    pub(crate) fn begin(pid: Pid) -> Self {
        std::fs::write(file(pid, "clear_refs"), "5").expect("it is our own child");
        Self { pid, before: bytes(pid, "VmRSS:") }
    }

    /// How many bytes more than at the beginning it had at its largest.
    pub fn grown(&self) -> u64 {
        peak(self.pid).saturating_sub(self.before)
    }
}

/// The most that a process had in memory, in bytes.
pub(crate) fn peak(pid: Pid) -> u64 {
    bytes(pid, "VmHWM:")
}

fn bytes(pid: Pid, field: &str) -> u64 {
    let status = std::fs::read_to_string(file(pid, "status")).expect("it runs");
    let kib = status.lines().find_map(|line| line.strip_prefix(field)?.strip_suffix("kB"));
    let kib: u64 = kib.and_then(|kib| kib.trim().parse().ok()).expect("the kernel tells");
    kib << 10
}

fn file(pid: Pid, name: &str) -> String {
    format!("/proc/{}/{name}", pid.as_raw_nonzero())
}
