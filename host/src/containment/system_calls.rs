//! Seccomp: the system calls that a server makes, and no other.
//!
//! The threat: code that runs in this process reaches for the kernel's other calls, to
//! attack other processes or the kernel itself.
//!
//! Every other call is answered with `ENOSYS`, as by a kernel that does not have it:
//! the C library and the engine know how to do without a call that they only would
//! have liked (`clone3`, whose flags a filter cannot read, becomes `clone`, whose
//! flags it can). `EPERM` would be taken as an answer; killing the process would turn a
//! call that we forgot here into an outage.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Is,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::{Applied, NotContained, Plan, Role};
use crate::config::Protection;

/// What every process of ours does: memory, threads, time, files, its own end.
const COMMON: &[i64] = &[
    // Memory. The engine makes machine code, so `PROT_EXEC` is not refused.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Threads and their scheduling.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_getcpu,
    libc::SYS_getpriority,
    libc::SYS_gettid,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    // Signals: traps of guests arrive as such; an abort sends one.
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    // Time and chance.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    // Who and where.
    libc::SYS_getcwd,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrusage,
    libc::SYS_getuid,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    // Files, as far as landlock lets them be opened.
    libc::SYS_chdir,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat2,
    libc::SYS_statx,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    libc::SYS_write,
    libc::SYS_writev,
    // More containment: a compiler adds its own.
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_seccomp,
];

/// The same where the older architecture has older calls for it.
#[cfg(target_arch = "x86_64")]
const COMMON_OLD: &[i64] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_chmod,
    libc::SYS_dup2,
    libc::SYS_getrlimit,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_rmdir,
    libc::SYS_setrlimit,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];

/// `renameat` (`asm-generic/unistd.h`), which `libc` does not name there.
#[cfg(not(target_arch = "x86_64"))]
const COMMON_OLD: &[i64] = &[38];

/// What a server does besides: it answers on sockets that are there already, watches
/// its folders, and starts compilers.
const SERVER: &[i64] = &[
    // Sockets; none is bound, and made and connected only by `reach`.
    libc::SYS_accept4,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    // Waiting for events.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_rm_watch,
    // Compilers.
    libc::SYS_execve,
    libc::SYS_kill,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_wait4,
    libc::SYS_waitid,
];

#[cfg(target_arch = "x86_64")]
const SERVER_OLD: &[i64] = &[libc::SYS_epoll_wait, libc::SYS_fork, libc::SYS_vfork];

#[cfg(not(target_arch = "x86_64"))]
const SERVER_OLD: &[i64] = &[];

/// What kinds of sockets may be made, as type and protocol. Landlock bounds TCP alone, so
/// nothing else may be a stream: not MPTCP (262), not SCTP (132).
const SOCKETS: [(u64, &[u64]); 2] = [
    (libc::SOCK_STREAM as u64, &[0, libc::IPPROTO_TCP as u64]),
    (libc::SOCK_DGRAM as u64, &[0, libc::IPPROTO_UDP as u64]),
];

/// The bits of a socket's type that say which; the others are flags (`linux/net.h`).
const SOCK_TYPE_MASK: u64 = 0xf;

/// The calls that send with flags, and which argument these are. The last is how the C
/// library asks for addresses of both kinds at once.
const SENDING: [(i64, u8); 3] =
    [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)];

/// What may be asked of a device or socket. Above all not to type into a terminal
/// (`TIOCSTI`).
#[allow(clippy::unnecessary_cast, reason = "another C library declares them narrower")]
const IOCTLS: [u64; 6] = [
    libc::FIONBIO as u64,
    libc::FIONREAD as u64,
    libc::FIOCLEX as u64,
    // Whether it is a terminal, and how wide.
    libc::TCGETS as u64,
    libc::TIOCGWINSZ as u64,
    PAGEMAP_SCAN,
];

/// `PAGEMAP_SCAN` of `linux/fs.h`: which pages a call has touched.
const PAGEMAP_SCAN: u64 = 0xc060_6610;

