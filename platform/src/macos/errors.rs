//! The reasons that error numbers stand for.
//!
//! The libproc crate reports errors as sentences; the number is parsed out of them here. The kernel answers a question
//! that it does not understand with the same few numbers everywhere: those are errors of ours, not facts.

use crate::types::Why;

// These numbers are the same on every Unix that we run on.
const EPERM: i32 = 1;
const ESRCH: i32 = 3;
const EACCES: i32 = 13;

/// The reason that an error number stands for.
#[must_use]
pub fn why(errno: i32) -> Why {
    match errno {
        ESRCH => Why::Gone,
        EPERM | EACCES => Why::Denied,
        other => Why::Failed(std::io::Error::from_raw_os_error(other).to_string()),
    }
}

/// The reason that one of libproc's sentences stands for: `return code = 0, errno = 3, message = 'No such process'`.
#[must_use]
pub fn of_libproc(sentence: &str) -> Why {
    let digits = sentence.split_once("errno = ").map(|(_, rest)| rest.split(',').next().unwrap_or_default());
    match digits.and_then(|d| d.trim().parse().ok()) {
        Some(errno) => why(errno),
        // `sysctl` returns an empty answer for a process that does not exist.
        None if sentence.starts_with("No process found") => Why::Gone,
        None => Why::Failed(sentence.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_become_reasons() {
        let of =
            |errno: i32| of_libproc(&format!("return code = -1, errno = {errno}, message = 'x, errno = 9'"));
        assert_eq!((of(3), of(1), of(13)), (Why::Gone, Why::Denied, Why::Denied));
        assert!(matches!(of(22), Why::Failed(_)), "a question that makes no sense is no answer");
        assert_eq!(of_libproc("No process found with pid 7"), Why::Gone);
        let odd = "Invalid UTF-8 sequence: invalid utf-8 sequence of 1 bytes from index 0";
        assert_eq!(of_libproc(odd), Why::Failed(odd.to_owned()));
        for broken in ["", "errno = ", "errno = x,", "return code = 3"] {
            assert!(matches!(of_libproc(broken), Why::Failed(_)), "{broken}");
        }
    }
}
