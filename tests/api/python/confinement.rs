//! Confinement: the system calls, devices and processes of the machine that a Python file can use.

use super::{has_landlock, has_python, python_builder, python_host, wait_until_loaded};
use crate::support::TestHost;
use serde_json::Value;
use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Command,
};

/// It runs the program that it is asked: each line that raises nothing is `true` in the answer.
const TRIES: &str = r#"
import ctypes, errno, json, mmap, os, resource, shutil, socket, sqlite3, subprocess, sys, tempfile

LIBC = ctypes.CDLL(None, use_errno=True)


def call(*arguments):
    result = LIBC.syscall(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "syscall")
    return result


def read(path):
    with open(path, "rb") as file:
        return file.read(100)


class Pipeline:
    def pipe(self, user_message, model_id, messages, body):
        names, outcomes = dict(globals()), []
        for line in user_message.splitlines():
            try:
                exec(line, names)
                outcomes.append(True)
            except Exception as error:
                outcomes.append(f"{type(error).__name__}: {error}")
        return json.dumps(outcomes)
"#;

/// Runs lines of Python in the file `tries.py`; checks for each whether it was refused.
async fn assert_outcomes(host: &TestHost, lines: &[String], is_allowed: bool) {
    let outcomes = host.answer_text("tries", &lines.join("\n")).await;
    let outcomes: Vec<Value> = serde_json::from_str(&outcomes).unwrap();
    assert_eq!(outcomes.len(), lines.len());
    let unexpected: Vec<_> = std::iter::zip(lines, outcomes)
        .filter(|(_, outcome)| (*outcome == true) != is_allowed)
        .map(|(line, outcome)| format!("{line} -> {outcome}"))
        .collect();
    assert_eq!(unexpected, [""; 0], "allowed: {is_allowed}");
}

fn lines(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[actix_web::test]
async fn a_file_changes_no_permissions_and_times_outside_its_folder() {
    let Some(host) = python_host(&[("tries.py", TRIES)]).await else { return };
    let secret = host.folder.path().join("secret.toml");
    fs::write(&secret, "# of the operator\n").unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o640)).unwrap();
    let before = fs::metadata(&secret).unwrap();
    let path = format!("{:?}", secret.to_str().unwrap());
    let link = "os.symlink(TARGET, 'link') if not os.path.lexists('link') else None; ".to_owned();
    let attempts = [
        "os.chmod(TARGET, 0o777)",
        "os.utime(TARGET, (1, 1))",
        "os.utime(TARGET)",
        "os.chown(TARGET, os.getuid() + 1, -1)",
        "os.lchown(TARGET, -1, os.getgid() + 1)",
        "os.setxattr(TARGET, 'user.note', b'x')",
        "os.removexattr(TARGET, 'user.note')",
        "os.chmod('/proc/self/fd/%d' % os.open(TARGET, os.O_PATH), 0o777)",
        "os.utime(os.path.basename(TARGET), (1, 1), dir_fd=os.open(os.path.dirname(TARGET), os.O_PATH))",
        "os.chmod('../../../' + os.path.basename(TARGET), 0o777)",
        "os.truncate(TARGET, 0)",
        "os.chmod(os.path.dirname(TARGET), 0o777)",
        "os.link(TARGET, 'hard')",
        "os.mkdir('new') or os.chmod('new', 0o4755) or os.chmod('new/../../other', 0o777)",
    ];
    let mut attempts = lines(&attempts);
    attempts.push(link.clone() + "os.chmod('link', 0o777)");
    attempts.push(link + "os.utime('link', (1, 1))");
    // `fchmodat2` and `setxattrat` by their numbers.
    attempts.push("call(452, -100, TARGET.encode(), 0o777, 0)".into());
    attempts.push("call(463, -100, TARGET.encode(), 0, b'user.note', b'x', 1)".into());
    let attempts: Vec<_> = attempts.iter().map(|line| line.replace("TARGET", &path)).collect();
    assert_outcomes(&host, &attempts, false).await;
    let after = fs::metadata(&secret).unwrap();
    let attributes = |metadata: &fs::Metadata| {
        (metadata.mode(), metadata.mtime(), metadata.ctime(), metadata.ctime_nsec())
    };
    assert_eq!(attributes(&after), attributes(&before));
}