/// What a process may set of itself.
const PRCTLS: [u64; 5] = [
    libc::PR_SET_NAME as u64,
    libc::PR_GET_NAME as u64,
    libc::PR_SET_VMA as u64,
    libc::PR_SET_NO_NEW_PRIVS as u64,
    libc::PR_SET_PDEATHSIG as u64,
];

/// What would put a new process into namespaces of its own, where it is root.
const NAMESPACES: u64 = (libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWUTS) as u64;

/// Where a kernel with seccomp's filters lists what they can do.
const HAS_FILTERS: &str = "/proc/sys/kernel/seccomp/actions_avail";

pub(super) fn restrict(plan: &Plan) -> Result<Applied, NotContained> {
    let failed = |error: seccompiler::Error| NotContained::new(Protection::Seccomp, error);
    let Ok(architecture) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Ok(Applied::KernelLacks);
    };
    let mut rules = rules(plan.role).map_err(|error| failed(error.into()))?;
    if !plan.connect.is_empty() {
        reach(&mut rules).map_err(|error| failed(error.into()))?;
    }
    let calls = rules.len();
    let filter = compile(rules, architecture).map_err(|error| failed(error.into()))?;
    match seccompiler::apply_filter(&filter) {
        Ok(()) => Ok(Applied::Whole(format!("seccomp, {calls} system calls"))),
        Err(seccompiler::Error::Seccomp(error)) if lacks_filters(&error) => {
            Ok(Applied::KernelLacks)
        }
        Err(error) => Err(failed(error)),
    }
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    architecture: TargetArch,
) -> Result<BpfProgram, BackendError> {
    let otherwise = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    SeccompFilter::new(rules, otherwise, SeccompAction::Allow, architecture)?.try_into()
}

fn lacks_filters(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL))
        && !Path::new(HAS_FILTERS).exists()
}

/// What is allowed: each call, and on which conditions; one without is always.
fn rules(role: Role) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rules = BTreeMap::new();
    let mut always = |calls: &[i64]| rules.extend(calls.iter().map(|call| (*call, Vec::new())));
    always(COMMON);
    always(COMMON_OLD);
    if role == Role::Server {
        always(SERVER);
        always(SERVER_OLD);
        // Streams alone: either end of a datagram pair can send to any local socket.
        let local = when(0, Is::Eq, libc::AF_UNIX as u64)?;
        let stream = when(1, Is::MaskedEq(SOCK_TYPE_MASK), libc::SOCK_STREAM as u64)?;
        rules.insert(libc::SYS_socketpair, vec![SeccompRule::new(vec![local, stream])?]);
    }
    let no_namespace = when(0, Is::MaskedEq(NAMESPACES), 0)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![no_namespace])?]);
    // Of this process only: 0 is oneself.
    let own = when(0, Is::Eq, 0)?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![own])?]);
    let process = when(0, Is::Eq, libc::PRIO_PROCESS.into())?;
    rules
        .insert(libc::SYS_setpriority, vec![SeccompRule::new(vec![process, when(1, Is::Eq, 0)?])?]);
    rules.insert(libc::SYS_ioctl, one_of(1, &IOCTLS)?);
    rules.insert(libc::SYS_prctl, one_of(0, &PRCTLS)?);
    Ok(rules)
}

/// Allows to connect, over IP, and to resolve names. Deliberately absent: local sockets,
/// behind which are daemons that do as root what they are told, and netlink.
fn reach(rules: &mut BTreeMap<i64, Vec<SeccompRule>>) -> Result<(), BackendError> {
    rules.insert(libc::SYS_connect, Vec::new());
    let mut sockets = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        for (kind, protocols) in SOCKETS {
            for protocol in protocols {
                sockets.push(SeccompRule::new(vec![
                    when(0, Is::Eq, family.unsigned_abs().into())?,
                    when(1, Is::MaskedEq(SOCK_TYPE_MASK), kind)?,
                    when(2, Is::Eq, *protocol)?,
                ])?);
            }
        }
    }
    rules.insert(libc::SYS_socket, sockets);
    // A message that opens its connection asks landlock nothing.
    let opens = u64::from(libc::MSG_FASTOPEN.unsigned_abs());
    for (call, flags) in SENDING {
        let does_not = when(flags, Is::MaskedEq(opens), 0)?;
        rules.insert(call, vec![SeccompRule::new(vec![does_not])?]);
    }
    Ok(())
}

