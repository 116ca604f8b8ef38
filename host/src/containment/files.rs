//! Landlock: what of the file system there is, and which ports can be connected to:
//! none, but those of a plan.
//!
//! The threat: code that runs in this process reads the machine's secrets, writes
//! where something else will run it, starts a shell, or sends out what it found.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
    make_bitflags,
};

use super::{Applied, NotContained, Plan, Role};
use crate::config::Protection;

/// What is asked for. A kernel with less gives what it has; one with more has rights
/// that we do not know how to do without. Raise it with a look at what it adds.
const ASKED: ABI = ABI::V7;

/// What the process and its libraries read of the system: how many processors there
/// are (`/sys`, control groups), its own pages and limits. Of other processes, the
/// kernel shows a process under landlock only what everybody may see.
const SYSTEM: [&str; 4] =
    ["/proc", "/sys/fs/cgroup", "/sys/devices/system/cpu", "/etc/ld.so.cache"];

/// What an input or output that nobody wants is connected to.
const NULL: &str = "/dev/null";

/// Where random numbers come from on a kernel without `getrandom(2)`.
const RANDOM: &str = "/dev/urandom";

pub(super) fn restrict(plan: &Plan) -> Result<Applied, NotContained> {
    let status = enforce(plan).map_err(|error| NotContained::new(Protection::Landlock, error))?;
    let LandlockStatus::Available { effective_abi, .. } = status.landlock else {
        return Ok(Applied::KernelLacks);
    };
    let what = format!("landlock ABI {effective_abi}");
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Applied::Whole(what),
        RulesetStatus::PartiallyEnforced => {
            Applied::Partly(what, format!("what landlock has since ABI {ASKED}, of a newer kernel"))
        }
        RulesetStatus::NotEnforced => Applied::KernelLacks,
    })
}

fn enforce(plan: &Plan) -> Result<landlock::RestrictionStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(ASKED))?
        .handle_access(AccessNet::from_all(ASKED))?
        .scope(Scope::from_all(ASKED))?
        .create()?;
    let dir = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = dir
        | make_bitflags!(AccessFs::{
            WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir | Refer
        });
    rules = allow(rules, SYSTEM.map(Path::new), dir)?;
    rules = allow(rules, &plan.read, dir)?;
    rules = allow(rules, &plan.write, write)?;
    rules = allow(rules, &plan.remove, AccessFs::RemoveFile.into())?;
    rules = allow(rules, [NULL], AccessFs::ReadFile | AccessFs::WriteFile)?;
    rules = allow(rules, [RANDOM], AccessFs::ReadFile.into())?;
    if plan.role == Role::Server {
        rules = allow(rules, own_code(), AccessFs::ReadFile | AccessFs::Execute)?;
    }
    for port in &plan.connect {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    rules.restrict_self()
}

/// Allows `access` to what is at `paths` and below. What is not there needs no rule.
fn allow(
    mut rules: RulesetCreated,
    paths: impl IntoIterator<Item = impl AsRef<Path>>,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    for path in paths {
        let path = path.as_ref();
        let Ok(file) = PathFd::new(path) else { continue };
        // A file has no entries, and the kernel takes no rule that says so.
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(ASKED) };
        rules = rules.add_rule(PathBeneath::new(file, access))?;
    }
    Ok(rules)
}

/// The files whose code this process runs: its program, the loader, the libraries. A
/// compiler is the same program, and needs no other.
fn own_code() -> BTreeSet<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut code: BTreeSet<_> = maps.lines().filter_map(executable).collect();
    code.insert(PathBuf::from("/proc/self/exe"));
    code
}

/// The file of a line of `/proc/self/maps`, if its code can run.
fn executable(line: &str) -> Option<PathBuf> {
    let (region, file) = line.split_once('/')?;
    let rights = region.split_whitespace().nth(1)?;
    rights.contains('x').then(|| Path::new("/").join(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_may_be_executed() {
        let lines = "\
00400000-00600000 r--p 00000000 fe:01 12   /opt/bulk head/bulkhead
00600000-00900000 r-xp 00200000 fe:01 12   /opt/bulk head/bulkhead
7f01-7f02 r--s 00000000 fe:01 13           /etc/secret
7f03-7f04 r-xp 00000000 00:00 0            [vdso]
7f05-7f06 rwxp 00000000 00:00 0 ";
        let found: Vec<_> = lines.lines().filter_map(executable).collect();
        assert_eq!(found, [Path::new("/opt/bulk head/bulkhead")]);
    }
}
