//! The system calls that the processes of files may not make.
//!
//! Landlock limits which files are opened, made and deleted. It does not limit who changes the
//! permissions, times and owners of files, shared memory, and the priorities and limits of other
//! processes of the same user (`prlimit`). This filter does. The kernel runs it for every system
//! call of the process and its children, see
//! <https://docs.kernel.org/userspace-api/seccomp_filter.html>.

use serde_json::Value;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod filter;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod program;

/// The system calls that are allowed to some files only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Memory that processes share, which no limit of memory covers.
    pub shared_memory: bool,
    /// Sockets that reach other programs by the path of a file, such as `/run/docker.sock`.
    pub unix_sockets: bool,
}

/// Returns the filters for `confine.py`, and the numbers of the calls that the supervisor makes.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn settings(permissions: Permissions) -> Value {
    filter::settings(permissions)
}

/// Returns `null`: the numbers of this machine's system calls are not known here.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub fn settings(_: Permissions) -> Value {
    Value::Null
}
