//! The rights of programs, on machines that have a sandbox.

use super::*;

/// Returns whether there is a sandbox. If not, it says why.
#[expect(clippy::print_stderr, reason = "tells why it is skipped")]
async fn has_sandbox() -> bool {
    match check_available().await {
        Ok(()) => true,
        Err(reason) => {
            eprintln!("Skipped: {reason}");
            assert_eq!(run("print(1)").await, Err(RunError::Sandbox(reason)));
            false
        }
    }
}

async fn error(program: &str) -> String {
    match run(program).await {
        Err(RunError::Program(error)) => error,
        other => panic!("{program}: {other:?}"),
    }
}

#[tokio::test]
async fn programs_compute_and_print() {
    if !has_sandbox().await {
        return;
    }
    let program = "
import math, fractions, decimal, itertools, json, re, statistics, random, datetime, collections, heapq, functools
def is_even(n): return n == 0 or is_odd(n - 1)
def is_odd(n): return n != 0 and is_even(n - 1)
print(is_even(10), math.comb(10, 3), sum(fractions.Fraction(1, n) for n in range(1, 5)))
print('Ähre')
";
    assert_eq!(run(program).await.unwrap(), "True 120 25/12\nÄhre\n");
}

#[tokio::test]
async fn programs_reach_nothing() {
    if !has_sandbox().await {
        return;
    }
    for program in [
        "import socket; socket.create_connection(('127.0.0.1', 80), 1)",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1')",
        "open('/etc/passwd')",
        "open('/proc/self/environ')",
        "import os; os.fork()",
        "import subprocess; subprocess.run(['id'])",
        "import os; os.execv('/usr/bin/env', ['env'])",
        "open('/tmp/x', 'w')",
        "open('/usr/lib/x', 'w')",
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (100, 100))",
        "import ctypes; c = ctypes.CDLL(None, use_errno=True); assert c.syscall(41, 2, 1, 0) >= 0",
        "x = bytearray(8 << 30)",
        "raise SystemExit('no')",
        "def f(: pass",
    ] {
        assert!(!error(program).await.is_empty(), "{program}");
    }
    let secrets = run("import os; print(sorted(os.environ))").await.unwrap();
    assert!(!secrets.contains("PATH") && !secrets.contains("CARGO"), "{secrets}");
}

#[tokio::test]
async fn programs_without_end_are_ended() {
    if !has_sandbox().await {
        return;
    }
    assert!(error("while True: print('x' * 1000)").await.contains("printed more"));
    let (busy, idle) =
        tokio::join!(error("while True: pass"), error("import time; time.sleep(60)"));
    assert!(busy.contains("longer than 10 s"), "{busy}");
    assert!(idle.contains("longer than 10 s"), "{idle}");
    let long = format!("# {}", "x".repeat(MAX_PROGRAM_BYTES));
    assert!(error(&long).await.contains("bytes"));
}
