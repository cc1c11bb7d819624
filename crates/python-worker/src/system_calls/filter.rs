//! The numbers of the system calls that are refused, and the filter that refuses them.

use super::{
    Permissions,
    program::{Action, Condition, Program},
};
use libc::c_long;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The change of a file's permissions, times or owner. The supervisor makes it within the folders
/// in which the process may write (`runner/attributes.py`), since a filter cannot read paths.
const ATTRIBUTE_CALLS: [(&str, c_long); 6] = [
    ("fchmod", libc::SYS_fchmod),
    ("fchmodat", libc::SYS_fchmodat),
    ("fchmodat2", 452),
    ("fchown", libc::SYS_fchown),
    ("fchownat", libc::SYS_fchownat),
    ("utimensat", libc::SYS_utimensat),
];

/// The older system calls that change permissions, owners or times of a file. Only x86-64 has them.
#[cfg(target_arch = "x86_64")]
const LEGACY_ATTRIBUTE_CALLS: [(&str, c_long); 6] = [
    ("chmod", libc::SYS_chmod),
    ("chown", libc::SYS_chown),
    ("lchown", libc::SYS_lchown),
    ("utime", libc::SYS_utime),
    ("utimes", libc::SYS_utimes),
    ("futimesat", libc::SYS_futimesat),
];
#[cfg(not(target_arch = "x86_64"))]
const LEGACY_ATTRIBUTE_CALLS: [(&str, c_long); 0] = [];

/// Extended attributes, which programs that copy files can do without if they are not supported.
const EXTENDED_ATTRIBUTE_CALLS: [c_long; 6] = [
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
];

/// System calls that programs can do without if the kernel has none. `io_uring` makes other calls
/// past every filter. The flags of `clone3` are in memory, where no filter can read them.
const ABSENT: [c_long; 6] = [
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    // `memfd_secret`: memory that not even the kernel reads.
    447,
];

/// The first of the calls of kernels from 6.13 on. They begin with `setxattrat`, which changes
/// attributes; what later kernels add is unknown.
const FIRST_UNKNOWN: u32 = 463;

/// Shared memory, which stays when the processes have ended, and which their limit does not cover.
const SHARED_MEMORY: [c_long; 14] = [
    libc::SYS_memfd_create,
    libc::SYS_mq_open,
    libc::SYS_msgctl,
    libc::SYS_msgget,
    libc::SYS_msgrcv,
    libc::SYS_msgsnd,
    libc::SYS_semctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_shmdt,
    libc::SYS_shmget,
];

/// Other processes, keys, namespaces, mounts and the kernel itself: no pipe needs them.
const REFUSED: [c_long; 51] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_kcmp,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_migrate_pages,
    libc::SYS_mount,
    442, // `mount_setattr`
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_name_to_handle_at,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    440, // `process_madvise`
    448, // `process_mrelease`
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    443, // `quotactl_fd`
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    // Before Linux 6.2, Landlock does not limit it. `ftruncate` needs an open file.
    libc::SYS_truncate,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_vhangup,
];

/// The flags of `clone` that make namespaces.
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// The number of `ioctl` that types on a terminal: what it types, the shell there runs.
const TIOCSTI: u32 = 0x5412;
/// The number of `ioctl` that pastes on a console.
const TIOCLINUX: u32 = 0x541C;

/// Returns the filters, and the numbers of the calls that the supervisor makes.
pub fn settings(permissions: Permissions) -> Value {
    let attributes: BTreeMap<String, &str> =
        attributes().map(|(name, number)| (number.to_string(), name)).collect();
    json!({
        "seccomp": libc::SYS_seccomp,
        "filter": filter(permissions, Action::Notify),
        "filter_without_listener": filter(permissions, Action::Refuse(libc::EPERM)),
        "attributes": attributes,
    })
}

fn attributes() -> impl Iterator<Item = (&'static str, c_long)> {
    ATTRIBUTE_CALLS.into_iter().chain(LEGACY_ATTRIBUTE_CALLS)
}

/// Returns the filter in hexadecimal digits.
fn filter(permissions: Permissions, attribute_action: Action) -> String {
    let refuse = Action::Refuse(libc::EPERM);
    let absent = Action::Refuse(libc::ENOSYS);
    let mut program = Program::new(FIRST_UNKNOWN, absent);
    for (_, number) in attributes() {
        program.add(number, attribute_action);
    }
    for number in EXTENDED_ATTRIBUTE_CALLS {
        program.add(number, Action::Refuse(libc::EOPNOTSUPP));
    }
    for number in ABSENT {
        program.add(number, absent);
    }
    for number in REFUSED {
        program.add(number, refuse);
    }
    for number in older_refused() {
        program.add(number, refuse);
    }
    // The kernel counts such memory as a stack, which the limit of data does not cover.
    let mut mappings = vec![Condition::AnyBit(3, libc::MAP_GROWSDOWN.unsigned_abs())];
    if !permissions.shared_memory {
        for number in SHARED_MEMORY {
            program.add(number, absent);
        }
        let flags = (libc::MAP_SHARED | libc::MAP_ANONYMOUS).unsigned_abs();
        mappings.push(Condition::AllBits(3, flags));
    }
    program.add_if(libc::SYS_mmap, &mappings, refuse);
    let mut families = vec![libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    families.extend(permissions.unix_sockets.then_some(libc::AF_UNIX));
    let families = families.into_iter().map(i32::unsigned_abs).collect();
    program.add_if(
        libc::SYS_socket,
        &[Condition::NoneOf(0, families)],
        Action::Refuse(libc::EAFNOSUPPORT),
    );
    if !permissions.unix_sockets {
        // One of a pair sends datagrams to any socket. This bit is that of SOCK_DGRAM and SOCK_RAW.
        let datagrams = Condition::AnyBit(1, libc::SOCK_DGRAM.unsigned_abs());
        program.add_if(libc::SYS_socketpair, &[datagrams], Action::Refuse(libc::EPROTONOSUPPORT));
    }
    let namespaces = Condition::AnyBit(0, NAMESPACES.unsigned_abs());
    program.add_if(libc::SYS_clone, &[namespaces], refuse);
    let typing = [Condition::OneOf(1, vec![TIOCSTI, TIOCLINUX])];
    program.add_if(libc::SYS_ioctl, &typing, refuse);
    // -1 means all processes of the user.
    program.add_if(libc::SYS_kill, &[Condition::OneOf(0, vec![u32::MAX])], refuse);
    // 0 means the process itself; any other number may be that of the host.
    let is_other = |argument| Condition::NoneOf(argument, vec![0]);
    for number in [
        libc::SYS_prlimit64,
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_setattr,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setscheduler,
    ] {
        program.add_if(number, &[is_other(0)], refuse);
    }
    program.add_if(libc::SYS_setpriority, &[is_other(0), is_other(1)], refuse);
    let is_process = Condition::NoneOf(0, vec![1]);
    program.add_if(libc::SYS_ioprio_set, &[is_process, is_other(1)], refuse);
    program.finish()
}

/// Returns the calls that only older processors have.
#[cfg(target_arch = "x86_64")]
fn older_refused() -> [c_long; 3] {
    [libc::SYS_ioperm, libc::SYS_iopl, libc::SYS_modify_ldt]
}

#[cfg(not(target_arch = "x86_64"))]
fn older_refused() -> [c_long; 0] {
    []
}
