//! Any bytes at all as the kernel's record of a process, and any words as libproc's.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reaper_platform::macos::bsdinfo::{Record, SHORT, UNIQUE, Unique, WHOLE, owner};
use reaper_platform::macos::errors::{of_libproc, why};
use reaper_platform::{Pid, Why};

fuzz_target!(|bytes: &[u8]| {
    if let Some(whole) = bytes.first_chunk::<{ WHOLE.1 }>() {
        let record = Record::parse(whole);
        assert!(record.comm.len() <= 15 && !record.comm.contains(&0));
        let stat = record.stat(record.pid.unwrap_or(Pid::INIT), None, 0);
        assert!(stat.has_memory != (record.is_exiting || record.state.has_exited()));
        let unique = Unique::of_whole(whole);
        assert_eq!(unique.id.to_ne_bytes(), whole[152..160]);
    }
    if let Some(part) = bytes.first_chunk::<{ UNIQUE.1 }>() {
        let _ = Unique::parse(part);
    }
    if let Some(short) = bytes.first_chunk::<{ SHORT.1 }>() {
        assert_eq!(owner(short).0.to_ne_bytes(), short[36..40]);
    }
    if let Ok(sentence) = std::str::from_utf8(bytes) {
        // Whatever is not understood is a failure: it must not become "gone".
        if of_libproc(sentence) == Why::Gone {
            assert!(sentence.contains("errno = ") || sentence.starts_with("No process found"), "{sentence}");
        }
    }
    if let Some(number) = bytes.first_chunk() {
        let _ = why(i32::from_ne_bytes(*number));
    }
});