#[actix_web::test]
async fn a_file_changes_permissions_and_times_in_its_folder() {
    let Some(host) = python_host(&[("tries.py", TRIES)]).await else { return };
    let own = [
        "open('a', 'w').write('#!/bin/sh\\necho ran\\n') and os.chmod('a', 0o700)",
        "assert os.stat('a').st_mode & 0o777 == 0o700",
        "assert subprocess.check_output(['./a']) == b'ran\\n'",
        "os.utime('a', (1, 2))",
        "assert (os.stat('a').st_atime, os.stat('a').st_mtime) == (1, 2)",
        "os.utime('a', ns=(5, 7_000_000_001)); assert os.stat('a').st_mtime_ns == 7_000_000_001",
        "os.utime('a'); assert os.stat('a').st_mtime > 1_000_000_000",
        "assert os.stat(shutil.copy2('a', 'b')).st_mode & 0o777 == 0o700",
        "assert os.stat('a').st_mtime_ns == os.stat('b').st_mtime_ns",
        "file = open('c', 'w'); os.fchmod(file.fileno(), 0o640)",
        "assert os.stat('c').st_mode & 0o777 == 0o640",
        "os.chmod(os.path.abspath('c'), 0o4755); assert os.stat('c').st_mode & 0o7777 == 0o755",
        "os.chmod('c', 0o600, dir_fd=os.open('.', os.O_PATH))",
        "os.chown('c', os.getuid(), -1)",
        "subprocess.run(['cp', '-a', 'c', 'd'], check=True)",
        "subprocess.run(['touch', '-d', '2001-01-01', 'd'], check=True)",
        "assert os.stat('d').st_mtime < 1_000_000_000",
        "subprocess.run(['sh', '-c', 'cd / && chmod 711 $HOME/d'], check=True)",
        "assert os.stat('d').st_mode & 0o777 == 0o711",
        "tempfile.TemporaryDirectory().cleanup()",
        "tempfile.NamedTemporaryFile().write(b'x')",
        "os.mkdir('tree'); shutil.copy('a', 'tree'); shutil.copytree('tree', 'copy')",
        "database = sqlite3.connect('own.db'); database.execute('pragma journal_mode=wal')",
        "database.execute('create table t(a)'); database.commit()",
    ];
    assert_outcomes(&host, &lines(&own), true).await;
    let missing = lines(&["os.chmod('missing', 0o600)"]);
    assert_outcomes(&host, &missing, false).await;
}

#[actix_web::test]
async fn a_file_has_no_memory_beyond_its_limit() {
    let Some(host) = python_host(&[("tries.py", TRIES)]).await else { return };
    let mut attempts = lines(&[
        "LIBC.shmget(0, 4096, 0o1600) >= 0 or 1 / 0",
        "LIBC.semget(0, 1, 0o1600) >= 0 or 1 / 0",
        "LIBC.msgget(0, 0o1600) >= 0 or 1 / 0",
        "os.memfd_create('name')",
        "mmap.mmap(-1, 4096)",
        // MAP_PRIVATE, MAP_ANONYMOUS and MAP_GROWSDOWN.
        "mmap.mmap(-1, 4096, 0x122)",
    ]);
    if has_landlock() {
        attempts.push("open('/dev/shm/pipewright-test', 'w')".into());
        attempts.push("open('/dev/zero', 'r+b')".into());
        attempts.push("open('/dev/ptmx', 'r+b', 0)".into());
    }
    assert_outcomes(&host, &attempts, false).await;
    let usual = [
        "mmap.mmap(-1, 4096, mmap.MAP_PRIVATE)",
        "own = open('own', 'w+b'); own.truncate(4096); mmap.mmap(own.fileno(), 4096)",
        "open('/dev/null', 'r+').write('x')",
        "open('/dev/null', 'w').write('x')",
        "read('/dev/zero'); read('/dev/urandom')",
        "ctypes.CFUNCTYPE(None)(lambda: None)()",
    ];
    assert_outcomes(&host, &lines(&usual), true).await;
}

#[actix_web::test]
async fn shared_memory_is_there_if_the_operator_says_so() {
    if !has_python(&["asyncio"]) {
        return;
    }
    let builder =
        python_builder("on", &[("tries.py", TRIES)]).flag("--python-readable", "/dev/shm");
    let host = builder.start().await;
    wait_until_loaded(&host, "tries").await;
    let usual = [
        "mmap.mmap(-1, 4096)",
        "import multiprocessing; multiprocessing.Lock()",
        "pool = multiprocessing.get_context('fork').Pool(2)",
        "assert pool.map(abs, [-1, -2]) == [1, 2]; pool.terminate()",
        "socket.socket(socket.AF_UNIX)",
    ];
    assert_outcomes(&host, &lines(&usual), true).await;
}

#[actix_web::test]
async fn a_file_sees_the_machine_and_no_other_process() {
    if !has_landlock() {
        return;
    }
    let Some(host) = python_host(&[("tries.py", TRIES)]).await else { return };
    let own = std::process::id();
    let attempts: Vec<_> = ["cmdline", "environ", "status", "maps", "mem", "cgroup", "stat"]
        .iter()
        .map(|name| format!("read('/proc/{own}/{name}')"))
        .chain(lines(&[
            "read('/proc/1/cmdline')",
            "read('/proc/%d/cmdline' % os.getppid())",
            "os.listdir('/proc')",
            "read('/proc/keys')",
            "read('/proc/kallsyms')",
            "os.listdir('/sys/kernel/debug')",
            "os.listdir('/sys/firmware')",
        ]))
        .collect();
    assert_outcomes(&host, &attempts, false).await;
    let usual = [
        "read('/proc/self/cmdline'); read('/proc/self/status'); read('/proc/self/maps')",
        "os.listdir('/proc/self/fd'); os.listdir('/proc/self/task')",
        "read('/proc/cpuinfo'); read('/proc/meminfo'); read('/proc/stat'); read('/proc/loadavg')",
        "read('/proc/sys/kernel/random/uuid'); read('/proc/mounts'); read('/proc/net/tcp')",
        "os.listdir('/sys/devices/system/cpu')",
        "os.cpu_count(); os.getloadavg()",
        "subprocess.run(['true'], check=True)",
        "subprocess.run('echo x > /dev/stdout', shell=True, check=True)",
        "socket.getaddrinfo('localhost', 80)",
        "import asyncio; asyncio.new_event_loop().close()",
    ];
    assert_outcomes(&host, &lines(&usual), true).await;
}