fn one_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, BackendError> {
    let rule = |value: &u64| SeccompRule::new(vec![when(argument, Is::Eq, *value)?]);
    values.iter().map(rule).collect()
}

/// All arguments that are compared are 32 bits wide to the kernel.
fn when(argument: u8, is: Is, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Length::Dword, is, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_attacks_others_or_the_kernel_is_not_allowed() {
        const NEVER: &[i64] = &[
            libc::SYS_add_key,
            libc::SYS_bind,
            libc::SYS_bpf,
            libc::SYS_chroot,
            libc::SYS_clone3,
            libc::SYS_connect,
            libc::SYS_delete_module,
            libc::SYS_execveat,
            libc::SYS_finit_module,
            libc::SYS_fsopen,
            libc::SYS_init_module,
            libc::SYS_io_uring_enter,
            libc::SYS_io_uring_setup,
            libc::SYS_kexec_load,
            libc::SYS_keyctl,
            libc::SYS_listen,
            libc::SYS_mknodat,
            libc::SYS_mount,
            libc::SYS_move_mount,
            libc::SYS_name_to_handle_at,
            libc::SYS_open_by_handle_at,
            libc::SYS_open_tree,
            libc::SYS_perf_event_open,
            libc::SYS_personality,
            libc::SYS_pidfd_getfd,
            libc::SYS_pivot_root,
            libc::SYS_process_madvise,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_ptrace,
            libc::SYS_quotactl,
            libc::SYS_reboot,
            libc::SYS_request_key,
            libc::SYS_setgid,
            libc::SYS_setgroups,
            libc::SYS_setns,
            libc::SYS_setresgid,
            libc::SYS_setresuid,
            libc::SYS_setuid,
            libc::SYS_socket,
            libc::SYS_swapon,
            libc::SYS_syslog,
            libc::SYS_umount2,
            libc::SYS_unshare,
            libc::SYS_userfaultfd,
        ];
        let (server, compiler) = (rules(Role::Server).unwrap(), rules(Role::Compiler).unwrap());
        for call in NEVER {
            assert!(!server.contains_key(call) && !compiler.contains_key(call), "call {call}");
        }
        assert!(compiler.keys().all(|call| server.contains_key(call)), "it can only be less");
        for call in [libc::SYS_execve, libc::SYS_accept4, libc::SYS_socketpair, libc::SYS_kill] {
            assert!(server.contains_key(&call) && !compiler.contains_key(&call), "call {call}");
        }
    }

    #[test]
    fn whoever_reaches_out_can_connect_and_send_besides_and_nothing_else() {
        let server = rules(Role::Server).unwrap();
        let mut reaching = rules(Role::Server).unwrap();
        reach(&mut reaching).unwrap();
        let more: Vec<_> = reaching.keys().filter(|call| !server.contains_key(call)).collect();
        let mut expected = [libc::SYS_socket, libc::SYS_connect, libc::SYS_sendmmsg];
        expected.sort_unstable();
        assert_eq!(more, expected.iter().collect::<Vec<_>>());
        assert_eq!(reaching[&libc::SYS_socket].len(), 8);
    }

    #[test]
    fn the_filter_can_be_made_for_both_architectures() {
        for architecture in [TargetArch::x86_64, TargetArch::aarch64] {
            let mut rules = rules(Role::Server).unwrap();
            assert!(!compile(rules.clone(), architecture).unwrap().is_empty());
            reach(&mut rules).unwrap();
            assert!(!compile(rules, architecture).unwrap().is_empty());
        }
    }
}
