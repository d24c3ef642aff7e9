//! What processes have used of the machine, from Linux's `/proc`; none elsewhere.

use std::fs;
use std::time::Duration;

/// Clock ticks a second in `/proc`: the same on every Linux that Rust runs on.
const TICKS: u64 = 100;

/// The processor's time of all threads so far.
pub(super) fn cpu() -> Option<Duration> {
    cpu_of(std::process::id())
}

/// The same of the process of this number.
pub(super) fn cpu_of(process: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let ticks = cpu_ticks(&text)?;
    Some(Duration::from_millis(ticks * 1_000 / TICKS))
}

/// The most memory that was in use at any time, in bytes.
pub(super) fn memory_max() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1_024)
}

/// Of user and system together. The program's name, in parentheses, may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_name_does_not_confuse() {
        let stat = "17 (a) b 3 (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0";
        assert_eq!(cpu_ticks(stat), Some(200));
        assert_eq!(cpu_ticks(""), None);
    }
}
