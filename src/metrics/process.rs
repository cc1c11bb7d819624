//! The process and its build, read when somebody asks. Names are those of Prometheus's client
//! libraries (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use super::register;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::{
    fs,
    sync::atomic::AtomicU64,
    time::{SystemTime, UNIX_EPOCH},
};

/// The labels of the program.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    build: &'static str,
}

/// The ticks of CPU time in a second: `USER_HZ` of `man 7 time`, which Linux has fixed.
const TICKS: f64 = 100.0;

/// Returns the metrics of this moment. What the system does not tell is left out.
pub fn build_registry(started: SystemTime) -> Registry {
    let mut registry = Registry::default();
    let all = &mut registry;
    let build: Family<BuildLabels, Gauge> =
        register(all, "pipewright_build_info", "Version and commit", Family::default());
    let labels =
        BuildLabels { version: env!("CARGO_PKG_VERSION"), build: env!("BUILD_DESCRIPTION") };
    build.get_or_create(&labels).set(1);
    let mut gauge = |name: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            register(all, name, help, Gauge::<f64, AtomicU64>::default()).set(value);
        }
    };
    let started = started.duration_since(UNIX_EPOCH).map(|since| since.as_secs_f64()).ok();
    gauge("process_start_time_seconds", "When it started, in seconds since 1970", started);
    gauge("process_resident_memory_bytes", "Memory that it takes", read_memory("VmRSS:"));
    gauge("process_virtual_memory_bytes", "Memory that it has mapped", read_memory("VmSize:"));
    let files = fs::read_dir("/proc/self/fd").map(|files| files.count() as f64).ok();
    gauge("process_open_fds", "Files and sockets that are open", files);
    gauge("process_max_fds", "Files and sockets that may be open", read_max_files());
    if let Some(seconds) = read_cpu_seconds() {
        let counter = Counter::<f64, AtomicU64>::default();
        register(all, "process_cpu_seconds", "CPU time, user and system", counter).inc_by(seconds);
    }
    registry
}

/// Returns a size of `/proc/self/status`, in bytes.
fn read_memory(field: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024.0)
}

fn read_max_files() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Returns the CPU time so far: fields 14 and 15 of `/proc/self/stat`, counted behind the name of
/// the program, which may hold spaces.
fn read_cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    Some((ticks.next()?.ok()? + ticks.next()?.ok()?) / TICKS)
}
