//! CPU time and memory of processes, as reported by the kernel. Linux only.

use std::fs;

/// Clock ticks per second in `/proc/*/stat`: 100 on all usual Linux systems.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds (user and system) that `pid` has used.
pub fn cpu_seconds(pid: u32) -> f64 {
    stat(pid).map_or(0.0, |fields| {
        let ticks: f64 = [11, 12]
            .iter()
            .filter_map(|&i| fields.get(i)?.parse::<f64>().ok())
            .sum();
        ticks / TICKS_PER_SECOND
    })
}

/// CPU seconds of all live children of `parent` (the back ends of a PostgreSQL server), together
/// with those of children that have ended.
pub fn children_cpu_seconds(parent: u32) -> f64 {
    let ended: f64 = stat(parent).map_or(0.0, |fields| {
        let ticks: f64 = [13, 14]
            .iter()
            .filter_map(|&i| fields.get(i)?.parse::<f64>().ok())
            .sum();
        ticks / TICKS_PER_SECOND
    });
    let live: f64 = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|&pid| stat(pid).and_then(|f| f.get(1)?.parse::<u32>().ok()) == Some(parent))
        .map(cpu_seconds)
        .sum();
    ended + live
}

/// Largest resident set so far, in MB.
pub fn peak_memory_mb(pid: u32) -> f64 {
    status_mb(pid, "VmHWM:")
}

/// Resident set at the moment, in MB.
pub fn memory_mb(pid: u32) -> f64 {
    status_mb(pid, "VmRSS:")
}

fn status_mb(pid: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix(field)?
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse::<f64>()
                .ok()
        })
        .map_or(0.0, |kb| kb / 1024.0)
}

/// Fields after the command name, so field 0 here is `state` (3 in proc(5)).
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = &text[text.rfind(')')? + 2..];
    Some(rest.split_whitespace().map(str::to_owned).collect())
}
