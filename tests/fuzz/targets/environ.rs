//! Any environment block, in pieces of any size: the result does not depend on the pieces, and is in the block.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reaper_platform::environ::{Scanner, scan};
use reaper_platform::{Condition, Wanted};

const NAMES: [&str; 3] = ["MARK", "A", "REAPER_OWNER"];

fuzz_target!(|input: (u8, &[u8])| {
    let (size, block) = input;
    let wanted = Wanted::new(NAMES);
    let whole = scan(block, &wanted);
    let mut scanner = Scanner::new(&wanted);
    block.chunks(usize::from(size) + 1).for_each(|piece| scanner.feed(piece));
    assert_eq!(scanner.finish(), whole);
    assert_eq!(whole.len, block.len() as u64);
    for name in NAMES {
        let of = |entry: &[u8]| Some(entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec());
        let values: Vec<Vec<u8>> = block.split(|b| *b == 0).filter_map(of).collect();
        if whole.condition == Condition::Intact {
            assert_eq!(whole.get(name.as_bytes()).is_some(), !values.is_empty(), "{name}");
            if let Some(value) = whole.value(name.as_bytes()) {
                assert!(values.iter().all(|v| v == value), "{name}: one value of several");
            }
        }
    }
});
