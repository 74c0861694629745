//! Any bytes as the answer of `sysctl KERN_PROCARGS2`: every parsed string is in them, at its position.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reaper_platform::macos::procargs::{Environ, ProcArgs};
use reaper_platform::{Condition, Wanted, Why};

const NAMES: [&str; 3] = ["SPROUT_MANAGED_AGENT", "PATH", "A"];

/// Where a part of a buffer begins in it.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(args) = ProcArgs::parse(bytes) else { return };
    let argc = i32::from_ne_bytes(bytes[..4].try_into().unwrap());
    let argv: Vec<&[u8]> = args.argv().collect();
    assert_eq!(argv.len(), argc as usize);
    let mut end = offset(bytes, args.path) + args.path.len() + 1;
    for arg in &argv {
        assert!(offset(bytes, arg) >= end && !arg.contains(&0));
        end = offset(bytes, arg) + arg.len() + 1;
    }
    assert!(end <= bytes.len());
    if let Environ::Block { strings, behind, .. } = &args.environ {
        assert!(offset(bytes, strings) >= end, "a variable is never taken from an argument");
        assert_eq!(offset(bytes, strings) + strings.len(), offset(bytes, behind));
        assert_eq!(offset(bytes, behind) + behind.len(), bytes.len());
        assert!(strings.is_empty() || strings.ends_with(b"\0"));
    }
    match args.search(&Wanted::new(NAMES)) {
        Err(why) => assert_eq!(why, Why::Withheld),
        Ok(scan) if scan.condition == Condition::Intact => {
            let Environ::Block { strings, .. } = &args.environ else { panic!("intact, and not there") };
            for name in NAMES {
                let is_there = strings
                    .split(|b| *b == 0)
                    .any(|s| s.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"=")));
                assert_eq!(scan.get(name.as_bytes()).is_some(), is_there, "{name}");
            }
        }
        Ok(_) => {}
    }
});
