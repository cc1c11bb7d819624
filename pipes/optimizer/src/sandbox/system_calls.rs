//! The system calls that a program may make.

use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use std::{collections::BTreeMap, env::consts::ARCH};

/// The system calls that a Python program needs to read its modules, compute and print. Others are
/// refused, such as those for sockets, processes, threads, signals and other programs.
const ALLOWED: [i64; 39] = [
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_geteuid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_ioctl,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_write,
];

/// The older forms of some of them, which newer processors never had.
#[cfg(target_arch = "x86_64")]
const OLDER: [i64; 5] =
    [libc::SYS_lstat, libc::SYS_open, libc::SYS_poll, libc::SYS_readlink, libc::SYS_stat];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: [i64; 0] = [];

/// Returns the filter as the kernel reads it (`struct sock_filter`, linux/filter.h).
///
/// # Errors
/// Returns an error for processors whose system calls are not known.
pub(super) fn build_filter() -> Result<Vec<u8>, BackendError> {
    let arch = TargetArch::try_from(ARCH)?;
    let rules: BTreeMap<_, _> =
        ALLOWED.into_iter().chain(OLDER).map(|call| (call, vec![])).collect();
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, arch)?;
    let program = BpfProgram::try_from(filter)?;
    let bytes = program.iter().flat_map(|instruction| {
        let code = instruction.code.to_ne_bytes();
        let jumps = [instruction.jt, instruction.jf];
        code.into_iter().chain(jumps).chain(instruction.k.to_ne_bytes())
    });
    Ok(bytes.collect())
}
