//! The constraint solver Z3: a program of this machine that solves SMT-LIB 2 scripts.
//!
//! Only commands that declare, assert and ask are let through, so that no script can read or write
//! files. Z3 runs in a process of its own, without environment, with bounds on time, memory and
//! output, and is killed when the request ends.

use std::{path::PathBuf, process::Stdio, sync::LazyLock, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    sync::Semaphore,
    time::timeout,
};

/// The Z3 of this machine, if it has one.
static PROGRAM: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("z3")).find(|program| program.is_file())
});

/// The number of solvers that run at once, for all requests.
static PERMITS: Semaphore = Semaphore::const_new(4);

/// The time-out of a solver, in seconds.
const TIMEOUT_SECONDS: u64 = 10;

/// The memory limit of a solver, in MB.
const MEMORY_MIB: u32 = 512;

/// The maximum size of its script and of its output, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// Returns whether the machine has the program.
pub(crate) fn is_installed() -> bool {
    PROGRAM.is_some()
}

/// Solves a script.
///
/// # Errors
/// The reason why it has no result, for the model that wrote it.
pub(crate) async fn solve_script(script: &str) -> Result<String, String> {
    let script = check_script(script)?;
    let program = PROGRAM.as_ref().ok_or("there is no solver")?;
    let _permit = PERMITS.acquire().await.map_err(|_| "there is no solver")?;
    let mut child = Command::new(program)
        .args(["-in", "-smt2"])
        .arg(format!("-T:{TIMEOUT_SECONDS}"))
        .arg(format!("-memory:{MEMORY_MIB}"))
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|_| "the solver could not be started")?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
        return Err("the solver could not be started".into());
    };
    let exchange = async {
        let write = async {
            // A solver that stops reading has written an error.
            _ = stdin.write_all(script.as_bytes()).await;
            drop(stdin);
        };
        let mut output = Vec::new();
        let mut limited = stdout.take(MAX_BYTES as u64);
        let read = limited.read_to_end(&mut output);
        let ((), read) = tokio::join!(write, read);
        read.map(|_| output)
    };
    let output = timeout(Duration::from_secs(TIMEOUT_SECONDS + 2), exchange).await;
    let output = output.map_err(|_| "the solver took too long")?;
    let output = output.map_err(|_| "the solver could not be read")?;
    let text = String::from_utf8_lossy(&output).trim().to_owned();
    let is_settled = text.lines().any(|line| ["sat", "unsat", "unknown"].contains(&line.trim()));
    match text.lines().find(|line| line.starts_with("(error")) {
        // Constraints that contradict each other have no model: `unsat` is the result.
        Some(error) if !(is_settled && text.contains("model is not available")) => {
            Err(error.to_owned())
        }
        _ if text.lines().any(|line| line.trim() == "timeout") => {
            Err("the solver took too long".into())
        }
        _ if !is_settled => Err("the solver gave no result".into()),
        _ => Ok(text),
    }
}

/// The commands that neither read nor write files.
const ALLOWED_COMMANDS: [&str; 26] = [
    "set-logic",
    "set-info",
    "declare-const",
    "declare-fun",
    "declare-sort",
    "declare-datatype",
    "declare-datatypes",
    "define-const",
    "define-fun",
    "define-fun-rec",
    "define-funs-rec",
    "define-sort",
    "assert",
    "assert-soft",
    "minimize",
    "maximize",
    "check-sat",
    "check-sat-assuming",
    "get-value",
    "get-model",
    "get-unsat-core",
    "get-objectives",
    "push",
    "pop",
    "echo",
    "eval",
];

/// The options that change nothing but the output.
const ALLOWED_OPTIONS: [&str; 5] = [
    ":produce-models",
    ":produce-unsat-cores",
    ":produce-assignments",
    ":opt.priority",
    ":print-success",
];

