//! CPU time and memory of processes, as `/proc` counts them (Linux, `man 5 proc`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// Linux counts times for programs in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// The line of a process in `/proc/PID/stat`.
struct Stat {
    parent: u32,
    cpu_seconds: f64,
}

fn read_stat(process: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, fields) = text.rsplit_once(") ")?;
    let fields: Vec<_> = fields.split(' ').collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        cpu_seconds: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
    })
}

/// Returns the process and all that it has started.
pub fn process_tree(root: u32) -> BTreeSet<u32> {
    let mut children = BTreeMap::<u32, Vec<u32>>::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(stat) = read_stat(process) {
            children.entry(stat.parent).or_default().push(process);
        }
    }
    let mut tree = BTreeSet::new();
    let mut open = vec![root];
    while let Some(process) = open.pop() {
        if tree.insert(process) {
            open.extend(children.get(&process).into_iter().flatten());
        }
    }
    tree
}

/// Returns the CPU time of these processes, in seconds.
pub fn cpu_seconds(processes: &BTreeSet<u32>) -> f64 {
    processes.iter().filter_map(|process| read_stat(*process)).map(|stat| stat.cpu_seconds).sum()
}

/// Returns the resident memory of these processes, in KiB.
pub fn resident_kib(processes: &BTreeSet<u32>) -> u64 {
    let read = |process: &u32| {
        let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    processes.iter().filter_map(read).sum()
}

/// Returns how long the cores of this machine were busy, in seconds of all cores.
pub fn machine_busy_seconds() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<f64> = fields.map(|field| field.parse().unwrap_or_default()).collect();
    // user, nice, system, interrupts, soft interrupts; not idle, waiting, stolen.
    let busy = [0, 1, 2, 5, 6].iter().filter_map(|index| ticks.get(*index));
    busy.sum::<f64>() / TICKS_PER_SECOND
}
