//! `[containment]`: what holds the process itself, should a guest break out of its
//! sandbox.

use super::document::Node;
use super::walk::{Section, Wrong, choice};

/// `[containment]`: what the process may do to the machine. Everything that the
/// kernel has is in force unless it is switched off here, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Containment {
    /// What is switched off: `no-new-privileges`, `seccomp`, `landlock`. Nothing by
    /// default. The first only together with the other two, which do not work
    /// without it.
    pub without: Vec<Protection>,
}

/// One of the kernel's protections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Nothing that is started can gain rights that the process does not have
    /// (`PR_SET_NO_NEW_PRIVS`).
    NoNewPrivileges,
    /// Only the system calls that a server needs (seccomp).
    Seccomp,
    /// Only the folders that a server needs, and no connections (landlock).
    Landlock,
}

impl Protection {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NoNewPrivileges, Self::Seccomp, Self::Landlock];

    /// The name that switches it off.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoNewPrivileges => "no-new-privileges",
            Self::Seccomp => "seccomp",
            Self::Landlock => "landlock",
        }
    }
}

impl Containment {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let without = section.list("without", protection).unwrap_or_default();
        let off = |protection| without.contains(&protection);
        if off(Protection::NoNewPrivileges)
            && !(off(Protection::Seccomp) && off(Protection::Landlock))
        {
            section.refuse(
                "without",
                "seccomp and landlock need `no-new-privileges`; list all three, or leave it on",
            );
        }
        Self { without }
    }
}

fn protection(node: &Node) -> Result<Protection, Wrong> {
    choice(&Protection::ALL.map(|protection| (protection.name(), protection)))(node)
}