/// Returns the commands of a script one a line, or its fault.
fn check_script(script: &str) -> Result<String, String> {
    if script.len() > MAX_BYTES {
        return Err(format!("the script is longer than {MAX_BYTES} bytes"));
    }
    let mut commands = Vec::new();
    for command in split_commands(script)? {
        let inner =
            command.get(1..command.len().saturating_sub(1)).unwrap_or_default().trim_start();
        let end =
            inner.find(|c: char| c.is_whitespace() || "();\"|".contains(c)).unwrap_or(inner.len());
        let (name, rest) = inner.split_at_checked(end).unwrap_or((inner, ""));
        let option = rest.split_whitespace().next().unwrap_or_default();
        match name {
            "exit" => break,
            "set-option" if ALLOWED_OPTIONS.contains(&option) => commands.push(command),
            // Other options are left out.
            "set-option" => {}
            name if ALLOWED_COMMANDS.contains(&name) => commands.push(command),
            name => return Err(format!("the command `{name}` is not allowed")),
        }
    }
    if !commands.iter().any(|command| command.starts_with("(check-sat")) {
        return Err("the script holds no (check-sat)".into());
    }
    Ok(commands.join("\n") + "\n")
}

/// Returns the top-level lists of a script, without comments.
fn split_commands(script: &str) -> Result<Vec<String>, String> {
    /// The place of a character in a script.
    #[derive(PartialEq)]
    enum LexerState {
        Code,
        Comment,
        Text,
        Symbol,
    }
    let (mut commands, mut command, mut depth, mut within) =
        (Vec::new(), String::new(), 0usize, LexerState::Code);
    for c in script.chars() {
        match (&within, c) {
            (LexerState::Comment, '\n') => {
                within = LexerState::Code;
                command.push('\n');
                continue;
            }
            (LexerState::Comment, _) => continue,
            (LexerState::Code, ';') => {
                within = LexerState::Comment;
                continue;
            }
            (LexerState::Code, '"') => within = LexerState::Text,
            (LexerState::Text, '"') | (LexerState::Symbol, '|') => within = LexerState::Code,
            (LexerState::Code, '|') => within = LexerState::Symbol,
            (LexerState::Code, '(') => depth += 1,
            (LexerState::Code, ')') if depth == 0 => return Err("a `)` too many".into()),
            (LexerState::Code, ')') => {
                depth -= 1;
                command.push(')');
                if depth == 0 {
                    commands.push(std::mem::take(&mut command).trim().to_owned());
                }
                continue;
            }
            (LexerState::Code, c) if depth == 0 && !c.is_whitespace() => {
                return Err(format!("`{c}` stands outside of every command"));
            }
            _ => {}
        }
        command.push(c);
    }
    if depth > 0 || within == LexerState::Text || within == LexerState::Symbol {
        return Err("the script is not complete".into());
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_that_could_touch_files_do_not_reach_the_solver() {
        for script in [
            "(include \"/etc/passwd\")(check-sat)",
            "(set-option :produce-models true)(help)(check-sat)",
            "(check-sat) (!echo)",
            "(check-sat)) ",
            "check-sat",
            "(assert true)",
            "(check-sat",
            "(check-sat) \"",
        ] {
            assert!(check_script(script).is_err(), "{script}");
        }
        let quiet =
            check_script("(set-option :regular-output-channel \"/tmp/x\")\n(check-sat)").unwrap();
        assert_eq!(quiet, "(check-sat)\n");
        let kept = check_script("; a comment (with a list\n(declare-const |a (b| Int)\n(echo \"(exit) ; no\")(check-sat)(exit)(include \"x\")").unwrap();
        assert_eq!(kept, "(declare-const |a (b| Int)\n(echo \"(exit) ; no\")\n(check-sat)\n");
    }

    #[tokio::test]
    async fn a_script_is_solved_where_there_is_a_solver() {
        if !is_installed() {
            assert_eq!(solve_script("(check-sat)").await, Err("there is no solver".into()));
            return;
        }
        let script = "(declare-const x Int)(assert (= (* x 6) 42))(check-sat)(get-value (x))";
        let result = solve_script(script).await.unwrap();
        assert!(result.contains("sat") && result.contains("(x 7)"), "{result}");
        assert!(solve_script("(assert (= y 1))(check-sat)").await.is_err());
        let contradiction = solve_script("(assert false)(check-sat)(get-model)").await.unwrap();
        assert!(contradiction.starts_with("unsat"), "{contradiction}");
    }

    proptest::proptest! {
        #[test]
        fn any_script_is_checked_without_a_panic(script in "[()a-z;|\" \\n:-]{0,80}") {
            if let Ok(kept) = check_script(&script) {
                // A script that passed once passes again.
                proptest::prop_assert!(check_script(&kept).is_ok());
            }
        }
    }
}
