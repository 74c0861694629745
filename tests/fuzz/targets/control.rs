//! Any line as a request to the service: it is valid as a whole or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reaper::service::protocol::{CONTROL, parse};

fuzz_target!(|line: &[u8]| {
    match parse(line) {
        Ok(request) => {
            assert!(request.schema == CONTROL && line.ends_with(b"\n"));
            assert!(request.for_s.is_none_or(f64::is_finite));
            // What was understood says itself again in the same way.
            let mut again = serde_json::to_vec(&request).unwrap();
            again.push(b'\n');
            assert_eq!(parse(&again).unwrap(), request);
        }
        Err(why) => assert!(!why.is_empty()),
    }
});