#[actix_web::test]
async fn a_file_cannot_slow_or_stop_other_processes() {
    let Some(host) = python_host(&[("tries.py", TRIES)]).await else { return };
    let own = std::process::id();
    let attempts = [
        format!("resource.prlimit({own}, resource.RLIMIT_CORE, (0, 0))"),
        format!("os.setpriority(os.PRIO_PROCESS, {own}, 5)"),
        "os.setpriority(os.PRIO_USER, 0, 5)".into(),
        format!("os.sched_setaffinity({own}, os.sched_getaffinity({own}))"),
        format!("os.sched_setscheduler({own}, os.SCHED_OTHER, os.sched_param(0))"),
        "os.kill(-1, 0)".into(),
        "open('/proc/self/oom_score_adj', 'w').write('500')".into(),
        "socket.socket(socket.AF_UNIX)".into(),
        "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)".into(),
        "socket.socket(socket.AF_VSOCK)".into(),
        "call(425, 1, ctypes.create_string_buffer(200))".into(),
        "os.unshare(0x10000000) if hasattr(os, 'unshare') else call(435, 0, 0)".into(),
        "import fcntl; fcntl.ioctl(0, 0x5412, b'x')".into(),
        format!("os.pidfd_open and call(438, os.pidfd_open({own}), 0, 0)"),
    ];
    assert_outcomes(&host, &attempts, false).await;
    let usual = [
        "assert int(read('/proc/self/oom_score_adj')) >= 500",
        "os.nice(1)",
        "os.sched_setaffinity(0, os.sched_getaffinity(0))",
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
        "socket.socketpair(); socket.socket(); socket.socket(socket.AF_INET6)",
        "import threading; thread = threading.Thread(target=print); thread.start(); thread.join()",
        "assert os.waitpid(os.fork() or os._exit(0), 0)[1] == 0",
    ];
    assert_outcomes(&host, &lines(&usual), true).await;
}

#[actix_web::test]
async fn a_file_gets_no_open_files_of_its_host() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(secret.path(), "of the operator").unwrap();
    // Programs that are started get this one, as those get that a shell or systemd has opened.
    let _inherited = rustix::io::dup(secret.as_file()).unwrap();
    let Some(host) = python_host(&[("tries.py", TRIES)]).await else { return };
    let name = secret.path().file_name().unwrap();
    let opened = "paths = [f'/proc/self/fd/{number}' for number in range(99)]; \
                  links = [os.readlink(path) for path in paths if os.path.lexists(path)]; "
        .to_owned();
    assert_outcomes(&host, std::slice::from_ref(&opened), true).await;
    let attempt = opened + &format!("assert any({name:?} in link for link in links)");
    assert_outcomes(&host, &[attempt], false).await;
}

/// Writes a wheel whose code runs when the interpreter starts, before any program.
const WHEEL: &str = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("early.py", f"""
import os
TRIED = []
for path in [{sys.argv[2]!r}, "/proc/%d/environ" % os.getppid()]:
    try:
        open(path).read()
        TRIED.append("read")
    except OSError as error:
        TRIED.append("refused")
""")
    wheel.writestr("early.pth", "import early\n")
    info = "early-1.0.dist-info/"
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: early\nVersion: 1.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "RECORD", "")
"#;

#[actix_web::test]
async fn packages_are_confined_from_their_first_line() {
    if !has_python(&["ensurepip"]) || !has_landlock() {
        return;
    }
    let wheels = tempfile::tempdir().unwrap();
    let wheel = wheels.path().join("early-1.0-py3-none-any.whl");
    let greets = format!(
        "\"\"\"\nrequirements: early @ file://{}\n\"\"\"\nimport early\nclass Pipeline:\n    \
         def pipe(self, **arguments):\n        return ' '.join(early.TRIED)\n",
        wheel.display()
    );
    let builder = python_builder("on", &[("greets.py", &greets)])
        .flag("--python-readable", wheels.path().to_str().unwrap())
        .variable("PIP_NO_INDEX", "1");
    let secret = builder.data_folder().join("secret.toml");
    fs::write(&secret, "# of the operator\n").unwrap();
    let made = Command::new("python3").args(["-I", "-c", WHEEL]).args([&wheel, &secret]).status();
    assert!(made.unwrap().success());
    let host = builder.start().await;
    wait_until_loaded(&host, "greets").await;
    assert_eq!(host.answer_text("greets", "hi").await, "refused refused");
}
