//! Escaping of other programs' strings for terminals and logs.
//!
//! Names, paths and arguments are untrusted: they may contain terminal escape codes, newlines that forge a log line, or
//! characters that reverse the direction of the text.

use std::fmt::Write as _;

/// Most characters shown of one string.
const MAX_CHARS: usize = 256;

/// Escapes every character that is not plainly visible, and truncates long strings.
///
/// ```
/// assert_eq!(reaper_policy::escape::escape(b"goose\x1b[2J\n\xff"), r"goose\x1b[2J\n\xff");
/// ```
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().min(MAX_CHARS));
    let mut left = MAX_CHARS;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if left == 0 {
                out.push('…');
                return out;
            }
            left -= 1;
            push(&mut out, c);
        }
        for byte in chunk.invalid() {
            if left == 0 {
                out.push('…');
                return out;
            }
            left -= 1;
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Escapes invisible characters in a text that was escaped already; visible text, including escapes, stays as it is.
///
/// ```
/// assert_eq!(reaper_policy::escape::again("goose\\n \u{1b}[2J"), r"goose\n \x1b[2J");
/// ```
#[must_use]
pub fn again(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\\' { out.push(c) } else { push(&mut out, c) }
    }
    out
}

fn push(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\\' => out.push_str("\\\\"),
        c if c.is_ascii_control() => {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        }
        c if is_hidden(c) => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// C1 controls, zero-width and direction-changing characters, and the like.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xad | 0x61c | 0x115f | 0x1160 | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f
            | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb | 0xe0000..=0xe0fff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_strings_are_escaped() {
        for (raw, shown) in [
            (&b"goose"[..], "goose"),
            (b"a\x1b]0;owned\x07", r"a\x1b]0;owned\x07"),
            (b"one\ntwo\r", r"one\ntwo\r"),
            ("x\u{202e}cod".as_bytes(), r"x\u{202e}cod"),
            ("\u{9b}2J".as_bytes(), r"\u{9b}2J"),
            ("grün 日本".as_bytes(), "grün 日本"),
            (b"\\n", r"\\n"),
        ] {
            assert_eq!(escape(raw), shown);
        }
        assert!(escape(&[b'x'; 5000]).chars().count() <= MAX_CHARS + 1);
    }

    proptest! {
        #[test]
        fn nothing_hidden_ever_comes_out(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(!escape(&bytes).chars().any(is_hidden));
        }

        #[test]
        fn what_was_escaped_once_stays_as_it_is(bytes in proptest::collection::vec(any::<u8>(), 0..64), text in ".*") {
            let once = escape(&bytes);
            prop_assert_eq!(again(&once), once);
            prop_assert!(!again(&text).chars().any(is_hidden));
        }
    }
}
