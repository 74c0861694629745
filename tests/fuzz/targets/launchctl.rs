//! Any text at all as what launchctl prints: a job is a number and a label that occur in the text, and an answer that was cut
//! off is rejected.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reaper_platform::macos::launchctl::{list, print};

fuzz_target!(|text: &str| {
    for (read, jobs) in [("list", list(text)), ("print", print(text))] {
        for (pid, label) in jobs.unwrap_or_default() {
            assert!(text.contains(&pid.to_string()) && text.contains(&label), "{read}: {pid} {label}");
            assert!(!label.is_empty() && !label.contains('\n'));
        }
    }
    if print(text).is_ok() {
        let end = text.trim_end_matches('\n').len();
        for cut in (0..end).rev().filter(|at| text.is_char_boundary(*at)).take(200) {
            let less = &text[..cut];
            assert!(
                print(less).is_err() || less.trim_end_matches(['\r', '\n']).ends_with('}'),
                "cut at {cut}"
            );
        }
    }
});
