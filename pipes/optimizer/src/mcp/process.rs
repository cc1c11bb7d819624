//! The process of an MCP server on this machine.

use rustix::process::{Pid, Signal, kill_process_group};
use std::process::Stdio;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A running server. Dropping it kills the process and all that it started.
pub(super) struct ServerProcess(Child);

/// The variables of the host that a server gets. Others may be secrets of the host.
const INHERITED_VARIABLES: [&str; 9] =
    ["HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"];

impl ServerProcess {
    /// Starts a server, and returns what it is spoken to by.
    ///
    /// # Errors
    /// Returns the reason.
    pub fn start(
        command: &str,
        args: &[String],
        env: &[(String, String)],
    ) -> Result<(Self, ChildStdout, ChildStdin), String> {
        let inherited = INHERITED_VARIABLES
            .into_iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut child = Command::new(command)
            .args(args)
            .env_clear()
            .envs(inherited)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("its program cannot be started: {}", error.kind()))?;
        let (stdout, stdin) = (child.stdout.take(), child.stdin.take());
        let process = Self(child);
        let (Some(stdout), Some(stdin)) = (stdout, stdin) else {
            return Err("its program cannot be spoken to".into());
        };
        Ok((process, stdout, stdin))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // The id is that of the group, and nobody has waited for the process yet.
        let group = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            tracing::debug!("The group of an MCP server could not be killed: {error}.");
        }
    }
}
