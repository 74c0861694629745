//! Any bytes as Linux's files of a process: its stat, its status, its cgroup.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reaper_platform::linux::{cgroup, stat, status};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(stat) = stat::parse(bytes, 4096) {
        let between = [&b"("[..], &stat.comm, b")"].concat();
        assert!(bytes.windows(between.len()).any(|w| w == between));
    }
    let _ = status::parse(bytes);
    if let Some(unit) = cgroup::unit(bytes) {
        let is_unit = unit.name.ends_with(".service") || unit.name.ends_with(".scope");
        assert!(is_unit && !unit.name.contains('/') && !unit.name.contains('\n'), "{}", unit.name);
    }
});
